"""Count states: each once, with the multinomial probability in rationals; arrangements likewise."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import accumulate, product, repeat
from math import comb, factorial, lcm, prod
from operator import mul

import numpy as np
import pytest
from checks import EPS

from maxpo_lab.moments import states
from maxpo_lab.moments.count_sums import sums_by_level
from maxpo_lab.rules.samples import sample_groups

CASES = [
    (1, [1.0]),
    (5, [1.0]),
    (1, [0.3, 0.7]),
    (7, [0.3, 0.7]),
    (6, [0.2, 0.5, 0.3]),
    (4, [0.1, 0.2, 0.3, 0.4]),
    (3, [0.125] * 8),
]


def all_states(n: int, probabilities: list[float]) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(states.count_blocks(n, np.array(probabilities)))
    return np.concatenate([b.level for b in blocks]), np.concatenate([b.probability for b in blocks])


def multinomial(counts: list[int], probabilities: list[float]) -> Fraction:
    """Exactly, of the float probabilities over their exact sum."""
    p = [Fraction(x) for x in probabilities]
    ways = factorial(sum(counts)) // prod(factorial(c) for c in counts)
    return ways * prod((x / sum(p)) ** c for x, c in zip(p, counts, strict=True))


def tolerance(n: int, size: int) -> float:
    """Of a relative error: for each level but the last, n factors of 4 roundings and a ratio's own error
    (L roundings of a tail sum) to the n-th power, a sum of n terms, eps/2 each."""
    return (size - 1) * n * (size + 8) * EPS


@pytest.mark.parametrize(("n", "probabilities"), CASES)
def test_every_state_once_with_its_probability(n: int, probabilities: list[float]) -> None:
    size = len(probabilities)
    level, probability = all_states(n, probabilities)
    assert (np.diff(level, axis=1) >= 0).all()
    seen = Counter(map(tuple, level.tolist()))
    assert len(level) == len(seen) == states.number_of_counts(n, size) == comb(n + size - 1, size - 1)
    for row, got in zip(level.tolist(), probability, strict=True):
        want = multinomial([row.count(index) for index in range(size)], probabilities)
        assert abs(Fraction(got) / want - 1) <= tolerance(n, size)
    assert abs(probability.sum() - 1) <= tolerance(n, size)


def test_blocks_bound_the_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = all_states(9, [0.2, 0.5, 0.3])
    monkeypatch.setattr(states, "BLOCK_ENTRIES", 40)
    blocks = list(states.count_blocks(9, np.array([0.2, 0.5, 0.3])))
    assert len(blocks) > 10
    assert max(block.level.size for block in blocks) <= 40
    np.testing.assert_array_equal(np.concatenate([b.level for b in blocks]), whole[0])
    np.testing.assert_array_equal(np.concatenate([b.probability for b in blocks]), whole[1])
    monkeypatch.setattr(states, "BLOCK_ENTRIES", 1)
    assert all(len(b.level) == 1 for b in states.count_blocks(9, np.array([0.5, 0.5])))


@pytest.mark.parametrize(("n", "size"), [(9, 3), (300, 2)])
def test_what_is_kept_of_groups_is_the_same_and_nobody_can_change_it(
    n: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    probabilities = np.full(size, 1.0 / size)
    for block in states.count_blocks(n, probabilities):
        block.level[:] = 0  # a copy of its own
        with pytest.raises(ValueError, match="read-only"):
            block.probability[:] = 0
    kept = all_states(n, probabilities.tolist()), states.count_table(n, probabilities)
    monkeypatch.setattr(states, "KEPT_ENTRIES", 0)
    made = all_states(n, probabilities.tolist()), states.count_table(n, probabilities)
    for one, other in zip(kept, made, strict=True):
        for first, second in zip(one, other, strict=True):
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("success", [1e-12, 1e-3, 0.3, 0.5, 1 - 2.0**-40])
@pytest.mark.parametrize("n", [64, 1024])
def test_binomial_in_integers(n: int, success: float) -> None:
    level, probability = all_states(n, [1 - success, success])
    count = level.sum(axis=1)
    fail, win = Fraction(1 - success), Fraction(success)
    common = lcm(fail.denominator, win.denominator)
    a, b = int(win * common), int(fail * common)
    total, tiny = (a + b) ** n, np.finfo(np.float64).tiny
    wins, fails = ([*accumulate(repeat(x, n), mul, initial=1)] for x in (a, b))
    for c, got in zip(count.tolist(), probability.tolist(), strict=True):
        want = comb(n, c) * wins[c] * fails[n - c] / total  # an int over an int rounds once
        # Below the normal floats nothing is promised but smallness.
        assert abs(got - want) <= tolerance(n, 2) * want + tiny
    assert abs(probability.sum() - 1) <= n * EPS


def test_three_levels_with_a_rare_one() -> None:
    probabilities = [0.75, 0.25 - 2.0**-40, 2.0**-40]
    level, probability = all_states(40, probabilities)
    for row, got in zip(level.tolist(), probability, strict=True):
        want = multinomial([row.count(index) for index in range(3)], probabilities)
        assert abs(Fraction(got) - want) <= tolerance(40, 3) * want + Fraction(np.finfo(np.float64).tiny)


@pytest.mark.parametrize("rare", [1e-300, 1e-310, 5e-324])
def test_the_smallest_probabilities(rare: float) -> None:
    level, probability = all_states(3, [1.0, rare])
    chance = dict(zip(level.sum(axis=1).tolist(), probability.tolist(), strict=True))
    assert chance[0] == 1
    # 3 p: one rounding, of a subnormal where p is one.
    assert abs(chance[1] - 3 * rare) <= max(8 * EPS * rare, 5e-324)
    assert chance[2] == chance[3] == 0


@pytest.mark.parametrize(("n", "size"), [(1, 3), (3, 2), (4, 3)])
def test_arrangements(n: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "BLOCK_ENTRIES", 10 * n)
    probabilities = np.array([0.2, 0.3, 0.5])[:size] / sum([0.2, 0.3, 0.5][:size])
    blocks = list(states.arrangement_blocks(n, probabilities))
    level = np.concatenate([b.level for b in blocks])
    assert sorted(map(tuple, level.tolist())) == list(product(range(size), repeat=n))
    for row, got in zip(level, np.concatenate([b.probability for b in blocks]), strict=True):
        assert abs(got / prod(probabilities[row]) - 1) <= n * EPS


def test_sums_over_the_levels_of_a_block() -> None:
    block = states.Block(np.array([[0, 0, 2], [1, 2, 2]]), np.array([0.5, 0.5]))
    values = np.array([[1.0, 2, 3], [4, 5, 6]])
    sums, squares = sums_by_level(block.level, (values, values**2), 3)
    assert sums.tolist() == [[3, 0, 3], [0, 4, 11]]
    assert squares.tolist() == [[5, 0, 9], [0, 16, 61]]


@pytest.mark.parametrize(("n", "size"), [(1, 1), (3, 2), (5, 4), (100, 3), (5000, 2), (40000, 3)])
def test_sample_groups(n: int, size: int) -> None:
    level = sample_groups(n, size)
    assert 1 <= len(level) <= 256
    assert level.shape[1] == n
    assert level.min() >= 0
    assert level.max() < size
    assert (np.diff(level, axis=1) >= 0).all()
    np.testing.assert_array_equal(level, sample_groups(n, size))
    if states.number_of_counts(n, size) <= 256 and n <= 512:
        assert len(set(map(tuple, level.tolist()))) == states.number_of_counts(n, size)
