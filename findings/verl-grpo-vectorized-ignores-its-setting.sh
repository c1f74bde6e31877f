#!/usr/bin/env bash
# verl 0.9.1: algorithm.adv_estimator=grpo_vectorized with algorithm.norm_adv_by_std_in_grpo=False (Dr. GRPO's
# setting, which adv_estimator=grpo obeys) still divides by the standard deviation when it is called as verl's
# trainer calls registered estimators, with the setting in `config` alone: the function reads a keyword of its
# own, whose default is True.
# Seen: grpo with the setting off gives rewards less their mean; grpo_vectorized gives the same with it on or off.
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
from omegaconf import OmegaConf
from verl.trainer.ppo.core_algos import compute_grpo_vectorized_outcome_advantage, get_adv_estimator_fn

tokens = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
call = {"token_level_rewards": tokens, "response_mask": torch.ones_like(tokens), "index": np.array(["prompt"] * 4)}
given = {}
for setting in (True, False):
    config = OmegaConf.create({"norm_adv_by_std_in_grpo": setting})
    advantages, _ = get_adv_estimator_fn("grpo_vectorized")(**call, config=config)
    given[setting] = advantages[:, 0].tolist()
centred, _ = compute_grpo_vectorized_outcome_advantage(**call, norm_adv_by_std_in_grpo=False)
print(f"verl {version('verl')}: config on {given[True]}, off {given[False]}; keyword off {centred[:, 0].tolist()}")
raise SystemExit(not (given[True] == given[False] and given[True] != centred[:, 0].tolist()))
PYTHON
