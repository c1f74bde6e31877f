#!/usr/bin/env bash
# torchrl 0.14.1: MCAdvantage with candidate_group_size and keep_return_bounds draws on until a subset of grpo_size
# trajectories has a mean return within the bounds, and trains on that. It is optional stopping: a hard prompt's only
# success is always kept, its surplus of failures thrown away, and the group looks as if one rollout in four
# succeeded whatever the success rate is. What comes out is not the gradient of the mean reward; its scale depends on
# the policy, most where prompts are hard.
# Seen: of returns 0, 0, 0, 0, 0, 0, 1 the group is emitted after the seventh, with returns 0, 0, 0, 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 packaging==25.0 tensordict==0.14.3
"$work/venv/bin/pip" install -q --no-deps torchrl==0.14.1
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
from importlib.metadata import version

import torch
from tensordict import TensorDict
from torchrl.objectives.llm import MCAdvantage

transform = MCAdvantage(
    grpo_size=4, prompt_key="group", trajectory_return="sum", keep_return_bounds=(0.0, 1.0), candidate_group_size=8
)
drawn, out = 0, None
for value in (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0):
    step = TensorDict({"reward": torch.tensor([[value]]), "done": torch.ones(1, 1, dtype=torch.bool)}, [1])
    out = transform.inv(TensorDict({"group": torch.zeros(1, dtype=torch.long), "next": step}, [1]))
    drawn += 1
    if out is not None:
        break
kept = sorted(out["next", "reward"].reshape(-1).tolist())
largest = float(out["advantage"].max())
print(f"torchrl {version('torchrl')}: after {drawn} trajectories a group of returns {kept}, largest advantage {largest:.3f}")
raise SystemExit(not (drawn == 7 and kept == [0.0, 0.0, 0.0, 1.0] and largest > 1.4))
PYTHON
