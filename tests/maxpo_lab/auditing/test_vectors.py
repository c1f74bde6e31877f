"""The audit of rules of several rewards, against all outcomes of small groups, and against faulty ones."""

from __future__ import annotations

import json
import re
import time
from io import StringIO
from itertools import product
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rules_of_rewards import (
    WEIGHTS,
    Rule,
    audited,
    by_loops,
    in_torch,
    maxpo,
    maxpo_of_each,
    maxpo_of_sum,
    multi_axis,
    normalise_then_sum,
    sum_then_normalise,
    verl_gdpo,
)

import maxpo_lab as ml
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.auditing.report.findings import Decision
from maxpo_lab.auditing.vectors.rows import RowSetting, steps_of
from maxpo_lab.testing import assert_centered, assert_equivariant, assert_unbiased

# What is decided ----------------------------------------------------------------------------------------


def objective(rows: np.ndarray, chances: np.ndarray, target: str, k: int) -> tuple[float, np.ndarray]:
    """An objective and its gradient in the logits, over all draws of K answers."""
    size = 1 if target == "mean" else k
    total, gradient = 0.0, np.zeros(len(chances))
    for draw in product(range(len(chances)), repeat=size):
        chance = np.prod(chances[list(draw)])
        drawn = rows[list(draw)]
        each = target.startswith("per-reward:")
        value = drawn.max(axis=0) @ WEIGHTS if each else (drawn @ WEIGHTS).max()
        score = np.bincount(draw, minlength=len(chances)) - size * chances
        total += chance * value
        gradient += chance * value * score
    return total, gradient


def mean_gradient(f: Rule, rows: np.ndarray, chances: np.ndarray, n: int, k: int) -> np.ndarray:
    """``E[g]`` in the logits over all groups of n answers."""
    draws = np.array([*product(range(len(chances)), repeat=n)])
    given = np.asarray(f(rows[draws], k))
    scores = np.eye(len(chances))[draws] - chances
    return np.einsum("b,bi,bij->j", np.prod(chances[draws], axis=1), given, scores) / n


POLICIES = (
    (np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.25]]), np.array([0.2, 0.3, 0.5])),
    (np.array([[0.0, 0.0], [0.25, 1.0], [1.0, 0.25], [1.0, 1.0]]), np.array([0.4, 0.3, 0.2, 0.1])),
)


@pytest.mark.parametrize("target", ["mean", "max@k", "per-reward:max@k"])
@pytest.mark.parametrize(
    "f",
    [
        *(maxpo_of_each, maxpo_of_sum),
        *(
            pytest.param(f, marks=pytest.mark.integration)
            for f in (by_loops, sum_then_normalise, normalise_then_sum, multi_axis, in_torch)
        ),
    ],
)
def test_what_is_climbed_is_what_all_outcomes_say(f: Rule, target: str) -> None:
    """A constant factor under two policies of 3 and 4 answers, or none."""
    report = audited(f, target=target)
    assert report.ascent is not None
    factors = []
    for rows, chances in POLICIES:
        gradient = objective(rows, chances, target, 2)[1]
        mean = mean_gradient(f, rows, chances, 3, 2)
        scale = float(mean @ gradient / (gradient @ gradient))
        straight = np.linalg.norm(mean - scale * gradient) < 1e-9 * np.linalg.norm(mean)
        factors.append(scale if straight else np.nan)
    constant = bool(abs(factors[0] - factors[1]) < 1e-9)
    assert report.ascent.proportional_to_target == constant
    assert report.ascent.unbiased_for_target == (constant and abs(factors[0] - 1) < 1e-9)
    if constant:
        assert report.ascent.scale == pytest.approx(factors[0], rel=1e-9)
    else:
        assert report.claims[0].holds is False


