"""GDPO: GRPO on each reward, summed, and the sum whitened over the batch."""

from __future__ import annotations

from ..families.of_batches.whitened import of_vectors
from ..families.standardised import GRPO
from .several_rewards import per_reward

#: As verl 0.9.1 has it; by other names with the epsilons of others:
#: ``whitened:scale=std1,mean=1,add=1e-4:per-reward:grpo:eps=1e-4`` (TRL 1.16, normalize_then_sum),
#: ``whitened:scale=std1,mean=1,add=1e-8:per-reward:grpo:eps=1e-8`` (ms-swift 4.6) and
#: ``whitened:scale=std1,mean=1,eps=0:per-reward:nemo-grpo`` (NeMo-RL).
GDPO = of_vectors(per_reward(GRPO), scale="std1", mean=1, eps=1e-8, add=0.0, floor=0.0, tokens=1)

RULES = (GDPO,)
