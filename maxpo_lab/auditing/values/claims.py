"""Claims about a value rule: what they say, whether they hold, and the smallest counterexample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...core.precision import FLOAT64
from ...evaluation import get_value_rule, value_estimate
from ..decide.claims import EQUALS, Setting, TooManyError, Verdict, check_claims, groups_of, plain, sizes
from ..decide.verdicts import followed
from ..worker import HungError, RaisedError
from .states import allowed, averaged, evaluated, level_indices, levels_of

CLAIMS = ("unbiased", "order-free", "monotone", "bounded")
Fault = Callable[[rules.Rule, Setting], str | None]


def check_value_claims(claims: Any) -> tuple[str, ...]:
    """Claims by their names. TypeError and ValueError as ``check_claims``."""
    return check_claims(claims, CLAIMS, get_value_rule)


def verdict(rule: rules.Rule, claim: str, setting: Setting) -> Verdict:
    """Whether a rule keeps a claim on the setting's rewards, why, and how large rewards may be."""
    fault, holds = FAULTS.get(claim, (None, ""))
    if fault is None:
        name = claim.removeprefix(EQUALS)
        if reason := _refused(name, setting):
            return Verdict(claim, None, f"not decided on {setting.rewards} rewards: {reason}")
        fault, holds = _differs_from(name), f"the numbers of {name}"
    try:
        why = smallest(rule, setting, fault)
    except TooManyError as error:
        return Verdict(claim, None, f"not decided: {error}")
    if why:
        if claim in CLAIMS and setting.rewards == "graded" and _holds_on_binary(rule, setting, fault):
            why += f"; on 0/1 rewards, rewards='binary', it is {claim}"
        return Verdict(claim, False, why)
    decide = fault
    if claim == "unbiased" and not setting.equivariant:
        holds = f"on average over its orders {holds}"
    detail = f"{holds} {_tried(claim, setting)}"
    if claim == "unbiased":
        detail += _to_precision(rule, setting)
    return Verdict(claim, True, detail, *followed(lambda each: decide(rule, each), setting, "values"))


def _holds_on_binary(rule: rules.Rule, setting: Setting, fault: Fault) -> bool:
    """Whether nothing is found on 0/1 rewards, which the rule may refuse."""
    try:
        return fault(rule, replace(setting, rewards="binary")) is None
    except (RaisedError, HungError, ValueError, TypeError):
        return False


def smallest(rule: rules.Rule, setting: Setting, fault: Fault) -> str | None:
    """What ``fault`` says of the smallest groups, from n = K, and the simplest rewards; None where none at n.

    Sizes that the rule refuses are passed over.
    """
    at_n = fault(rule, setting)
    if at_n is None:
        return None
    for size, kind in sizes(setting):
        try:
            found = fault(rule, replace(setting, n=size, rewards=kind))
        except (RaisedError, HungError, ValueError, TypeError):
            continue
        if found:
            return found
    return at_n


def biased(rule: rules.Rule, setting: Setting) -> str | None:
    """The simplest group whose value, on average over its orders, is not the mean over K-subsets."""
    for levels in levels_of(setting):
        groups, means = averaged(rule, setting, levels)
        due = value_estimate(groups, setting.k)
        rows = np.flatnonzero(np.abs(means - due) > allowed(rule, groups, due))
        if len(rows):
            group, mean = groups[rows[0]], means[rows[0]]
            orders = "" if setting.equivariant else " on average over its orders"
            return (
                f"{_at(setting)}: {plain(group)} gets {mean:.6g}{orders}; an unbiased rule gives "
                f"{due[rows[0]]:.6g}"
            )
    return None


def order_matters(rule: rules.Rule, setting: Setting) -> str | None:
    """The simplest group that gets another value in another order."""
    groups = setting.unit * groups_of(setting.rewards, setting.n)
    level = np.searchsorted(np.unique(groups), groups)
    found = rules.observe(rule, groups, level, setting.k, rules.VALUES).counterexample
    if found is None:
        return None
    one, other = rules.evaluate(rule, np.array(found), setting.k, rules.VALUES)
    return (
        f"{_at(setting)}: {plain(found[0])} gets {one:.6g}, and the same rewards in the order "
        f"{plain(found[1])} get {other:.6g}"
    )


