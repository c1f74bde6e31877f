"""Claims about a rule: what they say, whether they hold, and the smallest counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...estimators import get_estimator
from ...moments import states
from ...objectives import Objective, as_objective, in_words
from ...rules.samples import sample_groups
from ..worker import HungError, RaisedError
from .nearest import first_difference
from .pairs import Pairs, on_levels, without_ties

EQUALS = "equals:"
#: Reward levels of the kinds of rewards; binary fractions, so that a flat group's mean is exact.
LEVELS = {"binary": (0.0, 1.0), "graded": (0.0, 0.25, 0.625, 1.0), "continuous": (0.0, 0.25, 0.625, 1.0)}
#: Rewards that are no binary fractions: a flat group's mean is rounded.
FLAT = (0.1, 0.7, 0.8)
#: Rewards up to which a claim is followed.
LARGEST = 1e5
#: Entries (groups x n) up to which claims are decided on every count state.
_ENTRIES = 1 << 18
#: Groups evaluated at most to decide on pairs.
_GROUPS = 50_000


class TooManyError(ValueError):
    """More groups than can be evaluated."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim holds: None where it could not be decided. ``detail`` shows why.

    A claim is decided on rewards from 0 to 1. ``up_to`` is the largest power of ten up to ``LARGEST`` by
    which they can be multiplied so that it still holds, None where it does not hold at all; ``beyond`` says
    what happens at ten times that, None where ``up_to`` is ``LARGEST``.
    """

    claim: str
    holds: bool | None
    detail: str
    up_to: float | None = None
    beyond: str | None = None


@dataclass(frozen=True, kw_only=True)
class Where:
    """What a claim is decided for; ``unit`` is the largest reward."""

    n: int
    k: int
    target: str
    rewards: str
    equivariant: bool
    allow_scale: bool = False
    unit: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Setting(Where):
    """What a claim of a rule of one reward is decided for."""

    @property
    def objective(self) -> Objective:
        """The target at this group size."""
        return as_objective(self.target, self.n, self.k)

    @property
    def values(self) -> Float:
        """Reward levels: as many as the group size lets one enumerate."""
        return levels_of(self.rewards, self.n, equivariant=self.equivariant)


def levels_of(rewards: str, n: int, *, equivariant: bool = True) -> Float:
    """Levels of a kind of rewards: four, or three or two where their groups would be too many."""
    values = LEVELS[rewards]
    for chosen in (values, (values[0], values[1], values[-1]), (values[0], values[-1])):
        size = len(chosen)
        groups = states.number_of_counts(n, size) if equivariant else size**n
        if groups <= _GROUPS or size == 2:
            return np.array(chosen)
    raise AssertionError


@lru_cache(maxsize=16)
def groups_of(rewards: str, n: int) -> Float:
    """Groups (B, n) of a kind of rewards, the simplest first, made once and read-only.

    Binary and graded ones are every count state where they are few, sorted and in another order. Those
    without ties lie in [0, 1], no two rewards within 1/(2n): no standard deviation is small.
    """
    rng = np.random.default_rng(5)
    free = rng.permuted((np.arange(n) + 0.5 * rng.random((64, n))) / n, axis=1)
    if rewards == "continuous":
        return _read_only(free)
    values = levels_of(rewards, n)
    size = len(values)
    if states.number_of_counts(n, size) * n <= _ENTRIES:
        blocks = states.count_blocks(n, np.full(size, 1.0 / size))
        level = np.concatenate([block.level for block in blocks])
    else:
        level = sample_groups(n, size)
    level = level[np.argsort(level.sum(axis=1), kind="stable")]
    made = [values[level], values[rng.permuted(level, axis=1)]]
    return _read_only(np.concatenate(made if rewards == "binary" else [*made, free]))


def _read_only(groups: Float) -> Float:
    groups.setflags(write=False)
    return groups


def with_flat(groups: Float, rewards: str) -> Float:
    """The groups, and after them, where rewards are graded, flat ones of rewards whose mean is rounded."""
    n = groups.shape[1]
    return np.concatenate([groups, np.repeat(FLAT, n).reshape(-1, n)]) if rewards == "graded" else groups


def check_claims(
    claims: Any,
    known: tuple[str, ...] = ("unbiased", "centered", "equivariant"),
    get: Callable[[str], Any] = get_estimator,
) -> tuple[str, ...]:
    """Claims by their names, ``known`` or those of ``get``. ValueError names one that is none.

    TypeError for one name in place of a sequence of them, and for what is no name.
    """
    if isinstance(claims, str) or not isinstance(claims, Iterable):
        example = claims if isinstance(claims, str) else "unbiased"
        raise TypeError(
            f"claims={claims!r} is a {type(claims).__name__}: it must be a sequence of claims, e.g. "
            f"claims=({example!r},)"
        )
    claims = tuple(claims)
    for claim in claims:
        if not isinstance(claim, str):
            raise TypeError(
                f"claim {claim!r} is a {type(claim).__name__}: it must be a name, e.g. 'unbiased'"
            )
        if claim.startswith(EQUALS):
            get(claim.removeprefix(EQUALS))
        elif claim not in known:
            raise ValueError(f"claim {claim!r}: must be {', '.join(known)} or {EQUALS}<name of a rule>")
    return tuple(dict.fromkeys(claims))


def pairs_of(rule: rules.Rule, setting: Setting) -> Pairs:
    """The pairs that decide on unbiasedness.

    Raises TooManyError for a rule that is not permutation-equivariant at a size with too many arrangements,
    or on continuous rewards.
    """
    n = setting.n
    if setting.rewards == "continuous":
        if not setting.equivariant:
            raise TooManyError(
                "a rule that is not permutation-equivariant is judged on binary or graded rewards alone"
            )
        return without_ties(rule, n=n, k=setting.k, unit=setting.unit)
    values = setting.unit * levels_of(setting.rewards, n, equivariant=setting.equivariant)
    if not few_enough(setting):
        raise TooManyError(
            f"a rule that is not permutation-equivariant needs all {len(values)}^{n} arrangements of a "
            f"group, more than {_GROUPS:,}: audit it at a smaller n"
        )
    return on_levels(rule, values, n=n, k=setting.k, equivariant=setting.equivariant)


def few_enough(setting: Setting) -> bool:
    """Whether the groups that decide can all be evaluated: all arrangements, if the order matters."""
    arrangements: int = len(setting.values) ** setting.n
    return setting.equivariant or arrangements <= _GROUPS


def why_biased(rule: rules.Rule, setting: Setting) -> str | None:
    """The smallest pair of groups that shows a bias, in words; None where every pair is paid as is due."""
    for size, kind in sizes(setting):
        smaller = replace(setting, n=size, rewards=kind)
        if smaller.objective.size > size:  # which no rule of so few rollouts climbs
            continue
        try:
            pairs = pairs_of(rule, smaller)
        except (RaisedError, HungError, ValueError, TypeError):
            if smaller == setting:
                raise
            continue
        if wrong := wrongly_paid(pairs, smaller):
            return wrong
    return None


def wrongly_paid(pairs: Pairs, setting: Setting) -> str | None:
    """The first pair that is not paid what an unbiased rule pays, in words; None where all are."""
    objective = setting.objective
    factor = pairs.fit(objective).scale if setting.allow_scale else 1.0
    worst = pairs.first_wrong(objective, factor)
    if worst is None:
        return None
    low, high, k = pairs.low[worst], pairs.high[worst], setting.k
    name = in_words(objective)
    due, earned = factor * pairs.due(objective)[worst], pairs.earned[worst]
    wanted = "an unbiased rule" if factor == 1 else f"one of its scale, {factor:.4g},"
    return (
        f"n={pairs.n}, K={k}: with the others at {plain(pairs.others[worst])}, raising one reward from "
        f"{low:g} to {high:g} {changes(earned)}; {wanted} for {name} {changes(due, 'it')}"
    )


def changes(advantage: float, whose: str = "its advantage") -> str:
    """What a change of an advantage is called."""
    if advantage == 0:
        return f"leaves {whose} as it is"
    return f"{'raises' if advantage > 0 else 'lowers'} {whose} by {abs(advantage):.6g}"


def why_not_centered(rule: rules.Rule, setting: Setting) -> str | None:
    """The smallest group whose advantages do not sum to 0, in words; None where all do."""

    def off_center(groups: Float) -> str | None:
        advantages = rules.evaluate(rule, groups, setting.k)
        total = np.abs(advantages.sum(axis=1))
        allowed = groups.shape[1] * rules.tolerance(rule, groups, advantages, setting.k)[:, 0]
        rows = np.flatnonzero(total > allowed)
        if not len(rows):
            return None
        group, given = groups[rows[0]], advantages[rows[0]]
        return (
            f"n={len(group)}, K={setting.k}: the advantages of {plain(group)}, {plain(given)}, sum to "
            f"{given.sum():.6g}"
        )

    return _smallest(setting, off_center)


def why_not_equivariant(rule: rules.Rule, setting: Setting) -> str | None:
    """The smallest group and a permutation of it that get other advantages, ties aside; else None."""

    def broken(groups: Float) -> str | None:
        level = np.searchsorted(np.unique(groups), groups)
        found = rules.observe(rule, groups, level, setting.k).counterexample
        if found is None:
            return None
        group, permuted = found
        given, moved = (rules.evaluate(rule, np.array([each]), setting.k)[0] for each in found)
        return (
            f"n={len(group)}, K={setting.k}: {plain(group)} gets {plain(given)}, and the same rewards in "
            f"the order {plain(permuted)} get {plain(moved)}"
        )

    return _smallest(setting, broken)


def why_not_equal(rule: rules.Rule, name: str, setting: Setting) -> str | None:
    """The smallest group on which a rule differs from an estimator, in words; None where on none.

    The estimator must be defined on the setting's rewards.
    """

    def different(groups: Float) -> str | None:
        found = first_difference(rule, name, groups, setting.k, scaled=setting.allow_scale)
        if found is None:
            return None
        return (
            f"n={found.n}, K={found.k}: {plain(found.rewards)} gets {plain(found.got)}; {name} gives "
            f"{plain(found.expected)}"
        )

    return _smallest(setting, different)


def _kinds(setting: Where) -> tuple[str, ...]:
    """Kinds of rewards in which a counterexample is looked for, the simplest first."""
    return ("binary", "graded") if setting.rewards == "graded" else (setting.rewards,)


def sizes(setting: Where) -> Iterator[tuple[int, str]]:
    """Group sizes from the smallest that K admits, each with the kinds of rewards."""
    return product(range(min(max(setting.k, 2), setting.n), setting.n + 1), _kinds(setting))


def _smallest(setting: Setting, fault: Callable[[Float], str | None]) -> str | None:
    """What ``fault`` says of the smallest groups that it finds a fault with; None where it finds none at n.

    Sizes that the rule refuses are passed over.
    """
    at_n = fault(setting.unit * with_flat(groups_of(setting.rewards, setting.n), setting.rewards))
    if at_n is None:
        return None
    for size, kind in sizes(setting):
        try:
            found = fault(setting.unit * with_flat(groups_of(kind, size), kind))
        except (RaisedError, HungError, ValueError, TypeError):
            continue
        if found:
            return found
    return at_n


def plain(values: Sequence[float] | Float) -> str:
    """Numbers of a group as a list in words."""
    return "[" + ", ".join(f"{value:.7g}" for value in np.asarray(values, dtype=np.float64)) + "]"
