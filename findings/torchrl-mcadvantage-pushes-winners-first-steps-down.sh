#!/usr/bin/env bash
# torchrl 0.14.1: MCAdvantage by default (trajectory_return=None) standardises the rewards of steps over all steps of
# a group. Where a trajectory's one reward comes at its end, as with verifiable rewards, every earlier step of the
# winner gets the same negative advantage as the steps of the losers: of three steps two are pushed down. One expects
# a trajectory's return to count for all of its steps, which is what trajectory_return="sum" does.
# Seen: four trajectories of three steps, one ends in 1: the winner's steps get -0.289, -0.289, 3.175.
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

STEPS = 3


def trajectory(last):
    rewards, done = torch.zeros(STEPS, 1), torch.zeros(STEPS, 1, dtype=torch.bool)
    rewards[-1], done[-1] = last, True
    group = torch.zeros(STEPS, dtype=torch.long)
    return TensorDict({"group": group, "next": TensorDict({"reward": rewards, "done": done}, [STEPS])}, [STEPS])


found = {}
for kept in (None, "sum"):
    transform = MCAdvantage(grpo_size=4, prompt_key="group", trajectory_return=kept)
    for last in (1.0, 0.0, 0.0, 0.0):
        out = transform.inv(trajectory(last))
    found[kept] = [round(each, 3) for each in out["advantage"].reshape(4, STEPS)[0].tolist()]
print(f"torchrl {version('torchrl')}: steps of the winner by trajectory_return: {found}")
raise SystemExit(not (found[None][0] < 0 and found[None][1] < 0 < found[None][2] and min(found["sum"]) > 0))
PYTHON
