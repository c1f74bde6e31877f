r"""Prompts that meet in the sum of the batch's rewards: the successes of the others are Poisson-binomial.

On two reward levels a group is the number c of its rollouts with the higher one, a batch the sum S of these,
and the advantages of a group are a function of (c, S). With ``pi_j`` the law of c at place j,

.. math:: E f(x_j) = \sum_c \pi_j(c) \sum_S P(\text{others} = S - c)\, f(x_j(c, S)),

for any P: the laws of the others are convolutions, taken directly, as differences of them would lose what is
rare. Pairs of places need x for every S. That is written as ``sum_r u_r(c) v_r(S)``, mostly of one term or
two, so that

.. math:: E \sum_{j \ne j'} \langle x_j, x_{j'} \rangle = \sum_{r, r'} \sum_S v_r(S) v_{r'}(S)
          \sum_{j \ne j'} [\pi_j u_r * \pi_{j'} u_{r'} * \text{the others}](S),

of which the last sum is a recursion over the places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....core.arrays import Bool, Float, Int
from ....rules import BatchCalls, CoupledRowsError
from ...from_sums import DEAD
from ..coupled import Coupled, prompt_sums
from ..meeting import Meeting
from .others import all_but_each

#: Batches on which a rule is held to its statistic.
_TRIED = 16


@dataclass(frozen=True, eq=False)
class Table:
    """What a group with c successes gets in a batch with S, (n+1, N+1) each; NaN where that cannot be.

    ``sums`` and ``squares`` are of A and A^2 over the failures and over the successes, (n+1, N+1, 2).
    """

    sums: Float
    squares: Float
    largest: Float

    @property
    def dead(self) -> Bool:
        """Where every advantage is 0."""
        return np.asarray(self.largest <= DEAD * np.nanmax(self.largest))


def why_not(meeting: Meeting) -> str | None:
    """Reason why a batch is more than its number of successes; else None."""
    values = _values(meeting)
    if len(values) <= 2:
        return None
    return (
        f"the prompts have {len(values)} reward levels, {values.tolist()}: a sum tells the state of a batch "
        f"where there are two"
    )


def by_shared_sum(calls: BatchCalls, meeting: Meeting) -> Coupled:
    """The sums of each prompt.

    Cost O(P^2 n^2) and, where prompts share parameters, O(P^2 n^2 r) for pairs of them. Raises
    CoupledRowsError where the rule depends on more than the sum.
    """
    values = _values(meeting)
    high = values[-1] if len(values) > 1 else np.inf
    successes = [np.sum(place.rewards == high, axis=1) for place in meeting.places]
    laws = [
        _law(count, place.chance, meeting.n) for count, place in zip(successes, meeting.places, strict=True)
    ]
    # One level alone has no second: any other reward stands for the successes that there are not.
    ends = (values[0], values[-1] if len(values) > 1 else values[0] + 1)
    table = _table(calls, len(laws), meeting.n, ends)
    _check(calls, table, _tried(meeting, successes), meeting.n, ends)
    rest = all_but_each(laws, np.convolve, np.ones(1), alike=meeting.drawn)
    found = []
    for prompt, place in meeting.asked:
        levels = meeting.prompts[prompt]
        own = meeting.places[place].owner == prompt
        law = _law(successes[place][own], meeting.places[place].chance[own], meeting.n)
        chance = _together(law / law.sum(), rest[place])
        seen = chance > 0
        column = (levels.values == high).astype(int)
        found.append(
            prompt_sums(
                levels,
                chance[seen],
                table.sums[seen][:, column],
                table.squares[seen][:, column],
                table.largest[seen],
            )
        )
    return Coupled(
        sums=tuple(found),
        across=_across(meeting, laws, successes, table),
        dead=_dead(laws, table),
        method="shared sum",
    )


def _law(counts: Int, chance: Float, n: int) -> Float:
    """Chance of each count, (n+1,)."""
    return np.asarray(np.bincount(counts, chance, n + 1), dtype=np.float64)


def _values(meeting: Meeting) -> Float:
    return np.unique(np.concatenate([levels.values for levels in meeting.prompts]))


def _table(calls: BatchCalls, size: int, n: int, ends: tuple[float, float]) -> Table:
    """Every c beside every S, as many of them in a batch as have the same S."""
    batches = []
    for total in range(size * n + 1):
        left = [c for c in range(n + 1) if 0 <= total - c <= n * (size - 1)]
        while left:
            together, left = _packed(left, total, size, n)
            batches.append(together)
    counts = np.array(batches)
    everywhere = np.broadcast_to(counts.sum(axis=1)[:, None], counts.shape)
    success = np.arange(n) >= n - counts[..., None]
    given = calls(np.where(success, ends[1], ends[0]))
    parts = np.stack([~success, success], axis=-1).astype(np.float64)
    shape = (n + 1, size * n + 1)
    found = Table(np.full((*shape, 2), np.nan), np.full((*shape, 2), np.nan), np.full(shape, np.nan))
    found.sums[counts, everywhere] = np.einsum("bpn,bpnl->bpl", given, parts)
    found.squares[counts, everywhere] = np.einsum("bpn,bpnl->bpl", given**2, parts)
    found.largest[counts, everywhere] = np.abs(given).max(axis=2)
    return found


def _packed(left: list[int], total: int, size: int, n: int) -> tuple[list[int], list[int]]:
    """A batch of ``total`` successes with as many of these counts as it takes, and those it does not."""
    taken: list[int] = []
    rest: list[int] = []
    for c in left:
        after, places = total - sum(taken) - c, size - len(taken) - 1
        (taken if places >= 0 and 0 <= after <= n * places else rest).append(c)
    places, after = size - len(taken), total - sum(taken)
    filled = [after // places + (i < after % places) for i in range(places)]
    return taken + filled, rest


def _tried(meeting: Meeting, successes: list[Int]) -> Int:
    """Counts (B, P) of batches: any, as they come, and few or many successes, together and apart."""
    rng = np.random.default_rng(0)
    n, size = meeting.n, len(meeting.places)
    share = rng.beta(0.5, 0.5, (_TRIED, size))
    found = [rng.binomial(n, share)]
    found.append(
        np.stack(
            [own[place.drawn(rng, _TRIED)] for own, place in zip(successes, meeting.places, strict=True)],
            axis=1,
        )
    )
    for total in range(1, min(2 * n, n * size) + 1):
        together = np.clip(total - n * np.arange(size), 0, n)
        apart = np.bincount(np.arange(total) % size, minlength=size)
        found += [rng.permutation(each)[None] for each in (together, apart, n - together, n - apart)]
    return np.concatenate([each for each in found if each.max() <= n])


def _check(calls: BatchCalls, table: Table, counts: Int, n: int, ends: tuple[float, float]) -> None:
    """Hold the rule to its word on batches (B, P) of these counts, their rollouts in any order."""
    rng = np.random.default_rng(1)
    success = rng.permuted(np.arange(n) < counts[..., None], axis=2)
    given = calls(np.where(success, ends[1], ends[0]))
    parts = np.stack([~success, success], axis=-1).astype(np.float64)
    for power, expected in ((1, table.sums), (2, table.squares)):
        got = np.einsum("bpn,bpnl->bpl", given**power, parts)
        want = expected[counts, counts.sum(axis=1)[:, None]]
        if not calls.same(got, want):
            worst = np.unravel_index(np.abs(got - want).max(axis=2).argmax(), counts.shape)
            raise CoupledRowsError(
                f"{calls.name} says statistic='reward_sum', and gives a group with {counts[worst]} of {n} "
                f"successes in two batches with {counts[worst[0]].sum()} of them other advantages: prompts "
                f"meet in more than the sum, or their order matters; leave the statistic out"
            )


def _together(law: Float, others: Float) -> Float:
    """Chance (n+1, N+1) of c here and S in all."""
    found = np.zeros((len(law), len(law) + len(others) - 1))
    for c, chance in enumerate(law):
        found[c, c : c + len(others)] = chance * others
    return found


def _dead(laws: list[Float], table: Table) -> float:
    """Chance of a batch whose groups are all dead."""
    shapes, kind = np.unique(table.dead, axis=1, return_inverse=True)
    found = 0.0
    for index, dead in enumerate(shapes.T):
        total = np.ones(1)
        for law in laws:
            total = np.convolve(total, law * dead)
        found += float(total[kind.ravel() == index].sum())
    return found


def _terms(sums: Float) -> tuple[Float, Float]:
    """``T(c, S, l) = sum_r u_r(c, l) v_r(S)`` wherever it can be: u (R, n+1, 2) and v (R, N+1)."""
    n, total = sums.shape[0] - 1, sums.shape[1] - 1
    scale = np.nanmax(np.abs(sums)) or 1.0
    terms: list[Float] = []
    weights = np.zeros((2 * (n + 1), total + 1))
    for s in sorted(range(total + 1), key=lambda s: abs(2 * s - total)):
        column = sums[:, s].ravel()
        known = ~np.isnan(column)
        at, target = np.array(terms).reshape(len(terms), len(column)), column[known]
        fit = np.linalg.lstsq(at[:, known].T, target, rcond=None)[0] if terms else np.zeros(0)
        weights[: len(terms), s] = fit
        left = target - fit @ at[:, known]
        if np.abs(left).max(initial=0.0) > 1e-13 * scale:
            new = np.zeros(len(column))
            new[known] = left / np.abs(left).max()
            weights[len(terms), s] = np.abs(left).max()
            terms.append(new)
    found = np.array(terms).reshape(-1, n + 1, 2)
    return found, weights[: len(found)]


def _across(meeting: Meeting, laws: list[Float], successes: list[Int], table: Table) -> float:
    if meeting.apart:
        return 0.0
    terms, weights = _terms(table.sums)
    rest = all_but_each(laws, np.convolve, np.ones(1), alike=meeting.drawn)
    alone, once = np.ones(1), np.zeros((len(terms), meeting.dimension, 1))
    twice = np.zeros((len(terms), len(terms), 1))
    means = []
    for index, law in enumerate(laws):
        if not (meeting.drawn and index):
            new = _laws_of_terms(meeting, index, successes[index], terms)
        if index < len(rest):
            means.append(
                np.einsum(
                    "rs,rds->d",
                    weights,
                    _convolved(np.broadcast_to(rest[index], (1, 1, len(rest[index]))), new),
                )
            )
        met = _convolved(once[:, None], new[None]).sum(axis=2)
        twice = _convolved(twice, law) + met + met.swapaxes(0, 1)
        once = _convolved(once, law) + _convolved(alone[None, None], new)
        alone = np.convolve(alone, law)
    found = float(np.einsum("rs,qs,rqs->", weights, weights, twice))
    return found - meeting.pairs_of_means(np.array(means))


def _laws_of_terms(meeting: Meeting, index: int, successes: Int, terms: Float) -> Float:
    """``E[sum over l of u_r(c, l) G_l; c]`` at a place, (R, r, n+1)."""
    place = meeting.places[index]
    found = np.zeros((len(terms), meeting.dimension, meeting.n + 1))
    values = _values(meeting)
    high = values[-1] if len(values) > 1 else np.inf
    for prompt in np.unique(place.owner):
        own = place.owner == prompt
        levels = meeting.prompts[prompt]
        column = (levels.values == high).astype(int)
        x = terms[:, successes[own]][:, :, column] @ meeting.coordinates[prompt, : len(column)]
        for c, value in zip(successes[own], (place.chance[own, None] * x).swapaxes(0, 1), strict=True):
            found[:, :, c] += value
    return found


def _convolved(a: Float, b: Float) -> Float:
    """Convolution along the last axis, b the shorter one; the others are broadcast."""
    shape = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    found = np.zeros((*shape, a.shape[-1] + b.shape[-1] - 1))
    for shift in range(b.shape[-1]):
        found[..., shift : shift + a.shape[-1]] += a * b[..., shift, None]
    return found
