#!/usr/bin/env bash
# ms-swift 4.6.0: a reward function may return None for a rollout that it cannot score, which becomes nan. The sum over
# functions is torch.nansum, so that a rollout without any score has the reward 0: it is trained on as a failure, and
# moves the group's mean. TRL 1.16 in its place gives it the advantage 0 and takes the mean of the others. One expects a
# missing reward to be left out.
# Seen: rewards nan, 1, 0, 0: advantages -0.5, 1.5, -0.5, -0.5, those of 0, 1, 0, 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install -q --no-deps ms-swift==4.6.0
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
import importlib
import sys
from importlib.metadata import distribution, version
from types import ModuleType

import torch

# swift's own __init__ imports its trainers; the module of advantages needs torch, and nanstd for GDPO alone.
for name in ("swift", "swift.rl_core"):
    package = ModuleType(name)
    package.__path__ = [str(distribution("ms-swift").locate_file(name.replace(".", "/")))]
    sys.modules[name] = package
sys.modules["swift.utils"] = ModuleType("swift.utils")
sys.modules["swift.utils"].nanstd = None
compute = importlib.import_module("swift.rl_core.advantage").compute_advantages

found = {}
for first in (float("nan"), 0.0):
    rewards = torch.tensor([[first], [1.0], [0.0], [0.0]])
    found[first] = [round(each, 3) for each in compute(rewards, torch.ones(1), num_generations=4)[0].tolist()]
missing, failed = found.values()
print(f"ms-swift {version('ms-swift')}: advantages with a missing reward {missing}, with a reward of 0 {failed}")
raise SystemExit(not (missing == failed and missing[0] < -0.4))
PYTHON
