#!/usr/bin/env bash
# areal 1.0.4: Normalization with group levels takes groups by position, group_size rows each. Rows that remain at the
# end have the mean 0 and the standard deviation 0, so that a reward of 1 becomes 1/eps, one hundred thousand. Where a
# group of a batch has lost a rollout, the rows of all later ones move up by one besides, and are centered with strangers.
# Seen: group_size 4, rewards 1, 0, 0, 0, 1: the last row gets 100000. Of 1, 0, 0 and 1, 1, 0, 0, a group that lost its
# last member before a whole one, the first row of the second is taken for the fourth of the first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install -q --no-deps areal==1.0.4
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
import ast
from importlib.metadata import distribution, version
from types import SimpleNamespace

import numpy as np
import torch
import torch.distributed as dist

# The module imports data loaders and a web client; the class's own lines use these names alone.
file = distribution("areal").locate_file("areal/utils/data.py")
(normalization,) = (
    node
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.ClassDef) and node.name == "Normalization"
)
space = {"torch": torch, "np": np, "dist": dist}
future = ast.parse("from __future__ import annotations").body
exec(compile(ast.Module([*future, normalization], []), str(file), "exec"), space)
config = SimpleNamespace(
    mean_level="group", std_level="group", mean_leave1out=False, std_unbiased=True, eps=1e-5, group_size=4
)
norm = space["Normalization"](config)
whole = norm(torch.tensor([1.0, 0.0, 0.0, 0.0])).tolist()
remainder = norm(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0])).tolist()
short = norm(torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0])).tolist()
print(f"areal {version('areal')}: of 1, 0, 0, 0: {whole}; with one more 1: {remainder}; a short group first: {short}")
raise SystemExit(not (whole[0] < 2 and remainder[4] > 9e4 and short[0] == short[3] and short[4] > 9e4))
PYTHON
