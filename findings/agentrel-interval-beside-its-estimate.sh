#!/usr/bin/env bash
# agentrel 0.1.0: pass_at_k estimates without replacement, and its interval resamples the runs of a task WITH
# replacement before it estimates. A resample of n runs holds about 63% of them, so the interval lies below the
# estimate, and from k = n/2 on excludes it: a "95% interval" that its own centre is not in.
# Seen: 100 tasks with one right run of 8: k = 4 estimate 0.5, interval below it; k = 8 estimate 1.0, interval
# below 0.8.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q agentrel==0.1.0
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import agentrel
import numpy as np

runs = {f"task {task}": np.eye(8)[task % 8] for task in range(100)}
outside = []
for k in (1, 4, 8):
    found = agentrel.pass_at_k(runs, k, seed=0)
    low, high = (getattr(found, name) for name in ("ci_low", "ci_high"))
    outside.append(not low <= found.value <= high)
    print(f"agentrel {version('agentrel')}: pass@{k} {found.value:.3f} in [{low:.3f}, {high:.3f}]: {not outside[-1]}")
raise SystemExit(outside != [False, True, True])
PYTHON
