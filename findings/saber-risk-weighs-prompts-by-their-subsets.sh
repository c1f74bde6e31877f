#!/usr/bin/env bash
# saber-risk 0.2.0: predict_combinatorial takes one number of trials per query, and computes 1 minus a ratio of means,
# 1 - mean C(n-k, N) / mean C(n, N), where the mean of each query's estimate is meant. With equal n that is the same.
# With unequal n a query weighs as much as it has N-subsets: the one with the most trials decides, the others vanish.
# An attack that always succeeds on one query of 8 trials and never on one of 100 is reported as 0.00002, not 0.5.
# Seen: success at N = 4 of counts (8 of 8, 0 of 100) is 1.8e-5; of (8 of 8, 0 of 8) it is 0.5.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q saber-risk==0.2.0 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from saber.prediction import predict_combinatorial

equal = predict_combinatorial(4, np.array([8, 0]), np.array([8, 8]))
unequal = predict_combinatorial(4, np.array([8, 0]), np.array([8, 100]))
alone = [predict_combinatorial(4, np.array([k]), np.array([n])) for k, n in ((8, 8), (0, 100))]
print(f"saber-risk {version('saber-risk')}: each query alone {alone}; 8 trials each {equal}; 8 and 100 trials {unequal:.2g}")
raise SystemExit(not (alone == [1.0, 0.0] and abs(equal - 0.5) < 1e-12 and unequal < 1e-4))
PYTHON
