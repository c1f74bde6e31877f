#!/usr/bin/env bash
# OrderGrad at 50b89ea: LowerTailMean:q and UpperTailMean:q average the ceil(q K) outermost rewards, and take the
# product in float64: 0.28 * 25 is 7.000000000000001 there, and eight rewards are averaged in place of seven. Its
# RangeLowerTailMean:0:0.28, which subtracts 1e-12 first, takes seven. Of q in hundredths and K up to 64 it is five
# pairs. A CVaR at 28% of 25 is one at 32%.
# Seen: (0.28, 25) (0.56, 25) (0.14, 50) (0.28, 50) (0.56, 50).
# The repository is cloned from GitHub, or from the path or address in ORDERGRAD.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "${ORDERGRAD:-https://github.com/paavo5/ordergrad}" "$work/ordergrad"
git -C "$work/ordergrad" checkout -q 50b89ea29fd532a0f34238c327054a167382800f
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 "$work/ordergrad"
"$work/venv/bin/python" - <<'PYTHON'
from fractions import Fraction
from math import ceil

import numpy as np
from ordergrad.numpy_backend import OrderStatTransform


def averaged(k: int, preset: str) -> int:
    """How many of the K lowest rewards count."""
    weights = OrderStatTransform._preset_lstat_weights(k, preset, dtype=np.float64)
    return int(np.count_nonzero(weights))


off = [
    (q, k)
    for k in range(1, 65)
    for q in (f"{share / 100:.2f}" for share in range(1, 101))
    if averaged(k, f"LowerTailMean:{q}") != max(1, ceil(Fraction(q) * k))
]
few = averaged(25, "RangeLowerTailMean:0:0.28")
print(f"one reward more than ceil(q K): {off}; LowerTailMean:0.28 of 25 takes {averaged(25, 'LowerTailMean:0.28')}, "
      f"RangeLowerTailMean:0:0.28 takes {few}")
as_seen = off == [("0.28", 25), ("0.56", 25), ("0.14", 50), ("0.28", 50), ("0.56", 50)] and few == 7
raise SystemExit(not as_seen)
PYTHON
