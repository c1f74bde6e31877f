r"""Prompts that meet in the root mean square of a group rule's advantages: one quadrature for any P.

With q the sum of the squares of the advantages a of a group, X their sum over the batch, and A proportional
to ``a / sqrt(X + e)``, each power of that factor is a mixture of exponentials, and an exponential of a sum is
a product over the prompts:

.. math:: \frac{1}{\sqrt{X + e}} = \int_0^\infty \frac{e^{-t(X + e)}}{\sqrt{\pi t}}\,dt, \qquad
          \frac{1}{X + e} = \int_0^\infty e^{-t(X + e)}\,dt,

and where e is added to the root, with ``x = e sqrt t`` and erfcx the scaled complementary error function,

.. math:: \frac{1}{\sqrt X + e} = \int_0^\infty e^{-tX}
          \Big(\frac{1}{\sqrt{\pi t}} - e \operatorname{erfcx} x\Big) dt, \quad
          \frac{1}{(\sqrt X + e)^2} = \int_0^\infty e^{-tX}
          \Big((1 + 2 x^2) \operatorname{erfcx} x - \frac{2x}{\sqrt\pi}\Big) dt.

In ``t = e^u`` the integrands are analytic in a strip of half-width pi/2 and fall off exponentially, so the
trapezoidal rule with step h is off by ``e^(-pi^2/h)``: 1e-17 for h = 1/4.
"""

from __future__ import annotations

import numpy as np

from ....core.arrays import Float
from ....rules import BatchCalls
from ...from_sums import DEAD
from ..coupled import Coupled, PromptSums
from ..meeting import Meeting
from .base_rule import BaseRule, Scale, told
from .others import all_but_each

#: Step of the trapezoidal rule in log t, and where ``e^(-x)`` and ``e^(-x/2)`` are nothing.
_STEP, _NOTHING, _FAR = 0.25, 40.0, 80.0
#: Where erfcx is taken by its asymptotic series, and its terms: relative errors of 1e-11 on either side.
_ASYMPTOTIC, _TERMS = 15.0, 8


def _weights(scale: Scale, t: Float) -> tuple[Float, Float]:
    """Densities in t of the mixtures for the factor and its square."""
    if not scale.added:
        damped = np.exp(-t * scale.eps)
        return damped / np.sqrt(np.pi * t), damped
    from scipy.special import erfcx, factorial2  # noqa: PLC0415 - 0.2 s, for batches with eps at the root alone

    x = scale.eps * np.sqrt(t)
    scaled, far = erfcx(x), x > _ASYMPTOTIC
    first = 1 / np.sqrt(np.pi * t) - scale.eps * scaled
    second = (1 + 2 * x * x) * scaled - 2 * x / np.sqrt(np.pi)
    # Both cancel where x is large; the terms of erfcx's series that are left over do not.
    power, terms = 1 / x[far] ** 2, np.zeros((2, int(far.sum())))
    for j in range(_TERMS, 0, -1):
        term = (-1) ** j * float(factorial2(2 * j - 1)) / 2.0**j
        terms = (terms + np.array([[-term], [-2 * j * term]])) * power
    first[far], second[far] = np.array([[scale.eps], [1.0]]) * terms / (x[far] * np.sqrt(np.pi))
    return first, second


def why_not(meeting: Meeting) -> str | None:
    """Reason why a batch does not tell its group rule: a batch of one prompt; else None."""
    return None if len(meeting.places) > 1 else "one prompt does not tell a group rule from its scale"


