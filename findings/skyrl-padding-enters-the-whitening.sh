#!/usr/bin/env bash
# skyrl 0.3.0: a batch whose size the data-parallel workers do not divide is filled up before the advantages are
# computed, with copies of its first row (pad_training_input_batch). Their loss mask is empty; their response
# mask and their reward are the first row's. reinforce++ whitens over the response mask, so the copies are in its
# mean and variance: what a rollout gets depends on how many workers there are, and on which row came first. A
# rule of groups does not move, as each copy has a uid of its own: a group of one, which a registered estimator
# is handed too, and grpo pays its raw reward.
# Seen: one success in seven rollouts, whitened: 2.27 without padding, 1.62 with one row, 0.75 with nine.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 tensordict==0.10.0 omegaconf==2.4.0 ray==2.60.0 \
  transformers==5.10.4 typing_extensions==4.16.0
"$work/venv/bin/pip" install -q --no-deps skyrl==0.3.0 skyrl-gym==0.4.0 jaxtyping==0.3.11 wadler-lindig==0.1.8 \
  loguru==0.7.3 pandas==3.1.1 python-dateutil==4.0.0 six==1.17.0
"$work/venv/bin/python" -W ignore - <<'PYTHON' 2> "$work/log" || { cat "$work/log"; exit 1; }
import sys
import typing
from importlib.metadata import version

if sys.version_info < (3, 12):  # where skyrl 0.3.0 is refused by pydantic for its TypedDict
    import typing_extensions

    typing.TypedDict = typing_extensions.TypedDict

import numpy as np
import torch
from skyrl.backends.skyrl_train.training_batch import TrainingInputBatch, pad_training_input_batch
from skyrl.backends.skyrl_train.utils.ppo_utils import compute_advantages_and_returns

rewards = torch.tensor([[1.0], [0], [0], [0], [0], [0], [0]])
mask = torch.ones(7, 1, dtype=torch.long)


def first(name, padding):
    batch = TrainingInputBatch({"rewards": rewards, "response_mask": mask, "loss_mask": mask.float()})
    batch.metadata = {"uids": ["0"] * 7}
    batch = pad_training_input_batch(batch, padding)
    assert batch["loss_mask"].sum() == 7
    given = (batch["rewards"], batch["response_mask"], np.array(batch.metadata["uids"]), name, None)
    found = compute_advantages_and_returns(*given)[0][:, 0]
    return round(float(found[0]), 2), [round(float(each), 2) for each in found[7:9]]


found = {padding: (first("reinforce++", padding)[0], *first("grpo", padding)) for padding in (0, 1, 9)}
print(f"skyrl {version('skyrl')}: of the success, by rows of padding: reinforce++, grpo, and grpo of padding: {found}")
raise SystemExit(found != {0: (2.27, 2.27, []), 1: (1.62, 2.27, [1.0]), 9: (0.75, 2.27, [1.0, 1.0])})
PYTHON
