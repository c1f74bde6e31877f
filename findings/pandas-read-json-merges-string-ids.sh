#!/usr/bin/env bash
# pandas 3.1.1: read_json(lines=True) makes a column of quoted strings numeric wherever all of them look like
# numbers, although JSON tells "1" from 1. Ids that differ as text become one: "1" and "01", "1" and "1.0",
# "1000" and "1_000", and 24-digit ids that differ in their last digit. groupby then pools the rollouts of two
# prompts, so that means, baselines and pass@k are taken over both. One id with a letter in the file and all
# stay strings; dtype=False, or engine="pyarrow", keeps them too.
# Seen: each pair is one id by default and two with dtype=False; two prompts become one of mean reward 0.5.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pandas==3.1.1
"$work/venv/bin/python" - <<'PYTHON'
from io import StringIO

import pandas as pd

PAIRS = [("1", "01"), ("1", "1.0"), ("1000", "1_000"), ("123456789012345678901234", "123456789012345678901235")]
merged = []
for pair in PAIRS:
    lines = "".join(f'{{"prompt": "{name}", "reward": {reward}}}\n' for reward, name in enumerate(pair))
    found, kept = pd.read_json(StringIO(lines), lines=True), pd.read_json(StringIO(lines), lines=True, dtype=False)
    means = found.groupby("prompt").reward.mean()
    merged.append(means.tolist() == [0.5] and kept.prompt.tolist() == list(pair))
    print(f"pandas {pd.__version__}: {pair} -> {found.prompt.dtype}, mean reward by id {means.to_dict()}")
raise SystemExit(merged != [True] * len(PAIRS))
PYTHON
