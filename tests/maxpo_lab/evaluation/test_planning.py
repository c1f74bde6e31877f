"""Plans: variances at other numbers of rollouts, and the power that is stated against the one realised."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm
from subsets import best, over_subsets, square_over_pairs

import maxpo_lab as ml
from maxpo_lab.evaluation import plan
from maxpo_lab.evaluation.across_prompts.intervals import half_width
from maxpo_lab.evaluation.planning.variances import shared, variance_at


def drawn(p: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    successes = rng.binomial(n, p)
    return (np.arange(n) < successes[:, None]) * 1.0


@pytest.mark.parametrize(("n", "k"), [(4, 2), (6, 3), (8, 2)])
def test_variances_at_fewer_rollouts_are_means_over_smaller_groups(n: int, k: int) -> None:
    group = [Fraction(value, 8) for value in (0, 3, 3, 8, -2, 1, 5, 0)[:n]]
    found = ml.pass_at_k(np.array([list(map(float, group))]), k)
    products = shared(found, k)
    assert products is not None
    square = square_over_pairs(group, k, best)
    for size in range(k, n + 1):
        smaller = [over_subsets(part, k, best) ** 2 for part in combinations(group, size)]
        expected = sum(smaller) / len(smaller) - square
        assert variance_at(products, size) == pytest.approx(float(expected), abs=1e-13)


def test_more_rollouts_than_there_are_follow_the_law_of_the_mean() -> None:
    rewards = np.random.default_rng(0).random((9, 4))
    products = shared(ml.pass_at_k(rewards, 1), 1)
    for size in (1, 4, 100):  # of k = 1 the variance falls as 1/n
        assert variance_at(products, size) == pytest.approx(
            rewards.var(axis=1, ddof=1).mean() / size, rel=1e-12
        )


@pytest.mark.parametrize("paired", [pytest.param(False, marks=pytest.mark.integration), True])
def test_the_stated_power_is_realised_and_no_difference_is_left_alone(paired: bool) -> None:
    """A gain of 1 point at 500 prompts x 32, as in the promise of the page; 300 pairs of models."""
    rng, repeats = np.random.default_rng(7), 300
    stated, found, wrong = [], 0, 0
    for _ in range(repeats):
        p = rng.beta(0.5, 2.0, size=500)
        p = p[p < 0.99] if (p >= 0.99).any() else p
        base = ml.pass_at_k(drawn(p, 32, rng), 1)
        better = ml.pass_at_k(drawn(p + 0.01, 32, rng), 1, compare=base)
        same = ml.pass_at_k(drawn(p, 32, rng), 1, compare=base)
        stated.append(plan(better if paired else base, 0.01).power_now[1])
        found += better.comparison.low[0] > 0
        wrong += not same.comparison.low[0] <= 0 <= same.comparison.high[0]
    power = float(np.mean(stated))
    assert 0.55 < power < 0.75
    assert abs(found / repeats - power) <= 4 * np.sqrt(power * (1 - power) / repeats) + 0.01
    assert wrong / repeats <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / repeats)


def test_a_design_has_its_power_and_no_prompt_to_spare() -> None:
    rng = np.random.default_rng(1)
    pilot = ml.pass_at_k(drawn(rng.beta(0.5, 2, size=200), 16, rng), (1, 4))
    found = plan(pilot, 0.02, power=0.9)
    assert {each.rollouts for each in found.designs if each.k == 4} == {4, 8, 16, 32, 64}
    at_hand = next(each for each in found.designs if (each.k, each.rollouts) == (4, 16))
    more = ml.pass_at_k(drawn(rng.beta(0.5, 2, size=at_hand.prompts), 16, rng), 4)
    assert plan(more, 0.02).power_now[4] == pytest.approx(0.9, abs=0.03)
    needed = [each.prompts for each in found.designs if each.k == 4]
    assert needed == sorted(needed, reverse=True)
    cheapest = found.cheapest(4)
    assert cheapest.cost == min(each.cost for each in found.designs if each.k == 4)


def test_spread_of_the_difference_is_told_from_the_noise() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(4000)
    q = np.clip(p + rng.choice([-0.1, 0.1], size=4000), 0, 1)
    found = ml.pass_at_k(drawn(q, 16, rng), (1, 16), compare=drawn(p, 16, rng))
    made = plan(found, 0.01)
    assert made.spread[1] == pytest.approx(np.std(q - p), rel=0.1)
    assert np.isnan(made.spread[16])
    assert made.power_now[16] > 0
    assert [each.rollouts for each in made.designs if each.k == 16] == [16]
    assert any("k=16" in note for note in made.notes)


def test_what_cannot_be_planned_is_said() -> None:
    rewards = drawn(np.full(50, 0.3), 6, np.random.default_rng(3))
    made = plan(ml.pass_at_k(rewards, (2, 4)), 0.05)
    assert np.isnan(made.power_now[4])
    assert not [each for each in made.designs if each.k == 4]
    assert "k=4: no plan" in " ".join(made.notes)
    alone = plan(ml.pass_at_k(rewards[:1], 1, compare=rewards[1:2]), 0.05)
    assert "k=1: no plan, as one prompt tells nothing" in " ".join(alone.notes)
    with pytest.raises(ValueError, match="made for pass@k"):
        plan(ml.pass_at_k(rewards, 2, measure="pass^k"), 0.05)
    for difference in (0.0, -0.01, 1.0):
        with pytest.raises(ValueError, match="difference="):
            plan(ml.pass_at_k(rewards, 2), difference)
    with pytest.raises(ValueError, match="power="):
        plan(ml.pass_at_k(rewards, 2), 0.05, power=1.0)
    tiny = plan(ml.pass_at_k(rewards, 1), 1e-7)
    assert {each.prompts for each in tiny.designs} == {None}
    assert tiny.cheapest(1) is None


def test_the_power_with_clusters_is_that_of_their_number() -> None:
    """Ten clusters of six prompts: Student's quantile and the added half prompt are of ten."""
    rng, repeats = np.random.default_rng(11), 300
    clusters = np.arange(60) // 6
    stated, found = [], 0
    for _ in range(repeats):
        p = np.repeat(rng.beta(2.0, 2.0, size=10), 6) * 0.7
        base = ml.pass_at_k(drawn(p, 4, rng), 1, clusters=clusters)
        better = ml.pass_at_k(drawn(p + 0.25, 4, rng), 1, clusters=clusters, compare=base)
        stated.append(plan(better, 0.25).power_now[1])
        found += better.comparison.low[0] > 0
    power = float(np.mean(stated))
    assert 0.1 < power < 0.95
    assert abs(found / repeats - power) <= 4 * np.sqrt(power * (1 - power) / repeats) + 0.03