def by_quadrature(calls: BatchCalls, meeting: Meeting) -> Coupled:
    """The sums of each prompt.

    Cost: some 400 nodes times the states of all prompts, and r times that for pairs of prompts. Raises
    CoupledRowsError where the rule is no group rule over its root mean square.
    """
    base = told(calls, meeting)
    squares = list(base.squares)
    most = max(float(each.max()) for each in squares)
    if not most:
        squares = [np.ones_like(each) for each in squares]  # nothing lives, whatever the scale
        most = 1.0
    least = min(float(each[each > 0].min()) for each in squares if (each > 0).any())
    largest = max(len(squares) * most, base.scale.eps ** (2 if base.scale.added else 1))
    t = np.exp(np.arange(-_FAR - np.log(largest), np.log(_NOTHING / least) + 1, _STEP))
    first, second = (_STEP * t * weight for weight in _weights(base.scale, t))
    different = 1 if meeting.drawn else len(squares)
    transforms = [
        place.chance @ np.exp(-square[:, None] * t)
        for place, square in zip(meeting.places[:different], squares[:different], strict=True)
    ] * (len(squares) // different)
    rest = all_but_each(transforms, np.multiply, np.ones_like(t), alike=meeting.drawn)
    found = []
    for prompt, place in meeting.asked:
        own = meeting.places[place].owner == prompt
        damped = np.exp(-squares[place][own, None] * t) * rest[place]
        found.append(
            _prompt(
                meeting,
                prompt,
                place,
                base.given[place][own],
                factors=(damped @ first, damped @ second),
                largest=_largest_factor(squares, place, base.scale, squares[place][own]),
            )
        )
    alive = [np.abs(given).max(axis=1) > DEAD * np.sqrt(most) for given in base.given]
    dead = float(np.prod([place.chance @ ~lives for place, lives in zip(meeting.places, alive, strict=True)]))
    return Coupled(
        sums=tuple(found),
        across=_across(meeting, base, squares, t=t, weights=(first, second), transforms=transforms),
        dead=dead,
        method="quadrature",
    )


def _prompt(
    meeting: Meeting,
    prompt: int,
    place: int,
    given: Float,
    *,
    factors: tuple[Float, Float],
    largest: Float,
) -> PromptSums:
    """Sums of a prompt whose states get ``given`` times a factor of these first two moments."""
    there = meeting.places[place]
    own = there.owner == prompt
    chance = there.chance[own] / there.chance[own].sum()
    levels = meeting.prompts[prompt]
    size = len(levels.values)
    sums, squares = (meeting.level_sums(there.level[own], each)[:, :size] for each in (given, given**2))
    basis, coordinates = levels.span()
    x = sums @ coordinates
    first, second = chance * factors[0], chance * factors[1]
    mean = first @ x
    total = sums.sum(axis=1)
    comoment = (second[:, None] * x).T @ x - np.outer(mean, mean)
    return PromptSums(
        basis=basis,
        coordinates=coordinates,
        mean=mean,
        comoment=comoment,
        by_level=first @ sums,
        squares=second @ squares,
        sum_square=float(second @ total**2),
        sum_max=float(np.max(np.abs(total) * largest)),
        states=len(chance),
        dead=lambda threshold: float(chance[np.abs(given).max(axis=1) * largest <= threshold].sum()),
    )


def _largest_factor(squares: list[Float], place: int, scale: Scale, own: Float) -> Float:
    """The largest factor that a state (S,) can meet: that beside the least lively groups."""
    others = sum(float(each.min()) for index, each in enumerate(squares) if index != place)
    return scale(own + others)


def _across(
    meeting: Meeting,
    base: BaseRule,
    squares: list[Float],
    *,
    t: Float,
    weights: tuple[Float, Float],
    transforms: list[Float],
) -> float:
    if meeting.apart:
        return 0.0
    rest = all_but_each(transforms, np.multiply, np.ones_like(t), alike=meeting.drawn)
    alone, once, twice = np.ones_like(t), np.zeros((len(t), meeting.dimension)), np.zeros_like(t)
    means = []
    new = np.zeros_like(once)
    for index, (place, transform) in enumerate(zip(meeting.places, transforms, strict=True)):
        if not (meeting.drawn and index):
            x = meeting.vectors(place.owner, meeting.level_sums(place.level, base.given[index]))
            new = np.exp(-squares[index][:, None] * t).T @ (place.chance[:, None] * x)
        if index < len(rest):
            means.append((weights[0] * rest[index]) @ new)
        twice = twice * transform + 2 * np.sum(once * new, axis=1)
        once = once * transform[:, None] + alone[:, None] * new
        alone = alone * transform
    return float(weights[1] @ twice) - meeting.pairs_of_means(np.array(means))
