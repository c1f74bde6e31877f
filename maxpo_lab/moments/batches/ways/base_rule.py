"""The group rule behind a whitened one, told from what the whole gives batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....core.arrays import EPS, Float, Int
from ....rules import BatchCalls, CoupledRowsError
from ..meeting import Meeting

#: Batches of each kind on which a rule is held to its statistic, and states that are tried alone.
_TRIED, _ALONE = 32, 256


@dataclass(frozen=True, slots=True)
class Scale:
    """How a batch is scaled: by ``1 / sqrt(X + eps)``, or (``added``) by ``1 / (sqrt X + eps)``."""

    eps: float
    added: bool

    def __call__(self, total: Float) -> Float:
        """The factor of batches with ``X = total``."""
        with np.errstate(divide="ignore"):
            size = np.sqrt(total) + self.eps if self.added else np.sqrt(total + self.eps)
            return np.asarray(np.where(total > 0, 1 / size, 0.0))


@dataclass(frozen=True, eq=False)
class BaseRule:
    """What the states of each place add to X, (S,), and what they get, over the factor, (S, n)."""

    squares: tuple[Float, ...]
    given: tuple[Float, ...]
    scale: Scale


def told(calls: BatchCalls, meeting: Meeting) -> BaseRule:
    """The group rule, known from states beside one that lives, and the scale, from batches of several X.

    Raises CoupledRowsError where no group rule and no scale explain what the rule gives. Cost: P n numbers
    for each state.
    """
    size = len(meeting.places)
    rewards = [place.rewards for place in (meeting.places[:1] if meeting.drawn else meeting.places)]
    states, index = np.unique(np.concatenate(rewards), axis=0, return_inverse=True)
    which = np.split(index.ravel(), np.cumsum([len(each) for each in rewards])[:-1])
    which *= size // len(which)
    alone = calls(np.repeat(states[:, None], size, axis=1))[:, 0]
    lively = int(np.abs(alone).max(axis=1).argmax())
    if not alone[lively].any():
        return BaseRule(
            tuple(np.zeros(len(each.chance)) for each in meeting.places),
            tuple(np.zeros_like(each.rewards) for each in meeting.places),
            Scale(0.0, False),
        )
    peak = int(np.abs(alone[lively]).argmax())
    beside = np.repeat(states[[lively]][None], len(states), axis=0).repeat(size, axis=1)
    beside[:, 0] = states
    found = calls(beside)
    if not (lively_gets := found[:, 1, peak, None]).all():
        raise CoupledRowsError(
            f"{calls.name} says statistic='advantage_rms', and gives a rollout of the group "
            f"{states[lively].tolist()} nothing beside some groups alone, where a root mean square leaves "
            f"none at 0: prompts meet in another way; leave the statistic out"
        )
    base = found[:, 0] / lively_gets  # in units of what the lively one's best rollout gets
    squares = np.sum(base**2, axis=1)
    living = squares > (64 * EPS) ** 2 * squares.max()
    base, squares = base * living[:, None], squares * living
    picks = _picks(meeting, which, squares)
    totals = squares[picks].sum(axis=1)
    picks = picks[totals > 0]
    # The factor of a batch, seen on its liveliest group.
    row = np.arange(len(picks)), squares[picks].argmax(axis=1)
    best = np.abs(base[picks[row]]).argmax(axis=1)
    factors = calls(states[picks])[(*row, best)] / base[picks[row], best]
    unit, scale = _scale(totals[totals > 0], np.abs(factors))
    unit *= np.sign(factors[0])
    _check(calls, states, base * unit, squares[picks].sum(axis=1), scale=scale, picks=picks)
    first = [base[each] * unit for each in which[: len(rewards)]]
    return BaseRule(tuple(squares[each] for each in which), tuple(first * (size // len(first))), scale)


def _scale(totals: Float, factors: Float) -> tuple[float, Scale]:
    """A unit and the scale that make ``unit * scale(X)`` of the factors, or come nearest to that."""
    fits = [(np.inf, False, 1.0, Scale(0.0, False))]  # of factors that no scale makes
    if not (factors > 0).all():
        return fits[0][2:]
    if np.ptp(factors) <= 64 * EPS * factors.max():  # an epsilon that hides all else
        eps = float(totals.max()) / EPS**1.5
        return float(factors.mean() * np.sqrt(eps)), Scale(eps, False)
    ends = [int(totals.argmin()), int(totals.argmax())]
    for added, power in ((False, 1.0), (True, 0.5)):
        x, y = totals**power, factors ** (-2 * power)
        step = x[ends[1]] - x[ends[0]]
        slope = (y[ends[1]] - y[ends[0]]) / step if step > 1e-6 * x[ends[1]] else y[ends[1]] / x[ends[1]]
        if slope <= 0:
            continue
        eps = max(0.0, float((y[ends] - slope * x[ends]).mean() / slope))
        scale, unit = Scale(eps, added), float(slope ** (-0.5 / power))
        fits.append((float(np.abs(unit * scale(totals) / factors - 1).max()), added, unit, scale))
    _, _, unit, scale = min(fits, key=lambda fit: fit[:2])
    return unit, scale


def _picks(meeting: Meeting, which: list[Int], squares: Float) -> Int:
    """States (B, P) of batches of many X.

    Any; as they come; a few that live among dead ones, where there are any; each that lives among the least
    lively, where whatever limits a rule shows most.
    """
    rng = np.random.default_rng(0)
    size = len(meeting.places)
    found = [rng.integers(0, len(squares), (_TRIED, size))]
    drawn = [own[place.drawn(rng, _TRIED)] for own, place in zip(which, meeting.places, strict=True)]
    found.append(np.stack(drawn, axis=1))
    living = np.flatnonzero(squares > 0)
    quiet = np.flatnonzero(squares == squares.min())
    some = rng.integers(1, size + 1, _TRIED)
    alive = np.arange(size) < some[:, None]
    found.append(np.where(alive, rng.choice(living, alive.shape), rng.choice(quiet, alive.shape)))
    alone = rng.permutation(living)[:_ALONE]
    single = rng.choice(quiet, (len(alone), size))
    single[:, 0] = alone
    return np.concatenate([*found, single])


def _check(
    calls: BatchCalls, states: Float, given: Float, totals: Float, *, scale: Scale, picks: Int
) -> None:
    """Hold the rule to its word on batches (B, P) of states, their rollouts in any order."""
    rng = np.random.default_rng(1)
    order = rng.permuted(np.broadcast_to(np.arange(states.shape[1]), (*picks.shape, states.shape[1])), axis=2)
    rewards = np.take_along_axis(states[picks], order, axis=2)
    got = calls(rewards)
    want = np.take_along_axis(given[picks], order, axis=2) * scale(totals)[:, None, None]
    where = calls.first_different((rewards, got), (rewards, want))
    if where is not None:
        raise CoupledRowsError(
            f"{calls.name} says statistic='advantage_rms', and gives the group "
            f"{rewards[where].tolist()} of a "
            f"batch {got[where].tolist()}, where a group rule over its root mean square gives "
            f"{want[where].tolist()}: prompts meet in another way, or order matters; leave the statistic out"
        )
