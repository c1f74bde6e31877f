#!/usr/bin/env bash
# skyrl 0.3.0: the estimator "maxrl" divides by the group's mean reward, which is meant for rewards of 0 and 1. It takes
# any: with rewards of -1 for wrong and 1 for right the mean of a hard prompt is negative, and every advantage has the
# wrong sign: the only right answer is pushed down, the wrong ones up. A group of one right and one wrong answer gets a
# million. No word of warning.
# Seen: rewards 1, -1, -1, -1: -3, 1, 1, 1. Rewards 1, -1: 1000000, -1000000. Rewards 1, 0, 0, 0: 3, -1, -1, -1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install -q --no-deps skyrl==0.3.0
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
import ast
from collections import defaultdict
from importlib.metadata import distribution, version

import numpy as np
import torch

# The module imports engines; the function's own lines use these names alone.
file = distribution("skyrl").locate_file("skyrl/backends/skyrl_train/utils/ppo_utils.py")
(function,) = (
    node
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name == "compute_maxrl_advantage"
)
function.decorator_list = []
space = {"torch": torch, "np": np, "defaultdict": defaultdict}
exec(compile(ast.Module([function], []), str(file), "exec"), space)


def advantages(*rewards):
    tokens = torch.tensor(rewards)[:, None]
    found, _ = space["compute_maxrl_advantage"](tokens, torch.ones_like(tokens), np.array(["prompt"] * len(rewards)))
    return [round(each, 2) for each in found[:, 0].tolist()]


flipped, pair, binary = advantages(1.0, -1.0, -1.0, -1.0), advantages(1.0, -1.0), advantages(1.0, 0.0, 0.0, 0.0)
print(f"skyrl {version('skyrl')} maxrl: of 1, -1, -1, -1: {flipped}; of 1, -1: {pair}; of 1, 0, 0, 0: {binary}")
raise SystemExit(not (flipped[0] < -2.9 and min(flipped[1:]) > 0.9 and pair[0] > 9e5 and binary[0] > 2.9))
PYTHON
