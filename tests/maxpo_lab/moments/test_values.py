"""Exact errors of value rules, against all outcomes one by one and against rationals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product
from math import comb, isnan, prod
from typing import Any

import numpy as np
import pytest
from brute_force import random_policy
from checks import EPS

import maxpo_lab as ml
from maxpo_lab.evaluation.definitions import BY_NAME
from maxpo_lab.objectives import as_objective
from maxpo_lab.rules.errors import BadShapeError, CoupledRowsError, NotFiniteError, NotRealError

torch = pytest.importorskip("torch")

REWARDS = (-0.5, 0.25, 0.25, 1.0)
POLICY = random_policy(REWARDS, seed=7)
LEVELS = POLICY.levels(None)
Exact = Callable[[tuple[Fraction, ...], int], Fraction]


#: The same policy, a success above 0.
PASSES = replace(POLICY, rewards=(POLICY.rewards > 0) * 1.0).levels(None)


def enumerated(value: Exact, n: int, k: int, levels: ml.RewardLevels = LEVELS) -> tuple[Fraction, Fraction]:
    """Mean and variance over all arrangements of the levels, in rationals."""
    values, chances = (list(map(Fraction, each.tolist())) for each in (levels.values, levels.probabilities))
    total = sum(chances)
    picks = list(product(range(len(values)), repeat=n))
    chance = [prod((chances[i] for i in pick), start=Fraction(1)) / total**n for pick in picks]
    found = [value(tuple(values[i] for i in pick), k) for pick in picks]
    mean = sum((p * v for p, v in zip(chance, found, strict=True)), start=Fraction(0))
    variance = sum((p * (v - mean) ** 2 for p, v in zip(chance, found, strict=True)), start=Fraction(0))
    return mean, variance


def expected(objective: str, n: int, k: int) -> Fraction:
    """The objective, by all draws of its K rewards."""
    weights = as_objective(objective, n, k).weights
    return enumerated(
        lambda group, _: sum((w * r for w, r in zip(weights, sorted(group), strict=True)), Fraction(0)),
        len(weights),
        k,
    )[0]


def close(found: float, exact: Fraction, states: int, scale: float = 1.0) -> None:
    assert abs(found - float(exact)) <= (states + 64) * EPS * scale


@pytest.mark.parametrize("name", ml.list_value_rules())
@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 2), (4, 4), (5, 3), (3, 5)])
def test_moments_of_the_registered_rules(name: str, n: int, k: int) -> None:
    if ml.get_value_rule(name).why_not(n, k):
        with pytest.raises(ValueError, match="nearest valid choice"):
            ml.value_moments(name, LEVELS, n=n, k=k)
        return
    levels = LEVELS if ml.get_value_rule(name).domain == "real" else PASSES
    found = ml.value_moments(name, levels, n=n, k=k)
    mean, variance = enumerated(BY_NAME[name], n, k, levels)
    truth = enumerated(lambda group, _: max(group), k, k, levels)[0]
    close(found.mean, mean, found.states)
    close(found.variance, variance, found.states)
    close(found.value, truth, found.states)
    close(found.bias, mean - truth, found.states, 2)
    close(found.mean_squared_error, variance + (mean - truth) ** 2, found.states, 4)
    close(found.relative_bias, (mean - truth) / abs(truth), found.states, 4 / float(abs(truth)))
    assert found.standard_deviation == np.sqrt(found.variance)
    groups = list(product([Fraction(value) for value in levels.values.tolist()], repeat=n))
    values = {group: BY_NAME[name](group, k) for group in groups}
    moved = any(values[group] != values[order] for group in groups for order in permutations(group))
    size = len(levels.values)
    assert found.states == (size**n if moved else comb(n + size - 1, size - 1))
    assert (found.lowest, found.highest) == pytest.approx(
        (float(min(values.values())), float(max(values.values()))), abs=64 * EPS
    )
    assert (found.n, found.k, found.objective.name) == (n, k, "max@k")
    if ml.get_value_rule(name).claims.unbiased:
        assert mean == truth


@pytest.mark.parametrize(
    "target", ["mean", "max@n", "l-statistic:TopM:2", "l-statistic:BotM:2", "l-statistic:Median", "max@k"]
)
def test_the_value_of_any_target(target: str) -> None:
    n, k = 4, 3
    found = ml.value_moments("plug-in", LEVELS, n=n, k=k, target=target)
    close(found.value, expected(target, n, k), 3**k)
    assert found.bias == found.mean - found.value


def test_a_rule_that_depends_on_the_order_is_evaluated_on_all_arrangements() -> None:
    def first(rewards: Any, k: int) -> Any:
        return rewards[:, :k].max(axis=1)

    found = ml.value_moments(first, LEVELS, n=4, k=2)
    mean, variance = enumerated(lambda group, k: max(group[:k]), 4, 2)
    assert found.states == 3**4
    close(found.mean, mean, found.states)
    close(found.variance, variance, found.states)
    assert abs(found.bias) <= 128 * EPS  # the first K are K i.i.d. rollouts
    assert found.variance > ml.value_moments("unbiased", LEVELS, n=4, k=2).variance
    with pytest.raises(ValueError, match=r"first depends on the order of rollouts .* all 3\^4 = 81 arr"):
        ml.value_moments(first, LEVELS, n=4, k=2, max_states=80)


def test_a_rule_by_arrangements_or_by_counts_is_the_same() -> None:
    """The order matters where it says so: a rule told apart in no sum of its orders has the same moments."""

    def skewed(rewards: Any, k: int) -> Any:
        return ml.value_estimate(rewards, k) + rewards[:, 0] - rewards[:, -1]

    ordered, plain = (ml.value_moments(rule, LEVELS, n=4, k=2) for rule in (skewed, "unbiased"))
    assert abs(ordered.mean - plain.mean) <= 145 * EPS
    assert ordered.variance > plain.variance


def test_a_callable_may_be_asked_beyond_n() -> None:
    """As tools are: the product form gives 1 where fewer than k failures are left, c = 0 included."""

    def tool(rewards: Any, k: int) -> Any:
        n = rewards.shape[1]
        c = rewards.sum(axis=1)
        return np.array(
            [1.0 if n - each < k else 1 - np.prod(1 - k / np.arange(n - each + 1, n + 1)) for each in c]
        )

    levels = ml.RewardLevels.from_softmax(np.log([0.9, 0.1]), [0.0, 1.0])
    found = ml.value_moments(tool, levels, n=4, k=6)
    assert (found.mean, found.variance, found.lowest, found.highest) == (1.0, 0.0, 1.0, 1.0)
    assert abs(found.bias - 0.9**6) <= 16 * EPS
    inside = ml.value_moments(tool, levels, n=8, k=4)
    assert abs(inside.bias) <= 64 * EPS
    assert abs(inside.variance - ml.value_moments("unbiased", levels, n=8, k=4).variance) <= 64 * EPS


def test_a_small_variance_on_a_large_offset_is_not_a_difference() -> None:
    shifted = ml.RewardLevels.from_softmax(np.log([0.9, 0.1]), [1e6, 1e6 + 1])
    plain = ml.RewardLevels.from_softmax(np.log([0.9, 0.1]), [0.0, 1.0])
    found, wanted = (ml.value_moments("unbiased", each, n=6, k=2) for each in (shifted, plain))
    assert found.variance == pytest.approx(wanted.variance, rel=1e-8)  # of values rounded to 1e6 eps


def test_many_states_come_in_blocks() -> None:
    policy = random_policy(tuple(np.linspace(0, 1, 5)), seed=3)
    found = ml.value_moments("unbiased", policy.levels(None), n=24, k=5)
    assert found.states == comb(28, 4) > (1 << 17) // 24
    assert abs(found.bias) <= 8 * found.states**0.5 * EPS


def test_relative_bias_of_nothing() -> None:
    levels = ml.RewardLevels.from_softmax([0.0], [0.0])
    assert isnan(ml.value_moments("plug-in", levels, n=3, k=2).relative_bias)


@pytest.mark.parametrize(
    ("rule", "error", "says"),
    [
        (lambda r, k: r, BadShapeError, r"mine returned shape .*: a value rule maps \(B, n\) to \(B,\)"),
        (lambda r, k: r.max(), BadShapeError, r"shape \(\)"),
        (lambda r, k: [[1.0], [1.0, 2.0]], BadShapeError, r"no array of shape \(B,\)"),
        (lambda r, k: r.max(axis=1) * 1j, NotRealError, "values must be real numbers"),
        (lambda r, k: r.max(axis=1) * np.nan, NotFiniteError, "nan for the group .*values must be finite"),
        (lambda r, k: r.max(axis=1) - r.mean(), CoupledRowsError, "other values alone than in a batch"),
    ],
)
def test_what_is_no_value_is_named(rule: Any, error: type[Exception], says: str) -> None:
    def mine(rewards: Any, k: int) -> Any:
        return rule(rewards, k)

    with pytest.raises(error, match=f"(?s)mine.*{says}|{says}"):
        ml.value_moments(mine, LEVELS, n=3, k=2)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="value_rule=3 is a int"):
        ml.value_moments(3, LEVELS, n=3, k=2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="levels is a list"):
        ml.value_moments("unbiased", [0.1], n=3, k=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k=0"):
        ml.value_moments(lambda r, k: r.max(axis=1), LEVELS, n=3, k=0)
    with pytest.raises(ValueError, match="did you mean unbiased"):
        ml.value_moments("unbiassed", LEVELS, n=3, k=2)
    with pytest.raises(ValueError, match=r"10 count states .* max_states=9"):
        ml.value_moments("unbiased", LEVELS, n=3, k=2, max_states=9)


@pytest.mark.parametrize(
    "rule",
    [
        lambda r, k: ml.value_estimate(torch.from_numpy(r).float(), k),
        lambda r, k: ml.value_estimate(r, k).tolist(),
        ml.per_group(lambda row, k: float(ml.value_estimate(row, k))),
        ml.get_value_rule("unbiased").function,
    ],
)
def test_values_come_in_any_form(rule: Any) -> None:
    assert abs(ml.value_moments(rule, LEVELS, n=4, k=2).bias) <= 1e-6


@pytest.mark.parametrize(
    "mutant",
    [
        lambda r, k: ml.value_estimate(r, k - 1),
        ml.get_value_rule("plug-in"),
        lambda r, k: (r > 0).any(axis=1).astype(float),
        lambda r, k: np.sort(r, axis=1)[:, k - 1],
    ],
)
def test_a_mutant_has_a_bias(mutant: Any) -> None:
    assert abs(ml.value_moments(mutant, LEVELS, n=4, k=2).bias) > 1e-3
