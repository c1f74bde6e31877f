"""Accumulators: merging loses nothing, no order of arrival shows, and bytes bring back every bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from maxpo_lab.monte_carlo.accumulators import (
    BINS,
    Accumulator,
    Average,
    Comoments,
    Scatter,
    ShardTree,
    at_most,
    exponents,
    merge,
)

EPS = float(np.finfo(float).eps)
OFFSET = 1e8


def scatter_of(rows: np.ndarray) -> Scatter:
    """One rule's vectors (count, d), in two passes."""
    mean = rows.mean(axis=0)
    return Scatter(len(rows), mean[None], np.array([np.sum((rows - mean) ** 2)]))


def comoments_of(rows: np.ndarray) -> Comoments:
    centered = rows - rows.mean(axis=0)
    return Comoments(len(rows), rows.mean(axis=0), centered.T @ centered)


def pieces_far_from_zero() -> list[np.ndarray]:
    """Unit spread around 1e8, where a difference of sums of squares keeps no digit; pieces of all sizes."""
    rows = OFFSET + np.random.default_rng(0).normal(size=(1500, 3))
    return np.split(rows, [1, 3, 40, 41, 300, 900, 1498])


def check_merged_like_two_passes(join: Callable[[Any, Any], Any]) -> None:
    pieces = pieces_far_from_zero()
    rows = np.concatenate(pieces).astype(np.longdouble)
    exact = rows - rows.mean(axis=0)
    count, spread = len(rows), float(np.sum(exact**2))
    # Means near 1e8 are off by half an ulp of it at each of the merges; so is a step between them, whose
    # square is at most the scatter over the smaller count.
    slip = 2 * EPS * OFFSET
    bound = len(pieces) * (2 * slip * np.sqrt(spread * count) + count * slip**2)
    assert bound < 1e-4 * spread
    scatter, comoment = scatter_of(pieces[0]), comoments_of(pieces[0])
    for piece in pieces[1:]:
        scatter, comoment = join(scatter, scatter_of(piece)), join(comoment, comoments_of(piece))
    assert scatter.count == comoment.count == count
    np.testing.assert_allclose(scatter.mean[0], rows.mean(axis=0).astype(float), rtol=8 * len(pieces) * EPS)
    np.testing.assert_allclose(scatter.scatter, [spread], rtol=0, atol=bound)
    np.testing.assert_allclose(comoment.comoment, (exact.T @ exact).astype(float), rtol=0, atol=bound)
    np.testing.assert_allclose(comoment.covariance(), np.cov(exact.T.astype(float)), rtol=0, atol=bound)


def test_merging_far_from_zero_equals_two_passes() -> None:
    check_merged_like_two_passes(lambda a, b: a.merge(b))


def without_the_cross_term(a: Any, b: Any) -> Any:
    right = a.merge(b)
    if isinstance(a, Scatter):
        return replace(right, scatter=a.scatter + b.scatter)
    return replace(right, comoment=a.comoment + b.comoment)


def mean_of_means(a: Any, b: Any) -> Any:
    return replace(a.merge(b), mean=(a.mean + b.mean) / 2)


def by_sums_of_squares(a: Any, b: Any) -> Any:
    right = a.merge(b)
    if isinstance(a, Comoments):
        return right
    raw = sum(x.scatter + x.count * np.sum(x.mean**2) for x in (a, b))
    return replace(right, scatter=raw - right.count * np.sum(right.mean**2))


