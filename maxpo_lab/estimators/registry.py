"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

import copyreg
from typing import Any

from ..core.registry import Registry
from ..objectives import PREFIX
from .base import Estimator
from .families import FAMILIES, l_statistic, maxrl, standardised, winner

_CATALOGUE: Registry[Estimator] = Registry(
    "estimator",
    ((rule.name, rule) for family in FAMILIES for rule in family.RULES),
    families={
        "grpo": standardised.grpo,
        "maxrl": maxrl.maxrl,
        "leader": winner.leader,
        "entropic": winner.entropic,
        PREFIX.rstrip(":"): l_statistic.l_statistic,
    },
    absent="is not in the catalogue",
)


def list_estimators() -> tuple[str, ...]:
    """Names of the catalogue, family by family; ``parameters`` tells which take more."""
    return tuple(_CATALOGUE)


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a rule: ``{"eps": 1e-06, "ddof": 1}`` for ``"grpo"``, its own for ``"grpo:eps=1e-4"``."""
    return _CATALOGUE.parameters(name)


def get_estimator(name: str) -> Estimator:
    """The estimator of this name, or of a name with parameters.

    ``"maxpo"``, ``"grpo:eps=1e-4,ddof=1"``, ``"maxrl:eps=1e-6"``, ``"entropic:beta=2"``,
    ``"leader:alpha=0.5"``, ``"l-statistic:TopM:2"``. One object per rule, however its parameters are
    spelled, here and after pickling.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No estimator has this name (the message gives the nearest ones), or a parameter is not one of its
        own, not a number, or out of range.
    """
    return _CATALOGUE[name]


def _reduced(rule: Estimator) -> str | tuple[Any, ...]:
    """For pickle and copy: a rule of the catalogue is its name, and comes back as the same object."""
    return (get_estimator, (rule.name,)) if _of_its_name(rule) else object.__reduce_ex__(rule, 2)


def _of_its_name(rule: Estimator) -> bool:
    """Whether a rule is the one that the catalogue has, or has made, under its name."""
    try:
        return _CATALOGUE[rule.name] is rule
    except ValueError:
        return False


for _kind in {type(_CATALOGUE[name]) for name in _CATALOGUE}:
    copyreg.pickle(_kind, _reduced)
