"""Objectives by name: ``max@k``, ``max@n``, ``mean``, L-statistics, and weighted sums of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from ..core import weighted_sums
from ..core.arguments import as_k
from .l_statistics import LISTED, PREFIX, PRESETS, equal, weights_of
from .objective import Objective
from .sums import weighted_sum

#: Sums of pass@k up to T, by the weight of each k.
_SUMS: Mapping[str, Callable[[int], Fraction]] = {
    "pass-sum": lambda _: Fraction(1),
    "maxrl-truncated": lambda k: Fraction(1, k),
}


def as_objective(spec: str | Objective, n: int, k: int, *, argument: str | None = None) -> Objective:
    """An objective by its name at a group size and K; an ``Objective`` comes back as it is.

    Parameters
    ----------
    spec
        ``"max@k"``, ``"max@8"`` (a K of its own), ``"mean"`` (K = 1), ``"max@n"`` (K = n);
        ``"l-statistic:<preset>"``, with ``@8`` too: ``TopM:m`` and ``BotM:m``, the mean of the m largest or
        smallest; ``LowerTailMean:q``, of the ``ceil(q K)`` smallest, ``CVaR:q``, of exactly q K of them;
        ``Median``, ``ReMin`` and all others of ``l_statistics.PRESETS``; ``weights=[-1,0,1]``, from the least
        to the largest of as many rewards. ``"pass-sum:T"``, the sum of max@j over j <= T;
        ``"maxrl-truncated:T"``, of max@j / j. Weighted sums of all these: ``"0.7*max@k+0.3*mean"``.
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
    return Objective("max@k", equal(k, k - 1, k))


def looks_at_k(spec: object) -> bool:
    """Whether k decides what an objective is: not the mean, max@n, one with a K of its own, or one made."""
    if not isinstance(spec, str):
        return False
    if (terms := weighted_sums.read(spec)) is not None:
        return any(looks_at_k(name) for _, name in terms)
    fixed = (f"{PREFIX}{LISTED}", *(f"{each}:" for each in _SUMS))
    return spec not in ("mean", "max@n") and not spec.startswith(fixed) and not weighted_sums.own_k(spec)


def at_own_k(spec: str, k: int) -> str:
    """The name of an objective at a K of its own: ``max@8``; its own name where it looks at no k."""
    if not looks_at_k(spec):
        return spec
    return f"max@{k}" if spec == "max@k" else f"{spec}@{k}"


def _named(name: str, n: int, k: int) -> Objective:
    if not isinstance(name, str):
        raise TypeError(f"objective {name!r} is a {type(name).__name__}: it must be a name, e.g. max@k")
    if (terms := weighted_sums.read(name)) is not None:
        return weighted_sum(name, [(weight, _named(each, n, k)) for weight, each in terms])
    return Objective(name, _weights(name, n, k))


def _weights(name: str, n: int, k: int) -> tuple[Fraction, ...]:
    if name == "mean":
        return equal(1, 0, 1)
    if name in ("max@k", "max@n"):
        size = k if name == "max@k" else n
        return equal(size, size - 1, size)
    if (own := weighted_sums.own_k(name)) and (own[0] == "max" or own[0].startswith(PREFIX)):
        base, size = own[0], as_k(own[1])
        return equal(size, size - 1, size) if base == "max" else weights_of(base.removeprefix(PREFIX), size)
    if name.startswith(PREFIX):
        return weights_of(name.removeprefix(PREFIX), k)
    family, _, text = name.partition(":")
    if family in _SUMS and text.isdecimal() and int(text) >= 1:
        largest = int(text)
        parts = [(_SUMS[family](size), max_at(size)) for size in range(1, largest + 1)]
        return weighted_sum(name, parts).weights
    raise ValueError(
        f"objective {name!r} is unknown: it must be max@k, max@n, mean or {PREFIX}<preset>, with a "
        f"preset of {', '.join(each.spelled(other) for other, each in PRESETS.items())} or weights=[...]; "
        f"max@8, {', '.join(f'{each}:T' for each in _SUMS)}, T >= 1, or a sum such as 0.7*max@k+0.3*mean"
    )
