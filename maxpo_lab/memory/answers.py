r"""How many right answers a prompt has: what share of pairs of its right rollouts agree.

Over pairs of right rollouts of one group, the chance that both gave the same answer is ``sum_a q_a^2``, q the
shares of the right answers: 1 where there is one, 1/G where G are alike. Where it is near 1 all successes
share a score, and ``plug-in-floor`` has the lower variance; else ``replay`` has. With a fair history the two
meet between 0.5 and 0.7 (n of 8 and 16, K of 4 and 8, p of 0.1 to 0.8), so the choice is made at 0.6. It is
made from pairs of earlier groups alone, so it is no function of the group's rewards and biases nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arrays import Bool, Float, Int
from ..core.ragged import codes

#: Share of agreeing pairs from which on a prompt is taken to have one right answer.
ONE_ANSWER = 0.6
#: Pairs that the share of all prompts weighs in the share of one.
_PRIOR = 3.0


def coded(answers: Any, shape: tuple[int, ...], scored: Bool | None) -> npt.NDArray[np.intp]:
    """A number (rows,) for each answer, equal where answers are; those of unscored rollouts are not read.

    ValueError: another shape than the rewards; else as ``core.ragged.by_id``, of ``answers``.
    """
    flat = answers.reshape(-1) if hasattr(answers, "reshape") else _flattened(answers, shape)
    rows = int(np.prod(shape))
    given = tuple(answers.shape) if hasattr(answers, "shape") else (len(flat),)
    if len(flat) != rows or (hasattr(answers, "shape") and given != shape):
        raise ValueError(f"answers have shape {given}, rewards {shape}: one answer a rollout")
    if scored is None:
        return codes(flat, rows, "answers")
    kept = np.flatnonzero(scored)
    found = np.zeros(rows, np.intp)
    if len(kept):
        found[kept] = codes([flat[row] for row in kept.tolist()], len(kept), "answers")
    return found


def _flattened(answers: Any, shape: tuple[int, ...]) -> list[Any]:
    if isinstance(answers, str | bytes) or not hasattr(answers, "__len__"):
        raise TypeError(f"answers is a {type(answers).__name__}: it must hold one text or hash a rollout")
    if len(shape) == 1:
        return list(answers)
    if [len(row) for row in answers] != [shape[1]] * shape[0]:
        raise ValueError(f"answers have rows of other lengths than rewards of shape {shape}: one a rollout")
    return [each for row in answers for each in row]


def agreement(answers: Int, right: Bool) -> tuple[Float, Float]:
    """Pairs of right rollouts that agree, and all pairs of these, (G,) each, of groups (G, n)."""
    wrong = -1 - np.arange(answers.shape[1])  # equal to nothing
    ranked = np.sort(np.where(right, answers, wrong), axis=-1)
    start = np.ones(ranked.shape, np.bool_)
    start[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    place = np.arange(ranked.shape[1])
    before = place - np.maximum.accumulate(np.where(start, place, 0), axis=-1)
    count = right.sum(axis=-1)
    return before.sum(axis=-1).astype(np.float64), count * (count - 1) / 2


def shares(equal: Float, pairs: Float, totals: tuple[float, float]) -> Float:
    """The share (G,) of each prompt's pairs that agree, drawn to that of all prompts; 0 where none is known.

    ``equal`` and ``pairs`` are each prompt's earlier counts, ``totals`` their sums over all prompts.
    """
    everyone = totals[0] / totals[1] if totals[1] > 0 else 0.0
    return (equal + _PRIOR * everyone) / (pairs + _PRIOR)