def not_monotone(rule: rules.Rule, setting: Setting) -> str | None:
    """The simplest group whose value falls when a reward is raised to the next level."""
    for levels in levels_of(setting):
        level = level_indices(setting, len(levels))
        values = evaluated(rule, levels[level], setting.k)
        for place in range(setting.n):
            below = level[:, place] < len(levels) - 1
            if setting.equivariant and place < setting.n - 1:  # of equals, the last stands for all
                below &= level[:, place] < level[:, place + 1]
            rows = np.flatnonzero(below)
            if not len(rows):
                continue
            raised = level[rows]
            raised[:, place] += 1
            after = evaluated(rule, levels[raised], setting.k)
            fell = values[rows] - after > 2 * allowed(rule, levels[level[rows]], values[rows])
            if fell.any():
                row = int(np.argmax(fell))
                group, higher = levels[level[rows[row]]], levels[raised[row]]
                return (
                    f"{_at(setting)}: raising a reward of {plain(group)} from {group[place]:g} to "
                    f"{higher[place]:g} lowers the value from {values[rows[row]]:.6g} to {after[row]:.6g}"
                )
    return None


def out_of_bounds(rule: rules.Rule, setting: Setting) -> str | None:
    """The simplest group whose value is not between its lowest and its highest reward."""
    for levels in levels_of(setting):
        groups = levels[level_indices(setting, len(levels))]
        values = evaluated(rule, groups, setting.k)
        outside = np.maximum(groups.min(axis=1) - values, values - groups.max(axis=1))
        rows = np.flatnonzero(outside > allowed(rule, groups, values))
        if len(rows):
            group = groups[rows[0]]
            return (
                f"{_at(setting)}: {plain(group)} gets {values[rows[0]]:.6g}, which is not between its lowest "
                f"and its highest reward"
            )
    return None


#: What is looked for against a claim, and what is said where there is nothing.
FAULTS: Mapping[str, tuple[Fault | None, str]] = {
    "unbiased": (biased, "the mean of the maximum over K-subsets, the only symmetric unbiased estimate,"),
    "order-free": (order_matters, "permuted rewards get the same value, in some permutations"),
    "monotone": (not_monotone, "raising a reward never lowers the value"),
    "bounded": (out_of_bounds, "between the lowest and the highest reward"),
}


def _differs_from(name: str) -> Fault:
    """What is looked for against being the registered rule of a name: a group that it gives another value."""

    def different(rule: rules.Rule, setting: Setting) -> str | None:
        other = get_value_rule(name)
        for groups in _compared(setting):
            theirs = np.asarray(other(groups, setting.k), dtype=np.float64)
            ours = evaluated(rule, groups, setting.k)
            rows = np.flatnonzero(np.abs(ours - theirs) > allowed(rule, groups, theirs))
            if len(rows):
                first = rows[0]
                return (
                    f"{_at(setting)}: {plain(groups[first])} gets {ours[first]:.6g}; {name} gives "
                    f"{theirs[first]:.6g}"
                )
        return None

    return different


def _compared(setting: Setting) -> list[Float]:
    """Groups that equal rules give equal values: those of the claims, and some without equal rewards."""
    made = [levels[level_indices(setting, len(levels))] for levels in levels_of(setting)]
    return [*made, setting.unit * groups_of(setting.rewards, setting.n)]


def _refused(name: str, setting: Setting) -> str | None:
    """Why the registered rule of a name does not take the setting's rewards."""
    try:
        get_value_rule(name)(groups_of(setting.rewards, setting.n), setting.k)
    except ValueError as error:
        return str(error)
    return None


def _at(setting: Setting) -> str:
    return f"n={setting.n}, K={setting.k}"


def _tried(claim: str, setting: Setting) -> str:
    if claim == "order-free":
        return f"of {len(groups_of(setting.rewards, setting.n)):,} groups"
    number = sum(len(level_indices(setting, len(levels))) for levels in levels_of(setting))
    what = "count states" if setting.equivariant else "arrangements"
    return f"in all {number:,} {what} of its levels"


def _to_precision(rule: rules.Rule, setting: Setting) -> str:
    """What must be said of values that are not exact to float64's rounding."""
    groups, means = averaged(rule, setting, setting.values)
    due = value_estimate(groups, setting.k)
    made = rules.finest(rule, groups, due[:, None], 1, (means - due)[:, None])
    return "" if made in (None, FLOAT64) else f", to the precision of {made.name}"