def test_moments_under_the_reference_policies_are_those_of_all_outcomes() -> None:
    report = audited(multi_axis)
    assert report.vectors is not None
    under = report.vectors.policies
    assert under is not None
    assert [each.answers for each in under] == ["independent"] * 3 + ["specialists"] * 3
    for each in under:
        p = each.success
        rows = np.array([*product((0.0, 1.0), repeat=2)])
        chances = np.array([(1 - p) ** 2, (1 - p) * p, p * (1 - p), p**2])
        if each.answers == "specialists":
            rows, chances = np.array([[1, 0], [0, 1], [0.6, 0.6], [0, 0]]), np.array([p / 3] * 3 + [1 - p])
        mean = mean_gradient(multi_axis, rows, chances, 3, 2)
        angles = []
        for target in ("per-reward:max@k", "mean", "max@k"):
            gradient = objective(rows, chances, target, 2)[1]
            across = mean - gradient * (mean @ gradient) / (gradient @ gradient)
            along = mean @ gradient / np.linalg.norm(gradient)
            angles.append(np.arctan2(np.linalg.norm(across), along))
        gradient = objective(rows, chances, "per-reward:max@k", 2)[1]
        off = np.linalg.norm(mean - gradient) / np.linalg.norm(gradient)
        assert each.relative_bias == pytest.approx(off, rel=1e-9)
        got = [each.direction_error, each.to_mean, each.to_sum]
        np.testing.assert_allclose(got, angles, rtol=1e-6, atol=1e-7)
        assert each.to_each == pytest.approx(each.direction_error, rel=1e-9)


@pytest.mark.integration
def test_gdpo_in_pairs_of_prompts_is_that_of_all_outcomes() -> None:
    """The mean gradient of two prompts, drawn from the three of the report, over all their groups."""
    report = ml.audit(ml.vector_rule(verl_gdpo, reward_weights=WEIGHTS), n=2, k=1, target="mean")
    assert report.vectors is not None
    assert report.vectors.coupling is not None
    row = report.vectors.coupling.over_sizes.rows[0]
    assert (row.size, row.method) == (2, "quadrature")
    rows = np.array([*product((0.0, 1.0), repeat=2)])
    draws = np.array([*product(range(4), repeat=2)])
    rates = (0.7, 0.2, 0.02)
    chance = [np.array([(1 - p) ** 2, (1 - p) * p, p * (1 - p), p**2]) for p in rates]
    for own in range(3):
        gradient = objective(rows, chance[own], "mean", 1)[1]
        mean = np.zeros(4)
        for other, mine, theirs in product(range(3), draws, draws):
            given = verl_gdpo(rows[np.array([mine, theirs])], 1)[0]
            weight = np.prod(chance[own][mine]) * np.prod(chance[other][theirs]) / 3
            mean += weight * given @ (np.eye(4)[mine] - chance[own]) / 2
        weight = float(mean @ gradient / (gradient @ gradient))
        assert row.weights[own] == pytest.approx(weight, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("rewards", ["binary", "graded"])
def test_steps_connect_all_rows(d: int, lengths: bool, exclusive: bool, rewards: str) -> None:
    """Pairs decide if and only if they do."""
    setting = RowSetting(
        n=3, k=2, target="mean", rewards=rewards, equivariant=True, reward_weights=(1.0,) * d,
        lengths=lengths, exclusive=exclusive,
    )  # fmt: skip
    table, known = setting.table, {0}
    for _ in table:
        known |= {b for pair in steps_of(table) for a, b in (pair, pair[::-1]) if a in known}
    assert known == set(range(len(table)))


# What is caught -----------------------------------------------------------------------------------------


def swapped(rewards: Any, k: int) -> Any:
    return maxpo_of_each(rewards[..., ::-1], k)


def weight_ignored(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0], k) + maxpo(rewards[..., 1], k)


def one_reward_forgotten(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0], k)


def sum_first(rewards: Any, k: int) -> Any:
    return maxpo_of_sum(rewards, k)


def best_with_itself(rewards: Any, k: int) -> Any:
    """A baseline that the rollout is in, on the second reward alone."""
    second = rewards[..., 1]
    return maxpo(rewards[..., 0], k) + 0.5 * k * (second - second.mean(axis=-1, keepdims=True))


def clipped(rewards: Any, k: int) -> Any:
    return np.clip(maxpo_of_each(rewards, k), -2.0, 2.0)


MUTANTS = {
    swapped: "at weights (0.5, 1)",
    weight_ignored: "at weights (1, 1)",
    one_reward_forgotten: "at weights (1, 0)",
    sum_first: "unbiased for max@2 of the summed rewards",
    best_with_itself: "the gradient of no objective that was tried",
    clipped: "the gradient of no objective that was tried",
}
_SHOWN = re.compile(
    r"n=(\d+), K=(\d+): with the others at \[(.*?)\], raising reward (\d) of a rollout at \((.*?)\) from "
    r"(\S+) to (\S+) (raises its advantage by (\S+)|lowers its advantage by (\S+)|leaves its advantage as it "
    r"is); an unbiased rule for .*? (raises it by (\S+)|leaves it as it is)$"
)


