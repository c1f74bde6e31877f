"""The catalogue by name. Tests, tables, documentation and the command line are driven from here."""

from __future__ import annotations

import copyreg
from typing import Any, Literal, TypeAlias

from ..core.registry import Registry
from ..objectives import PREFIX
from . import of_vectors
from .base import Estimator
from .batch import BatchEstimator
from .entry import KINDS, Entry, Kind
from .families import (
    FAMILIES,
    l_statistic,
    maxrl,
    reward_average,
    standardised,
    whitened,
    winner,
    with_history,
)
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
        "grpo": standardised.grpo,
        "maxrl": maxrl.maxrl,
        "leader": winner.leader,
        "entropic": winner.entropic,
        PREFIX.rstrip(":"): l_statistic.l_statistic,
        "whitened": _whitened,
        "summed": _summed,
        "per-reward": _per_reward,
        "rae": reward_average.rae,
        "replay": with_history.of_replay,
        "centered-replay": with_history.of_centered_replay,
        "plug-in-floor": with_history.of_plug_in_floor,
        "pooled": with_history.of_pooled,
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
    family, colon, text = name.partition(":")
    return whitened.read(text)[1] if colon and family == "whitened" else _CATALOGUE.parameters(name)


def get_estimator(name: str) -> AnyEstimator:
    """The estimator of this name, or of a name with parameters.

    ``"maxpo"``, ``"grpo:eps=1e-4,ddof=1"``, ``"maxrl:eps=1e-6"``, ``"entropic:beta=2"``,
    ``"leader:alpha=0.5"``, ``"l-statistic:TopM:2"``; of batches ``"trl-batch"``, ``"whitened:maxpo"``,
    ``"whitened:scale=std1,mean=1:grpo:eps=1e-4"``; with memory ``"rae:decay=0.9"``; of several rewards
    ``"summed:grpo"``, ``"per-reward:maxpo"``, ``"gdpo"``. One object per rule,
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
    if isinstance(rule, Weighing) and rule.reward_weights is not None and _in_catalogue(rule.name):
        return (_weighted, (rule.name, rule.reward_weights))
    return (get_estimator, (rule.name,)) if _of_its_name(rule) else object.__reduce_ex__(rule, 2)


def _of_its_name(rule: Entry) -> bool:
    """Whether a rule is the one that the catalogue has, or has made, under its name."""
    return _in_catalogue(rule.name) and _CATALOGUE[rule.name] is rule


def _in_catalogue(name: str) -> bool:
    try:
        return bool(_CATALOGUE[name])
    except ValueError:
        return False


def _weighted(name: str, reward_weights: tuple[float, ...]) -> Weighing:
    rule = get_estimator(name)
    if not isinstance(rule, Weighing):
        raise TypeError(f"{name} weighs no rewards")
    return rule.weighted(reward_weights)


for _kind in {type(_CATALOGUE[name]) for name in _CATALOGUE}:
    copyreg.pickle(_kind, _reduced)
