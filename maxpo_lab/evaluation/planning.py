"""How many prompts and rollouts tell two models apart, from the variances in the rewards at hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, erfc, sqrt

import numpy as np

from ..core.arguments import real_number
from ..core.arrays import Float
from .across_prompts.intervals import half_width
from .result import PassAtK

#: Beyond so many prompts a design is no plan.
_MOST_PROMPTS = 10**9
#: Prompts from which differences have a variance.
_FEWEST = 2
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
        variances = _variances(result, place, k)
        goal = _Goal(difference, result.confidence, _width(result), variances.per_unit)
        fewest = [int(each.rollouts[each.rollouts >= k].min()) for each in _models(result)]
        rollouts = fewest[0]
        sizes = [rollouts] if variances.within is None else _sizes(k, rollouts)
        spread[k] = float(np.sqrt(variances.between))
        now[k] = goal.power(variances.at_hand, variances.prompts)
        if np.isnan(variances.at_hand):
            why = "2k rollouts of every prompt are needed to tell variances apart"
            if result.comparison and variances.prompts < _FEWEST * variances.per_unit:
                why = "one prompt tells nothing of the differences on others"
            notes.append(f"k={k}: no plan, as {why}")
            continue
        if variances.within is None:
            at_hand = " and ".join(map(str, dict.fromkeys(fewest)))
            notes.append(f"k={k}: for the {at_hand} rollouts at hand alone, as 2k are needed for others")
        for size in sizes:
            needed = goal.prompts(variances.at(size), power)
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


@dataclass(frozen=True)
class _Variances:
    """Variance of the difference on a prompt: as it is at hand, between prompts, and within them by n.

    That at hand holds what prompts of a cluster have in common; ``per_unit`` prompts count as one.
    ``within`` holds the shared products of either model, (2, k+1); None where there are too few rollouts.
    """

    prompts: int
    per_unit: float
    at_hand: float
    between: float
    within: Float | None

    def at(self, n: int) -> float:
        """The variance with n rollouts of each model."""
        if self.within is None:
            return self.at_hand
        return max(self.between + float(sum(_variance(each, n) for each in self.within)), 0.0)


def _variances(result: PassAtK, place: int, k: int) -> _Variances:
    compared = result.comparison
    models = _models(result)
    shares = [_shared(each, k) for each in (models[0], models[-1])]
    within = None if shares[0] is None or shares[1] is None else np.stack([shares[0], shares[1]])
    own = np.nan
    if within is not None:
        pairs = zip((models[0], models[-1]), within, strict=True)
        own = sum(_mean_variance(each, share, k) for each, share in pairs)
    source = result if compared is None else compared
    prompts = int(source.prompts[place])
    per_unit = prompts / float(source.units[place])
    if compared is None:
        between = np.nan if within is None else 0.0
        return _Variances(prompts, per_unit, max(own, 0.0), between, within)
    measured = float(compared.standard_error[place]) ** 2 * prompts
    return _Variances(prompts, per_unit, measured, max(measured - own, 0.0), within)


def _models(result: PassAtK) -> tuple[PassAtK, ...]:
    """The model, and the one that it is compared with."""
    return (result,) if result.comparison is None else (result, result.comparison.other)


def _shared(result: PassAtK, k: int) -> Float | None:
    """theta_0..theta_k, mean over prompts; None where a prompt that has k rollouts has not 2k."""
    used = {n: each for n, each in result.products.items() if n >= k}
    if any(result.rollouts[result.rollouts >= k] < 2 * k):
        return None
    prompts = sum(each.prompts for each in used.values())
    return np.array([sum(each.of_maxima(k, c) for each in used.values()) / prompts for c in range(k + 1)])


def _variance(shared: Float, n: int) -> float:
    """Variance within prompts at n rollouts."""
    k = len(shared) - 1
    chances = np.array([comb(k, c) * comb(n - k, k - c) / comb(n, k) for c in range(k + 1)])
    return float(chances @ (shared - shared[0]))


def _mean_variance(result: PassAtK, shared: Float, k: int) -> float:
    """Variance within prompts at the rollouts that each prompt has."""
    sizes, counts = np.unique(result.rollouts[result.rollouts >= k], return_counts=True)
    found = [_variance(shared, int(size)) for size in sizes]
    return float(np.average(found, weights=counts))


@dataclass(frozen=True)
class _Goal:
    """A difference, and the interval that is to leave 0 out; ``per_unit`` prompts count as one."""

    difference: float
    confidence: float
    width: float
    per_unit: float

    def power(self, variance: float, prompts: int) -> float:
        """Chance that the interval of so many prompts leaves 0 out; NaN for an unknown variance."""
        units = prompts / self.per_unit
        if np.isnan(variance) or units < _FEWEST:
            return float("nan")
        of_unit = variance / self.per_unit
        half = float(half_width(of_unit, units, confidence=self.confidence, width=self.width))
        error = sqrt(of_unit / units)
        if not error:
            return float(self.difference > half)
        return _normal((self.difference - half) / error) + _normal((-self.difference - half) / error)

    def prompts(self, variance: float, power: float) -> int | None:
        """The fewest prompts with this power."""
        least = high = ceil(_FEWEST * self.per_unit)
        while self.power(variance, high) < power:
            if high > _MOST_PROMPTS:
                return None
            high *= 2
        low = max(high // 2, least - 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(variance, middle) >= power else (middle, high)
        return max(high, least)


def _normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * erfc(-value / sqrt(2.0))


def _sizes(k: int, rollouts: int) -> list[int]:
    """Rollouts to plan for: powers of 2 from k to four times those at hand, and those."""
    powers = (1 << power for power in range((_WIDER * rollouts).bit_length()))
    return sorted({rollouts, *(size for size in powers if k <= size <= _WIDER * rollouts)})


def _width(result: PassAtK) -> float:
    """Highest less lowest value of a prompt, of both models."""
    ranges = [each.bounds for each in _models(result)]
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
