"""Every loss against its definition, loops over tokens; and definitions against their own differences."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator

import maxpo_lab as ml
from maxpo_lab.losses import Loss
from maxpo_lab.losses import definitions as slow
from maxpo_lab.losses.definitions import Bounds

NAMES = ml.list_losses()
_PPO = Bounds(0.2, 0.2)
#: Options, and what they mean.
WITH_OPTIONS: dict[str, tuple[slow.OfRollout, slow.Mean]] = {
    "importance:level=sequence": (slow.clip_of_product(Bounds()), slow.over(1)),
    "importance:level=geometric,over=sequence-mean": (slow.clip_of_mean(Bounds()), slow.sequence_mean),
    "ppo:low=0.1,high=0.3,over=token-mean": (slow.clip(Bounds(0.1, 0.3)), slow.token_mean),
    "ppo:over=group-token-mean": (slow.clip(_PPO), slow.group_token_mean),
    "dual-clip:dual=1.5,over=padded": (slow.clip(Bounds(0.2, 0.2, dual=1.5)), slow.padded),
    "tis:highest=1.1,level=sequence": (
        slow.corrected(slow.reinforce, "sequence", 0, 1.1, cut=False),
        slow.over(1),
    ),
    "decoupled:highest=1.2": (slow.corrected(slow.clip(_PPO), "token", 0, 1.2, cut=False), slow.over(1)),
    "kl:beta=0.5,kind=k1": (slow.penalised(slow.reinforce, "k1", 0.5), slow.over(1)),
    "kl:beta=0.5,kind=k2,over=sequence-mean": (
        slow.penalised(slow.reinforce, "k2", 0.5),
        slow.sequence_mean,
    ),
    "trl:grpo:delta=1.5": (slow.clip(Bounds(0.2, 0.2, delta=1.5)), slow.sequence_mean),
    "trl:grpo:delta=1.1": (slow.clip(Bounds(0.2, 0.2, delta=1.1)), slow.sequence_mean),
    "trl:grpo:importance_sampling_level=sequence": (slow.clip_of_mean(_PPO), slow.sequence_mean),
    "trl:dapo:epsilon_high=0.28": (slow.clip(Bounds(0.2, 0.28)), slow.token_mean),
    "trl:dapo:epsilon=0.1": (slow.clip(Bounds(0.1, 0.1)), slow.token_mean),
    "trl:dapo:beta=0.3": (slow.penalised(slow.clip(_PPO), "k3", 0.3, weighted=True), slow.token_mean),
    "trl:dapo:beta=0.3,use_bias_correction_kl=no": (
        slow.penalised(slow.clip(_PPO), "k3", 0.3),
        slow.token_mean,
    ),
    "trl:dapo:vllm=token_mask,clip_max=1.2,clip_min=0.9": (
        slow.corrected(slow.clip(_PPO), "token", 0.9, 1.2, cut=True),
        slow.token_mean,
    ),
    "trl:dapo:vllm=sequence_truncate,clip_max=1.2": (
        slow.corrected(slow.clip(_PPO), "sequence", 0, 1.2, cut=False),
        slow.token_mean,
    ),
    "trl:dr_grpo:max_completion_length=7": (slow.clip(_PPO), slow.over(7)),
    "trl:cispo:epsilon_high=5": (slow.bounded(0, 5), slow.token_mean),
    "verl:seq-mean-token-mean:empty=skip": (
        slow.clip(Bounds(0.2, 0.2, dual=3), bound=20),
        slow.without_empty(slow.sequence_mean),
    ),
    "verl:gspo:loss_agg_mode=seq-mean-token-mean": (
        slow.clip_of_mean(_PPO, upper=10),
        slow.sequence_mean,
    ),
    "verl:token-mean:rollout_is=token,rollout_is_threshold=0.8_1.2": (
        slow.corrected(slow.clip(Bounds(0.2, 0.2, dual=3)), "token", 0.8, 1.2, cut=True),
        slow.token_mean,
    ),
    "verl:token-mean:kl_loss_coef=0.2": (
        slow.penalised(slow.clip(Bounds(0.2, 0.2, dual=3)), "k3", 0.2, bounds=(20, 10)),
        slow.token_mean,
    ),
    "verl:reinforce:rollout_is=token,rollout_is_threshold=1.1": (slow.bounded(0, 1.1), slow.token_mean),
}
ALL = {**slow.BY_NAME, **WITH_OPTIONS}


def draw(rng: Generator, *, empty: bool = True) -> dict[str, Any]:
    """Groups of any mask: holes in rows, rows without tokens, ratios on both sides of every clip."""
    shape = groups, n, width = 3, 4, 6
    mask = rng.random(shape) < rng.random((groups, n, 1))
    mask[..., 0] |= ~mask.any(axis=-1)
    if empty:
        mask[1, 2] = False
    advantages = rng.normal(size=(groups, n))
    advantages[0, 0] = 0
    spread = rng.choice([0.0, 0.02, 0.3, 1.5], size=(groups, n, 1))
    arrays = {name: rng.normal(size=shape) * spread for name in ("old", "behaviour", "reference")}
    return {"advantages": advantages, "mask": mask, "log_probs": -rng.random((groups, n, width)), **arrays}


def given(loss: Loss, arrays: dict[str, Any]) -> dict[str, Any]:
    """What a loss takes, by the names of its arguments."""
    names = {"log_ratios": "old", "behaviour_log_ratios": "behaviour", "reference_log_ratios": "reference"}
    return {"mask": arrays["mask"]} | {name: arrays[names[name]] for name in loss.needs}


def with_log_probs(loss: Loss, arrays: dict[str, Any]) -> dict[str, Any]:
    return given(loss, arrays) | ({"log_probs": arrays["log_probs"]} if loss.ratio.scores else {})


def allows_empty(loss: Loss) -> bool:
    divides = {"sequence-mean"}
    return loss.aggregation.kind not in divides or loss.aggregation.empty != "refuse"


def test_every_loss_has_a_definition() -> None:
    assert tuple(slow.BY_NAME) == NAMES
    assert set(slow.MEANS) == set(ml.losses.aggregation.KINDS) - {"constant"}


@pytest.mark.parametrize("name", ALL)
def test_a_loss_is_its_definition(name: str) -> None:
    loss = ml.get_loss(name)
    rng = np.random.default_rng(21)
    for _ in range(4):
        arrays = draw(rng, empty=allows_empty(loss))
        weights, value = slow.evaluate(slow.as_batch(**arrays), *ALL[name])
        scale = max(1.0, np.abs(weights).max())
        found = loss.weights(arrays["advantages"], **given(loss, arrays))
        np.testing.assert_allclose(found, weights, rtol=0, atol=1e-12 * scale)
        assert float(loss.value(arrays["advantages"], **with_log_probs(loss, arrays))) == pytest.approx(
            value, rel=1e-12, abs=1e-12
        )


@pytest.mark.parametrize("name", [name for name in ALL if not ml.get_loss(name).ratio.scores])
def test_the_slope_of_a_surrogate_is_minus_its_weights(name: str) -> None:
    """Central differences of the definition's value, by the log-probability of every token."""
    terms, mean = ALL[name]
    loss = ml.get_loss(name)
    arrays = draw(np.random.default_rng(5), empty=allows_empty(loss))
    weights = np.asarray(slow.evaluate(slow.as_batch(**arrays), terms, mean)[0])
    count, step = arrays["advantages"].size, 1e-6
    for index in np.argwhere(arrays["mask"])[::5]:
        ends = []
        for sign in (1, -1):
            moved = {key: each.copy() for key, each in arrays.items()}
            for key in ("old", "reference", "log_probs"):
                moved[key][tuple(index)] += sign * step
            ends.append(slow.evaluate(slow.as_batch(**moved), terms, mean)[1])
        slope = -(ends[0] - ends[1]) / (2 * step) * count
        assert slope == pytest.approx(weights[tuple(index)], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_torch_has_the_same_weights_in_both_precisions(name: str) -> None:
    loss = ml.get_loss(name)
    arrays = draw(np.random.default_rng(8), empty=allows_empty(loss))
    tensors = {key: torch.from_numpy(each) for key, each in arrays.items()}
    expected = loss.weights(arrays["advantages"], **given(loss, arrays))
    found = loss.weights(tensors["advantages"], **given(loss, tensors))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-14)
    halved = {key: each if key == "mask" else each.float() for key, each in tensors.items()}
    single = loss.weights(halved["advantages"], **given(loss, halved))
    assert single.dtype == torch.float32
    scale = max(1.0, np.abs(expected).max())
    clear = np.abs(single.numpy() - expected) < 1e-5 * scale
    assert clear.mean() > 0.95  # a ratio within rounding of a bound may fall on its other side


