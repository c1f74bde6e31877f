"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

import copyreg
from typing import Any, Literal, TypeAlias

from ..core.registry import Registry
from .base import Estimator
from .batch import BatchEstimator
from .entry import KINDS, Entry, Kind
from .families import FAMILIES
from .families.of_batches import whitened
from .memory import MemoryEstimator

#: An entry of the catalogue: ``kind`` tells which.
AnyEstimator: TypeAlias = Estimator | BatchEstimator | MemoryEstimator
#: What a consumer of groups says of a rule of another kind.
_OTHER_KINDS = {
    "batch": "couples the groups of a batch",
    "memory": "remembers earlier steps",
}


def _whitened(rule: str) -> BatchEstimator:
    """``whitened:RULE``, with options before the rule."""
    name, options = whitened.read(rule)
    own = get_estimator(name)
    if not isinstance(own, Estimator):
        raise ValueError(
            f"whitened:{rule}: {own.name} is a {own.kind} rule; whiten one of a group, e.g. maxpo"
        )
    return whitened.whitened(own, **options)


_CATALOGUE: Registry[AnyEstimator] = Registry(
    "estimator",
    ((rule.name, rule) for family in FAMILIES for rule in family.RULES),
    families={
        **{name: make for family in FAMILIES for name, make in getattr(family, "MAKERS", {}).items()},
        "whitened": _whitened,
    },
    absent="is not in the catalogue",
)


def list_estimators(kind: Kind | Literal["all"] = "group") -> tuple[str, ...]:
    """Names of the catalogue, family by family; ``parameters`` tells which take more.

    Of the rules of a group, unless told otherwise: ``"batch"`` for those that couple the groups of a batch,
    ``"memory"`` for those that remember earlier steps, ``"all"`` for all of them. ValueError: another kind.
    """
    if kind not in (*KINDS, "all"):
        raise ValueError(f"kind={kind!r}: must be {', '.join(map(repr, KINDS))} or 'all'")
    return tuple(name for name in _CATALOGUE if kind in ("all", _CATALOGUE[name].kind))


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a rule: ``{"eps": 1e-06, "ddof": 1}`` for ``"grpo"``, its own for ``"grpo:eps=1e-4"``."""
    family, colon, text = name.partition(":")
    return whitened.read(text)[1] if colon and family == "whitened" else _CATALOGUE.parameters(name)


def get_estimator(name: str) -> AnyEstimator:
    """The estimator of this name, or of a name with parameters.

    ``"maxpo"``, ``"grpo:eps=1e-4,ddof=1"``, ``"maxrl:eps=1e-6"``, ``"entropic:beta=2"``,
    ``"leader:alpha=0.5"``, ``"l-statistic:TopM:2"``; of batches ``"trl-batch"``, ``"whitened:maxpo"``,
    ``"whitened:scale=std1,mean=1:grpo:eps=1e-4"``, ``"areal-norm:mean=group"``; with memory
    ``"rae:decay=0.9"``, ``"spo:whiten=0"``. One object per rule,
    however its parameters are spelled, here and after pickling. ``kind`` tells what its advantages depend on.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No estimator has this name (the message gives the nearest ones), or a parameter is not one of its
        own, not a number, or out of range.
    """
    return _CATALOGUE[name]


def group_estimator(name: str) -> Estimator:
    """The rule of a group of this name; ValueError for one of another kind, else as ``get_estimator``."""
    rule = get_estimator(name)
    if not isinstance(rule, Estimator):
        raise ValueError(
            f"estimator {name!r} {_OTHER_KINDS[rule.kind]}: a rule of a group is needed here, one of "
            f"list_estimators(); batch_moments, audit and monte_carlo_moments take all kinds"
        )
    return rule


def _reduced(rule: Entry) -> str | tuple[Any, ...]:
    """For pickle and copy: a rule of the catalogue is its name, and comes back as the same object."""
    return (get_estimator, (rule.name,)) if _of_its_name(rule) else object.__reduce_ex__(rule, 2)


def _of_its_name(rule: Entry) -> bool:
    """Whether a rule is the one that the catalogue has, or has made, under its name."""
    try:
        return _CATALOGUE[rule.name] is rule
    except ValueError:
        return False


for _kind in {type(_CATALOGUE[name]) for name in _CATALOGUE}:
    copyreg.pickle(_kind, _reduced)
