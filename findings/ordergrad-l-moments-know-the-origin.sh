#!/usr/bin/env bash
# OrderGrad at 50b89ea: LMoment:r from r = 3 on is no L-moment. Its weights sum to 1/18 (r = 3) and 1/40 (r = 4) in
# place of 0, so that "L-skewness" of a symmetric sample is not 0 and adding 1000 to every reward moves it by 55:
# as an objective it climbs a share of the mean. r = 2 is a quarter of the second L-moment, of the right direction.
# Seen: LMoment:3 of eight equal rewards of 1 is 0.0556, of 0..7 it is 0.278; both are 0 by Hosking's definition.
# The repository is cloned from GitHub, or from the path or address in ORDERGRAD.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "${ORDERGRAD:-https://github.com/paavo5/ordergrad}" "$work/ordergrad"
git -C "$work/ordergrad" checkout -q 50b89ea29fd532a0f34238c327054a167382800f
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 "$work/ordergrad"
"$work/venv/bin/python" - <<'PYTHON'
from itertools import combinations

import numpy as np
from ordergrad.numpy_backend import OrderStatTransform


def theirs(rewards: np.ndarray, r: int) -> float:
    made = OrderStatTransform.precompute_lstat(8, 8, f"LMoment:{r}", compute_leave_one_out=False)
    return round(float(made.lstat(rewards)), 4)


def hosking(rewards: np.ndarray, r: int) -> float:
    """The mean over r-subsets of the alternating sum of binomials times order statistics, over r."""
    signs = {2: (-1, 1), 3: (1, -2, 1), 4: (-1, 3, -3, 1)}[r]
    return round(float(np.mean([np.dot(signs, sorted(each)) for each in combinations(rewards, r)]) / r), 4)


ones, symmetric = np.ones(8), np.arange(8.0)
seen = {(r, name): (theirs(x, r), hosking(x, r)) for r in (2, 3, 4) for name, x in (("1s", ones), ("0..7", symmetric))}
for (r, name), (own, by_definition) in seen.items():
    print(f"LMoment:{r} of eight rewards, {name}: {own}, by definition {by_definition}")
as_seen = (
    seen[3, "1s"] == (0.0556, 0.0)
    and seen[4, "1s"] == (0.025, 0.0)
    and seen[3, "0..7"][0] > 0.1
    and seen[3, "0..7"][1] == 0
    and seen[2, "0..7"][0] == seen[2, "0..7"][1] / 4
)
raise SystemExit(not as_seen)
PYTHON
