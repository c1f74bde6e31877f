r"""majority@k: what the most frequent answer of k rollouts is worth, unbiased from n >= k of them."""

from __future__ import annotations

from math import comb
from numbers import Real
from typing import Any

import numpy as np

from ...core import ragged
from ...core.arrays import Float, Int
from .estimates import PerPrompt, refuse_largest, refuse_smallest
from .prompts import Prompts

#: Binomial coefficients of more rollouts are beyond float64.
_MOST = 1000


def majority_estimates(prompts: Prompts, ks: Int, answers: Any) -> PerPrompt:
    r"""Mean over all k-subsets of a prompt's rollouts of the reward of the subset's most frequent answer.

    Ties are broken by lot: answers that are equally frequent count by their share. A rollout without an
    answer (None, NaN) has no vote, and a subset without any vote is worth 0. Where rollouts of one answer
    have different rewards, the answer is worth their mean.

    With m_j the rollouts of answer j, each worth r_j on average, the number of subsets in which the answers
    of a set T are the most frequent, v times each, is the coefficient of x^(k - v|T|) of
    ``prod_(j in T) C(m_j, v) prod_(j not in T) sum_(u < v) C(m_j, u) x^u``, summed over v and T by a
    recursion over the answers that keeps the number of rollouts drawn and the size of T.

    Parameters
    ----------
    prompts
        Rollouts by prompt.
    ks
        The k's, (K,).
    answers
        One answer a reward, as rewards have been given: numbers, text, or other ids of one kind.

    Returns
    -------
    PerPrompt
        Without an estimate of the variance within prompts.

    Raises
    ------
    ValueError
        Another number of answers than rewards; a prompt with more than 1000 rollouts; negative rewards where
        answers are missing.

    Notes
    -----
    Cost per prompt O(n k^2 log k).
    """
    rewards = prompts.checked_rewards()
    scored = rewards if prompts.order is None else rewards[prompts.order]
    lowest, highest = float(scored.min()), float(scored.max())
    refuse_largest(lowest, highest)
    refuse_smallest(lowest, highest)
    votes = _votes(answers, len(rewards))
    largest, values = int(ks.max()), np.full((len(ks), len(prompts.sizes)), np.nan)
    starts = np.cumsum(prompts.sizes) - prompts.sizes
    for prompt, (start, size) in enumerate(zip(starts.tolist(), prompts.sizes.tolist(), strict=True)):
        fits = ks <= size
        if not size or not fits.any():
            continue
        if size > _MOST:
            raise ValueError(
                f"prompt {ragged.shortened(str(prompts.ids[prompt]))} has {size} rollouts: majority@k is "
                f"worked out for {_MOST} at most; evaluate a part of them"
            )
        rows = slice(start, start + size) if prompts.order is None else prompts.order[start : start + size]
        own, worth = votes[rows], rewards[rows]
        voted = own >= 0
        _, answer = np.unique(own[voted], return_inverse=True)
        counts = np.bincount(answer)
        means = np.bincount(answer, weights=worth[voted]) / np.maximum(counts, 1)
        silent = int(size - voted.sum())
        scale = float(np.abs(means).max(initial=0.0)) or 1.0  # numbers of subsets reach 1e299
        sums = _sums(counts.tolist(), (means / scale).tolist(), silent, min(largest, size))
        shares = [sums[k] / comb(size, k) for k in ks[fits].tolist()]
        worths = np.append(means, 0.0) if silent else means
        values[fits, prompt] = np.clip(np.multiply(shares, scale), worths.min(), worths.max())  # of rounding
    if (votes if prompts.order is None else votes[prompts.order]).min() < 0:  # then 0 is a worth, too
        if lowest < 0.0:
            raise ValueError(
                f"rewards reach {lowest:g} and answers are missing: rollouts without an answer are worth 0, "
                f"more than a wrong one; make 0 of failures, or threshold=..."
            )
        highest, lowest = max(highest, 0.0), 0.0
    successes = bool(np.isin(scored, (0.0, 1.0)).all())
    return PerPrompt(values, np.full(len(ks), np.nan), lowest, highest, successes)


def _votes(answers: Any, rows: int) -> Int:
    """Answers as numbers, -1 where there is none."""
    given = _flat(answers)
    if len(given) != rows:
        raise ValueError(f"answers has {len(given)} entries, there are {rows} rewards: one answer a reward")
    known = [place for place, answer in enumerate(given) if not ragged.is_missing(answer)]
    votes = np.full(rows, -1, dtype=np.intp)
    if known and all(
        isinstance(given[place], Real) and not isinstance(given[place], bool) for place in known
    ):
        _, votes[known] = np.unique([float(given[place]) for place in known], return_inverse=True)
        return votes
    try:
        votes[known] = ragged.codes([given[place] for place in known], len(known), "answers") if known else -1
    except ragged.GroupIdError as error:
        raise ragged.GroupIdError(known[error.row], error.reason, "answers") from error
    return votes


def _is_number(answer: Any) -> bool:
    return isinstance(answer, Real) and not isinstance(answer, (bool, np.bool_))


def _flat(answers: Any) -> list[Any]:
    """Answers in a row: those of rewards (P, n) may come as P rows."""
    rows = answers.tolist() if hasattr(answers, "tolist") else list(answers)
    nested = bool(rows) and all(isinstance(row, (list, tuple, np.ndarray)) for row in rows)
    return [answer for row in rows for answer in _flat(row)] if nested else rows


def _sums(counts: list[int], means: list[float], silent: int, largest: int) -> Float:
    """Sum over all k-subsets of the worth of their majority, for k = 0..largest."""
    total = np.zeros(largest + 1)
    for votes in range(1, min(max(counts, default=0), largest) + 1):
        # ways[t, u] and worth[t, u]: u rollouts drawn, t answers drawn `votes` times, none more often
        ties = largest // votes
        ways, worth = np.zeros((ties + 1, largest + 1)), np.zeros((ties + 1, largest + 1))
        quiet = min(silent, largest)
        ways[0, : quiet + 1] = [comb(silent, u) for u in range(quiet + 1)]
        for count, mean in zip(counts, means, strict=True):
            next_ways, next_worth = np.zeros_like(ways), np.zeros_like(worth)
            for drawn in range(min(count, votes, largest) + 1):
                chances = float(comb(count, drawn))
                left, tied = largest + 1 - drawn, int(drawn == votes)
                to, source = np.s_[tied:, drawn:], np.s_[: ties + 1 - tied, :left]
                next_ways[to] += chances * ways[source]
                next_worth[to] += chances * (worth[source] + (mean if tied else 0.0) * ways[source])
            ways, worth = next_ways, next_worth
        total += (worth[1:] / np.arange(1, ties + 1)[:, None]).sum(axis=0)
    return total
