"""Ranks of rewards by integer keys, against NumPy's own sort."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from maxpo_lab.kernels.ranks import Ranks, blocks, width_of

Values = npt.NDArray[np.floating]


def _neighbours(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Rewards that differ in their last bit alone, in any order."""
    steps = rng.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=-1)
    found: Values = (np.full(shape, 0.7).view(np.int64) + steps).view(np.float64)
    return found


def _signed_zeros(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    return rng.choice([-1e-310, -0.0, 0.0, 1e-310, 5e-324], shape)


DRAWN: dict[str, Callable[[np.random.Generator, tuple[int, int]], Values]] = {
    "uniform": lambda rng, shape: rng.random(shape),
    "both signs": lambda rng, shape: rng.standard_normal(shape),
    "negative": lambda rng, shape: -rng.random(shape),
    "0/1": lambda rng, shape: (rng.random(shape) < 0.3) * 1.0,
    "flat": lambda rng, shape: np.full(shape, -0.1),
    "all sizes": lambda rng, shape: rng.standard_normal(shape) * 10.0 ** rng.integers(-300, 300, shape),
    "neighbours": _neighbours,
    "negative neighbours": lambda rng, shape: -_neighbours(rng, shape),
    "signed zeros": _signed_zeros,
    "infinite": lambda rng, shape: rng.choice([-np.inf, -1.0, 0.5, np.inf], shape),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("drawn", DRAWN)
@pytest.mark.parametrize(("groups", "n"), [(1, 1), (3, 2), (40, 16), (9, 63), (9, 64), (5, 130), (2, 5000)])
def test_ranks_are_those_of_a_sort(groups: int, n: int, drawn: str, dtype: type) -> None:
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # float32 holds less, and infinity has no gap to itself
        rewards = DRAWN[drawn](np.random.default_rng(n), (groups, n)).astype(dtype)
        for by_rows in (True, False):
            ranks = Ranks.of(groups, n, rewards.dtype, by_rows=by_rows)
            ranks.sort(rewards)
            expected = np.sort(rewards, axis=-1).T
            np.testing.assert_array_equal(ranks.ranked, expected)
            np.testing.assert_array_equal(ranks.gaps, np.diff(expected.astype(np.float64), axis=0))
            places = ranks.places if by_rows else ranks.places.T
            members = places - np.arange(0, groups * n, n)
            assert (np.sort(members, axis=0) == np.arange(n)[:, None]).all()
            np.testing.assert_array_equal(rewards.reshape(-1)[places], expected)


def test_keys_alone_would_mistake_neighbours() -> None:
    """Rewards that differ where their place in the group stands in a key: the check for this is needed."""
    rewards = _neighbours(np.random.default_rng(1), (4, 16))
    keys = np.sort((rewards.view(np.int64) & ~15) | np.arange(16), axis=-1)
    by_keys = np.take_along_axis(rewards, keys & 15, axis=-1)
    assert (np.diff(by_keys, axis=-1) < 0).any()


def test_rewards_are_left_as_they_are() -> None:
    rewards = np.random.default_rng(2).standard_normal((6, 16))
    given = rewards.copy()
    Ranks.of(6, 16, rewards.dtype, by_rows=True).sort(rewards)
    np.testing.assert_array_equal(rewards, given)


def test_blocks_hold_every_group_and_are_alike() -> None:
    for groups in [*range(1, 40), 511, 512, 513, 1000, 4096, 100_003]:
        for most in (1, 7, 512, 2048):
            for by_rows in (True, False):
                width = width_of(groups, most, by_rows=by_rows)
                found = blocks(groups, width)
                assert {block.stop - block.start for block in found} == {width}
                held = np.zeros(groups, bool)
                for block in found:
                    held[block] = True
                assert held.all()
                assert width <= most + 16
                assert len(found) * width < groups + width + 16 * len(found)
