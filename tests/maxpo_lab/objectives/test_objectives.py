"""Equal by their gradients: held to enumeration under random policies in rationals, near misses too."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product
from math import prod

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.objectives import Objective, as_objective, in_words, increments, looks_at_k, max_at

F = Fraction
PRESETS = ("TopM:1", "TopM:2", "TopM:4", "BotM:1", "BotM:3", "LowerTailMean:1/4", "LowerTailMean:1")
SPECS = (
    "max@k",
    "max@n",
    "mean",
    *(f"l-statistic:{each}" for each in (*PRESETS, "Median", "TrimM:1", "ReMin")),
)


def drawn(count: int, seed: int) -> Iterator[tuple[tuple[F, ...], tuple[F, ...]]]:
    """Chances of three outcomes and their rewards, in rationals."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shares = rng.integers(1, 30, size=3).tolist()
        rewards = np.cumsum(rng.integers(1, 9, size=3)).tolist()
        yield tuple(F(share, sum(shares)) for share in shares), tuple(F(reward, 7) for reward in rewards)


POLICIES = tuple(drawn(4, seed=3))


def gradient(weights: tuple[F, ...], chances: tuple[F, ...], rewards: tuple[F, ...]) -> tuple[F, ...]:
    """The gradient in the logits of a softmax policy: the statistic times the scores, over all draws of K."""
    total = [F(0)] * len(rewards)
    for draw in product(range(len(rewards)), repeat=len(weights)):
        ranked = sorted(rewards[arm] for arm in draw)
        statistic = sum(a * r for a, r in zip(weights, ranked, strict=True))
        chance = prod(chances[arm] for arm in draw)
        for arm in range(len(rewards)):
            score = draw.count(arm) - len(weights) * chances[arm]
            total[arm] += chance * statistic * score
    return tuple(total)


@cache
def gradients(weights: tuple[F, ...]) -> tuple[tuple[F, ...], ...]:
    return tuple(gradient(weights, *policy) for policy in POLICIES)


def elevated(objective: Objective, size: int) -> Objective:
    """The same objective on more rollouts: of ``size`` drawn, a random subset counts."""
    weights = list(objective.weights)
    for more in range(len(weights) + 1, size + 1):  # one is left out, each rank as likely
        kept = [F(0), *weights, F(0)]
        weights = [
            ((rank - 1) * kept[rank - 1] + (more - rank) * kept[rank]) / more for rank in range(1, more + 1)
        ]
    return Objective("elevated", tuple(weights))


def many() -> list[Objective]:
    found = []
    for k in range(1, 5):
        for spec in SPECS:
            try:
                found.append(as_objective(spec, 4, k))
            except ValueError:  # a preset that does not fit
                continue
    found += [elevated(max_at(size), 4) for size in (1, 2, 3)]
    found += [elevated(as_objective("l-statistic:BotM:1", 4, 2), 4), Objective("nothing", (F(0),) * 3)]
    found += [Objective("nothing at all", (F(0),)), Objective("constant slope", (F(1, 2), F(1, 2)))]
    base = found[-4]
    for rank, sign in product(range(base.size), (1, -1)):  # near misses: one weight moved by a trace
        weights = list(base.weights)
        weights[rank] += sign * F(1, 10**30)
        found.append(Objective("near miss", tuple(weights)))
    weights = list(max_at(4).weights)
    weights[1:3] = F(1, 10**30), -F(1, 10**30)  # the ends and the sum of the weights stay
    found += [
        Objective("same ends", tuple(weights)),
        Objective("twice", tuple(2 * each for each in max_at(3).weights)),
    ]
    return found


MANY = many()


def test_equal_exactly_where_the_gradients_are() -> None:
    witnesses = [gradients(objective.weights) for objective in MANY]
    pairs = list(combinations_with_replacement(range(len(MANY)), 2))
    for i, j in pairs:
        one, other = MANY[i], MANY[j]
        same = witnesses[i] == witnesses[j]
        assert (one == other) == same, (one, other)
        assert (one != other) != same
        assert not same or hash(one) == hash(other), (one, other)
    assert len({*MANY}) == len({*witnesses})
    equal = sum(witnesses[i] == witnesses[j] for i, j in pairs if MANY[i].size != MANY[j].size)
    assert equal >= 20  # of unlike numbers of weights: there is something to see


@pytest.mark.parametrize("k", range(1, 8))
def test_objectives_of_one_name_are_others(k: int) -> None:
    assert as_objective("max@n", k, 2) == as_objective("max@k", 99, k) == max_at(k)
    assert as_objective(f"l-statistic:TopM:{k}", 8, k) == as_objective("mean", 8, 3)
    assert as_objective("l-statistic:LowerTailMean:1", 8, k) == as_objective("l-statistic:Median", 8, 2)
    assert as_objective("l-statistic:ReMin", 8, k) == as_objective("l-statistic:BotM:1", 8, k)
    assert max_at(k) != max_at(k + 1)
    assert max_at(k) not in ("max@k", max_at(k).weights, None)


def test_its_value_is_not_its_name() -> None:
    made = max_at(3)
    other = replace(made, name="best of three")
    assert (other, hash(other)) == (made, hash(made))
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.name = "mean"


@pytest.mark.parametrize("objective", MANY, ids=lambda objective: objective.name)
def test_maximum_of_is_the_maximum_with_its_gradient(objective: Objective) -> None:
    wanted = [size for size in range(1, 6) if gradients(max_at(size).weights) == gradients(objective.weights)]
    assert objective.maximum_of == (wanted[0] if wanted else None)


