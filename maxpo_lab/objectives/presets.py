"""Objectives by name: ``max@k``, ``max@n``, ``mean`` and the presets of L-statistics."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from .objective import Objective

#: The presets of OrderGrad (arXiv 2606.06096), by the names of its implementation.
PRESETS = ("TopM:m", "BotM:m", "LowerTailMean:q", "Median", "TrimM:m", "ReMin")
PREFIX = "l-statistic:"


def as_objective(spec: str | Objective, n: int, k: int, *, argument: str | None = None) -> Objective:
    """An objective by its name at a group size and K; an ``Objective`` comes back as it is.

    Parameters
    ----------
    spec
        ``"max@k"``, ``"mean"`` (K = 1), ``"max@n"`` (K = n) or ``"l-statistic:<preset>"``: ``TopM:m`` and
        ``BotM:m``, the mean of the m largest or smallest; ``LowerTailMean:q``, of the
        ``ceil(q K)`` smallest (CVaR); ``TrimM:m``, of all but m at either end; ``Median``; ``ReMin``.
    n, k
        Group size and K.
    argument
        What errors call the argument that ``spec`` was given as.

    Raises
    ------
    TypeError
        Neither a name nor an ``Objective``.
    ValueError
        An unknown objective, or a preset whose argument does not fit K.
    """
    if isinstance(spec, Objective):
        return spec
    try:
        return _named(spec, n, k)
    except (TypeError, ValueError) as error:
        if argument is None:
            raise
        raise type(error)(f"{argument}={spec!r}: {error}") from error


def max_at(k: int) -> Objective:
    """Max@K at this K."""
    return Objective("max@k", _equal(k, k - 1, k))


def looks_at_k(spec: object) -> bool:
    """Whether k decides what an objective is: not of one rollout, of the whole group, or one made already."""
    return isinstance(spec, str) and spec not in ("mean", "max@n")


def in_words(objective: Objective) -> str:
    """``max@4`` for ``max@k`` at k = 4, ``the mean reward`` for ``mean``."""
    name = objective.name
    if name.startswith(PREFIX):
        return f"{name} of {objective.size}"
    words = {"max@k": f"max@{objective.size}", "max@n": f"max@{objective.size}", "mean": "the mean reward"}
    return words.get(name, name)


def _named(name: str, n: int, k: int) -> Objective:
    if not isinstance(name, str):
        raise TypeError(f"objective {name!r} is a {type(name).__name__}: it must be a name, e.g. max@k")
    if name == "mean":
        return Objective(name, _equal(1, 0, 1))
    if name in ("max@k", "max@n"):
        size = k if name == "max@k" else n
        return Objective(name, _equal(size, size - 1, size))
    if name.startswith(PREFIX):
        return Objective(name, _preset(name.removeprefix(PREFIX), k))
    raise ValueError(
        f"objective {name!r} is unknown: it must be max@k, max@n, mean or {PREFIX}<preset>, with a "
        f"preset of {', '.join(PRESETS)}"
    )


def _preset(text: str, k: int) -> tuple[Fraction, ...]:
    name, _, argument = text.partition(":")
    if name == "Median" and not argument:
        return _equal(k, (k - 1) // 2, k // 2 + 1)
    if name == "ReMin" and not argument:
        return _equal(k, 0, 1)
    if name in ("TopM", "BotM", "TrimM") and argument.isdecimal():
        m = int(argument)
        low, high = {"TopM": (k - m, k), "BotM": (0, m), "TrimM": (m, k - m)}[name]
        if 0 <= low < high <= k:
            return _equal(k, low, high)
        rule = "2 m < k" if name == "TrimM" else "1 <= m <= k"
        raise ValueError(f"{PREFIX}{text} at k={k}: {name}:m needs {rule}")
    if name == "LowerTailMean":
        try:
            q = Fraction(argument)
        except (ValueError, ZeroDivisionError):
            q = Fraction(0)
        if 0 < q <= 1:
            return _equal(k, 0, max(1, ceil(q * k)))
        raise ValueError(f"{PREFIX}{text}: LowerTailMean:q needs 0 < q <= 1, e.g. LowerTailMean:0.25")
    raise ValueError(f"{PREFIX}{text} is not a preset; known: {', '.join(PRESETS)}")


def _equal(size: int, low: int, high: int) -> tuple[Fraction, ...]:
    """Equal weights on ranks low+1..high of ``size``."""
    zero, share = Fraction(0), Fraction(1, high - low)
    return (zero,) * low + (share,) * (high - low) + (zero,) * (size - high)
