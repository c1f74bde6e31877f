"""Claims about a rule of several rewards: whether they hold, and the smallest counterexample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...estimators import VectorEstimator, get_estimator
from ..decide.claims import EQUALS, Verdict, plain, sizes
from ..decide.nearest import positive_factor
from ..decide.objective import Ascent
from ..decide.verdicts import followed
from ..worker import HungError, RaisedError
from .calls import ByNumbers, RowRule
from .nearest import called
from .rows import RowSetting, free_groups, groups_of, plain_rows
from .steps import steps_on, wrongly_paid


def verdict(rule: RowRule, claim: str, setting: RowSetting, climbed: Ascent | None) -> Verdict:
    """Whether a rule keeps a claim, why, and how large rewards may be.

    ``climbed`` decides on ``unbiased``; other claims do without.
    """
    fault: Callable[[RowSetting], str | None]
    tried = f"all {len(groups_of(setting.n, len(setting.table))):,} groups tried"
    if claim == "unbiased" and climbed is not None:
        holds = climbed.proportional_to_target if setting.allow_scale else climbed.unbiased_for_target
        if not holds:
            why = _smallest_bias(rule, setting) if holds is False else None
            return Verdict(claim, holds, f"{climbed.text}; {why}" if why else climbed.text)
        fault = lambda each: wrongly_paid(steps_on(ByNumbers(rule, each.table), each), each)  # noqa: E731
        words = climbed.text
    elif claim.startswith(EQUALS):
        name = claim.removeprefix(EQUALS)
        named = get_estimator(name)
        if not isinstance(named, VectorEstimator):
            said = f"{name} is a {named.kind} rule, and this is a vector rule, of a group of several rewards"
            return Verdict(claim, False, said)
        if reason := _why_not(named.weighted(setting.reward_weights), setting):
            return Verdict(claim, None, f"not decided: {reason}")
        fault = lambda each: _smallest(each, lambda at: _different(rule, named, at))  # noqa: E731
        words = f"the numbers of {name} on {tried}"
    elif claim == "centered":
        fault = lambda each: _smallest(each, lambda at: _off_center(rule, at))  # noqa: E731
        words = f"the advantages of {tried} sum to 0"
    else:
        fault = lambda each: _smallest(each, lambda at: _disordered(rule, at))  # noqa: E731
        words = f"permuted rollouts get permuted advantages, ties aside, in some permutations of {tried}"
    if (broken := fault(setting)) is not None:
        return Verdict(claim, False, broken)
    return Verdict(claim, True, words, *followed(fault, setting))


def _why_not(named: VectorEstimator, setting: RowSetting) -> str | None:
    """Reason why a rule of the catalogue is not defined on the rows of a setting."""
    if named.takes_lengths and not setting.lengths:
        return f"{named.name} takes lengths, and this rule takes none"
    rows = setting.table[None]
    lengths = rows[..., -1] if named.takes_lengths else None
    _, _, given = named.of_rewards(rows[..., : len(setting.reward_weights)], lengths)
    reason = named.why_not(setting.n, setting.k)
    return reason or named.why_not_rows(np, given)


def _smallest_bias(rule: RowRule, setting: RowSetting) -> str | None:
    """The smallest pair of groups that shows a bias, in words; None where every pair is paid as is due."""
    for n, kind in sizes(setting):
        smaller = replace(setting, n=n, rewards=kind)
        try:
            if smaller.objective.size > n:  # which no rule of so few rollouts climbs
                continue
            steps = steps_on(ByNumbers(rule, smaller.table), smaller)
        except (RaisedError, HungError, ValueError, TypeError):
            if n == setting.n and kind == setting.rewards:
                raise
            continue
        if wrong := wrongly_paid(steps, smaller):
            return wrong
    return None


def _smallest(setting: RowSetting, fault: Callable[[RowSetting], str | None]) -> str | None:
    """What ``fault`` says of the smallest groups that have it; None where it finds none at n."""
    at_n = fault(setting)
    if at_n is None:
        return None
    for n, kind in sizes(setting):
        try:
            found = fault(replace(setting, n=n, rewards=kind))
        except (RaisedError, HungError, ValueError, TypeError):
            continue
        if found:
            return found
    return at_n


def _groups(setting: RowSetting) -> Float:
    """Rows (B, n, c) of every group of the grid, sorted, and in another order."""
    level = groups_of(setting.n, len(setting.table))
    moved = np.random.default_rng(5).permuted(level, axis=1)
    return np.asarray(setting.table[np.concatenate([level, moved])])


def _off_center(rule: RowRule, setting: RowSetting) -> str | None:
    groups = _groups(setting)
    given = rule(groups, setting.k)
    total = np.abs(given.sum(axis=1))
    rows = np.flatnonzero(total > setting.n * rule.tolerance(groups, given, setting.k)[:, 0])
    if not len(rows):
        return None
    group, each = groups[rows[0]], given[rows[0]]
    return (
        f"n={setting.n}, K={setting.k}: the advantages of {plain_rows(group)}, {plain(each)}, sum to "
        f"{each.sum():.6g}"
    )


def _disordered(rule: RowRule, setting: RowSetting) -> str | None:
    table = setting.table
    level = groups_of(setting.n, len(table))
    found = rules.observe(ByNumbers(rule, table), level.astype(np.float64), level, setting.k).counterexample
    if found is None:
        return None
    group, moved = (table[np.array(each).astype(int)] for each in found)
    given, other = (rule(each[None], setting.k)[0] for each in (group, moved))
    return (
        f"n={setting.n}, K={setting.k}: {plain_rows(group)} gets {plain(given)}, and the same rows in the "
        f"order {plain_rows(moved)} get {plain(other)}"
    )


def _different(rule: RowRule, named: VectorEstimator, setting: RowSetting) -> str | None:
    """The first group on which the rule is another than one of the catalogue, at its weights."""
    own = named.weighted(setting.reward_weights)
    if _why_not(own, setting):
        return None
    sets = [_groups(setting)]
    if setting.rewards == "graded":
        sets.append(setting.unit * free_groups(rule.rewards, setting.n, lengths=False))
    for rows in sets:
        rewards = rows if rows is sets[0] else rule.rows(rows)
        theirs = called(own, [rewards], setting.k)
        if theirs is None:
            continue
        ours = rule(rewards, setting.k)
        factor = positive_factor(ours, theirs[0]) if setting.allow_scale else 1.0
        want = factor * theirs[0]
        off = np.abs(ours - want) > rule.tolerance(rewards, want, setting.k)
        if len(found := np.flatnonzero(off.any(axis=1))):
            first = found[0]
            return (
                f"n={setting.n}, K={setting.k}: {plain_rows(rewards[first])} gets {plain(ours[first])}; "
                f"{named.name} gives {plain(want[first])}"
            )
    return None
