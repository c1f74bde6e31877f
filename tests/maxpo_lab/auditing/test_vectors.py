"""The audit of rules of several rewards, against all outcomes of small groups, and against faulty ones."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from io import StringIO
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import maxpo_lab as ml
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.auditing.report.findings import Decision
from maxpo_lab.auditing.vectors.rows import RowSetting, steps_of
from maxpo_lab.testing import assert_centered, assert_equivariant, assert_matches, assert_unbiased

Rule = Callable[..., Any]
WEIGHTS = (1.0, 0.5)
NAMES = (*ml.list_estimators("vector"), *ml.list_estimators("vector-batch"))


def audited(f: Rule, weights: Any = WEIGHTS, **options: Any) -> ml.AuditReport:
    given = {"n": 3, "k": 2, "target": "per-reward:max@k"} | options
    return ml.audit(ml.vector_rule(f, reward_weights=weights), **given)


# Rules as others might write them -----------------------------------------------------------------------


def maxpo(rewards: Any, k: int) -> np.ndarray:
    """MaxPO by the K-subsets that hold a rollout, less those of the others of K of n-1, of one reward."""
    found = np.zeros(rewards.shape)
    n = rewards.shape[-1]
    for place in range(n):
        others = [i for i in range(n) if i != place]
        gain = [
            np.maximum(rewards[..., place], rewards[..., list(rest)].max(axis=-1))
            if rest
            else rewards[..., place]
            for rest in combinations(others, k - 1)
        ]
        base = [rewards[..., list(rest)].max(axis=-1) for rest in combinations(others, k)]
        found[..., place] = np.mean(gain, axis=0) - np.mean(base, axis=0)
    return k * found


def maxpo_of_each(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0], k) + 0.5 * maxpo(rewards[..., 1], k)


def maxpo_of_sum(rewards: Any, k: int) -> Any:
    return maxpo(rewards[..., 0] + 0.5 * rewards[..., 1], k)


def standardised(rewards: Any, axis: int = -1, eps: float = 1e-6, ddof: int = 1) -> Any:
    return (rewards - rewards.mean(axis=axis, keepdims=True)) / (
        rewards.std(axis=axis, ddof=ddof, keepdims=True) + eps
    )


def sum_then_normalise(rewards: Any, k: int) -> Any:
    """TRL, multi_objective_aggregation="sum_then_normalize"."""
    return standardised((rewards * np.array(WEIGHTS)).sum(axis=-1), eps=1e-4)


def normalise_then_sum(rewards: Any, k: int) -> Any:
    return (standardised(rewards, axis=1, eps=1e-4) * np.array(WEIGHTS)).sum(axis=-1)


def trl_gdpo(rewards: Any, k: int) -> Any:
    """TRL, multi_objective_aggregation="normalize_then_sum": whitened over the batch."""
    total = normalise_then_sum(rewards, k)
    return (total - total.mean()) / (total.std(ddof=1) + 1e-4)


def verl_gdpo(rewards: Any, k: int) -> Any:
    total = (standardised(rewards, axis=1) * np.array(WEIGHTS)).sum(axis=-1)
    return (total - total.mean()) / np.sqrt(total.var(ddof=1) + 1e-8)


def multi_axis(rewards: Any, k: int) -> Any:
    credit = np.stack([maxpo(rewards[..., d], k) / k for d in range(2)], axis=-1)
    spread = credit.std(axis=1, ddof=1, keepdims=True)
    return (credit / (np.where(spread < 1e-8, 1, spread) + 1e-4)) @ np.array(WEIGHTS)


def by_loops(rewards: Any, k: int) -> Any:
    """One group at a time, in lists."""
    found = []
    for group in np.asarray(rewards).tolist():
        rows = [row[0] + 0.5 * row[1] for row in group]
        found.append([row - (sum(rows) - row) / (len(rows) - 1) for row in rows])
    return found


def float32_of_each(rewards: Any, k: int) -> Any:
    return maxpo_of_each(rewards.astype(np.float32), k).astype(np.float32)


def in_torch(rewards: Any, k: int) -> Any:
    torch = pytest.importorskip("torch")
    total = torch.as_tensor(rewards) @ torch.tensor(WEIGHTS, dtype=torch.float64)
    return total - total.mean(-1, keepdim=True)


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
    "f", [maxpo_of_each, maxpo_of_sum, by_loops, sum_then_normalise, normalise_then_sum, multi_axis, in_torch]
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
        assert each.to_each == each.direction_error


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


# What is recognised -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [(1.0, 1.0), WEIGHTS, (0.7, 0.3)])
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
        (multi_axis, "multi-axis-maxk", WEIGHTS, "each"),
        (by_loops, "summed:rloo", WEIGHTS, "both"),
        (verl_gdpo, "gdpo", WEIGHTS, None),
        (float32_of_each, "per-reward:maxpo", WEIGHTS, "each"),
        # The weights that are in the code, and not those that are said.
        (maxpo_of_each, "per-reward:maxpo", (1.0, 1.0), "each"),
        (maxpo_of_sum, "summed:maxpo", (2.0, 0.3), "sum"),
    ],
)
def test_code_of_others_is_recognised(f: Rule, name: str, weights: Any, sees: str | None) -> None:
    report = audited(f, weights, n=5, k=2)
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


def test_trls_gdpo_is_recognised_with_both_epsilons() -> None:
    near = audited(trl_gdpo, n=4, k=1, target="mean").nearest
    assert near is not None
    assert near.exact
    name = "whitened:scale=std1,mean=1,eps=0,add=0.0001:per-reward:grpo:eps=0.0001,ddof=1"
    assert name in (near.name, *near.alike)


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
