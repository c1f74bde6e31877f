"""A language model in float64 throughout, as a ``SequencePolicy`` with exact reward levels."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import transformers
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from ..networks.sequence import SequencePolicy
from .questions import Questions

#: The name that transformers knows ``_attend`` by.
_ATTENTION = "maxpo-lab-float64"


def exact_policy(model: transformers.PreTrainedModel, questions: Questions) -> SequencePolicy:
    """A copy of the model as a policy in float64 throughout: reward levels, gradients, sampler, scores."""
    return SequencePolicy(questions, _Logits(model))


class _Logits(torch.nn.Module):
    """A Qwen2 as the network of a ``SequencePolicy``: tokens (B, S) to logits (B, S, V).

    Transformers' own normalisation and attention compute in float32 whatever the parameters are: too coarse
    for scores that must average to 0.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        super().__init__()
        # Not a deep copy: a trainer may have put a forward of its own on the model, bound to that one.
        config = copy.deepcopy(model.config)
        config.pad_token_id = None  # a trainer sets it to the number of END, which has no embedding
        with torch.random.fork_rng(devices=[]):
            self.model = type(model)._from_config(config, attn_implementation=_ATTENTION, dtype=torch.float32)
        self.model.load_state_dict(model.state_dict())
        for module in list(self.model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, Qwen2RMSNorm):
                    setattr(module, name, _Norm(child))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.model(input_ids=tokens, use_cache=False).logits)


class _Norm(torch.nn.Module):
    """Root mean square normalisation in the precision of its input."""

    def __init__(self, given: Qwen2RMSNorm) -> None:
        super().__init__()
        self.weight, self.eps = given.weight, given.variance_epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps)
        return cast("torch.Tensor", self.weight * x * size)


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _attention_mask: torch.Tensor | None,
    scaling: float,
    **_settings: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of (B, heads, S, width) in the precision of its input, as many keys as queries."""
    later = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).triu(1)
    weights = (query @ key.transpose(2, 3) * scaling).masked_fill(later, -torch.inf).softmax(dim=-1)
    return (weights @ value).transpose(1, 2), None


transformers.AttentionInterface.register(_ATTENTION, _attend)
