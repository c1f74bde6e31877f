"""What holds of every loss: padding, order and scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import maxpo_lab as ml

NAMES = ml.list_losses()


def batch(seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Advantages, a mask without empty rollouts, log-ratios."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, size=3))
    mask = rng.random(shape) < 0.7
    mask[..., 0] = True
    logs = {
        name: rng.normal(size=shape) * 0.3
        for name in ("log_ratios", "behaviour_log_ratios", "reference_log_ratios")
    }
    return rng.normal(size=shape[:2]), mask, logs


def weights(name: str, advantages: np.ndarray, mask: np.ndarray, logs: dict[str, Any]) -> np.ndarray:
    loss = ml.get_loss(name)
    return loss.weights(advantages, mask=mask, **{each: logs[each] for each in loss.needs})


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 10**6))
@settings(max_examples=4, deadline=None)
def test_padding_order_and_scale(name: str, seed: int) -> None:
    advantages, mask, logs = batch(seed)
    found = weights(name, advantages, mask, logs)
    close = {"rtol": 1e-12, "atol": 1e-14}
    wider = [(0, 0), (0, 0), (0, 2)]
    padded = weights(
        name, advantages, np.pad(mask, wider), {key: np.pad(each, wider) for key, each in logs.items()}
    )
    width = mask.shape[-1]
    share = width / (width + 2) if ml.get_loss(name).aggregation.kind == "padded" else 1
    np.testing.assert_allclose(padded[..., :width], found * share, **close)
    rng = np.random.default_rng(seed)
    for axis, size in enumerate(mask.shape):
        order = rng.permutation(size)
        moved = weights(
            name,
            np.take(advantages, order, axis=axis) if axis < 2 else advantages,
            np.take(mask, order, axis=axis),
            {key: np.take(each, order, axis=axis) for key, each in logs.items()},
        )
        np.testing.assert_allclose(moved, np.take(found, order, axis=axis), **close)
    if ml.get_loss(name).penalty is None:
        np.testing.assert_allclose(weights(name, 3 * advantages, mask, logs), 3 * found, **close)


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_groups_meet_in_what_the_aggregation_says(name: str, seed: int) -> None:
    """A batch of one group has the weights that the group has beside others, unless lengths couple them."""
    advantages, mask, logs = batch(seed)
    together = weights(name, advantages, mask, logs)
    alone = weights(name, advantages[:1], mask[:1], {key: each[:1] for key, each in logs.items()})
    aggregation = ml.get_loss(name).aggregation
    if aggregation.couples != "batch" and aggregation.kind != "token-sum":
        np.testing.assert_allclose(alone, together[:1], rtol=1e-12, atol=1e-14)
    elif aggregation.kind == "token-mean":
        ratio = (mask[:1].sum() / mask[:1].shape[1]) / (mask.sum() / (mask.shape[0] * mask.shape[1]))
        np.testing.assert_allclose(alone * ratio, together[:1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in NAMES if ml.get_loss(name).correction is None])
def test_on_policy_a_ratio_changes_nothing(name: str) -> None:
    """A surrogate at ratio 1 has the slope of the plain policy gradient; but for bounds that exclude 1."""
    loss = ml.get_loss(name)
    advantages, mask, logs = batch(3)
    given_logs = {each: np.zeros_like(logs[each]) for each in loss.needs}
    found = loss.weights(advantages, mask=mask, **given_logs)
    lengths = mask.sum(-1).astype(float)
    factors = loss.aggregation.factors(np, lengths, width=mask.shape[-1])
    expected = np.where(mask, (advantages * factors)[..., None], 0)
    bound = 0.2 if name == "trl:cispo" else 1.0
    np.testing.assert_allclose(found, bound * expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lengths_are_counted_whatever_the_dtype(dtype: torch.dtype) -> None:
    """A bfloat16 counts to 256 by ones; 999 tokens are 999, rounded once."""
    mask = torch.ones(1, 2, 999, dtype=torch.bool)
    mask[0, 1, 1:] = False
    advantages = torch.tensor([[1.0, -1.0]], dtype=dtype)
    for name, factor in (("sequence-mean", 1 / 999), ("token-mean", 2 / 1000)):
        found = ml.get_loss(name).weights(advantages, mask=mask)
        assert found.dtype == dtype
        assert found[0, 0, 0] == torch.tensor(factor).to(dtype)
