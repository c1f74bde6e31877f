#!/usr/bin/env bash
# numpy 2.4.6: sum(axis=0) of a (32, 5) array and of its first column alone, (32, 1), differ in their last bits. One
# column is a vector and summed in pairs; beside others it is summed row after row. With groups as columns, a
# group's mean, baseline or flat-group test depends on whether it is alone in the batch, so a run with one prompt
# left over is not the run without it. sum(axis=1) of groups as rows keeps its bits.
# Seen: 137 of 200 columns differ, 0 of 200 rows.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np

columns = rows = 0
for seed in range(200):
    groups = np.random.default_rng(seed).random((32, 5))
    columns += groups[:, :1].copy().sum(axis=0)[0] != groups.sum(axis=0)[0]
    groups = np.ascontiguousarray(groups.T)
    rows += groups[:1].copy().sum(axis=1)[0] != groups.sum(axis=1)[0]
print(f"numpy {np.__version__}: alone and beside others, {columns} of 200 columns differ, {rows} of 200 rows")
raise SystemExit(not (columns > 50 and rows == 0))
PYTHON
