"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

from difflib import get_close_matches

from . import grpo, maxpo, mean_reward, pkpo
from .base import Estimator

_CATALOGUE: dict[str, Estimator] = {
    rule.name: rule for family in (mean_reward, grpo, pkpo, maxpo) for rule in family.RULES
}


def list_estimators() -> tuple[str, ...]:
    """Names of all estimators, family by family."""
    return tuple(_CATALOGUE)


def get_estimator(name: str) -> Estimator:
    """The estimator of this name.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No estimator has this name; the message gives the nearest ones.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"estimator={name!r} is a {type(name).__name__}: it must be a name, one of "
            f"{', '.join(_CATALOGUE)}"
        )
    if name in _CATALOGUE:
        return _CATALOGUE[name]
    near = get_close_matches(name, _CATALOGUE, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(_CATALOGUE)}"
    raise ValueError(f"estimator {name!r} is not in the catalogue; {hint}")
