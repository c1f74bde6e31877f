"""How many prompts and rollouts tell two models apart, from the variances in the rewards at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.arguments import real_number
from ..result import PassAtK
from .power import FEWEST, Goal
from .variances import models_of, variances

#: Rollouts planned for are up to this many times those at hand.
_WIDER = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """A number of rollouts per prompt and model, and the prompts that resolve the difference with it.

    ``prompts`` is None where more than 10^9 would be needed.
    """

    k: int
    rollouts: int
    prompts: int | None

    @property
    def cost(self) -> int | None:
        """Rollouts in all, of one model."""
        return None if self.prompts is None else self.prompts * self.rollouts


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What resolves a difference between two models on the same prompts.

    Attributes
    ----------
    difference, power, confidence
        A true difference of this size is found, its interval leaving 0 out, with this chance.
    designs
        For each k, numbers of rollouts and the prompts that each needs.
    power_now
        The chance with as many prompts and rollouts as are at hand, by k; NaN where it cannot be told.
    spread
        Standard deviation over prompts of the true difference, by k: estimated from two models, 0 for one by
        supposition. NaN where it cannot be told from the variance within prompts.
    notes
        What the plan rests on.
    """

    difference: float
    power: float
    confidence: float
    designs: tuple[Design, ...]
    power_now: dict[int, float]
    spread: dict[int, float]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """One line a design, with the cheapest of each k marked; the chance now; the notes."""
        best = {k: self.cheapest(k) for k in self.power_now}
        lines = [f"a difference of {self.difference:g}, found with chance {self.power:g}, takes"]
        lines += [
            f"k={each.k}: {each.prompts or 'more than 10^9'} prompts x {each.rollouts} rollouts"
            + (" (fewest rollouts in all)" if each == best[each.k] else "")
            for each in self.designs
        ]
        lines += [f"k={k}: found with chance {power:.2f} now" for k, power in self.power_now.items()]
        return "\n".join([*lines, *self.notes])

    def cheapest(self, k: int) -> Design | None:
        """The design of the fewest rollouts in all at this k."""
        possible = [each for each in self.designs if each.k == k and each.cost is not None]
        return min(possible, key=lambda each: each.cost or 0, default=None)


def plan(result: PassAtK, difference: float, *, power: float = 0.8) -> Plan:
    r"""Prompts and rollouts that resolve a difference of pass@k, from what ``pass_at_k`` has seen.

    The paired difference on a prompt has the variance ``tau^2 + V_A(n) + V_B(n)``: of the true difference
    over prompts, and within prompts of either model at n rollouts. With theta_c the mean product of the
    maxima of two k-subsets that share c rollouts, which n >= 2k rollouts tell without bias,

    .. math:: V(n) = \sum_c \frac{\binom kc \binom{n-k}{k-c}}{\binom nk}\, \theta_c - \theta_0

    holds for every n >= k. A plan for one model supposes a second with the same variance within prompts and
    the same gain on every prompt (tau = 0), which is the least that is needed; a result with a comparison
    gives tau^2, as what the variance of its differences leaves.

    Parameters
    ----------
    result
        Of ``pass_at_k``, for ``"pass@k"``.
    difference
        The true difference to be found, in units of reward.
    power
        The chance to find it.

    Raises
    ------
    TypeError, ValueError
        A difference that is not positive or as large as the rewards' range, a power outside of (0, 1), or
        another measure than pass@k.

    Notes
    -----
    The power is that of a normal mean with the interval of ``intervals.difference_interval``: good from some
    50 prompts on.
    """
    _check(result, difference, power)
    notes = [_PAIRED if result.comparison else _ALONE]
    designs: list[Design] = []
    now: dict[int, float] = {}
    spread: dict[int, float] = {}
    for place, k in enumerate(result.k.tolist()):
        told = variances(result, place, k)
        goal = Goal(difference, result.confidence, _width(result), told.per_unit)
        fewest = [int(each.rollouts[each.rollouts >= k].min()) for each in models_of(result)]
        rollouts = fewest[0]
        sizes = [rollouts] if told.within is None else _sizes(k, rollouts)
        spread[k] = float(np.sqrt(told.between))
        now[k] = goal.power(told.at_hand, told.prompts)
        if np.isnan(told.at_hand):
            why = "2k rollouts of every prompt are needed to tell variances apart"
            if result.comparison and told.prompts < FEWEST * told.per_unit:
                why = "one prompt tells nothing of the differences on others"
            notes.append(f"k={k}: no plan, as {why}")
            continue
        if told.within is None:
            at_hand = " and ".join(map(str, dict.fromkeys(fewest)))
            notes.append(f"k={k}: for the {at_hand} rollouts at hand alone, as 2k are needed for others")
        for size in sizes:
            needed = goal.prompts(told.at(size), power)
            designs.append(Design(k=k, rollouts=size, prompts=needed))
    return Plan(
        difference=difference,
        power=power,
        confidence=result.confidence,
        designs=tuple(designs),
        power_now=now,
        spread=spread,
        notes=tuple(notes),
    )


_ALONE = (
    "plans suppose a second model with the same variance within prompts and the same gain on each: the least "
    "that is needed; a comparison with it on some prompts tells more"
)
_PAIRED = "plans take the spread of the difference over prompts from the two models compared"


def _sizes(k: int, rollouts: int) -> list[int]:
    """Rollouts to plan for: powers of 2 from k to four times those at hand, and those."""
    powers = (1 << power for power in range((_WIDER * rollouts).bit_length()))
    return sorted({rollouts, *(size for size in powers if k <= size <= _WIDER * rollouts)})


def _width(result: PassAtK) -> float:
    """Highest less lowest value of a prompt, of both models."""
    ranges = [each.bounds for each in models_of(result)]
    return max(high for _, high in ranges) - min(low for low, _ in ranges)


def _check(result: PassAtK, difference: float, power: float) -> None:
    if result.measure != "pass@k":
        raise ValueError(f"plans are made for pass@k and max@k, the result is of {result.measure}")
    if not 0 < real_number(difference, "difference") < _width(result):
        raise ValueError(
            f"difference={difference!r}: it must be positive and below the range of the rewards, "
            f"{_width(result):g}, e.g. difference=0.01"
        )
    if not 0 < real_number(power, "power") < 1:
        raise ValueError(f"power={power!r}: it is a chance between 0 and 1, e.g. power=0.8")
