"""Estimates and variances of one prompt: equal to all subsets, unbiased over all groups."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations_with_replacement, product
from math import comb, factorial, prod

import numpy as np
import pytest
from checks import EPS
from subsets import Value, all_right, best, mean_share_right, over_subsets, share_right, square_over_pairs

import maxpo_lab as ml

GRADED = [Fraction(-3, 4), Fraction(0), Fraction(1, 4), Fraction(2)]
BINARY = [Fraction(0), Fraction(1)]
#: Measure, its value on a subset, and the rewards that it takes.
MEASURES: list[tuple[str, Value, list[Fraction]]] = [
    ("pass@k", best, GRADED),
    ("pass@k", best, BINARY),
    ("pass^k", all_right, BINARY),
    ("g-pass@k:0.5", share_right(Fraction(1, 2)), BINARY),
    ("g-pass@k:0.3", share_right(Fraction(3, 10)), BINARY),
    ("g-pass@k:1", share_right(Fraction(1)), BINARY),
    ("mg-pass@k", mean_share_right, BINARY),
]
NAMED = [f"{name}-{len(levels)}" for name, _, levels in MEASURES]
each_measure = pytest.mark.parametrize(("name", "value", "levels"), MEASURES, ids=NAMED)


def floats(group: Sequence[Fraction]) -> np.ndarray:
    return np.array(list(map(float, group)))


def groups_of(levels: list[Fraction], n: int, count: int) -> list[tuple[Fraction, ...]]:
    """All multisets where these are few, else some, shuffled."""
    rng = np.random.default_rng(n)
    found = list(combinations_with_replacement(levels, n))
    picked = [found[place] for place in rng.permutation(len(found))[:count]]
    return [tuple(group[place] for place in rng.permutation(n)) for group in picked]


@each_measure
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_estimates_are_means_over_subsets(name: str, value: Value, levels: list[Fraction], n: int) -> None:
    groups = groups_of(levels, n, 12)
    ks = range(1, n + 1)
    found = ml.pass_at_k(np.stack([floats(group) for group in groups]), ks, measure=name).per_prompt
    for group, row in zip(groups, found, strict=True):
        expected = [float(over_subsets(group, k, value)) for k in ks]
        np.testing.assert_allclose(row, expected, rtol=0, atol=8 * n * EPS * 2)


@each_measure
@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 2), (6, 3), (8, 4)])
def test_variances_with_fixed_prompts_are_means_over_pairs_of_subsets(
    name: str, value: Value, levels: list[Fraction], n: int, k: int
) -> None:
    for group in groups_of(levels, n, 6):
        expected = over_subsets(group, k, value) ** 2 - square_over_pairs(group, k, value)
        found = ml.pass_at_k(floats(group)[None], k, measure=name)
        if expected < 0:
            assert np.isnan(found.fixed_prompts_error[0])
            assert "negative" in " ".join(found.notes)
        else:  # squares of at most (2.75)^2, a few dozen roundings of each
            assert abs(float(found.fixed_prompts_error[0]) ** 2 - float(expected)) <= 64 * n * EPS * 8


def test_prompts_of_many_sizes_add_up() -> None:
    rng = np.random.default_rng(3)
    groups = [[GRADED[i] for i in rng.integers(4, size=size)] for size in (8, 4, 5, 8, 4, 6, 7)]
    ids = np.repeat(np.arange(7) * 10, [len(group) for group in groups])
    rewards = np.concatenate([floats(group) for group in groups])
    mixed = rng.permutation(len(ids))
    found = ml.pass_at_k(rewards[mixed], (1, 2), group_ids=ids[mixed])
    np.testing.assert_array_equal(found.rollouts, [8, 4, 5, 8, 4, 6, 7])
    for place, k in enumerate((1, 2)):
        values = [over_subsets(group, k, best) for group in groups]
        squares = [square_over_pairs(group, k, best) for group in groups]
        within = sum(value**2 - square for value, square in zip(values, squares, strict=True))
        np.testing.assert_allclose(found.estimate[place], float(sum(values) / 7), rtol=32 * EPS)
        np.testing.assert_allclose(found.fixed_prompts_error[place], (float(within) ** 0.5) / 7, rtol=1e-13)


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 2), (5, 2), (6, 3), (8, 4)])
def test_the_variance_with_fixed_prompts_is_unbiased(n: int, k: int) -> None:
    chances = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    levels = [Fraction(0), Fraction(1, 2), Fraction(1)]
    mean, square, estimated = Fraction(0), Fraction(0), 0.0
    for counts in product(range(n + 1), repeat=2):
        if (last := n - sum(counts)) < 0:
            continue
        spread = (*counts, last)
        ways = factorial(n) // prod(map(factorial, spread))
        chance = ways * prod(p**c for p, c in zip(chances, spread, strict=True))
        group = [level for level, c in zip(levels, spread, strict=True) for _ in range(c)]
        value = over_subsets(group, k, best)
        mean, square = mean + chance * value, square + chance * value**2
        found = ml.pass_at_k(floats(group)[None], k)
        if "negative" in " ".join(found.notes):
            estimated += float(chance * (value**2 - square_over_pairs(group, k, best)))
        else:
            estimated += float(chance) * float(found.fixed_prompts_error[0]) ** 2
    assert abs(estimated - float(square - mean**2)) <= 1e-13


@pytest.mark.parametrize("clustered", [False, True])
def test_the_error_over_prompts_is_unbiased_for_any_n(clustered: bool) -> None:
    """All samples of two units of two kinds, groups of n = k = 2: nothing but the sample is random."""
    n, k = 2, 2
    kinds = [Fraction(1, 5), Fraction(3, 4)]  # chance of success; each kind of prompt comes with chance 1/2
    states = [
        (Fraction(1, 2) * comb(n, c) * p**c * (1 - p) ** (n - c), c) for p in kinds for c in range(n + 1)
    ]
    units = 3
    mean, square, estimated = Fraction(0), Fraction(0), 0.0
    for sample in product(states, repeat=units):
        chance = prod(p for p, _ in sample)
        groups = [[1.0] * c + [0.0] * (n - c) for _, c in sample]
        options = {}
        if clustered:  # every prompt comes twice, as a cluster
            groups = [group for group in groups for _ in range(2)]
            options = {"clusters": np.repeat(["a", "b", "c"], 2)}
        found = ml.pass_at_k(np.array(groups), k, **options)
        value = sum(Fraction(c > 0) for _, c in sample) / units
        mean, square = mean + chance * value, square + chance * value**2
        estimated += float(chance) * float(found.standard_error[0]) ** 2
    assert abs(estimated - float(square - mean**2)) <= 1e-14


def test_large_groups_keep_rows_and_agree_with_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rewards = rng.random((5, 40))
    expected = ml.pass_at_k(rewards, (1, 7, 20)).fixed_prompts_error
    monkeypatch.setattr("maxpo_lab.evaluation.per_prompt.products._LARGEST_MATRIX", 8)
    np.testing.assert_allclose(ml.pass_at_k(rewards, (1, 7, 20)).fixed_prompts_error, expected, rtol=1e-11)


def test_estimates_agree_with_the_value_estimate_and_keep_flat_groups() -> None:
    rng = np.random.default_rng(1)
    rewards = rng.normal(size=(50, 33)) * 10.0 ** rng.integers(-3, 4, size=(50, 1))
    found = ml.pass_at_k(rewards, range(1, 34)).per_prompt
    for k in range(1, 34):
        scale = np.abs(rewards).max(axis=1)
        assert (np.abs(found[:, k - 1] - ml.value_estimate(rewards, k)) <= 33 * 8 * EPS * scale).all()
    flat = ml.pass_at_k(np.full((3, 7), 0.7), range(1, 8))
    assert (flat.per_prompt == 0.7).all()
    assert (flat.estimate == 0.7).all()
    certain = np.array([[1.0] * 4 + [0.0] * 3] * 2)  # every subset of 4 has a success
    assert (ml.pass_at_k(certain, (4, 5, 6, 7)).per_prompt == 1.0).all()


@pytest.mark.parametrize("measure", ["pass^k", "g-pass@k:0.5", "mg-pass@k"])
def test_successes_that_decide_every_subset_give_0_or_1_and_an_interval(measure: str) -> None:
    """-1e-16 in place of 0 would be outside of the bounds, and without an interval."""
    for n in range(1, 25):
        few = np.repeat([[1.0] + [0.0] * (n - 1)], 3, axis=0)
        ks = [k for k in range(1, n + 1) if k > 2]
        for rewards, due in ((few, 0.0), (np.ones((3, n)), 1.0)):
            if ks:
                found = ml.pass_at_k(rewards, ks, measure=measure)
                assert (found.per_prompt == due).all()
                assert np.isfinite([found.low, found.high]).all()