def row(text: str) -> list[float]:
    return [float(each) for each in text.split(", ")]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda f: f.__name__)
def test_mutants_are_caught_with_an_example_that_is_true(mutant: Rule) -> None:
    report = audited(mutant, claims=("unbiased", "equals:per-reward:maxpo"))
    assert [each.holds for each in report.claims] == [False, False]
    assert MUTANTS[mutant] in report.claims[0].detail
    shown = _SHOWN.search(report.claims[0].detail)
    assert shown is not None
    k, place = int(shown[2]), int(shown[4]) - 1
    others = [row(each) for each in re.findall(r"\((.*?)\)", shown[3])]
    low, high = row(shown[5]), row(shown[5])
    assert low[place] == float(shown[6])
    high[place] = float(shown[7])
    assert len(others) + 1 == int(shown[1])

    def paid(f: Rule) -> float:
        one, other = (float(np.asarray(f(np.array([[each, *others]]), k))[0, 0]) for each in (high, low))
        return one - other

    got = float(shown[9] or -float(shown[10] or 0))
    assert paid(mutant) == pytest.approx(got, rel=1e-5, abs=1e-9)
    if len(others) >= k:  # where the plain rule is defined
        assert paid(maxpo_of_each) == pytest.approx(float(shown[12] or 0), rel=1e-5, abs=1e-9)
    assert report.failing_test is not None
    assert f"vector_rule({mutant.__name__}, reward_weights=(1.0, 0.5))" in report.failing_test
    code = report.failing_test.replace(f"from {__name__} import {mutant.__name__}", "")
    scope: dict[str, Any] = {mutant.__name__: mutant}
    exec(code, scope)
    (test,) = (each for name, each in scope.items() if name.startswith("test_"))
    with pytest.raises(AssertionError, match="of each reward, summed"):
        test()


def wrong_shape(rewards: Any, k: int) -> Any:
    return rewards


def with_nan(rewards: Any, k: int) -> Any:
    return np.where(rewards.sum(axis=-1) > 0, rewards.sum(axis=-1), np.nan)


def at_random(rewards: Any, k: int) -> Any:
    return np.random.default_rng().random(rewards.shape[:-1])


def raises(rewards: Any, k: int) -> Any:
    raise KeyError("format")


def complex_numbers(rewards: Any, k: int) -> Any:
    return rewards.sum(axis=-1) * 1j


def by_place(rewards: Any, k: int) -> Any:
    return rewards.sum(axis=-1) * np.arange(1, len(rewards) + 1)[:, None]


def hangs(rewards: Any, k: int) -> Any:
    time.sleep(3)
    return rewards.sum(axis=-1)


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (wrong_shape, "shape"),
        (with_nan, "not finite"),
        (at_random, "random"),
        (raises, "raises"),
        (complex_numbers, "not real"),
        (by_place, "coupled rows"),
        (hangs, "hangs"),
    ],
)
def test_misbehaviours_are_told(f: Rule, kind: str) -> None:
    report = audited(f, seconds=0.5 if f is hangs else 10.0)
    assert [each.kind for each in report.misbehaviours] == [kind]
    assert report.claims[0].holds is None
    assert not report.passed
    json.loads(report.to_json())
    assert report.rule in report.to_markdown()
    if f is not hangs:  # for as long as a call may take there
        with pytest.raises(AssertionError, match=kind):
            assert_centered(ml.vector_rule(f), n=3, k=2)


def test_a_rule_that_writes_into_its_rewards_is_told() -> None:
    def in_place(rewards: Any, k: int) -> Any:
        rewards *= np.array(WEIGHTS)
        return maxpo(rewards.sum(axis=-1), k)

    report = audited(in_place, target="max@k")
    assert [each.kind for each in report.misbehaviours] == ["mutates"]
    assert "0.5" in report.misbehaviours[0].detail
    assert report.claims[0].holds is True
    assert not report.passed


def test_an_order_of_rollouts_that_matters_is_shown() -> None:
    def first_is_paid(rewards: Any, k: int) -> Any:
        given = maxpo_of_each(rewards, k)
        given[:, 0] += rewards[:, 0, 1]
        return given

    report = audited(first_is_paid, claims=("equivariant", "centered"))
    assert [each.holds for each in report.claims] == [False, False]
    assert "in the order [(" in report.claims[0].detail
    with pytest.raises(AssertionError, match="in the order"):
        assert_equivariant(ml.vector_rule(first_is_paid), n=3, k=2)


