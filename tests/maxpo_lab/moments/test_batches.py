"""``batch_moments`` against all prompts and all rollouts of a batch, and what difficulty does to a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from brute_force import Policy, objective, sequences, softmax_policy

import maxpo_lab as ml

PROMPTS = (
    softmax_policy((0.4, -1.0, 0.2), (0.0, 1.0, 0.3)),
    softmax_policy((0.4, 0.5, -0.7), (1.0, 0.0, 0.0)),
    softmax_policy((-2.0, 0.1, 0.3), (1.0, 0.5, 0.0)),
)
UNBIASED = ("pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "predictive", "canonical")


@dataclass(frozen=True, eq=False)
class Batch:
    """The moments of a batch gradient, each from its own definition."""

    mean: np.ndarray
    gradient: np.ndarray
    trace: float
    within: float
    between: float


def apart(prompts: Sequence[Policy]) -> list[Policy]:
    """The same prompts, each with parameters of its own."""
    sizes = [prompt.scores.shape[1] for prompt in prompts]
    placed = []
    for index, prompt in enumerate(prompts):
        scores = np.zeros((len(prompt.scores), sum(sizes)))
        scores[:, sum(sizes[:index]) : sum(sizes[: index + 1])] = prompt.scores
        placed.append(Policy(prompt.probabilities, scores, prompt.rewards))
    return placed


def brute_force(name: str, prompts: Sequence[Policy], *, n: int, k: int, batch: int) -> Batch:
    """All draws of the prompts and, for each, all outcomes of all their rollouts."""
    rule = ml.get_estimator(name)
    groups = []
    for prompt in prompts:
        picks, chance = sequences(prompt, n)
        rows = [
            np.asarray(rule(prompt.rewards[pick][None], k))[0] @ prompt.scores[pick] / n for pick in picks
        ]
        groups.append((chance, np.array(rows)))
    total = []
    for drawn in product(groups, repeat=batch):
        chance, estimate = np.ones(1), np.zeros((1, drawn[0][1].shape[1]))
        for each, rows in drawn:
            chance = (chance[:, None] * each).ravel()
            estimate = (estimate[:, None] + rows).reshape(len(chance), -1)
        total.append((chance, estimate / batch))
    means = np.array([chance @ estimate for chance, estimate in total])
    mean = means.mean(axis=0)
    inside = [
        chance @ np.sum((estimate - own) ** 2, axis=1)
        for (chance, estimate), own in zip(total, means, strict=True)
    ]
    seconds = [chance @ np.sum((estimate - mean) ** 2, axis=1) for chance, estimate in total]
    return Batch(
        mean=mean,
        gradient=np.mean([objective(prompt, k)[1] for prompt in prompts], axis=0),
        trace=float(np.mean(seconds)),
        within=float(np.mean(inside)),
        between=float(np.mean(np.sum((means - mean) ** 2, axis=1))),
    )


@pytest.mark.parametrize("name", ["maxpo", "pkpo-s", "pkpo-loo1", "predictive", "grpo", "batch-mean"])
@pytest.mark.parametrize("separate", [False, True], ids=["shared parameters", "side by side"])
@pytest.mark.parametrize(
    "settings",
    [(3, 2, 2, 1), (3, 2, 3, 2), (2, 2, 3, 1), (3, 1, 3, 2), (2, 3, 2, 1), (1, 2, 3, 2)],
    ids="prompts={0[0]} m={0[1]} n={0[2]} K={0[3]}".format,
)
def test_all_prompts_and_all_rollouts(name: str, separate: bool, settings: tuple[int, ...]) -> None:
    count, batch, n, k = settings
    if name == "pkpo-loo1" and k == 1:
        name = "rloo"
    prompts = list(PROMPTS[:count])
    want = brute_force(name, apart(prompts) if separate else prompts, n=n, k=k, batch=batch)
    levels = [prompt.levels() for prompt in prompts]
    got = ml.batch_moments(
        name, ml.side_by_side(levels) if separate else levels, n=n, k=k, batch=batch, target="max@k"
    )
    np.testing.assert_allclose(got.mean, want.mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.gradient, want.gradient, rtol=0, atol=1e-12)
    assert got.trace_covariance == pytest.approx(want.trace, rel=1e-12)
    assert got.within_prompt_trace == pytest.approx(want.within, rel=1e-12)
    assert got.between_prompt_trace == pytest.approx(want.between, rel=1e-12, abs=1e-28)
    assert got.within_prompt_trace + got.between_prompt_trace == got.trace_covariance
    size = np.linalg.norm(want.gradient)
    assert got.scale == pytest.approx(want.mean @ want.gradient / size**2, rel=1e-12)
    bias = np.linalg.norm(want.mean - want.gradient) / size
    assert got.relative_bias == pytest.approx(bias, rel=1e-9, abs=1e-12)
    cosine = want.mean @ want.gradient / size / np.linalg.norm(want.mean)
    assert np.cos(got.direction_error) == pytest.approx(cosine, abs=1e-12)
    assert len(got.prompts) == count


@pytest.mark.parametrize("separate", [False, True], ids=["shared parameters", "side by side"])
@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_rules_are_unbiased_over_prompts(name: str, separate: bool) -> None:
    levels = [prompt.levels() for prompt in PROMPTS]
    placed = ml.side_by_side(levels) if separate else levels
    for n, k in ((4, 1), (4, 2), (8, 5)):
        if ml.get_estimator(name).why_not(n, k) is not None:
            continue
        seen = ml.batch_moments(name, placed, n=n, k=k, batch=4)
        bound = max(1e-10, *(each.bias_resolution for each in seen.prompts))
        assert seen.relative_bias <= bound
        assert seen.scale == pytest.approx(1, abs=bound)
        assert seen.direction_error <= bound


def of_difficulty(*success: float) -> tuple[ml.RewardLevels, ...]:
    """0/1 prompts of ten outcomes, two of them correct, each with parameters of its own."""
    correct = np.arange(10) < 2
    prompts = [
        ml.RewardLevels.from_softmax(np.where(correct, np.log(4 * p / (1 - p)), 0.0), correct)
        for p in success
    ]
    np.testing.assert_allclose([levels.probabilities[1] for levels in prompts], success, rtol=1e-14)
    return ml.side_by_side(prompts)


@pytest.mark.parametrize("name", ["grpo", "passk-training"])
def test_dividing_by_the_deviation_turns_the_batch_gradient(name: str) -> None:
    """With 0/1 rewards the direction is right on each prompt alone; the weights of prompts are not."""
    target = "mean" if name == "grpo" else "max@k"
    mixed = ml.batch_moments(name, of_difficulty(0.02, 0.5, 0.9), n=8, k=4, batch=3, target=target)
    alike = ml.batch_moments(name, of_difficulty(0.3, 0.3, 0.3), n=8, k=4, batch=3, target=target)
    assert mixed.direction_error > 0.05
    assert alike.direction_error <= 1e-10
    scales = [each.scale for each in mixed.prompts]
    assert max(scales) > 1.3 * min(scales)
    assert all(each.direction_error <= 1e-10 for each in mixed.prompts)
    straight = "rloo" if name == "grpo" else "maxpo"
    unbiased = ml.batch_moments(straight, of_difficulty(0.02, 0.5, 0.9), n=8, k=4, batch=3, target=target)
    assert unbiased.direction_error <= 1e-10


def test_batch_divides_the_variance_and_leaves_the_mean() -> None:
    levels = [prompt.levels() for prompt in PROMPTS]
    one, four = (ml.batch_moments("maxpo", levels, n=4, k=2, batch=m) for m in (1, 4))
    np.testing.assert_array_equal(one.mean, four.mean)
    assert one.trace_covariance == pytest.approx(4 * four.trace_covariance, rel=1e-15)
    assert one.within_prompt_trace == pytest.approx(4 * four.within_prompt_trace, rel=1e-15)


def test_one_prompt_is_exact_moments() -> None:
    levels = PROMPTS[0].levels()
    got = ml.batch_moments("grpo", [levels], n=4, k=2, batch=1)
    want = ml.exact_moments("grpo", levels, n=4, k=2)
    np.testing.assert_array_equal(got.mean, want.mean)
    np.testing.assert_array_equal(got.gradient, want.gradient)
    assert got.between_prompt_trace == 0
    assert got.within_prompt_trace == want.trace_covariance
    for field in ("relative_bias", "scale", "direction_error"):
        # The span's coordinates there, the parameters here: a few roundings of each.
        assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-13)


def test_the_target_is_passed_on() -> None:
    levels = [prompt.levels() for prompt in PROMPTS]
    mean = ml.batch_moments("rloo", levels, n=4, k=2, batch=2, target="mean")
    assert mean.relative_bias <= 1e-10
    assert ml.batch_moments("rloo", levels, n=4, k=2, batch=2).relative_bias > 1e-3


def test_side_by_side_keeps_each_prompt_as_it_is() -> None:
    two = softmax_policy((0.1, 0.7, -0.2, 0.3), (0.0, 1.0, 0.0, 1.0)).levels()
    given = (PROMPTS[0].levels(), two)
    placed = ml.side_by_side(given)
    assert [levels.mean_scores.shape[1] for levels in placed] == [7, 7]
    assert not placed[0].mean_scores[:, 3:].any()
    assert not placed[1].mean_scores[:, :3].any()
    for before, after in zip(given, placed, strict=True):
        a, b = (ml.exact_moments("maxpo", x, n=4, k=2) for x in (before, after))
        assert a.trace_covariance == pytest.approx(b.trace_covariance, rel=1e-13)
        assert a.along_gradient_variance == pytest.approx(b.along_gradient_variance, rel=1e-13)
        assert after.score_covariances is None


LEVELS = PROMPTS[0].levels()
OTHER = softmax_policy((0.1, 0.7, -0.2, 0.3), (0.0, 1.0, 0.0, 1.0)).levels()


@pytest.mark.parametrize(
    ("prompts", "options", "error", "message"),
    [
        ([], {}, ValueError, "prompts are empty"),
        ([LEVELS, OTHER], {}, ValueError, r"\[3, 4\] parameters.*side_by_side"),
        ([LEVELS], {"batch": 0}, ValueError, "batch=0.*at least one"),
        ([LEVELS], {"batch": -1}, ValueError, "batch=-1"),
        ([LEVELS], {"batch": 1.5}, TypeError, "batch=1.5"),
        ([LEVELS], {"k": 5}, ValueError, "k=5"),
        ([LEVELS], {"n": 4.0}, TypeError, "n=4.0"),
        ([LEVELS], {"target": "median"}, ValueError, "median"),
    ],
)
def test_bad_arguments(prompts: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ml.batch_moments("maxpo", prompts, **{"n": 4, "k": 2, "batch": 2, **options})


def test_what_is_not_a_policy_is_refused_by_place() -> None:
    levels = ml.RewardLevels.from_softmax([0.0, 1.0], [0, 1])
    for call in (
        lambda: ml.batch_moments("maxpo", [levels, 2], n=4, k=2, batch=1),
        lambda: ml.side_by_side([levels, 2]),
    ):
        with pytest.raises(TypeError, match=r"prompts\[1\] is a int"):
            call()


def test_max_states_is_passed_on_and_the_prompt_that_exceeds_it_is_named() -> None:
    graded = ml.RewardLevels.from_softmax([0.0] * 7 + [1.0] * 2, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1])
    binary = ml.RewardLevels.from_softmax([0.0] * 9, [0] * 8 + [1])
    with pytest.raises(ValueError, match=r"prompts\[1\]: .*count states.*max_states=100"):
        ml.batch_moments("grpo", [binary, graded], n=4, k=2, batch=2, max_states=100)
    seen = ml.batch_moments("grpo", [binary, graded], n=4, k=2, batch=2, max_states=1000)
    assert [each.states for each in seen.prompts] == [5, 495]
    # A rank-linear rule needs no states at all.
    spared = ml.batch_moments("maxpo", [binary, graded], n=4, k=2, batch=2, max_states=100)
    assert [each.states for each in spared.prompts] == [5, 0]


def test_the_prompt_that_a_rule_fails_on_is_named() -> None:
    graded = ml.RewardLevels.from_softmax([0.0, 1.0, 2.0], [0, 0.5, 1])
    binary = ml.RewardLevels.from_softmax([0.0, 1.0, 2.0], [0, 0, 1])
    for rule, error, message in (
        ("passk-training", ValueError, r"prompts\[1\]: passk-training is defined for 0/1 rewards"),
        (lambda r, _k: r + 0j if 0.5 in r else r, TypeError, r"prompts\[1\]: .*complex128"),
    ):
        with pytest.raises(error, match=message):
            ml.batch_moments(rule, [binary, graded], n=4, k=2, batch=2)
    # What is wrong on every prompt is no prompt's fault.
    for options in ({"k": 5}, {"target": "median"}, {"n": 0}):
        with pytest.raises(ValueError, match=r"^(?!prompts)"):
            ml.batch_moments("maxpo", [binary], **{"n": 4, "k": 2, "batch": 2, **options})


def test_prompts_may_come_from_a_generator_and_cancelling_gradients_are_unresolved() -> None:
    first = ml.RewardLevels.from_softmax([0.3, -0.3], [0, 1])
    second = ml.RewardLevels.from_softmax([0.3, -0.3], [1, 0])
    prompts = [first, second]
    found = ml.batch_moments("rloo", (each for each in prompts), n=4, k=1, batch=2)
    assert not found.bias_resolution < 1
    assert np.isnan(found.direction_error)
