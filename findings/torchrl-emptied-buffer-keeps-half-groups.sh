#!/usr/bin/env bash
# torchrl 0.14.1: MCAdvantage holds back the trajectories of a prompt until there are grpo_size of them. ReplayBuffer
# .empty(), by which an on-policy loop starts afresh, empties the storage and leaves what is held back: the next
# trajectory of that prompt completes a group with those of the policy before, and all of them are written and
# trained on. clear_queues() of the transform is what drops them; nothing says so.
# Seen: three trajectories of policy 0, empty(), one of policy 1: four are in the buffer, of policies 0, 0, 0, 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 torchrl==0.14.1 tensordict==0.14.3
"$work/venv/bin/python" -W ignore - <<'PYTHON' 2> "$work/log" || { cat "$work/log"; exit 1; }
from importlib.metadata import version

import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, ReplayBuffer
from torchrl.objectives.llm import MCAdvantage


def trajectory(policy, reward):
    following = {("next", "reward"): torch.tensor([[reward]]), ("next", "done"): torch.tensor([[True]])}
    return TensorDict({"query": torch.tensor([7]), "policy": torch.tensor([policy])} | following, batch_size=[1])


seen = {}
for clear in (False, True):
    buffer = ReplayBuffer(storage=LazyTensorStorage(10), batch_size=4)
    advantage = MCAdvantage(4, prompt_key="query", trajectory_return="sum")
    buffer.append_transform(advantage)
    for _ in range(3):
        buffer.extend(trajectory(0, 0.0))
    buffer.empty()
    if clear:
        advantage.clear_queues()
    buffer.extend(trajectory(1, 1.0))
    seen[clear] = buffer[:]["policy"].tolist() if len(buffer) else []
print(f"torchrl {version('torchrl')}: policies in the buffer after empty(): {seen[False]}; with clear_queues(): {seen[True]}")
raise SystemExit(seen != {False: [0, 0, 0, 1], True: []})
PYTHON