@pytest.mark.integration
def test_a_coupling_that_is_no_bias_is_unbiased_beside_every_company() -> None:
    """The mean of the other prompts as baseline: theirs is nobody's own."""

    def of_others(rewards: Any, k: int) -> Any:
        total = rewards @ np.array(WEIGHTS)
        means = total.mean(axis=1, keepdims=True)
        others = (means.sum() - means) / max(1, len(means) - 1)
        return total - (others if len(means) > 1 else 0.0)

    report = audited(of_others, n=3, k=1, target="mean")
    assert report.passed
    assert report.vectors is not None
    coupling = report.vectors.coupling
    assert coupling is not None
    assert coupling.met is not None
    assert coupling.met.effect == "shift"
    assert coupling.balance == "batch"  # what one is spared another pays
    assert_unbiased(ml.vector_rule(of_others, reward_weights=WEIGHTS), n=3, k=1, target="mean")

    def with_itself(rewards: Any, k: int) -> Any:
        total = rewards @ np.array(WEIGHTS)
        return total - total.mean()

    found = audited(with_itself, n=3, k=1, target="mean").claims[0]
    assert found.holds is False
    assert found.detail.startswith("P=2: beside [(0, 0)")


def test_lengths_are_looked_at() -> None:
    def per_token(rewards: Any, k: int, lengths: Any) -> Any:
        return (rewards @ np.array(WEIGHTS)) / lengths

    def careless(rewards: Any, k: int, lengths: Any) -> Any:
        return rewards @ np.array(WEIGHTS)

    for f, holds in ((per_token, False), (careless, True)):
        rule = ml.vector_rule(f, reward_weights=WEIGHTS, takes_lengths=True)
        report = ml.audit(rule, n=3, k=1, target="mean")
        assert report.claims[0].holds is holds
        assert report.vectors is not None
        assert report.vectors.laws is not None
        assert (report.vectors.laws.lengths is not None) == (not holds)


# How it is asked and told -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["multi-axis-maxk", "gdpo", "opo"])
def test_every_form_of_the_report_tells_it(name: str) -> None:
    report = ml.audit(name, n=3, k=2, target="mean")
    data = json.loads(report.to_json())
    assert data["vectors"]["reward_weights"] == [1.0, 1.0]
    assert data["nearest"]["name"] == name
    shown = StringIO()
    Console(file=shown, width=200).print(report)
    for text in (shown.getvalue(), report.to_markdown()):
        assert "nearest rule" in text
        assert "the mean of the summed rewards (weights (1, 1))" in text
        assert ("as P grows" in text) == (name == "gdpo")
        assert ("a specialist of each reward" in text) == (name != "gdpo")


def test_a_decision_is_that_of_the_report() -> None:
    for name in ("per-reward:maxpo", "gdpo"):
        options = {"n": 3, "k": 2, "target": "per-reward:max@k", "claims": ("unbiased", "centered")}
        decision = decide(name, **options)
        assert isinstance(decision, Decision)
        assert decision.claims == ml.audit(name, **options).claims


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rewards": "continuous"}, "binary or graded"),
        ({"signature": "verl"}, "leave them out"),
        ({"target": "per-reward:max@9"}, "looks at 9 rollouts"),
        ({"target": "best"}, "is unknown"),
        ({"claims": ("equals:maxrl-pkpo",), "n": 1, "k": 1}, "n=1"),
        ({"state": 3}, "no rule with memory"),
        ({"seconds": 0}, "seconds=0"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(says)):
        ml.audit("summed:rloo", **({"n": 3, "k": 2} | options))


def test_a_claim_of_another_kind_does_not_hold() -> None:
    (of_group,) = ml.audit("summed:rloo", n=3, k=1, target="mean", claims=("equals:rloo",)).claims
    assert of_group.holds is False
    assert "rloo is a group rule" in of_group.detail
    (of_batch,) = ml.audit("gdpo", n=3, k=1, target="mean", claims=("equals:summed:grpo",)).claims
    assert of_batch.holds is False
    assert "summed:grpo is a vector rule" in of_batch.detail


def test_weights_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="an objective of no reward"):
        audited(maxpo_of_sum, (0.0, 0.0))
