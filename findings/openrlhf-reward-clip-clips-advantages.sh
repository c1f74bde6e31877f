#!/usr/bin/env bash
# openrlhf 0.11.2: --reward.clip_range, -10 to 10 by default and called a clip of rewards, is applied after the baseline
# and the standard deviation, to advantages. With rewards of a larger scale RLOO's advantages are cut on the side of the
# winner first and then on the other: they no longer sum to 0, a group is pushed down as a whole, and that the winner was
# worth ten times the losers is gone. Clipping rewards before the baseline would leave a sum of 0.
# Seen: rewards 100, 0, 0, 0 with estimator rloo: 10, -10, -10, -10; of 1, 0, 0, 0: 1, -0.33, -0.33, -0.33.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install -q --no-deps openrlhf==0.11.2
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
import ast
import itertools
from importlib.metadata import distribution, version
from types import SimpleNamespace

import torch

HOME = distribution("openrlhf")
FUTURE = ast.parse("from __future__ import annotations").body


def own(path, *names):
    """Functions and methods of a file as they stand there, without their modules' imports of engines."""
    tree = ast.parse(HOME.locate_file(path).read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names]
    for node in nodes:
        node.decorator_list = []
    space = {"torch": torch, "itertools": itertools}
    exec(compile(ast.Module([*FUTURE, *nodes], []), path, "exec"), space)
    return space


rewarding = own("openrlhf/models/utils.py", "compute_reward")
making = own(
    "openrlhf/trainer/ppo_utils/experience_maker.py", "compute_advantages_and_returns", "get_cumulative_returns"
)
making["compute_reward"], making["apply_length_penalties"] = rewarding["compute_reward"], lambda *_: None


def advantages(*rewards):
    rows = len(rewards)
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=SimpleNamespace(estimator="rloo", gamma=1.0, lambd=1.0, no_std_norm=False)),
        rollout=SimpleNamespace(n_samples_per_prompt=rows),
        reward=SimpleNamespace(clip_range=(-10, 10)),
    )
    experience = SimpleNamespace(
        rewards=torch.tensor(rewards), index=list(range(rows)), kl=torch.zeros(rows, 1),
        action_mask=torch.ones(rows, 1, dtype=torch.bool), values=None, info={},
    )
    maker = SimpleNamespace(
        strategy=SimpleNamespace(args=args), kl_ctl=SimpleNamespace(value=0.0), advantage_estimator="rloo"
    )
    maker.get_cumulative_returns = lambda *given: making["get_cumulative_returns"](maker, *given)
    (found,) = making["compute_advantages_and_returns"](maker, [experience])
    return [round(each, 3) for each in found.advantages[:, 0].tolist()]


large, small = advantages(100.0, 0.0, 0.0, 0.0), advantages(1.0, 0.0, 0.0, 0.0)
print(f"openrlhf {version('openrlhf')} rloo: of 100, 0, 0, 0: {large}; of 1, 0, 0, 0: {small}")
raise SystemExit(not (large == [10.0, -10.0, -10.0, -10.0] and abs(sum(small)) < 0.01))
PYTHON
