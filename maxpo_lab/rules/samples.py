"""Groups that a rule is tried on, where not all that there are can be."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from ..core.arrays import Float, Int

#: Entries (groups x n) of a sample at most.
_ENTRIES = 1 << 17


@lru_cache(16)
def sample_groups(n: int, size: int) -> Int:
    """Level indices (B, n) of some groups, each sorted: every multiset of ``size`` levels where they are few.

    Otherwise at most 256 groups (fewer where n is large, 2 at the least) whose level
    frequencies are uniform on the simplex, with a fixed seed. Kept, and read-only.
    """
    found = _drawn(n, size)
    found.setflags(write=False)
    return found


def _drawn(n: int, size: int) -> Int:
    rows = int(np.clip(_ENTRIES // n, 2, 256))
    if comb(n + size - 1, size - 1) <= rows:
        return np.array([*combinations_with_replacement(range(size), n)][::-1], dtype=np.intp)
    rng = np.random.default_rng(0)
    share = np.cumsum(rng.dirichlet(np.ones(size), rows), axis=1)[:, :-1]
    return np.sort((rng.random((rows, n, 1)) > share[:, None, :]).sum(axis=-1), axis=1)


def sample_batches(
    rng: np.random.Generator, values: Float, shape: tuple[int, int, int], *, spread: float = 1.0
) -> Float:
    """Batches (B, P, n) of prompts of any difficulty: shares of the levels are Dirichlet of one parameter."""
    share = np.cumsum(rng.dirichlet(np.full(len(values), spread), shape[:2]), axis=-1)[..., None, :-1]
    return np.asarray(values[(rng.random((*shape, 1)) > share).sum(axis=-1)], dtype=np.float64)
