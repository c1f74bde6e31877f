"""Objectives by name: max@k, max@n, the mean reward, and the presets of OrderGrad."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil

from .objective import Objective

#: The presets of OrderGrad (arXiv 2606.06096), by the names of its implementation.
PRESETS = ("TopM:m", "BotM:m", "LowerTailMean:q", "Median", "TrimM:m", "ReMin")
PREFIX = "l-statistic:"


def looks_at_k(objective: str | Objective) -> bool:
    """Whether an objective is of k rollouts: those of one rollout, or of the whole group, are of any k."""
    return objective not in ("mean", "max@n") if isinstance(objective, str) else False


def as_objective(given: str | Objective, n: int, k: int, *, argument: str | None = None) -> Objective:
    """The objective meant by a name at (n, k), or the one given.

    Parameters
    ----------
    given
        ``"max@k"``, ``"mean"`` (K = 1), ``"max@n"`` (K = n) or ``"l-statistic:<preset>"``: ``TopM:m`` and
        ``BotM:m``, the mean of the m largest or smallest; ``LowerTailMean:q``, of the
        ``ceil(q K)`` smallest (CVaR); ``TrimM:m``, of all but m at either end; ``Median``; ``ReMin``. An
        ``Objective`` is its own.
    n, k
        Group size and K.
    argument
        The name of the argument that errors are about.

    Raises
    ------
    TypeError
        Neither a name nor an ``Objective``.
    ValueError
        An unknown objective, or a preset whose argument does not fit K.
    """
    if isinstance(given, Objective):
        return given
    about = "" if argument is None else f"{argument}={given!r}: "
    if not isinstance(given, str):
        raise TypeError(
            f"{about}objective {given!r} is a {type(given).__name__}: it must be a name, e.g. max@k, or an "
            f"Objective"
        )
    try:
        return _named(given, n, k)
    except ValueError as error:
        raise ValueError(f"{about}{error}") from error


@lru_cache(maxsize=512)
def _named(name: str, n: int, k: int) -> Objective:
    if name == "mean":
        weights = _equal(1, 0, 1)
    elif name in ("max@k", "max@n"):
        size = k if name == "max@k" else n
        weights = _equal(size, size - 1, size)
    elif name.startswith(PREFIX):
        weights = _preset(name.removeprefix(PREFIX), k)
    else:
        raise ValueError(
            f"objective {name!r} is unknown: it must be max@k, max@n, mean or {PREFIX}<preset>, with a "
            f"preset of {', '.join(PRESETS)}"
        )
    return Objective(name, weights)


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
    share = Fraction(1, high - low)
    return tuple(share if low <= rank < high else Fraction(0) for rank in range(size))
