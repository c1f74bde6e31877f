"""Updates of a loop, against all outcomes of all rollouts, and against the numbers of the theory."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from update_witness import tree, updates

import maxpo_lab as ml
from maxpo_lab.losses import Aggregation, Loss, get_loss, list_losses
from maxpo_lab.moments.updates import group_sums, of_loss

#: Sums of some thousand products of numbers of size 1.
ROUNDING = 1e-12
WORDS = tree(1)
SMALL = tuple(tree(seed, tokens=2, parameters=5) for seed in (1, 2, 3))


def agree(found: ml.UpdateMoments, truth: Any) -> bool:
    close = np.allclose(found.mean, truth.mean, rtol=0, atol=ROUNDING)
    return close and abs(found.trace_covariance - truth.trace) < ROUNDING


# Against enumeration ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_losses())
def test_every_loss_equals_enumeration_of_all_groups(name: str) -> None:
    for rule in ("maxpo", "pkpo-loo1", "reinforce"):  # centered, of one sign, of 0/1 size
        found = ml.update_moments(rule, name, WORDS, n=3, k=2)
        assert agree(found, updates(rule, get_loss(name), [WORDS], n=3, k=2)), rule


@pytest.mark.parametrize("dead_groups", ["keep", "drop", "redraw", "replace"])
@pytest.mark.parametrize(
    "name", ["identity", "group-token-mean", "ppo:over=token-mean", "kl:over=token-mean"]
)
def test_prompts_of_a_batch_equal_enumeration_of_all_batches(name: str, dead_groups: Any) -> None:
    prompts = SMALL[:2] if dead_groups == "replace" else SMALL
    found = ml.update_moments("pkpo-loo1", name, prompts, n=2, k=2, dead_groups=dead_groups)
    truth = updates("pkpo-loo1", get_loss(name), prompts, n=2, k=2, dead_groups=dead_groups)
    assert agree(found, truth)
    assert found.prompts == len(prompts)


@pytest.mark.parametrize("dead_groups", ["keep", "drop", "redraw"])
@pytest.mark.parametrize("name", ["identity", "sequence-mean", "ppo:over=token-mean", "kl"])
def test_duplicates_equal_enumeration(name: str, dead_groups: Any) -> None:
    settings: dict[str, Any] = {"n": 3, "k": 2, "dead_groups": dead_groups, "duplicates": 0.3}
    found = ml.update_moments("pkpo-loo1", name, WORDS, **settings)
    assert agree(found, updates("pkpo-loo1", get_loss(name), [WORDS], **settings))


def test_a_rule_that_depends_on_the_order_is_summed_over_all_arrangements() -> None:
    def earlier(rewards: np.ndarray, k: int) -> np.ndarray:
        return rewards - np.concatenate([np.zeros_like(rewards[:, :1]), rewards[:, :-1]], axis=1)

    loss = get_loss("group-token-mean")
    found = ml.update_moments(earlier, loss, WORDS, n=3, k=1)
    mean = np.zeros(7)
    for first in range(4):
        for second in range(4):
            for third in range(4):
                group = np.array([first, second, third])
                advantages = earlier(WORDS.rewards[group][None], 1)
                weights = loss.weights(advantages, mask=WORDS.mask[group][None])[0]
                chance = np.prod(WORDS.drawn[group])
                mean += chance * np.einsum("it,itd->d", weights, WORDS.token_scores[group]) / 3
    assert np.allclose(found.mean, mean, rtol=0, atol=ROUNDING)


def test_the_identity_is_the_estimate_of_exact_moments() -> None:
    policy = tree(5, tokens=4, others=())
    found = ml.update_moments("maxpo", "identity", policy, n=6, k=3)
    known = ml.exact_moments("maxpo", policy.levels(), n=6, k=3)
    assert np.allclose(found.mean, known.mean, rtol=0, atol=1e-14)
    assert found.trace_covariance == pytest.approx(known.trace_covariance, rel=1e-12)
    assert found.along_gradient_variance == pytest.approx(known.along_gradient_variance, rel=1e-12)
    assert found.relative_bias < found.bias_resolution
    assert found.straight


@pytest.mark.parametrize(
    "mutant",
    ["no own products", "tokens of a rollout alone", "advantages of both signs alike"],
)
def test_a_fault_in_the_sums_is_seen(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ppo:low=0.05,high=0.05,over=group-token-mean"
    truth = updates("maxpo", get_loss(name), [WORDS], n=3, k=2)
    assert agree(ml.update_moments("maxpo", name, WORDS, n=3, k=2), truth)
    if mutant == "no own products":
        kept = group_sums._states
        monkeypatch.setattr(
            group_sums, "_states", lambda *given: replace(kept(*given), own=0 * kept(*given).own)
        )
    elif mutant == "tokens of a rollout alone":
        whole = of_loss.normalised

        def alone(loss: Loss, *given: Any) -> Any:
            return whole(replace(loss, aggregation=Aggregation(kind="sequence-mean")), *given)

        monkeypatch.setattr(of_loss, "normalised", alone)
    else:
        own = Loss.coefficients
        monkeypatch.setattr(Loss, "coefficients", lambda *given: (own(*given)[0],) * 2)
    assert not agree(ml.update_moments("maxpo", name, WORDS, n=3, k=2), truth)


# Numbers of the theory ----------------------------------------------------------------------------------

OLD = np.array([0.12, 0.06, 0.02, 0.4, 0.3, 0.1])
THREE_OF_SIX = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def lagged(divergence: float) -> ml.Outcomes:
    """Six arms, moved along the gradient of max@4 until KL(old || new) is that."""
    logits = np.log(OLD)
    levels = ml.RewardLevels.from_softmax(logits, THREE_OF_SIX)
    gradient = ml.max_at_k_gradient(levels, 4)

    def moved(step: float) -> ml.Outcomes:
        return ml.Outcomes.from_softmax(logits + step * gradient, THREE_OF_SIX, behaviour=logits)

    return moved(brentq(lambda step: moved(step).divergence - divergence, 1e-6, 50.0, xtol=1e-13))


@pytest.mark.parametrize(
    ("divergence", "rule", "angle", "scale"),
    [
        (0.003, "maxpo", 0.0, 1.121),
        (0.003, "pkpo-loo1", 0.0, 1.121),
        (0.01, "maxpo", 0.438, 0.283),
        (0.01, "pkpo-loo1", 1.318, 0.043),
    ],
)
def test_clipping_turns_rules_by_the_side_that_they_lack(
    divergence: float, rule: str, angle: float, scale: float
) -> None:
    found = ml.update_moments(rule, "ppo", lagged(divergence), n=8, k=4)
    assert found.direction_error == pytest.approx(angle, abs=6e-4)
    assert found.scale == pytest.approx(scale, abs=6e-4)


def test_a_rule_without_a_negative_side_stops_where_successes_are_clipped() -> None:
    found = ml.update_moments("pkpo-loo1", "ppo", lagged(0.1), n=8, k=4)
    assert not found.mean.any()
    assert found.trace_covariance == 0
    assert np.isnan(found.direction_error)


def by_length(right: float, wrong: float, p: float = 0.2) -> ml.Outcomes:
    """Six arms, three correct, of lengths 1 and 4; shares of the short ones among right and wrong answers."""
    chance = np.array(
        [
            *(p * right * 0.7, p * (1 - right), p * right * 0.3),
            *((1 - p) * wrong, (1 - p) * (1 - wrong) * 0.6, (1 - p) * (1 - wrong) * 0.4),
        ]
    )
    return ml.Outcomes.from_softmax(np.log(chance), THREE_OF_SIX, lengths=[1, 4, 1, 1, 4, 4])


@pytest.mark.parametrize(
    ("loss", "rule", "angles"),
    [
        ("sequence-mean", "maxpo", (0.535, 0.337, 0.388)),
        ("sequence-mean", "pkpo-loo1", (0.529, 0.229, 0.492)),
        ("group-token-mean", "maxpo", (0.082, 0.054, 0.068)),
        ("group-token-mean", "pkpo-loo1", (0.073, 0.037, 0.067)),
        ("constant", "maxpo", (0.0, 0.0, 0.0)),
    ],
)
def test_lengths_turn_the_update(loss: str, rule: str, angles: tuple[float, ...]) -> None:
    for shares, angle in zip(((0.5, 0.5), (0.8, 0.3), (0.3, 0.8)), angles, strict=True):
        found = ml.update_moments(rule, loss, by_length(*shares), n=8, k=4)
        assert found.direction_error == pytest.approx(angle, abs=6e-4), shares


def test_the_error_of_a_token_mean_falls_with_the_batch() -> None:
    angles = [
        ml.update_moments("maxpo", "token-mean", [by_length(0.5, 0.5)] * size, n=8, k=4).direction_error
        for size in (1, 4, 16)
    ]
    assert angles[0] == pytest.approx(0.082, abs=6e-4)
    assert np.allclose(np.divide(angles[:-1], angles[1:]), 4, rtol=0.12)


@pytest.mark.parametrize(("p", "kept", "redrawn"), [(0.01, 3.88, 50.24), (0.2, 2.05, 2.46)])
def test_redrawing_a_prompt_until_its_group_lives(p: float, kept: float, redrawn: float) -> None:
    arms = ml.Outcomes.from_softmax(np.log([p / 2, p / 2, 1 - p]), [1.0, 1.0, 0.0])
    mean = ml.update_moments("rloo", "identity", arms, n=8, k=4, target="mean").gradient  # grad p
    for how, weight in (("keep", kept), ("redraw", redrawn)):
        found = ml.update_moments("maxpo", "identity", arms, n=8, k=4, dead_groups=how)
        assert float(found.mean @ mean / (mean @ mean)) == pytest.approx(weight, abs=6e-3)


# Paths --------------------------------------------------------------------------------------------------


def test_inner_epochs_follow_the_expected_update() -> None:
    logits, rewards = np.array([-1.0, 0.3, 0.2]), [1.0, 0.0, 0.5]

    def outcomes(theta: np.ndarray, behaviour: np.ndarray) -> ml.Outcomes:
        return ml.Outcomes.from_softmax(theta, rewards, behaviour=behaviour)

    settings: dict[str, Any] = {"n": 4, "k": 2}
    path = ml.update_path("maxpo", "importance", outcomes, logits, step_size=0.5, epochs=3, **settings)
    assert len(path) == 3
    assert path[0].divergence == 0
    by_hand = logits
    for step in path:
        assert np.allclose(step.theta, by_hand, rtol=0, atol=1e-14)
        found = ml.update_moments("maxpo", "importance", outcomes(by_hand, logits), **settings)
        assert np.array_equal(step.moments.mean, found.mean)
        by_hand = by_hand + 0.5 * found.mean
    assert 0 < path[1].divergence < path[2].divergence


# What is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ml.update_moments("maxpo", "pop", WORDS, n=3, k=2), "loss 'pop'"),
        (lambda: ml.update_moments("maxpo", 3, WORDS, n=3, k=2), "loss=3 is a int"),
        (lambda: ml.update_moments("maxpo", "ppo", [], n=3, k=2), "policy is empty"),
        (lambda: ml.update_moments("maxpo", "ppo", WORDS.levels(), n=3, k=2), "must be an Outcomes"),
        (lambda: ml.update_moments("maxpo", "ppo", WORDS, n=3, k=4), "k=4"),
        (lambda: ml.update_moments("whitened:maxpo", "ppo", WORDS, n=3, k=2), "is a batch rule"),
        (lambda: ml.update_moments("maxpo", "ppo", WORDS, n=3, k=2, duplicates=1.0), "duplicates=1.0"),
        (
            lambda: ml.update_moments("maxpo", "ppo", WORDS, n=3, k=2, dead_groups="leave"),
            "dead_groups='leave'",
        ),
        (lambda: ml.update_moments("maxpo", "ppo", WORDS, n=3, k=2, max_states=3), "max_states=3"),
        (
            lambda: ml.update_moments("maxpo", "kl", tree(1, others=("behaviour",)), n=3, k=2),
            "the policy needs a reference",
        ),
        (
            lambda: ml.update_moments("maxpo", "ppo", SMALL, n=3, k=2, behaviour=np.ones(3)),
            "behaviour with several prompts",
        ),
        (
            lambda: ml.update_moments("maxpo", "ppo", [WORDS, SMALL[0]], n=3, k=2),
            "5 and 7 parameters",
        ),
        (
            lambda: ml.update_moments("maxpo", "gspo", by_length(0.5, 0.5), n=3, k=2),
            "give probabilities (M, T)",
        ),
        (
            lambda: ml.update_moments(
                "maxpo", "ppo", ml.Outcomes.from_softmax([0.0, 1.0], [1, 1]), n=3, k=2, dead_groups="redraw"
            ),
            "no group of unequal rewards",
        ),
        (lambda: ml.Outcomes([0.5, 0.5], [[1.0], [1.0]], [0, 1]), "do not average to 0"),
        (
            lambda: ml.Outcomes([0.5, 0.4], [[1.0], [-1.25]], [0, 1]),
            "probabilities: probabilities sum to 0.9",
        ),
        (
            lambda: ml.Outcomes([1.0, 0.0], [[0.0], [1.0]], [0, 1], behaviour=[0.5, 0.5]),
            "probabilities[1] is 0 where the behaviour policy draws",
        ),
        (lambda: ml.Outcomes([0.5, 0.5], [[1.0], [-1.0]], [0, 1], lengths=[0, 1]), "lengths[0] is 0"),
        (
            lambda: ml.update_path(
                "maxpo", "ppo", lambda *_: WORDS, [0.0], n=3, k=2, step_size=1.0, epochs=0
            ),
            "epochs=0",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()
