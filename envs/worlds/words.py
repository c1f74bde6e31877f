"""Words over a small vocabulary: what a sequence task is asked and what is written, drawn and checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Int64


def draw_words(count: int, length: int, vocabulary: int, seed: int | None) -> Int64:
    """``count`` distinct words, all alike likely, in lexicographic order: (count, length).

    ``seed`` is that of the draw, 0 where None. Raises ValueError for a seed below 0.
    """
    seed = 0 if seed is None else whole_number(seed, "seed")
    if seed < 0:
        raise ValueError(f"seed={seed}: must be at least 0")
    rng = np.random.default_rng(seed)
    words: dict[tuple[int, ...], None] = {}
    while len(words) < count:
        drawn = rng.integers(vocabulary, size=(count, length))
        words.update(dict.fromkeys(map(tuple, drawn.tolist())))
    return np.array(sorted(list(words)[:count]), dtype=np.int64)


def as_words(words: npt.ArrayLike, length: int, vocabulary: int, name: str) -> Int64:
    """Words (N, length) as int64, checked to be of the length and of tokens 0 to ``vocabulary - 1``."""
    try:
        array = np.asarray(words)
    except ValueError:
        raise ValueError(f"{name} are of different lengths: every one must have {length} tokens") from None
    if array.ndim != 2 or array.shape[1] != length:
        raise ValueError(f"{name} have shape {array.shape}: expected (N, {length}), {length} tokens each")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} have dtype {array.dtype}: tokens are integers")
    if array.size and not (array.min() >= 0 and array.max() < vocabulary):
        raise ValueError(
            f"{name} have tokens from {array.min()} to {array.max()}: must be 0 to {vocabulary - 1}"
        )
    return array.astype(np.int64)
