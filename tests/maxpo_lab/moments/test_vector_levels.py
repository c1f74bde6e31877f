"""Policies of rows of rewards and lengths: all that is exact of them equals brute force, in rationals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product
from math import degrees, prod

import numpy as np
import pytest

import maxpo_lab as ml
from envs.bandits.categorical_sampling import CategoricalSampler
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.of_vectors import definitions as truth
from maxpo_lab.rules import by_number

#: A bandit of three arms with two rewards and a length each, a softmax policy with its logits as parameters.
CHANCES = (Fraction(1, 5), Fraction(3, 10), Fraction(1, 2))
REWARDS = ((Fraction(1), Fraction(0)), (Fraction(1, 4), Fraction(1)), (Fraction(0), Fraction(1, 2)))
LENGTHS = (1, 4, 2)
WEIGHTS = (Fraction(1), Fraction(1, 2))
LEVELS = ml.VectorLevels.from_softmax(
    np.log(np.array(CHANCES, dtype=float)), np.array(REWARDS, dtype=float), lengths=LENGTHS
)
RULES = (*ml.list_estimators("vector"), "per-reward:rloo", "per-reward:pkpo-loo1")


def score(arm: int) -> list[Fraction]:
    return [(arm == other) - chance for other, chance in enumerate(CHANCES)]


def drawn(n: int) -> list[tuple[tuple[int, ...], Fraction]]:
    """All arms of n pulls, and their chance."""
    return [(arms, prod(CHANCES[arm] for arm in arms)) for arms in product(range(3), repeat=n)]


@cache
def gradient(objective: str, k: int) -> tuple[Fraction, ...]:
    """``E[(objective of K pulls) sum of their scores]``, pull by pull."""
    total = [Fraction(0)] * 3
    for arms, chance in drawn(k):
        rows = [[w * r for w, r in zip(WEIGHTS, REWARDS[arm], strict=True)] for arm in arms]
        value = {
            "max@k": lambda rows=rows: max(map(sum, rows)),
            "per-reward:max@k": lambda rows=rows: sum(map(max, zip(*rows, strict=True))),
            "mean": lambda rows=rows: sum(map(sum, rows)) / k,
        }[objective]()
        for arm in arms:
            total = [t + chance * value * s for t, s in zip(total, score(arm), strict=True)]
    return tuple(total)


def definition(name: str) -> truth.VectorSignal:
    own = {"per-reward:rloo": definitions.rloo, "per-reward:pkpo-loo1": definitions.pkpo_loo1}
    return truth.then_sum(own[name]) if name in own else truth.BY_NAME[name]


@cache
def moments(name: str, n: int, k: int) -> tuple[list[Fraction], Fraction]:
    """``E g`` and ``E |g|^2`` over all pulls of a group."""
    mean, square = [Fraction(0)] * 3, Fraction(0)
    signal = cache(
        lambda arms: definition(name)(
            [REWARDS[arm] for arm in arms], k, WEIGHTS, [LENGTHS[arm] for arm in arms]
        )
    )
    for arms, chance in drawn(n):
        g = [
            sum((a * score(arm)[i] for a, arm in zip(signal(arms), arms, strict=True)), Fraction(0)) / n
            for i in range(3)
        ]
        mean = [m + chance * x for m, x in zip(mean, g, strict=True)]
        square += chance * sum(x * x for x in g)
    return mean, square


def length(vector: Sequence[Fraction]) -> float:
    return float(np.linalg.norm(np.array(vector, dtype=float)))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [3, 4])
def test_bias_against_its_objective_equals_brute_force(name: str, n: int) -> None:
    rule = ml.get_estimator(name)
    for k in (1, 2) if rule.uses_k else (1,):
        if rule.why_not(n, k):
            continue
        found = ml.exact_moments(rule.weighted(WEIGHTS), LEVELS, n=n, k=k, target=rule.objective)
        mean, square = moments(name, n, k)
        goal = gradient(rule.objective, k)
        np.testing.assert_allclose(found.mean, np.array(mean, dtype=float), rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.gradient, np.array(goal, dtype=float), rtol=0, atol=1e-12)
        off = [m - g for m, g in zip(mean, goal, strict=True)]
        assert found.bias == pytest.approx(length(off), rel=0, abs=1e-12)
        trace = float(square - sum(m * m for m in mean))
        assert found.trace_covariance == pytest.approx(trace, rel=0, abs=1e-12)
        assert found.target == rule.objective
        unbiased = not any(off)
        assert unbiased == rule.claims.unbiased, name
        assert (found.relative_bias <= found.bias_resolution) == unbiased


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [2, 3, 4])
def test_claims_are_decided_for_every_policy(name: str, n: int) -> None:
    """The complete class, in rationals: unbiased under every policy of these rows exactly if, beside every
    company of others, ``A - (the unbiased signal)`` is the same for every row; centered if groups sum to 0.
    """
    rule = ml.get_estimator(name)
    each = rule.objective.startswith("per-reward:")
    for k in (k for k in range(1, n + 1) if rule.why_not(n, k) is None):
        size = 1 if rule.objective == "mean" else k
        unbiased = centered = True
        for others in combinations_with_replacement(range(3), n - 1):
            left = set()
            for own in range(3):
                arms = (own, *others)
                given = definition(name)(
                    [REWARDS[arm] for arm in arms], k, WEIGHTS, [LENGTHS[arm] for arm in arms]
                )
                columns = [[w * REWARDS[arm][d] for arm in arms] for d, w in enumerate(WEIGHTS)]
                columns = columns if each else [[sum(pair) for pair in zip(*columns, strict=True)]]
                signal = sum(size * definitions.inclusion_value(column, size)[0] for column in columns)
                left.add(given[0] - signal)
                centered &= abs(float(sum(given))) < 1e-40
            unbiased &= len(left) == 1
        if n > 2 or rule.claims.unbiased:  # two rollouts hide many a bias
            assert unbiased == rule.claims.unbiased, (n, k)
        assert centered or not rule.claims.centered
    if n > 2:
        assert centered == rule.claims.centered


def test_objectives_differ_and_each_rule_is_of_its_own() -> None:
    """maxpo of the sum climbs the sum's max@2; of each reward, the sum of each one's max@2; not crosswise."""
    own, other = {}, {}
    for name in ("summed:maxpo", "per-reward:maxpo"):
        rule = ml.get_estimator(name).weighted(WEIGHTS)
        targets = {"max@k", "per-reward:max@k"}
        own[name] = ml.exact_moments(rule, LEVELS, n=4, k=2, target=rule.objective).relative_bias
        (crossed,) = targets - {rule.objective}
        other[name] = ml.exact_moments(rule, LEVELS, n=4, k=2, target=crossed).relative_bias
    assert max(own.values()) < 1e-14
    assert min(other.values()) > 0.1


def test_gdpo_over_a_batch_equals_brute_force() -> None:
    """Two prompts of two pulls: every batch, by the definition, against the mean of the summed reward."""
    n, size = 2, 2
    signal = cache(
        lambda batch: truth.OF_BATCHES["gdpo"]([[REWARDS[arm] for arm in arms] for arms in batch], 1, WEIGHTS)
    )
    mean = np.zeros(3)
    for (one, p), (two, q) in product(drawn(n), repeat=2):
        for arms, given in zip((one, two), signal((one, two)), strict=True):
            for arm, a in zip(arms, given, strict=True):
                mean += float(p * q * a) / (n * size) * np.array(score(arm), dtype=float)
    rule = ml.get_estimator("gdpo").weighted(WEIGHTS)
    found = ml.batch_moments(rule, [LEVELS, LEVELS], n=n, k=1, batch=None, target="mean")
    assert found.method == "product"
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.gradient, np.array(gradient("mean", 1), dtype=float), rtol=0, atol=1e-12)
    goal = np.array(gradient("mean", 1), dtype=float)
    assert found.relative_bias == pytest.approx(
        np.linalg.norm(mean - goal) / np.linalg.norm(goal), rel=0, abs=1e-12
    )


def test_opos_direction() -> None:
    """Three answers, n = 4: with probability, reward and length of each, the angle is some degrees."""
    rule = ml.get_estimator("opo")
    alike = ml.VectorLevels.from_softmax(np.zeros(3), [1.0, 0.0, 0.5], lengths=[3, 3, 3])
    found = ml.exact_moments(rule, alike, n=4, k=1, target="mean")
    assert found.direction_error < 1e-9
    assert found.scale == pytest.approx(3 / 4, rel=1e-12)  # batch-mean, where lengths are equal
    longer = ml.VectorLevels.from_softmax(np.zeros(3), [1.0, 0.0, 0.0], lengths=[1, 1, 4])
    found = ml.exact_moments(rule, longer, n=4, k=1, target="mean")
    assert degrees(found.direction_error) == pytest.approx(4.271, abs=1e-3)
    other = ml.exact_moments(rule.weighted(WEIGHTS), LEVELS, n=4, k=1, target="mean")
    mean, _ = moments("opo", 4, 1)
    exact, goal = np.array(mean, dtype=float), np.array(gradient("mean", 1), dtype=float)
    cosine = exact @ goal / np.linalg.norm(exact) / np.linalg.norm(goal)
    assert degrees(other.direction_error) == pytest.approx(degrees(np.arccos(cosine)), abs=1e-6)
    assert 1 < degrees(other.direction_error) < 30


def test_equal_rows_are_one_level_and_columns_are_levels_of_their_own() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.ones(6))
    scores = rng.normal(size=(6, 3))
    scores -= probabilities @ scores
    rewards = np.array([[1.0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [0, 1]])
    levels = ml.VectorLevels.from_outcomes(probabilities, scores, rewards, covariances="full")
    assert levels.rewards.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    told_apart = ml.VectorLevels.from_outcomes(probabilities, scores, rewards, lengths=[1, 1, 2, 1, 1, 1])
    assert len(told_apart.rewards) == 5
    for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -2.0)):
        found = levels.of_reward(weights)
        direct = ml.RewardLevels.from_outcomes(probabilities, scores, rewards @ weights, covariances="full")
        for name in ("values", "probabilities", "mean_scores", "score_second_moments"):
            np.testing.assert_allclose(getattr(found, name), getattr(direct, name), rtol=0, atol=1e-13)
        for name in ("score_covariances", "projected_covariances"):
            np.testing.assert_allclose(getattr(found, name), getattr(direct, name), rtol=0, atol=1e-12)
        for own in ("maxpo", "grpo"):
            one = ml.exact_moments(own, direct, n=5, k=2, covariance=True)
            rule = ml.get_estimator(f"summed:{own}").weighted(weights)
            two = ml.exact_moments(rule, levels, n=5, k=2, covariance=True)
            for name in ("mean", "gradient", "covariance", "trace_covariance", "along_gradient_variance"):
                np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=0, atol=1e-13)


def test_the_floor_of_several_rewards() -> None:
    """Below every unbiased rule, reached by its own baseline, and at most the floor of the sum alone."""
    weights = (1.0, 0.5)
    arms = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 0.5]])
    levels = ml.VectorLevels.from_softmax(np.log([0.1, 0.1, 0.05, 0.4, 0.15, 0.2]), arms)
    target = "per-reward:max@k"
    floor = ml.variance_floor(levels, n=4, k=2, target=target, reward_weights=weights)
    for name in ("per-reward:maxpo", "per-reward:pkpo-loo1"):
        found = ml.exact_moments(ml.get_estimator(name).weighted(weights), levels, n=4, k=2, target=target)
        assert 0 < found.efficiency(floor) < 1
    numbers = levels.by_number
    best = ml.exact_moments(floor.rule, numbers, n=4, k=2)
    assert best.trace_covariance == pytest.approx(floor.trace_covariance, rel=1e-9)
    np.testing.assert_allclose(best.mean, found.mean, rtol=0, atol=1e-12)
    summed = ml.variance_floor(levels, n=4, k=2, reward_weights=weights)
    one = ml.variance_floor(levels.of_reward(weights), n=4, k=2)
    assert summed.trace_covariance <= one.trace_covariance * (1 + 1e-9)  # it sees more than the sum
    with pytest.raises(ValueError, match="of several rewards"):
        ml.variance_floor(levels.of_reward(weights), n=4, k=2, target=target)
    with pytest.raises(ValueError, match="floor is of"):
        found.efficiency(summed)


def test_a_users_rule_is_admitted_or_refused() -> None:
    mine = ml.vector_rule(lambda rewards, k: rewards.sum(-1) - rewards.sum(-1).mean(-1, keepdims=True))
    found = ml.exact_moments(mine, LEVELS, n=4, k=1, target="mean")
    assert found.scale == pytest.approx(3 / 4)
    long = ml.vector_rule(
        lambda rewards, k, lengths: (
            rewards.sum(-1) - ((lengths * rewards.sum(-1)).sum(-1) / lengths.sum(-1))[:, None]
        ),
        takes_lengths=True,
    )
    opo = ml.exact_moments("opo", LEVELS, n=4, k=1, target="mean")
    theirs = ml.exact_moments(long, LEVELS, n=4, k=1, target="mean")
    np.testing.assert_allclose(theirs.mean, opo.mean, rtol=0, atol=1e-13)
    coupled = ml.vector_rule(lambda rewards, k: rewards.sum(-1) - rewards.sum(-1).mean())
    with pytest.raises(ValueError, match="rows of a batch influence each other"):
        ml.exact_moments(coupled, LEVELS, n=4, k=1)
    weighed = ml.vector_rule(lambda rewards, k: rewards[..., 0], reward_weights=(1, 0))
    assert ml.exact_moments(weighed, LEVELS, n=4, k=1, target="mean").relative_bias < 1e-14


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="summed:maxpo or per-reward:maxpo"):
        ml.exact_moments("maxpo", LEVELS, n=4, k=2)
    bare = ml.VectorLevels.from_softmax(np.zeros(3), [[1.0, 0], [0, 1], [1, 1]])
    with pytest.raises(ValueError, match="opo takes lengths"):
        ml.exact_moments("opo", bare, n=4, k=1)
    with pytest.raises(ValueError, match="0/1 rewards alone"):
        ml.exact_moments("summed:maxrl", bare, n=4, k=1)
    with pytest.raises(ValueError, match="are 3, of 2 rewards"):
        ml.exact_moments(ml.get_estimator("summed:maxpo").weighted((1, 2, 3)), bare, n=4, k=1)
    with pytest.raises(ValueError, match=r"target='per-reward:x'.*unknown|unknown"):
        ml.exact_moments("summed:maxpo", bare, n=4, k=1, target="per-reward:x")
    with pytest.raises(ValueError, match="k <= n-1"):
        ml.exact_moments("summed:maxpo", bare, n=4, k=4)
    with pytest.raises(ValueError, match="row twice"):
        ml.VectorLevels([[1.0], [1.0]], [0.5, 0.5], np.zeros((2, 1)), np.ones(2))
    with pytest.raises(ValueError, match="a length is positive"):
        ml.VectorLevels.from_softmax(np.zeros(2), [0.0, 1.0], lengths=[0, 1])
    with pytest.raises(TypeError, match="prompts\\[1\\] is a RewardLevels"):
        ml.batch_moments("summed:maxpo", [bare, bare.of_reward((1, 1))], n=4, k=2, batch=None)
    with pytest.raises(ValueError, match="one kind"):
        ml.batch_moments("summed:maxpo", [bare, LEVELS], n=4, k=2, batch=None)


def test_prompts_of_different_rows_share_a_table() -> None:
    """A rule of groups: the batch's mean is that of its prompts, by whatever numbers."""
    one = ml.VectorLevels.from_softmax(np.log([0.2, 0.8]), [[1.0, 0], [0, 1]])
    two = ml.VectorLevels.from_softmax(np.log([0.4, 0.6]), [[0.0, 0], [1, 1]])
    rule = ml.get_estimator("per-reward:grpo")
    found = ml.batch_moments(rule, [one, two], n=4, k=1, batch=None, target="mean")
    apart = [ml.exact_moments(rule, each, n=4, k=1, target="mean") for each in (one, two)]
    np.testing.assert_allclose(found.mean, np.mean([each.mean for each in apart], axis=0), rtol=0, atol=1e-14)
    white = ml.batch_moments("gdpo", [one, two], n=3, k=1, batch=None, target="mean")
    assert white.method == "product"
    assert white.standard_errors is None


def test_sampling_a_rule_by_number_agrees_with_its_exact_moments() -> None:
    """The same lift, in torch: 4000 groups, every quantity within 6 standard errors."""
    rule = ml.get_estimator("per-reward:maxpo").weighted((1.0, 0.5))
    arms = np.array([[1.0, 0], [0, 1], [0.6, 0.6], [0, 0]])
    logits, target = np.log([0.1, 0.1, 0.3, 0.5]), "per-reward:max@k"
    levels = ml.VectorLevels.from_softmax(logits, arms)
    exact = ml.exact_moments(rule, levels, n=8, k=4, target=target)
    numbers = [float(np.flatnonzero((levels.rewards == arm).all(axis=1))[0]) for arm in arms]
    sampler = CategoricalSampler.of(logits[None], np.array(numbers), device="cpu")
    lifted = by_number(rule, [levels], n=8, k=4, target=target).rule
    found = ml.monte_carlo_moments(
        {"mine": lifted}, sampler, n=8, k=4, groups=4000, seed=0, gradient=exact.gradient
    )["mine"]
    for name in ("scale", "trace_covariance"):
        estimate = getattr(found, name)
        assert abs(estimate.value - getattr(exact, name)) < 6 * estimate.standard_error