#: A wrong loss in place of a right one, and what is wrong.
MUTANTS = {
    "sides of the clip swapped": ("ppo", slow.clip(Bounds(0.3, 0.1)), slow.over(1), "ppo:low=0.1,high=0.3"),
    "dual clip on both signs": ("dual-clip", slow.clip(Bounds(0.2, 0.2, delta=1.1)), slow.over(1), None),
    "no dual clip": ("verl:token-mean", slow.clip(_PPO), slow.token_mean, None),
    "length of the padded row": ("trl:grpo", slow.clip(_PPO), slow.padded, None),
    "mean of the group for that of the batch": ("trl:dapo", slow.clip(_PPO), slow.group_token_mean, None),
    "mean of the batch for that of the group": ("group-token-mean", slow.reinforce, slow.token_mean, None),
    "empty rollouts not counted": (
        "verl:seq-mean-token-mean",
        slow.clip(Bounds(0.2, 0.2, dual=3)),
        slow.without_empty(slow.sequence_mean),
        None,
    ),
    "a product for the geometric mean": ("gspo", slow.clip_of_product(_PPO), slow.sequence_mean, None),
    "a token's ratio for the rollout's": ("trl:rloo", slow.clip(_PPO), slow.over(1), None),
    "1 + epsilon_high for epsilon_high": ("trl:cispo", slow.bounded(0, 1.2), slow.token_mean, None),
    "no lower bound": ("verl:cispo", slow.bounded(0, 1.2), slow.token_mean, None),
    "a gradient through CISPO's ratio": ("cispo", slow.clip(Bounds(high=4)), slow.token_mean, None),
    "cut for held": ("tis", slow.corrected(slow.reinforce, "token", 0, 2, cut=True), slow.over(1), None),
    "k2 for k3": ("kl", slow.penalised(slow.reinforce, "k2", 0.5), slow.over(1), "kl:beta=0.5"),
    "temperatures swapped": ("trl:sapo", slow.soft_gate(1.05, 1), slow.sequence_mean, None),
    "exponents swapped": ("trl:vespo", slow.gamma((3, 2), (2, 3)), slow.token_mean, None),
    "clip after the mean": ("verl:geo_mean", slow.clip_of_mean(_PPO), slow.sequence_mean, None),
}


