"""Value rules: fast forms against their definitions in rationals, where they are defined, what they claim."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
import pytest
from checks import EPS

import maxpo_lab as ml
from maxpo_lab.evaluation import plug_in, registry
from maxpo_lab.evaluation.definitions import BY_NAME

torch = pytest.importorskip("torch")

RULES = ml.list_value_rules()
LEVELS = (-1.5, 0.0, 0.25, 1.0)


def groups(n: int, name: str) -> list[tuple[float, ...]]:
    """Every count state on the levels that a rule takes, n <= 4, and every order where that matters."""
    rule = ml.get_value_rule(name)
    levels = LEVELS if rule.domain == "real" else (0.0, 1.0)
    if not rule.claims.order_free:
        return list(product(levels, repeat=n))
    return [tuple(reversed(group)) for group in combinations_with_replacement(levels, n)]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_fast_form_is_the_definition(name: str, n: int) -> None:
    rule = ml.get_value_rule(name)
    for k in range(1, (5 if rule.beyond_n else n) + 1):
        values = rule(np.array(groups(n, name)), k)
        exact = [float(BY_NAME[name](group, k)) for group in groups(n, name)]
        assert np.abs(values - exact).max() <= 4 * n * 2.5 * EPS  # 2 n terms of at most the range


@pytest.mark.parametrize("name", RULES)
def test_graded_groups_of_eight(name: str) -> None:
    rewards = [0.9, 0.7, 0.7, 0.4, 0.0, 0.0, 0.0, -0.3]
    if ml.get_value_rule(name).domain == "binary":
        rewards = [float(reward > 0.5) for reward in rewards]
    for k in (1, 2, 3, 5):
        exact = BY_NAME[name](rewards, k)
        assert abs(Fraction(float(ml.get_value_rule(name)(rewards, k))) - exact) <= 32 * EPS


@pytest.mark.parametrize(("n", "c"), [(8, 0), (8, 1), (8, 5), (8, 8), (1, 1)])
def test_on_binary_rewards_it_is_the_formula_of_the_papers(n: int, c: int) -> None:
    group = [1.0] * c + [0.0] * (n - c)
    for k in range(1, n + 1):
        failing = np.prod([(n - c - i) / (n - i) for i in range(k)])  # draws without replacement
        assert abs(float(ml.get_value_rule("unbiased")(group, k)) - (1 - failing)) <= (k + 8) * EPS
        assert abs(float(ml.get_value_rule("plug-in")(group, k)) - (1 - (1 - c / n) ** k)) <= (k + 8) * EPS


def test_the_values_of_one_success_in_eight() -> None:
    group = [1.0] + [0.0] * 7
    for k, value in ((1, 0.125), (2, 0.25), (4, 0.5), (8, 1.0)):
        assert abs(float(ml.get_value_rule("unbiased")(group, k)) - value) <= 8 * EPS
    assert round(float(ml.get_value_rule("plug-in")(group, 4)), 3) == 0.414
    assert float(ml.get_value_rule("sample-max")(group, 1)) == 1.0


@pytest.mark.parametrize("name", RULES)
def test_a_rule_keeps_array_type_dtype_and_leading_shape(name: str) -> None:
    rule = ml.get_value_rule(name)
    rewards = torch.rand(3, 2, 5, dtype=torch.float32)
    if rule.domain == "binary":
        rewards = rewards.round()
    values = rule(rewards, 2)
    assert values.dtype == torch.float32
    assert values.shape == (3, 2)
    assert np.allclose(values, rule(rewards.double().numpy(), 2), atol=1e-6)


def test_where_a_rule_is_not_defined() -> None:
    unbiased = ml.get_value_rule("unbiased")
    with pytest.raises(ValueError, match=r"k=5: unbiased needs 1 <= k <= n = 4.*k=4.*plug-in"):
        unbiased([1.0, 0.0, 0.0, 0.0], 5)
    for name in RULES:
        with pytest.raises(ValueError, match="k=0: max@k needs k >= 1"):
            ml.get_value_rule(name)([1.0, 0.0], 0)
        with pytest.raises(ValueError, match=r"finite|nan"):
            ml.get_value_rule(name)([1.0, np.nan], 1)
        with pytest.raises(TypeError, match=r"k=2\.0"):
            ml.get_value_rule(name)([1.0, 0.0], 2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"from 0 to 0\.5: posterior-mean counts successes"):
        ml.get_value_rule("posterior-mean")([0.5, 0.0], 1)
    assert unbiased.why_not(4, 4) is None
    assert ml.get_value_rule("plug-in").why_not(4, 5) is None


def test_the_registry_is_complete_and_answers_near_misses() -> None:
    assert set(RULES) == set(BY_NAME)
    for name in RULES:
        rule = ml.get_value_rule(name)
        assert rule.name == name
        assert all(getattr(rule, field.name) not in ("", None) for field in dataclasses.fields(rule))
        assert registry.is_registered(rule)
    with pytest.raises(ValueError, match=r"value rule 'plugin' is not registered; did you mean plug-in\?"):
        ml.get_value_rule("plugin")
    with pytest.raises(TypeError, match="value rule=3 is a int"):
        ml.get_value_rule(3)  # type: ignore[arg-type]


def test_a_rule_of_a_registered_name_is_not_the_registered_one() -> None:
    fake = dataclasses.replace(ml.get_value_rule("plug-in"), function=plug_in.sample_max)
    assert not registry.is_registered(fake)


@pytest.mark.parametrize("name", RULES)
def test_monotone_bounded_and_order_free_as_claimed(name: str) -> None:
    """Of rewards in [0, 1]; a promise that is not made is broken in some group."""
    rule = ml.get_value_rule(name)
    levels = (0.0, 0.25, 1.0) if rule.domain == "real" else (0.0, 1.0)
    rewards: Any = np.array(list(product(levels, repeat=4)))
    kept = {"monotone": True, "bounded": True, "order_free": True}
    for k in (1, 2, 3, 4):
        values = rule(rewards, k)
        inside = (values >= rewards.min(1) - 32 * EPS) & (values <= rewards.max(1) + 32 * EPS)
        kept["bounded"] &= bool(inside.all())
        kept["order_free"] &= bool(np.abs(rule(rewards[:, ::-1], k) - values).max() <= 32 * EPS)
        for i in range(4):
            raised = rewards.copy()
            raised[:, i] = 1.0
            kept["monotone"] &= bool((rule(raised, k) >= values - 64 * EPS).all())
    assert kept == {claim: getattr(rule.claims, claim) for claim in kept}


def test_what_tools_make_of_partial_and_negative_rewards() -> None:
    """By hand: what counts as a success decides, and a sum is cut to a whole number."""

    def reported(name: str, group: list[float], k: int) -> float:
        return round(float(ml.get_value_rule(name)(group, k)), 4)

    assert [reported("product-form", [0.5] * 4, k) for k in (1, 2, 3)] == [0.5, 0.8333, 1.0]
    assert reported("product-form", [0.9] * 4, 1) == 0.75
    assert reported("product-form", [2.0, 0, 0, 0], 1) == 0.5
    assert reported("product-form", [1.0, 1, -1, -1], 4) == 0.0
    assert reported("product-form", [0.0, 0, 0, 0], 5) == 1.0
    assert reported("exactly-one", [2.0, 0.99, 0, 0], 4) == 0.0
    assert reported("at-least-one", [2.0, 0.99, 0, 0], 1) == 0.25
    assert reported("above-zero", [2.0, 0.99, 0, 0], 1) == 0.5
    assert reported("any-above-zero", [0.001, -1.0], 2) == 1.0
    assert reported("posterior-mean", [0.0] * 8, 8) == 0.4706
    assert [reported("first-k", group, 2) for group in ([0.0, 0, 0, 1.0], [1.0, 0, 0, 0])] == [0.0, 1.0]


def test_the_redraws_of_verl_are_a_table_that_knows_the_places() -> None:
    by_place = [float(ml.get_value_rule("verl-redraws")(np.eye(8)[place], 8)) for place in range(8)]
    assert (round(min(by_place), 3), round(max(by_place), 3)) == (0.635, 0.676)
    many = np.tile(np.eye(8)[3], (5000, 1))
    assert np.ptp(ml.get_value_rule("verl-redraws")(many, 8)) == 0.0
