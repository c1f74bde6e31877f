"""Which objective a rule climbs: decided on pairs of groups, put into words, with its pass@k spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..order_statistics import PREFIX, objective_weights
from ..spectrum import Spectrum
from ..weights import Vector
from .pairs import Fit, Pairs

Float = npt.NDArray[np.float64]

#: L-statistics that are tried beside mean and max@j.
_PRESETS = ("TopM:2", "BotM:2", "LowerTailMean:0.25", "Median", "TrimM:1", "ReMin")
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
        Whether E[g] is the gradient of the target itself, or a constant (not 0) times it.
    spectrum
        ``lambda_1..lambda_n`` of ``sum_k lambda_k pass@k`` on 0/1 rewards; None where there is none.
    text
        All this in words.
    """

    objective: str | None
    scale: float | None
    unbiased_for_target: bool
    proportional_to_target: bool
    spectrum: tuple[float, ...] | None
    text: str


def ascent(pairs: Pairs, spectrum: Spectrum | None, *, k: int, target: str, rewards: str) -> Ascent:
    """The objective whose gradient the pairs agree with, the target first, at scale 1 before any other."""
    n = pairs.n
    alpha = objective_weights(target, n, k)
    here = pairs.fit(alpha)
    unbiased = here.off_unscaled <= pairs.tolerance
    proportional = unbiased or _proportional(here, pairs)
    weights = None if spectrum is None else tuple(_resolved(spectrum).tolist())
    if np.abs(pairs.earned).max() <= pairs.tolerance:
        return Ascent(None, 0.0, False, False, weights, "climbs nothing: E[g] is 0 under every policy")
    if proportional:
        scale = 1.0 if unbiased else here.scale
        return Ascent(target, scale, unbiased, True, weights, _phrase(target, scale, n, k))
    fits = [(other, pairs.fit(weights_of)) for other, weights_of in _others(n, k, target)]
    for other, fit in fits:
        if fit.off_unscaled <= pairs.tolerance:
            return Ascent(other, 1.0, False, False, weights, _phrase(other, 1.0, n, k))
    for other, fit in fits:
        if _proportional(fit, pairs):
            text = _phrase(other, fit.scale, n, k)
            return Ascent(other, fit.scale, False, False, weights, text)
    return Ascent(None, None, False, False, weights, _mixture(spectrum, rewards))


def _proportional(fit: Fit, pairs: Pairs) -> bool:
    return (
        fit.off <= pairs.tolerance and abs(fit.scale) * np.abs(pairs.high - pairs.low).max() > pairs.tolerance
    )


def _others(n: int, k: int, target: str) -> Iterator[tuple[str, Vector]]:
    """Objectives by name with their weights, those that say the same as the target left out."""
    wanted = tuple(objective_weights(target, n, k))
    for size in range(1, n + 1):
        weights = objective_weights("max@k", n, size)
        if tuple(weights) != wanted:
            yield ("mean" if size == 1 else "max@k" if size == k else f"max@{size}"), weights
    for preset in _PRESETS:
        try:
            weights = objective_weights(PREFIX + preset, n, k)
        except ValueError:  # the preset does not fit this K
            continue
        if tuple(weights) != wanted:
            yield PREFIX + preset, weights


def objective_name(objective: str, n: int, k: int) -> str:
    """``max@4`` for ``max@k`` at k = 4."""
    names = {"max@k": f"max@{k}", "max@n": f"max@{n}", "mean": "the mean reward"}
    return names.get(objective, f"{objective} of {k}" if objective.startswith(PREFIX) else objective)


def _phrase(objective: str, scale: float, n: int, k: int) -> str:
    name = objective_name(objective, n, k)
    if scale == 1:
        return f"unbiased for {name}"
    known = scale_in_symbols(scale, n, k)
    of = "mean-reward" if objective == "mean" else name
    exact = f" ({known})" if known else ""
    return f"{scale:.4g} x the {of} gradient: exact direction, wrong scale{exact}"


def scale_in_symbols(scale: float, n: int, k: int) -> str | None:
    """A scale as a simple expression in n and K, or a fraction, where it is one."""
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
    for text, value in forms.items():
        if value and abs(scale - value) <= 1e-9 * abs(value):
            return text
    near = Fraction(scale).limit_denominator(1000)
    return str(near) if near.denominator > 1 and abs(scale - near) <= 1e-9 * abs(near) else None


def _resolved(spectrum: Spectrum) -> Float:
    """The weights, 0 where they are rounding."""
    weights = spectrum.weights.astype(np.float64)
    return np.where(np.abs(weights) <= spectrum.resolution, 0.0, weights)


def _mixture(spectrum: Spectrum | None, rewards: str) -> str:
    elsewhere = f"on {rewards} rewards the gradient of no objective that was tried"
    if spectrum is None:
        return elsewhere
    weights = _resolved(spectrum)
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
