#!/usr/bin/env bash
# verl 0.9.1: compute_grpo_outcome_advantage of a group whose rewards are all equal is not 0 in float32 where
# the reward is no binary fraction: the mean of eight 0.7 is off by one unit in the last place, and that is
# divided by a standard deviation of the same size plus an epsilon of 1e-6. Every token of a prompt that tells
# nothing is pushed, all in one direction. Rewards of 0.5 give exactly 0.
# Seen: eight rewards of 0.7: the largest advantage is about 0.06; of 0.5: 0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 packaging==25.0 tensordict==0.10.0 omegaconf==2.4.0 \
  transformers==5.10.4 ray==2.60.0 codetiming==1.4.0 orjson==3.13.0
"$work/venv/bin/pip" install -q --no-deps verl==0.9.1
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
from importlib.metadata import version

import numpy as np
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

largest = {}
for reward in (0.5, 0.7):
    tokens = torch.full((8, 1), reward)
    advantages, _ = compute_grpo_outcome_advantage(tokens, torch.ones_like(tokens), np.array(["prompt"] * 8))
    largest[reward] = float(advantages.abs().max())
print(f"verl {version('verl')}, torch {torch.__version__}: largest advantage of eight equal rewards: {largest}")
raise SystemExit(not (largest[0.5] == 0 and largest[0.7] > 1e-3))
PYTHON