@pytest.mark.parametrize("what", MUTANTS)
def test_a_mutant_is_caught(what: str) -> None:
    base, terms, mean, name = MUTANTS[what]
    loss = ml.get_loss(name or base)
    rng, off = np.random.default_rng(21), []
    for _ in range(4):
        arrays = draw(rng, empty=allows_empty(loss))
        found = loss.weights(arrays["advantages"], **given(loss, arrays))
        weights = np.asarray(slow.evaluate(slow.as_batch(**arrays), terms, mean)[0])
        off.append(np.abs(found - weights).max())
    assert max(off) > 1e-3


def test_a_bound_is_inside() -> None:
    """At r = 1 + high the minimum has two equal branches, and the gradient of the ratio flows."""
    loss = ml.get_loss("ppo:low=0.5,high=1")
    ratios = np.log([[[2.0], [0.5], [np.nextafter(2, 3)], [np.nextafter(0.5, 0)]]])
    weights = loss.weights(np.array([[1.0, -1.0, 1.0, -1.0]]), log_ratios=ratios)[0, :, 0]
    np.testing.assert_array_equal(weights != 0, [True, True, False, False])


def test_infinite_bounds_bind_nothing() -> None:
    arrays = draw(np.random.default_rng(1))
    free = replace(ml.get_loss("decoupled"), correction=None)
    wide = ml.get_loss(f"ppo:low=1,high={inf}")
    one = free.weights(arrays["advantages"], mask=arrays["mask"], log_ratios=arrays["old"] * 0)
    other = wide.weights(arrays["advantages"], mask=arrays["mask"])
    np.testing.assert_array_equal(one, other)
