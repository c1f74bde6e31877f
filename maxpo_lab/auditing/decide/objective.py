"""Which objective a rule climbs: decided on pairs of groups, put into words, with its pass@k spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...core.arrays import Float
from ...core.precision import FLOAT64, Precision
from ...objectives import PREFIX, Objective, VectorObjective, as_objective, in_words, max_at
from ...spectrum import Spectrum
from .pairs import Aim, Fit, Pairs, Steps

#: L-statistics that are tried next to mean and max@j.
PRESETS = ("TopM:2", "BotM:2", "LowerTailMean:0.25", "Median", "TrimM:1", "ReMin")
#: The least bias, in units of K x range, that rounding must leave to be seen.
_SEEN = 0.01
#: Weights of a spectrum that are listed; more of both signs say nothing to a reader.
_LISTED, _LISTED_OF_ONE_SIGN = 4, 8
#: Success rates at which the weight of a prompt is told instead.
_RATES = (0.02, 0.2, 0.7)


@dataclass(frozen=True, slots=True)
class Ascent:
    """What a rule climbs on the audited rewards.

    Attributes
    ----------
    objective
        Whose gradient E[g] is, up to ``scale``, under every policy; None where it is none's that was tried.
    scale
        The constant in front of that gradient.
    unbiased_for_target, proportional_to_target
        Whether E[g] is the gradient of the target itself, or a positive constant times it; None where
        rounding leaves that open.
    spectrum
        ``lambda_1..lambda_n`` of ``sum_k lambda_k pass@k`` on 0/1 rewards; None where there is none.
    text
        All this in words.
    """

    objective: str | None
    scale: float | None
    unbiased_for_target: bool | None
    proportional_to_target: bool | None
    spectrum: tuple[float, ...] | None
    text: str


def ascent(pairs: Pairs, spectrum: Spectrum | None, *, k: int, target: Objective, rewards: str) -> Ascent:
    """The objective whose gradient the pairs agree with, see ``among``: the target, or another by name."""
    return among(pairs, spectrum, k=k, target=target, others=_others(pairs.n, k, target), rewards=rewards)


def among(
    pairs: Steps[Aim], spectrum: Spectrum | None, *, k: int, target: Aim, others: Iterable[Aim], rewards: str
) -> Ascent:
    """The objective whose gradient the pairs agree with, the target first, at scale 1 before any other.

    What agrees only because rounding hides a bias of one in a hundred is left open, unless the type itself is
    as coarse as that.
    """
    found, made = _agreeing(pairs, spectrum, k, (target, others), rewards)
    made = made or pairs.precision
    unit = pairs.unit(target)
    hidden = float(pairs.allowed(made, unit).max()) / max(unit, float(np.abs(pairs.earned).max()))
    if hidden <= max(_SEEN, 1.001 * made.share(pairs.n)):
        return found
    if found.scale == 0:
        text = "not decided: rounding hides what it climbs"
        return replace(found, scale=None, unbiased_for_target=None, proportional_to_target=None, text=text)
    return replace(
        found,
        unbiased_for_target=found.unbiased_for_target and None,
        proportional_to_target=found.proportional_to_target and None,
        text=f"{found.text}; to rounding, which hides biases below {hidden:.0%} of K x range here",
    )


def _agreeing(
    pairs: Steps[Aim],
    spectrum: Spectrum | None,
    k: int,
    aims: tuple[Aim, Iterable[Aim]],
    rewards: str,
) -> tuple[Ascent, Precision | None]:
    """What is climbed, the target or one of the others, and the type to whose rounding that is so."""
    target, others = aims
    n = pairs.n
    spectrum = None if pairs.precision.narrow else spectrum  # alternating sums, which its rounding drowns
    weights = None if spectrum is None else tuple(_resolved(spectrum, pairs.precision).tolist())
    here = pairs.fit(target)
    fits: list[tuple[Aim, Fit]] = [(target, here)]
    if not (here.unscaled or here.scaled):
        fits += [(tried, pairs.fit(tried)) for tried in others]
    for tried, fit in fits:
        if fit.unscaled:
            own = tried == target
            text = _phrase(tried, 1.0, n, k) + _to(fit.unscaled, pairs, tried, 1.0)
            return Ascent(tried.name, 1.0, own, own, weights, text), fit.unscaled
    for tried, fit in fits:
        if fit.scaled:
            proportional = tried == target and fit.scale > 0
            near = fit.scaled.share(n) if fit.scaled != FLOAT64 else 0.0
            text = _phrase(tried, fit.scale, n, k, near) + _to(fit.scaled, pairs, tried, fit.scale)
            return Ascent(tried.name, fit.scale, False, proportional, weights, text), fit.scaled
    if pairs.finest(np.zeros_like(pairs.earned), k * pairs.spread):
        return Ascent(None, 0.0, False, False, weights, "climbs nothing: E[g] is 0 under every policy"), None
    text = _mixture(spectrum, pairs.precision, rewards)
    return Ascent(None, None, False, False, weights, text), None


def _to(made: Precision, pairs: Steps[Aim], objective: Aim, scale: float) -> str:
    """What a verdict that holds to the rounding of a type must say: how far off it is, what it cannot see."""
    if made == FLOAT64:
        return ""
    off = (
        float(np.abs(pairs.earned - scale * pairs.due(objective)).max())
        / pairs.unit(objective)
        / max(1.0, abs(scale))
    )
    hidden = f", and biases below {made.share(pairs.n):.1%} are hidden" if made.narrow else ""
    return f", to the precision of {made.name}: at most {off:.1g} of K x range off{hidden}"


def _others(n: int, k: int, target: Objective) -> Iterator[Objective]:
    """Other objectives than the target, each under the name that a report gives it."""
    for size in range(1, n + 1):
        name = "mean" if size == 1 else "max@k" if size == k else f"max@{size}"
        tried = replace(max_at(size), name=name)
        if tried != target:
            yield tried
    for preset in PRESETS:
        try:
            tried = as_objective(PREFIX + preset, n, k)
        except ValueError:  # the preset does not fit this K
            continue
        if tried != target:
            yield tried


def _phrase(objective: Objective | VectorObjective, scale: float, n: int, k: int, near: float = 0.0) -> str:
    name = in_words(objective)
    if scale == 1:
        return f"unbiased for {name}"
    known = scale_in_symbols(scale, n, k, near)
    of = "mean-reward" if objective.name == "mean" else name
    exact = f" ({known})" if known else ""
    shown = f"{scale:.4g}"
    factor = f"{scale:.10g}" if shown in ("1", "-1") and abs(scale) != 1 else shown
    wrong = "exact direction, wrong scale" if scale > 0 else "the opposite direction"
    return f"{factor} x the {of} gradient: {wrong}{exact}"


def scale_in_symbols(scale: float, n: int, k: int, near: float = 0.0) -> str | None:
    """A scale as the simple expressions in n and K that it is here, else as a fraction where it is one.

    ``near``: how far rounding may have moved it, relative to it.
    """
    forms = {
        "1/n": Fraction(1, n),
        "1/K": Fraction(1, k),
        "K": Fraction(k),
        "n": Fraction(n),
        "K/n": Fraction(k, n),
        "n/K": Fraction(n, k),
        "1 - 1/n": Fraction(n - 1, n),
        "1 - K/n": Fraction(n - k, n),
        "(1 - K/n)/n": Fraction(n - k, n * n),
        "(1 - K/n)/K": Fraction(n - k, n * k),
        "K/n (1 - K/n)": Fraction(k * (n - k), n * n),
    }
    same = max(1e-9, near)
    matching = [text for text, value in forms.items() if value and abs(scale - value) <= same * abs(value)]
    if matching:
        return " or ".join(matching)
    simple = Fraction(scale).limit_denominator(1000)
    return str(simple) if simple.denominator > 1 and abs(scale - simple) <= 1e-9 * abs(simple) else None


def _resolved(spectrum: Spectrum, made: Precision) -> Float:
    """The weights, 0 where they are rounding."""
    weights = spectrum.weights.astype(np.float64)
    return np.where(np.abs(weights) <= spectrum.resolution * (made.eps / FLOAT64.eps), 0.0, weights)


def _mixture(spectrum: Spectrum | None, made: Precision, rewards: str) -> str:
    elsewhere = f"on {rewards} rewards the gradient of no objective that was tried"
    if spectrum is None:
        return elsewhere
    weights = _resolved(spectrum, made)
    named = np.flatnonzero(weights)
    one_sign = (weights >= 0).all() or (weights <= 0).all()
    if len(named) <= (_LISTED_OF_ONE_SIGN if one_sign else _LISTED):
        terms = [f"{'-' if weights[i] < 0 else '+'} {abs(weights[i]):.4g} pass@{i + 1}" for i in named]
        text = f"a mixture: {' '.join(terms).removeprefix('+ ')}"
    else:
        told = [f"{spectrum.weight_function(p):.3g} at p = {p:g}" for p in _RATES]
        signs = "" if one_sign else " of both signs"
        text = f"a mixture of {len(named)} pass@k, weights{signs}: grad p weighs {', '.join(told)}"
    return text if rewards == "binary" else f"{text}, on 0/1 rewards; {elsewhere}"
