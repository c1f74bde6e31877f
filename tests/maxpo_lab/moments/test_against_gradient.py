"""A mean against the gradient, by hand and in rationals; where it is used; and how it could be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import acos, cos, inf, isnan, nan, pi, sqrt
from typing import Any

import numpy as np
import pytest
from brute_force import random_policy
from checks import EPS

import maxpo_lab as ml
from envs import SparseBandit
from maxpo_lab.moments import against_gradient as module
from maxpo_lab.moments.against_gradient import AgainstGradient
from maxpo_lab.objectives import as_objective, max_at
from maxpo_lab.policies.objective import gradient_coefficients

#: Means, gradients and the angle between them.
ANGLES: dict[str, tuple[Sequence[float], Sequence[float], float]] = {
    "the gradient itself": ([3, 4], [3, 4], 0),
    "half of it": ([1.5, 2], [3, 4], 0),
    "across": ([-4, 3], [3, 4], pi / 2),
    "against": ([-6, -8], [3, 4], pi),
    "between": ([0, 2], [1, 1], pi / 4),
    "backwards": ([-1, 1], [1, 0], 3 * pi / 4),
    "three dimensions": ([1, 1, 1], [0, 0, 2], acos(1 / sqrt(3))),
    "one dimension": ([-2], [0.5], pi),
    "seen by no cosine": ([1, 1e-12], [1, 0], 1e-12),
    "nor near a half turn": ([-1, 1e-9], [1, 0], pi - 1e-9),
    "small": ([3e-120, 0], [1e-120, 1e-120], pi / 4),
    "large": ([0, 3e120], [1e120, 1e120], pi / 4),
}


def compare(mean: Sequence[float], gradient: Sequence[float], **options: float) -> AgainstGradient:
    return module.against_gradient(np.array(mean, dtype=float), np.array(gradient, dtype=float), **options)


def check_in_rationals(mean: Sequence[float], gradient: Sequence[float], angle: float) -> None:
    """Scale, bias and angle, squared where there is a root, against fractions of the same numbers."""
    m, g = ([Fraction(float(x)) for x in vector] for vector in (mean, gradient))
    dot, square = sum(x * y for x, y in zip(m, g, strict=True)), sum(x * x for x in g)
    off = sum((x - y) ** 2 for x, y in zip(m, g, strict=True))
    seen = compare(mean, gradient)
    rounding = 8 * EPS * float(np.linalg.norm(mean) / np.linalg.norm(gradient) + 1)
    assert seen.scale == pytest.approx(float(dot / square), rel=0, abs=rounding)
    assert seen.relative(seen.bias) == pytest.approx(sqrt(off / square), rel=0, abs=rounding)
    assert seen.bias == pytest.approx(sqrt(off / square) * seen.length, rel=0, abs=rounding * seen.length)
    assert seen.angle == pytest.approx(angle, rel=8 * EPS, abs=8 * EPS)
    assert seen.relative(seen.length) == 1


def levels_of(rewards: Sequence[float], seed: int = 0) -> ml.RewardLevels:
    return random_policy(rewards, seed=seed).levels()


LEVELS = levels_of([-3, -0.5, 1, 2])


def check_tolerances() -> None:
    """The formulas; what they bound, over policies and objectives; a rule without a mean."""
    largest = max(sqrt(sum(Fraction(float(x)) ** 2 for x in row)) for row in LEVELS.mean_scores)
    assert module.gradient_rounding(LEVELS, max_at(5)) == pytest.approx(
        64 * EPS * 5 * 3 * largest, rel=4 * EPS, abs=0
    )
    assert module.mean_rounding(LEVELS, 0.25) == pytest.approx(64 * EPS * largest / 4, rel=4 * EPS, abs=0)
    nothing = ml.exact_moments(lambda r, _k: np.ones_like(r), LEVELS, n=4, k=2)
    assert isnan(nothing.direction_error)
    assert nothing.bias_resolution < 1e-9 <= 1 - 1e-9 < nothing.relative_bias


def check_edges() -> None:
    """Vectors that are 0, or nothing but rounding."""
    for mean in ([0, 0], [1, 2]):
        seen = compare(mean, [0, 0], rounding=1e-15)
        undefined = (seen.scale, seen.relative(seen.bias), seen.angle, seen.along)
        assert all(map(isnan, undefined))
        assert np.isnan(seen.direction).all()
        assert seen.resolution == inf
        assert seen.bias == np.hypot(*mean)
    seen = compare([0, 0], [3, 4])
    assert (seen.scale, seen.bias, seen.relative(seen.bias)) == (0, 5, 1)
    assert isnan(seen.angle)
    assert isnan(compare([1e-17, 1e-17], [3, 4], vanishing=1e-16).angle)
    assert compare([1e-15, 0], [3, 0], vanishing=1e-16).angle == 0
    # A gradient below what rounding makes of it: a bias of its own size is none.
    tiny = compare([2e-20, 0], [1e-20, 0], rounding=1e-16)
    assert tiny.relative(tiny.bias) == pytest.approx(1)
    assert tiny.resolution == pytest.approx(1e4)
    assert compare([2, 0], [1, 0], rounding=1e-16).resolution == 1e-16
    assert module.angle(0.0, 0.0) != module.angle(0.0, 0.0)
    assert [module.angle(x, y) for x, y in ((0.0, 2.0), (2.0, 0.0), (0.0, -2.0))] == [0, pi / 2, pi]
    assert module.straight(1e-6, 0.0)
    assert module.straight(0.1, 0.2)
    assert not any((module.straight(1.1e-6, 1e-9), module.straight(nan, 1.0), module.straight(0.3, 0.2)))


def check_all() -> None:
    for case in ANGLES.values():
        check_in_rationals(*case)
    check_edges()
    check_tolerances()


@pytest.mark.parametrize("case", ANGLES.values(), ids=ANGLES)
def test_by_hand(case: tuple[Sequence[float], Sequence[float], float]) -> None:
    check_in_rationals(*case)


def test_edges() -> None:
    check_edges()


def test_tolerances() -> None:
    check_tolerances()


@pytest.mark.parametrize("seed", range(3))
def test_parts_and_turns(seed: int) -> None:
    """The parts add up; turning and scaling both vectors changes nothing but the scale of lengths."""
    rng = np.random.default_rng(seed)
    mean, gradient = rng.normal(size=(2, 4))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    seen, turned = compare(mean, gradient), compare(turn @ mean, turn @ gradient)
    np.testing.assert_allclose(seen.along * seen.direction + seen.across, mean, atol=8 * EPS)
    assert abs(float(seen.across @ gradient)) <= 16 * EPS
    np.testing.assert_array_equal(seen.off, mean - gradient)
    for figure in ("bias", "scale", "angle", "along", "length"):
        assert getattr(turned, figure) == pytest.approx(getattr(seen, figure), rel=64 * EPS, abs=0)
    known = compare(mean, gradient, along=seen.along)
    np.testing.assert_allclose(known.across, seen.across, atol=8 * EPS)
    assert (known.scale, known.bias) == (seen.scale, seen.bias)
    # What is known of the component is believed.
    assert compare(mean, gradient, along=0.0).scale == 0


@pytest.mark.parametrize("target", ["max@k", "mean", "max@n", "l-statistic:TopM:2", "l-statistic:Median"])
@pytest.mark.parametrize("rewards", [[0, 1], [-3, -0.5, 1, 2], [-5, -4], [1e6, 1e6 + 1]])
def test_the_sizes_behind_the_tolerances(rewards: Sequence[float], target: str) -> None:
    """No gradient's coefficients and no rule's mean exceed the sizes that rounding is compared with."""
    n, k = 6, 4
    for seed in range(5):
        levels = levels_of(rewards, seed)
        objective = as_objective(target, n, k)
        largest = np.linalg.norm(levels.mean_scores, axis=1).max()
        sizes = np.abs(gradient_coefficients(levels, objective)).sum()
        assert sizes <= objective.size * np.abs(levels.values).max() * (1 + 8 * EPS)
        for rule in ("maxpo", "pkpo-s", "grpo"):
            seen = ml.exact_moments(rule, levels, n=n, k=k, target=target)
            assert np.linalg.norm(seen.mean) <= seen.advantage_rms * largest * (1 + 8 * EPS)


@pytest.mark.parametrize("rewards", [[0, 1], [-3, -0.5, 1, 2], [0, 1e-3, 1e3]])
def test_rounding_stays_below_its_bound(rewards: Sequence[float]) -> None:
    """The gradient in rationals, level by level from the definition of J_K's derivative."""
    k = 5
    for seed in range(5):
        levels = levels_of(rewards, seed)
        chances = [Fraction(float(p)) for p in levels.probabilities]
        values = [Fraction(float(r)) for r in levels.values]
        below = [sum(chances[: m + 1], Fraction(0)) for m in range(len(values) - 1)]
        exact = np.zeros(levels.mean_scores.shape[1], dtype=object)
        for m, share in enumerate(below):
            for level in range(m + 1, len(values)):
                factor = (values[m + 1] - values[m]) * k * share ** (k - 1) * chances[level]
                exact = exact + factor * np.array([Fraction(float(x)) for x in levels.mean_scores[level]])
        apart = [Fraction(float(x)) - y for x, y in zip(ml.max_at_k_gradient(levels, k), exact, strict=True)]
        assert sqrt(sum(x * x for x in apart)) <= module.gradient_rounding(levels, max_at(k)) / 4


