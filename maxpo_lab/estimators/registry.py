"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

import copyreg
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from ..core import weighted_sums
from ..core.registry import Registry
from . import of_vectors
from .base import Estimator
from .batch import BatchEstimator
from .entry import KINDS, Entry, Kind
from .families import FAMILIES
from .families.of_batches import whitened
from .families.sums import mixture
from .memory import MemoryEstimator
from .of_vectors import several_rewards
from .vector import VectorBatchEstimator, VectorEstimator, Weighing

#: An entry of the catalogue: ``kind`` tells which.
AnyEstimator: TypeAlias = (
    Estimator | BatchEstimator | MemoryEstimator | VectorEstimator | VectorBatchEstimator
)
#: What a consumer of groups says of a rule of another kind.
_OTHER_KINDS = {
    "batch": "couples the groups of a batch",
    "memory": "remembers earlier steps",
    "vector": "takes several numbers of a rollout",
    "vector-batch": "takes several numbers of a rollout, and couples the groups of a batch",
}


def _whitened(rule: str) -> BatchEstimator | VectorBatchEstimator:
    """``whitened:RULE``, with options before the rule."""
    name, options = whitened.read(rule)
    own = get_estimator(name)
    if isinstance(own, VectorEstimator):
        return whitened.of_vectors(own, **options)
    return whitened.whitened(_of_a_group("whitened", rule, own), **options)


def _of_a_group(family: str, rule: str, own: AnyEstimator) -> Estimator:
    if not isinstance(own, Estimator):
        raise ValueError(f"{family}:{rule}: {own.name} is a {own.kind} rule; take one of a group, e.g. maxpo")
    return own


def _summed(rule: str) -> VectorEstimator:
    """``summed:RULE``."""
    return several_rewards.summed(_of_a_group("summed", rule, get_estimator(rule)))


def _per_reward(rule: str) -> VectorEstimator:
    """``per-reward:RULE``."""
    return several_rewards.per_reward(_of_a_group("per-reward", rule, get_estimator(rule)))


_CATALOGUE: Registry[AnyEstimator] = Registry(
    "estimator",
    ((rule.name, rule) for family in (*FAMILIES, *of_vectors.FAMILIES) for rule in family.RULES),
    families={
        **{name: make for family in FAMILIES for name, make in getattr(family, "MAKERS", {}).items()},
        "whitened": _whitened,
        "summed": _summed,
        "per-reward": _per_reward,
    },
    absent="is not in the catalogue",
)


