#!/usr/bin/env bash
# scorio 0.2.3: pass_at_k is the unbiased estimate, and pass_at_k_ci, its interval, is centred elsewhere: on the posterior
# mean under a uniform prior of each question's success rate. The priors of the questions add up and do not fade with
# their number: 1,000 questions without a single success in 8 trials are reported as pass@8 of 0.47 with a 95% interval
# from 0.45 to 0.49. Where success is rare, what is printed is the prior, and more questions only make it narrower.
# Seen: estimate 0.0, interval 0.453 to 0.488; at a true rate of 0.02 (pass@8 = 0.149) none of 100 intervals holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q scorio==0.2.3 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from scorio.eval import pass_at_k, pass_at_k_ci

nothing = np.zeros((1000, 8), dtype=int)
mean, _, low, high = pass_at_k_ci(nothing, 8)
rng, truth = np.random.default_rng(0), 1 - 0.98**8
held = 0
for _ in range(100):
    _, _, bottom, top = pass_at_k_ci((rng.random((200, 8)) < 0.02).astype(int), 8)
    held += bottom <= truth <= top
print(f"scorio {version('scorio')}: no success in 8,000 trials: estimate {pass_at_k(nothing, 8)}, mean {mean:.3f} in")
print(f"[{low:.3f}, {high:.3f}]; at a rate of 0.02, {held} of 100 intervals hold {truth:.3f}")
raise SystemExit(not (pass_at_k(nothing, 8) == 0 and low > 0.4 and held == 0))
PYTHON
