#!/usr/bin/env bash
# openpipe-art 0.5.18: trajectories get GRPO's advantages within their group, and packing them into tensors divides all of
# a batch by the mean size of its advantages, weighted by tokens. So what a group is trained on depends on the groups
# beside it, and a constant factor of all rewards or advantages changes nothing: with scale_rewards=False, which leaves
# out the group's standard deviation, the scale of the rewards is still lost, over the batch.
# Seen: a trajectory of advantage 1 is packed as 1 beside one of 1, as 0.5 beside one of 3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install -q --no-deps openpipe-art==0.5.18
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
import ast
import random
from importlib.metadata import distribution, version
from types import SimpleNamespace

import torch

# The module imports a client of an inference server; the function's own lines use these names alone.
file = distribution("openpipe-art").locate_file("art/preprocessing/pack.py")
(function,) = (
    node
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name == "packed_tensors_from_tokenized_results"
)
function.args.kwonlyargs, annotations = [], ast.parse("from __future__ import annotations").body
space = {"torch": torch, "random": random}
exec(compile(ast.Module([*annotations, function], []), str(file), "exec"), space)


def packed(*advantages):
    results = []
    for row, advantage in enumerate(advantages):
        made = SimpleNamespace(
            advantage=advantage, token_ids=[0, row + 1], input_pos=[0, 1], assistant_mask=[0, 1],
            logprobs=[float("nan"), -1.0], pixel_values=None, image_grid_thw=None, weight=1.0, prompt_id=row,
            prompt_length=1,
        )
        made.without_prompt = lambda made=made: made
        results.append(made)
    tensors = space["packed_tensors_from_tokenized_results"](results, 2, pack_results=False)
    rows = {int(row[1]): float(value[1]) for row, value in zip(tensors["tokens"], tensors["advantages"])}
    return [round(rows[row + 1], 3) for row in range(len(advantages))]


alike, beside, scaled = packed(1.0, -1.0), packed(1.0, -3.0), packed(10.0, -30.0)
print(f"openpipe-art {version('openpipe-art')}: 1, -1 packed as {alike}; 1, -3 as {beside}; 10, -30 as {scaled}")
raise SystemExit(not (alike[0] == 1.0 and beside[0] == 0.5 and scaled == beside))
PYTHON