# Where it is used ----------------------------------------------------------------------------------------


def test_one_prompt_is_a_batch_of_one() -> None:
    for rule in ("maxpo", "pkpo-s", "grpo"):
        alone = ml.exact_moments(rule, LEVELS, n=5, k=3)
        batch = ml.batch_moments(rule, [LEVELS], n=5, k=3, batch=4)
        for figure in ("relative_bias", "scale", "direction_error", "bias_resolution"):
            own = getattr(alone, figure)
            assert getattr(batch, figure) == pytest.approx(own, rel=64 * EPS, abs=alone.bias_resolution)


def test_all_measure_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A length that is relative to the gradient is one and the same thing everywhere, and so is an angle."""
    pytest.importorskip("torch")
    from analysis.trainer.signals import signal

    bandit: Any = SparseBandit(arms=5, good=2)
    sampler = bandit.sampler(bandit.theta)
    gradient = bandit.max_at_k_gradient(bandit.theta, 2).ravel()
    monkeypatch.setattr(AgainstGradient, "relative", lambda *_: 42.0)
    monkeypatch.setattr(AgainstGradient, "angle", 0.5)
    exact = ml.exact_moments("maxpo", LEVELS, n=4, k=2)
    batch = ml.batch_moments("maxpo", [LEVELS], n=4, k=2, batch=2)
    for found in (exact, batch):
        figures = (found.relative_bias, found.bias_resolution, found.scale, found.direction_error)
        assert figures == (42.0, 42.0, 42.0, 0.5)
    sampled = ml.monte_carlo_moments(["maxpo"], sampler, n=4, k=2, groups=256, seed=0, gradient=gradient)
    figures = (sampled["maxpo"].relative_bias, sampled["maxpo"].scale)
    assert [figure and figure.value for figure in figures] == [42.0, 42.0]
    assert sampled["maxpo"].bias_resolution == 42.0
    assert signal(bandit, bandit.theta, "maxpo", n=4, k=2, groups=2).cosine == cos(0.5)


# How it could be wrong -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    what: str
    place: Any
    name: str
    wrong: Any


def lost_part(part: str) -> Callable[..., AgainstGradient]:
    """Comparisons that are given a wrong part."""
    right = module.against_gradient

    def wrong(mean: np.ndarray, gradient: np.ndarray, **options: float) -> AgainstGradient:
        found = right(mean, gradient, **options)
        if part == "sign":
            return right(mean, gradient, **(options | {"along": abs(found.along)}))
        return right(mean, gradient, **(options | {"along": float(mean @ gradient)}))

    return wrong


MUTANTS = [
    Mutant("angle by its cosine", module, "angle",
           lambda across, along: acos(along / np.hypot(across, along)) if across or along else nan),
    Mutant("angle turned", module, "angle", lambda across, along: float(np.arctan2(along, across))),
    Mutant("angle of nothing is 0", module, "angle", lambda across, along: float(np.arctan2(across, along))),
    Mutant("angle without sign", module, "against_gradient", lost_part("sign")),
    Mutant("not divided by the length", module, "against_gradient", lost_part("length")),
    Mutant("bias is the length's", AgainstGradient, "bias",
           property(lambda self: abs(float(np.linalg.norm(self.mean)) - self.length))),
    Mutant("scale is the lengths'", AgainstGradient, "scale",
           property(lambda self: self.relative(float(np.linalg.norm(self.mean))))),
    Mutant("relative to the mean", AgainstGradient, "relative",
           lambda self, length: length / (float(np.linalg.norm(self.mean)) or nan)),
    Mutant("relative to the square", AgainstGradient, "relative",
           lambda self, length: length / (self.length**2 or nan)),
    Mutant("no gradient, no resolution", AgainstGradient, "resolution",
           property(lambda self: self.relative(self.rounding))),
    Mutant("absolute resolution", AgainstGradient, "resolution",
           property(lambda self: self.rounding if self.length else inf)),
    Mutant("rounding has a direction", AgainstGradient, "angle",
           property(lambda self: module.angle(float(np.linalg.norm(self.across)), self.along))),
    Mutant("K dropped", module, "gradient_rounding", lambda levels, _: module.mean_rounding(levels, 3.0)),
    Mutant("highest reward, not largest", module, "gradient_rounding",
           lambda levels, goal: module.mean_rounding(levels, goal.size * float(levels.values.max()))),
    Mutant("mean score, not the largest", module, "_largest_score",
           lambda levels: float(np.linalg.norm(levels.mean_scores, axis=1).mean())),
    Mutant("largest entry of a score", module, "_largest_score",
           lambda levels: float(np.abs(levels.mean_scores).max())),
    Mutant("one eps", module, "ROUNDING", EPS),
    Mutant("a half turn is straight", module, "straight",
           lambda error, resolution: error <= resolution),
    Mutant("undefined is straight", module, "straight",
           lambda error, resolution: not error > max(1e-6, resolution)),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutant.place, mutant.name, mutant.wrong)
    with pytest.raises(AssertionError):
        check_all()
