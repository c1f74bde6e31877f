#!/usr/bin/env bash
# verl 0.9.1: actor.clip_ratio, "PPO clipping ratio for policy loss", changes nothing. Each loss takes
# clip_ratio_low and clip_ratio_high where they are not None, and clip_ratio where they are; both are 0.2 by default,
# in the dataclass and in the YAML files. A run with clip_ratio=0.4 or 0.05 clips at 0.2 on both sides.
# In the same way DPPO's bound of 20 on its ratios ("a large threshold is recommended") is never reached: it is the
# fallback for a clip_ratio_c that the config always has, 3.0.
# Seen: one loss for three settings of clip_ratio; another once clip_ratio_low and clip_ratio_high are set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 packaging==25.0 tensordict==0.10.0 omegaconf==2.4.0 \
  transformers==5.10.4 ray==2.60.0 codetiming==1.4.0 orjson==3.13.0
"$work/venv/bin/pip" install -q --no-deps verl==0.9.1
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log"
from importlib.metadata import version

import torch
from verl.trainer.ppo.core_algos import get_policy_loss_fn
from verl.workers.config import ActorConfig

ratios = torch.tensor([[1.3, 4.0]])
batch = {
    "old_log_prob": torch.full((1, 2), -2.0),
    "log_prob": ratios.log() - 2.0,
    "advantages": torch.ones(1, 2),
    "response_mask": torch.ones(1, 2),
}


def loss(mode="vanilla", **settings):
    config = ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, **settings)
    return round(float(get_policy_loss_fn(mode)(**batch, config=config)[0]), 6)


one = {each: loss(clip_ratio=each) for each in (0.05, 0.2, 0.4)}
both = loss(clip_ratio_low=0.4, clip_ratio_high=0.4)
dppo = [loss("dppo_tv", clip_ratio_low=1, clip_ratio_high=1, **each) for each in ({}, {"clip_ratio_c": 20.0})]
print(f"verl {version('verl')}: loss by clip_ratio {one}; with low and high at 0.4 {both}; "
      f"DPPO by default {dppo[0]}, with its bound of 20 {dppo[1]}")
raise SystemExit(not (len(set(one.values())) == 1 and both != one[0.4] and dppo[0] != dppo[1]))
PYTHON
