"""The audit of rules of several rewards names the catalogue's, whoever wrote them, at whatever weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rules_of_rewards import (
    WEIGHTS,
    Rule,
    audited,
    by_loops,
    float32_of_each,
    maxpo,
    maxpo_of_each,
    maxpo_of_sum,
    multi_axis,
    normalise_then_sum,
    sum_then_normalise,
    trl_gdpo,
    verl_gdpo,
)

import maxpo_lab as ml
from maxpo_lab.testing import assert_matches

NAMES = (*ml.list_estimators("vector"), *ml.list_estimators("vector-batch"))


@pytest.mark.parametrize(
    "weights",
    [WEIGHTS, *(pytest.param(each, marks=pytest.mark.integration) for each in ((1.0, 1.0), (0.7, 0.3)))],
)
@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_keeps_its_claims_and_is_recognised(name: str, weights: tuple[float, ...]) -> None:
    rule = ml.get_estimator(name).weighted(weights)
    claims = ("unbiased", "centered", "equivariant", f"equals:{name}")
    report = ml.audit(rule, n=3, k=2, target=rule.objective, claims=claims)
    assert not report.misbehaviours
    held = [each.holds for each in report.claims]
    assert held == [rule.claims.unbiased, rule.claims.centered, rule.claims.equivariant, True]
    assert report.nearest is not None
    assert (report.nearest.name, report.nearest.scale, report.nearest.exact) == (name, 1.0, True)
    assert report.nearest.reward_weights is None
    assert report.vectors is not None
    if rule.kind == "vector":
        sees = {"summed": "sum", "per-reward": "each", "multi-axis-maxk": "each", "opo": "both"}
        assert report.vectors.sees == sees[name.partition(":")[0]]
        laws = report.vectors.laws
        assert laws is not None
        assert laws.uses_k == rule.uses_k
        assert (laws.scale, laws.centered) == (rule.laws.scale, rule.claims.centered)
        assert all(each.shift == rule.laws.shift_invariant for each in laws.rewards)
        assert laws.exchangeable == (weights[0] == weights[1])
        # Each by itself has the unit of its own where it is divided by a deviation of its own.
        alone = name in ("per-reward:grpo", "multi-axis-maxk")
        assert [each.scale for each in laws.rewards] == [alone, alone]
        assert (laws.lengths is not None) == (name == "opo")


@pytest.mark.parametrize(
    ("f", "name", "weights", "sees"),
    [
        (maxpo_of_each, "per-reward:maxpo", WEIGHTS, "each"),
        (maxpo_of_sum, "summed:maxpo", WEIGHTS, "sum"),
        (sum_then_normalise, "summed:grpo:eps=0.0001", WEIGHTS, "sum"),
        (normalise_then_sum, "per-reward:grpo:eps=0.0001", WEIGHTS, "each"),
        pytest.param(multi_axis, "multi-axis-maxk", WEIGHTS, "each", marks=pytest.mark.integration),
        (by_loops, "summed:rloo", WEIGHTS, "both"),
        pytest.param(verl_gdpo, "gdpo", WEIGHTS, None, marks=pytest.mark.integration),
        pytest.param(float32_of_each, "per-reward:maxpo", WEIGHTS, "each", marks=pytest.mark.integration),
        # The weights that are in the code, and not those that are said.
        (maxpo_of_each, "per-reward:maxpo", (1.0, 1.0), "each"),
        (maxpo_of_sum, "summed:maxpo", (2.0, 0.3), "sum"),
    ],
)
def test_code_of_others_is_recognised(f: Rule, name: str, weights: Any, sees: str | None) -> None:
    report = audited(f, weights, n=4, k=2)
    assert not report.misbehaviours
    near = report.nearest
    assert near is not None
    assert name in (near.name, *near.alike)
    assert near.exact
    assert near.reward_weights == (None if weights == WEIGHTS else WEIGHTS)
    assert near.precision == ("float32" if f is float32_of_each else "float64")
    assert report.vectors is not None
    assert report.vectors.sees == sees
    if sees is not None and sees != "both":
        assert report.vectors.sees_weights == WEIGHTS


@pytest.mark.integration
def test_trls_gdpo_is_recognised_with_both_epsilons() -> None:
    near = audited(trl_gdpo, n=4, k=1, target="mean").nearest
    assert near is not None
    assert near.exact
    name = "whitened:scale=std1,mean=1,eps=0,add=0.0001:per-reward:grpo:eps=0.0001,ddof=1"
    assert name in (near.name, *near.alike)


@pytest.mark.integration
@pytest.mark.parametrize("own", ["maxrl", "tailrl", "nemo-grpo", "rs-grpo", "passk-training", "w-reinforce"])
@pytest.mark.parametrize("family", ["summed", "per-reward"])
def test_the_rule_of_one_reward_in_it_is_named(family: str, own: str) -> None:
    """Of 0/1 rewards too, of which a sum must be one."""
    rule = ml.get_estimator(f"{family}:{own}")

    def nameless(rewards: Any, k: int) -> Any:
        return rule(rewards, k)

    report = audited(nameless, (1.0, 1.0), n=5, k=2, target="mean")
    assert not report.misbehaviours
    assert report.nearest is not None
    assert report.nearest.exact
    assert f"{family}:{own}" in (report.nearest.name, *report.nearest.alike)
    assert report.vectors is not None
    both = (1.0, 1.0) in report.vectors.rows
    assert both == (family == "per-reward" or rule.domain == "real")


def test_what_is_none_of_the_catalogue_is_told_to_be_none() -> None:
    near = audited(lambda rewards, k: maxpo(rewards.prod(axis=-1), k)).nearest
    assert near is not None
    assert not near.exact
    assert near.distance > 0.1


def test_a_silent_rule_is_near_nothing() -> None:
    report = audited(lambda rewards, k: np.zeros(rewards.shape[:-1]))
    assert report.nearest is None
    assert report.ascent is not None
    assert report.ascent.text.startswith("climbs nothing")


@pytest.mark.parametrize(("f", "name"), [(sum_then_normalise, "grpo"), (normalise_then_sum, "grpo")])
def test_a_normalisation_in_the_other_order_is_no_match(f: Rule, name: str) -> None:
    order = {"sum_then_normalise": "summed", "normalise_then_sum": "per-reward"}
    for family in ("summed", "per-reward"):
        rule = ml.vector_rule(f, reward_weights=WEIGHTS)
        spec = f"{family}:{name}:eps=1e-4"
        if order[f.__name__] == family:
            assert_matches(rule, spec, n=3, k=2)
            continue
        with pytest.raises(AssertionError, match=r"gets \[.*\]; .* gives \["):
            assert_matches(rule, spec, n=3, k=2)


@pytest.mark.parametrize(
    ("weights", "sees"),
    [((1.0,), "sum"), ((0.0, 1.0), "sum"), ((1.0, -1.0), "each"), ((2.0, 0.5, 1.0), "each")],
)
def test_any_weights_of_any_number_of_rewards(weights: tuple[float, ...], sees: str) -> None:
    """A rule of one reward alone, whatever it is called, is one of the sum: it need not be linear."""
    rule = ml.get_estimator("per-reward:maxpo").weighted(weights)

    def nameless(rewards: Any, k: int) -> Any:
        return rule(rewards, k)

    report = audited(nameless, weights)
    assert report.passed
    assert report.vectors is not None
    assert (report.vectors.sees, report.vectors.sees_weights) == (sees, weights)
    assert report.nearest is not None
    assert report.nearest.exact
    assert "per-reward:maxpo" in (report.nearest.name, *report.nearest.alike)


def test_a_rule_at_a_k_of_its_own_is_named_with_it() -> None:
    """Code that has its K written into it."""
    near = audited(lambda rewards, _: multi_axis(rewards, 3), n=4, k=2).nearest
    assert near is not None
    assert (near.name, near.k, near.scale, near.exact) == ("multi-axis-maxk", 3, 1.0, True)