@pytest.mark.parametrize("mutant", [without_the_cross_term, mean_of_means, by_sums_of_squares])
def test_a_broken_merge_is_caught(mutant: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(AssertionError):
        check_merged_like_two_passes(mutant)


def test_covariance_has_bessels_denominator() -> None:
    rows = np.array([[0.0], [2.0]])
    assert comoments_of(rows).covariance() == [[2.0]]


def test_averages_weigh_by_count() -> None:
    joined = Average(0, np.zeros(2)).merge(Average(0, np.zeros(2))).merge(Average(3, np.array([1.0, 5.0])))
    assert joined.weight == 3
    np.testing.assert_array_equal(joined.value, [1.0, 5.0])
    np.testing.assert_allclose(joined.merge(Average(1, np.array([5.0, 1.0]))).value, [2.0, 4.0], rtol=1e-15)


@pytest.mark.parametrize("threshold", [0.0, 5e-324, 1e-300, 2.0**-30, 0.3, 1.0, 1e308])
def test_the_histogram_counts_what_is_small(threshold: float) -> None:
    powers = 2.0 ** np.arange(-1074, 1024)
    values = np.concatenate([powers, 0.75 * powers[2:], np.zeros(7)])
    # Down to a power of 2: everything below it counts, nothing above the threshold does.
    floor = 2.0 ** np.floor(np.log2(threshold)) if threshold else 0.0
    histogram = exponents(torch.tensor(values[None]))
    counted = int(at_most(histogram, np.array([threshold]))[0])
    assert histogram.shape == (1, BINS)
    assert histogram.sum() == len(values)
    assert counted == np.sum((values < floor) | (values == 0))


def test_each_rule_has_a_histogram_of_its_own() -> None:
    histogram = exponents(torch.tensor([[0.0, 1.0, 1.5], [0.0, 0.0, 1e-9]], dtype=torch.float64))
    np.testing.assert_array_equal(at_most(histogram, np.array([0.5, 1.0])), [1, 3])


def part(shard: int) -> Accumulator:
    """What shard number ``shard`` of two rules on three parameters might leave behind."""
    rng = np.random.default_rng(shard)
    count = int(rng.integers(3, 9))
    vectors = rng.normal(size=(2, count, 3)) + 100
    mean = vectors.mean(axis=1)
    return Accumulator(
        names=("maxpo", "mine"),
        n=4,
        k=2,
        prompts=1,
        seed=11,
        start=shard,
        stop=shard + 1,
        estimates=Scatter(count, mean, np.sum((vectors - mean[:, None]) ** 2, axis=(1, 2))),
        scalars=comoments_of(rng.normal(size=(count, 8))),
        pull=Average(count, rng.normal(size=(2, 2, 3))),
        spread=Average(count, rng.normal(size=2)),
        sizes=exponents(torch.tensor(rng.exponential(size=(2, count)))),
        sum_max=rng.exponential(size=2),
    )


def bits(accumulator: Accumulator) -> list[Any]:
    """Everything in it, floats as bytes."""

    def flat(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.shape, value.dtype.str, value.tobytes()
        return [flat(getattr(value, f.name)) for f in fields(value)] if hasattr(value, "merge") else value

    return [flat(getattr(accumulator, f.name)) for f in fields(accumulator)]


def collected(order: Any) -> Accumulator:
    tree = ShardTree()
    for shard in order:
        tree.add(part(shard))
    return tree.total()


def test_no_order_of_arrival_changes_a_bit() -> None:
    expected = bits(collected(range(5)))
    assert all(bits(collected(order)) == expected for order in permutations(range(5)))
    orders = (np.random.default_rng(s).permutation(21).tolist() for s in range(20))
    expected = bits(collected(range(21)))
    assert all(bits(collected(order)) == expected for order in orders)


def test_nodes_of_the_tree_may_come_ready_made() -> None:
    tree = ShardTree()
    for low, high in [(4, 6), (6, 7), (0, 4)]:
        tree.add(collected_range(low, high))
    assert bits(tree.total()) == bits(collected(range(7)))


def collected_range(low: int, high: int) -> Accumulator:
    """A node: its two halves, merged."""
    if high == low + 1:
        return part(low)
    middle = (low + high) // 2
    return merge(collected_range(low, middle), collected_range(middle, high))


def test_shards_in_order_leave_few_nodes() -> None:
    tree = ShardTree()
    for shard in range(200):
        tree.add(part(shard))
        assert len(tree._nodes) == (shard + 1).bit_count()


def test_all_shards_are_in_the_total() -> None:
    total = collected([2, 0, 1])
    assert (total.start, total.stop) == (0, 3)
    assert total.groups == sum(part(shard).groups for shard in range(3))
    np.testing.assert_array_equal(total.sizes, sum(part(shard).sizes for shard in range(3)))
    np.testing.assert_array_equal(total.sum_max, np.max([part(shard).sum_max for shard in range(3)], axis=0))


def test_bytes_bring_back_every_bit() -> None:
    for accumulator in (part(3), collected(range(6))):
        data = accumulator.to_bytes()
        assert bits(Accumulator.from_bytes(data)) == bits(accumulator)
        assert Accumulator.from_bytes(data).to_bytes() == data
    tree = ShardTree()
    for shard in (1, 0, 2):
        tree.add(Accumulator.from_bytes(part(shard).to_bytes()))
    assert bits(tree.total()) == bits(collected(range(3)))


@pytest.mark.parametrize("where", [0, 40, 400, 1000, -30])
def test_damaged_bytes_are_refused(where: int) -> None:
    data = bytearray(part(0).to_bytes())
    data[where] ^= 0xFF
    with pytest.raises(ValueError, match=r"is damaged: measure its shards again"):
        Accumulator.from_bytes(bytes(data))


@pytest.mark.parametrize("data", [b"", b"not a file", part(0).to_bytes()[:-50]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not an accumulator"):
        Accumulator.from_bytes(data)


@dataclass(frozen=True)
class Wrong:
    change: dict[str, Any]
    message: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong({"seed": 12}, r"seed=12, left 11: merge shards of one run"),
        Wrong({"n": 8}, r"n=8, left 4"),
        Wrong({"names": ("maxpo", "theirs")}, r"names=\('maxpo', 'theirs'\)"),
        Wrong({"start": 2, "stop": 3}, r"right starts at shard 2: left stops before 1"),
        Wrong({"estimates": Scatter(3, np.zeros((2, 4)), np.zeros(2))}, "another policy or gradient"),
        Wrong({"scalars": comoments_of(np.eye(12))}, "another policy or gradient"),
    ],
    ids=lambda wrong: next(iter(wrong.change)),
)
def test_shards_of_another_run_do_not_merge(wrong: Wrong) -> None:
    with pytest.raises(ValueError, match=wrong.message):
        merge(part(0), replace(part(1), **wrong.change))


def test_the_tree_refuses_what_does_not_fit() -> None:
    tree = ShardTree()
    with pytest.raises(ValueError, match="shard 0 is missing"):
        tree.total()
    tree.add(part(0))
    with pytest.raises(ValueError, match="shards 0 to 0: some are here already"):
        tree.add(part(0))
    with pytest.raises(ValueError, match="shards 1 to 2: give 2\\^l"):
        tree.add(merge(part(1), part(2)))
    tree.add(part(3))
    with pytest.raises(ValueError, match="shard 1 is missing"):
        tree.total()