def list_estimators(kind: Kind | Literal["all"] = "group") -> tuple[str, ...]:
    """Names of the catalogue, family by family; ``parameters`` tells which take more.

    Of the rules of a group, unless told otherwise: ``"batch"`` for those that couple the groups of a batch,
    ``"memory"`` for those that remember earlier steps, ``"vector"`` and ``"vector-batch"`` for those of a
    group and of a batch whose rollouts carry several rewards or a length, ``"all"`` for all of them.
    ValueError: another kind.
    """
    if kind not in (*KINDS, "all"):
        raise ValueError(f"kind={kind!r}: must be {', '.join(map(repr, KINDS))} or 'all'")
    return tuple(name for name in _CATALOGUE if kind in ("all", _CATALOGUE[name].kind))


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a rule: ``{"eps": 1e-06, "ddof": 1}`` for ``"grpo"``, its own for ``"grpo:eps=1e-4"``."""
    if _combined(name) is not None:
        return {}
    family, colon, text = name.partition(":")
    return whitened.read(text)[1] if colon and family == "whitened" else _CATALOGUE.parameters(name)


def get_estimator(name: str) -> AnyEstimator:
    """The estimator of this name, or of a name with parameters.

    ``"maxpo"``, ``"grpo:eps=1e-4,ddof=1"``, ``"maxrl:eps=1e-6"``, ``"entropic:beta=2"``,
    ``"leader:alpha=0.5"``, ``"l-statistic:TopM:2"``; of batches ``"trl-batch"``, ``"whitened:maxpo"``,
    ``"whitened:scale=std1,mean=1:grpo:eps=1e-4"``, ``"areal-norm:mean=group"``; with memory
    ``"rae:decay=0.9"``, ``"spo:whiten=0"``; of several rewards ``"summed:grpo"``, ``"per-reward:maxpo"``,
    ``"gdpo"``. Of rules of a group, one at a K of its own, ``"maxpo@8"``, and
    any weighted sum, ``"0.7*maxpo+0.3*rloo"``, ``"maxpo-0.1*rloo"``: a minus has its number, as names hold
    minus signs. One object per rule, however its parameters are spelled and its terms ordered, here and
    after pickling. ``kind`` tells what its advantages depend on.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No estimator has this name (the message gives the nearest ones), or a parameter is not one of its
        own, not a number, or out of range; a sum holds a rule of another kind.
    """
    return _found(name, _CATALOGUE)


def _found(name: str, offered: Iterable[str]) -> AnyEstimator:
    """A rule; a message on an unknown name offers those."""
    asked: object = name
    if not isinstance(asked, str) or asked in _CATALOGUE or asked in _PLAIN:
        return _CATALOGUE[name]
    if asked not in _COMBINED:
        if (made := _combined(asked)) is None:
            found = _CATALOGUE.find(asked, offered)
            _PLAIN.add(asked)
            return found
        _COMBINED[asked] = made
    return _COMBINED[asked]


#: Sums and rules at a K of their own, by their names and by all names that were asked for: a look-up is all
#: that a compiled graph sees of them. And names with parameters that are none of these.
_COMBINED: dict[str, Estimator] = {}
_PLAIN: set[str] = set()


def _combined(name: str) -> Estimator | None:
    """What a name spells that is no entry of the catalogue but made of some; None for any other name."""
    if name in _CATALOGUE or name.startswith("whitened:"):  # which whitens all that follows
        return None
    terms = weighted_sums.read(name)
    own = weighted_sums.own_k(name) if terms is None else None
    if own is not None:
        made = mixture.at_k(_term(name, own[0]), own[1])
    elif terms is not None:
        try:
            made = mixture.mixture([(weight, _term(name, each)) for weight, each in terms])
        except ValueError as error:
            raise error if repr(name) in str(error) else ValueError(f"mixture {name!r}: {error}") from None
    else:
        _refuse_misspelled(name)
        return None
    if made.name in _CATALOGUE:
        return made
    return _COMBINED.setdefault(made.name, made)


def _term(whole: str, name: str) -> Estimator:
    """A rule of a group, as a term of a mixture."""
    try:
        found = get_estimator(name)
    except ValueError as error:
        raise ValueError(f"mixture {whole!r}: {error}") from None
    if not isinstance(found, Estimator):
        raise ValueError(
            f"mixture {whole!r}: {found.name} {_OTHER_KINDS[found.kind]}: a mixture is of rules of a group, "
            f"one of list_estimators(); whitened:<mixture> whitens one over a batch"
        )
    return found


def _refuse_misspelled(name: str) -> None:
    """Refuse what was meant as a mixture and does not read as one."""
    family = name.partition(":")[0]
    if family in _CATALOGUE or ":" in name:  # its own errors say more
        return
    absent = f"estimator {name!r} is not in the catalogue; "
    for place in (place for place, mark in enumerate(name) if mark == "-"):
        first, second = name[:place].strip(), name[place + 1 :].strip()
        if first in _CATALOGUE and second in _CATALOGUE:
            raise ValueError(f"{absent}did you mean the mixture {first}-1*{second}?")
    if "@" in name:
        raise ValueError(f"{absent}a K of its own is a whole number after a rule, e.g. maxpo@8")
    if any(mark in name for mark in "*+()") or (name and name[0] in "-.0123456789"):
        raise ValueError(
            f"{absent}a mixture is written weight*rule, terms joined by + or -, e.g. 0.7*maxpo+0.3*rloo or "
            f"maxpo-1*rloo, without brackets"
        )


def group_estimator(name: str, *, beside: Iterable[str] = ()) -> Estimator:
    """The rule of a group of this name; ValueError for one of another kind, else as ``get_estimator``.

    ``beside`` names what the caller takes too, and has not found this to be: messages offer these and the
    rules of a group.
    """
    beside = tuple(beside)
    rule = _found(name, (*list_estimators(), *beside))
    if not isinstance(rule, Estimator):
        taken = ", ".join(("list_estimators()", *beside))
        raise ValueError(
            f"estimator {name!r} {_OTHER_KINDS[rule.kind]}: a rule of a group is needed here, one of "
            f"{taken}; batch_moments, audit and monte_carlo_moments take all kinds"
        )
    return rule


def _reduced(rule: Entry) -> str | tuple[Any, ...]:
    """For pickle and copy: a rule of the catalogue is its name, and comes back as the same object."""
    if isinstance(rule, Weighing) and rule.reward_weights is not None and _in_catalogue(rule.name):
        return (_weighted, (rule.name, rule.reward_weights))
    return (get_estimator, (rule.name,)) if of_its_name(rule) else object.__reduce_ex__(rule, 2)


def of_its_name(rule: Entry) -> bool:
    """Whether a rule is the one that the catalogue has, or has made, under its name."""
    return _in_catalogue(rule.name) and get_estimator(rule.name) is rule


def _in_catalogue(name: str) -> bool:
    try:
        return bool(get_estimator(name))
    except ValueError:
        return False


def _weighted(name: str, reward_weights: tuple[float, ...]) -> Weighing:
    rule = get_estimator(name)
    if not isinstance(rule, Weighing):
        raise TypeError(f"{name} weighs no rewards")
    return rule.weighted(reward_weights)


for _kind in {*(type(_CATALOGUE[name]) for name in _CATALOGUE), mixture.AtOwnK, mixture.Mixture}:
    copyreg.pickle(_kind, _reduced)