@pytest.mark.parametrize("objective", MANY, ids=lambda objective: objective.name)
def test_equal_objectives_have_one_gradient_in_float64_and_one_table_of_increments(
    objective: Objective,
) -> None:
    levels = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1), (-1.0, 0.0, 2.0))
    n = 6
    same = elevated(objective, n)
    assert same == objective
    assert increments(same, n, exact=True).tolist() == increments(objective, n, exact=True).tolist()
    moments = [ml.exact_moments("rloo", levels, n=n, k=2, target=each) for each in (objective, same)]
    np.testing.assert_allclose(moments[0].gradient, moments[1].gradient, rtol=0, atol=1e-14)


def test_a_vector_is_made_once_in_float64_and_exactly_when_asked() -> None:
    made = as_objective("l-statistic:TopM:3", 8, 4)
    assert made.vector().tolist() == [0.0, 1 / 3, 1 / 3, 1 / 3]
    assert made.vector() is made.vector()
    assert not made.vector().flags.writeable
    assert tuple(made.vector(exact=True)) == made.weights == (0, F(1, 3), F(1, 3), F(1, 3))


@pytest.mark.parametrize("spec", ["max@k", "max@n", "mean", "l-statistic:TopM:2", "l-statistic:Median"])
def test_an_objective_goes_wherever_its_name_does(spec: str) -> None:
    n, k = 6, 3
    made = as_objective(spec, n, k)
    assert as_objective(made, 99, 1) is made
    levels = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1), (0.0, 0.5, 2.0))
    named, given = (ml.exact_moments("rloo", levels, n=n, k=k, target=each) for each in (spec, made))
    assert given.bias == named.bias
    assert given.target == named.target == spec
    assert given.objective == made
    named, given = (
        ml.batch_moments("rloo", [levels], n=n, k=k, batch=2, target=each) for each in (spec, made)
    )
    assert (given.relative_bias, given.bias_resolution) == (named.relative_bias, named.bias_resolution)
    named, given = (ml.objective_spectrum(each, n=n, k=k) for each in (spec, made))
    assert given.weights.tolist() == named.weights.tolist()
    rule = ml.get_estimator(
        spec if spec.startswith("l-") else {"max@k": "maxpo", "mean": "rloo"}.get(spec, "pkpo-s")
    )
    named, given = (theory.decide(rule, n=n, k=k, objective=each) for each in (spec, made))
    assert given == named


def test_an_objective_does_not_look_at_k_once_it_is_made() -> None:
    assert looks_at_k("max@k")
    assert not looks_at_k(max_at(3))
    levels = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1), (0.0, 0.5, 2.0))
    seen = ml.exact_moments("rloo", levels, n=4, k=99, target=max_at(3))
    assert seen.bias == ml.exact_moments("rloo", levels, n=4, k=3).bias
    floor = ml.variance_floor(levels, n=4, k=3)
    with pytest.raises(
        ValueError, match="looks at 5 rollouts, and a group of 4 has no floor"
    ):  # of no group of four
        ml.exact_moments("rloo", levels, n=4, k=1, target=max_at(5)).efficiency(floor)
    with pytest.raises(ValueError, match=r"looks at 5 rollouts.*n=4"):
        ml.objective_spectrum(max_at(5), n=4, k=1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("max@k", "max@3"),
        ("max@n", "max@6"),
        ("mean", "the mean reward"),
        ("l-statistic:TopM:2", "l-statistic:TopM:2 of 3"),
        (Objective("best of three", max_at(3).weights), "best of three"),
    ],
)
def test_in_words(spec: str | Objective, words: str) -> None:
    assert in_words(as_objective(spec, 6, 3)) == words


@pytest.mark.parametrize("weights", [(1,), (0.5, 0.5), (F(1), 0)])
def test_weights_are_exact(weights: tuple) -> None:
    with pytest.raises(TypeError, match="must be Fractions"):
        Objective("mine", weights)


def test_an_objective_has_weights() -> None:
    with pytest.raises(ValueError, match="K >= 1"):
        Objective("mine", ())


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            "pass@k",
            ValueError,
            r"objective 'pass@k' is unknown: it must be max@k, max@n, mean or l-statistic:",
        ),
        (3, TypeError, "objective 3 is a int: it must be a name"),
        ("l-statistic:TopM:9", ValueError, "TopM:m needs 1 <= m <= k"),
        ("l-statistic:TrimM:2", ValueError, "TrimM:m needs 2 m < k"),
        ("l-statistic:LowerTailMean:1/0", ValueError, "needs 0 < q <= 1"),
        ("l-statistic:Mode", ValueError, "is not a preset; known: TopM:m"),
    ],
)
def test_bad_names_are_refused_and_the_argument_named(spec: str, error: type, message: str) -> None:
    with pytest.raises(error, match=f"^(?!target=).*{message}"):
        as_objective(spec, 6, 4)
    with pytest.raises(error, match=f"^target={spec!r}: .*{message}"):
        as_objective(spec, 6, 4, argument="target")


def test_an_audit_takes_a_name() -> None:
    with pytest.raises(TypeError, match=r"target='max@k' is an Objective.*must be a name"):
        ml.audit("maxpo", n=4, k=2, target=max_at(2))