def test_designs_with_clusters_count_prompts() -> None:
    rng = np.random.default_rng(12)
    rewards = drawn(rng.beta(0.5, 2.0, size=120), 8, rng)
    alone = plan(ml.pass_at_k(rewards, 2), 0.02)
    together = plan(ml.pass_at_k(rewards, 2, clusters=np.arange(120) // 4), 0.02)
    for one, other in zip(alone.designs, together.designs, strict=True):
        assert one.prompts < other.prompts  # fewer units tell the variance, and the half prompt weighs four


def test_ragged_prompts_weigh_as_they_are_many() -> None:
    rng = np.random.default_rng(13)
    p = rng.beta(0.5, 2.0, size=90)
    sizes = np.repeat([4, 16], [80, 10])
    rewards = np.concatenate([rng.random(n) < q for n, q in zip(sizes, p, strict=True)])
    ids = np.repeat(np.arange(90), sizes)
    found = ml.pass_at_k(rewards, (1, 3), group_ids=ids)
    made = plan(found, 0.02)
    within = found.fixed_prompts_error[0] ** 2 * 90  # the mean over prompts of their variances
    error = np.sqrt(2 * within / 90)
    half = half_width(2 * within, 90, confidence=0.95, width=1.0)
    expected = norm.cdf((0.02 - half) / error) + norm.cdf((-0.02 - half) / error)
    assert made.power_now[1] == pytest.approx(expected, rel=0.2)  # variances are pooled over sizes
    assert np.isnan(made.power_now[3])  # 80 of the prompts have not 6 rollouts


def test_a_design_is_the_fewest_prompts() -> None:
    rng = np.random.default_rng(14)
    pilot = ml.pass_at_k(drawn(rng.beta(0.5, 2, size=80), 8, rng), 1)
    for each in plan(pilot, 0.1, power=0.9).designs:
        products = shared(pilot, 1)
        variance = 2 * variance_at(products, each.rollouts)
        powers = []
        for prompts in (each.prompts - 1, each.prompts):
            half = half_width(variance, prompts, confidence=0.95, width=1.0)
            error = np.sqrt(variance / prompts)
            powers.append(norm.cdf((0.1 - half) / error) + norm.cdf((-0.1 - half) / error))
        assert powers[0] < 0.9 <= powers[1]


def test_a_plan_prints_as_lines() -> None:
    rng = np.random.default_rng(15)
    pilot = ml.pass_at_k(drawn(rng.beta(0.5, 2, size=80), 8, rng), 1)
    lines = str(plan(pilot, 0.05)).splitlines()
    assert lines[0] == "a difference of 0.05, found with chance 0.8, takes"
    assert sum("fewest rollouts in all" in line for line in lines) == 1
    assert "found with chance" in lines[-2]
