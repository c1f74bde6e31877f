"""Claims about a rule of a batch, decided beside other groups: by completeness, a company at a time.

The counts of the other prompts' rewards are complete, so that a rule of a batch is unbiased for every policy
on every prompt exactly if it is, as a rule of one group, beside every company of other groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...estimators import BatchEstimator, get_estimator
from ..decide.claims import EQUALS, FLAT, Setting, Verdict, plain, sizes, wrongly_paid
from ..decide.nearest import positive_factor
from ..decide.pairs import Pairs, on_levels
from ..decide.verdicts import Fault, followed
from ..worker import HungError, RaisedError
from .companies import besides, drawn
from .sizes import SIZES

#: Whose advantages sum to 0: those of every group, of the batch alone, or of neither.
Balance = Literal["group", "batch", "none"]
#: Reward levels: enough for gaps of two kinds.
LEVELS = {"binary": (0.0, 1.0), "graded": (0.0, 0.25, 1.0)}
#: Batches of a size that are looked at for sums and equality.
_BATCHES = 24
#: Batches larger than these are not asked for claims.
_LARGEST_BATCH = 32


def verdict(rule: rules.Rule, claim: str, setting: Setting, *, extra: int | None = None) -> Verdict:
    """Whether a rule of a batch keeps a claim, at every P that is tried, and why.

    ``extra``: one more P. A claim that holds is followed to larger rewards.
    """
    fault: Fault
    tried = tuple(_sizes(rule, extra))
    if claim == "unbiased":
        fault = lambda each: _biased(rule, each, tried)  # noqa: E731
        words = _unbiased_words(rule, setting, tried)
    elif claim.startswith(EQUALS):
        name = claim.removeprefix(EQUALS)
        named = get_estimator(name)
        if not isinstance(named, BatchEstimator):
            why = f"{name} is a {named.kind} rule, and this one couples the groups of a batch"
            return Verdict(claim, False, why)
        fault = lambda each: _different(rule, named, each, tried)  # noqa: E731
        words = f"the numbers of {name}"
    elif claim == "centered":
        fault = lambda each: _off_center(rule, each, tried)  # noqa: E731
        words = "the advantages of every group sum to 0"
    else:
        fault = _nothing
        words = "permuted rollouts and prompts get permuted advantages, ties aside"
    if (broken := fault(setting)) is not None:
        return Verdict(claim, False, broken)
    detail = f"{words}, in batches of {_listed(tried)} prompts"
    return Verdict(claim, True, detail, *followed(fault, setting))


def balance(rule: rules.Rule, setting: Setting) -> Balance:
    """Whose advantages sum to 0, in all batches tried."""
    found: Balance = "group"
    for batches in _with_flat(rule, setting, _sizes(rule, None)):
        given = rules.of_batches(rule, batches, setting.k)
        for rewards, each in zip(batches, given, strict=True):
            allowed = setting.n * float(rules.tolerance(rule, rewards, each, setting.k).max())
            if abs(each.sum()) > len(each) * allowed:
                return "none"
            if np.abs(each.sum(axis=1)).max() > allowed:
                found = "batch"
    return found


def scale_at(rule: rules.Rule, setting: Setting, size: int) -> float | None:
    """The constant by which the mean gradient of a batch of this size is the target's under every policy."""
    found = _pairs(rule, setting, size)
    factor = _factor(found, setting)
    right = factor > 0 and all(each.first_wrong(setting.objective, factor) is None for each in found)
    return factor if right else None


def _sizes(rule: rules.Rule, extra: int | None) -> list[int]:
    tried = [size for size in SIZES if size <= _LARGEST_BATCH]
    if isinstance(rule, BatchEstimator):
        tried = [size for size in tried if not rule.why_not_batch(size)]
    return [*tried, extra] if extra and extra not in tried else tried


def _listed(tried: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, tried[:-1]))} and {tried[-1]}"


def _nothing(_: Setting) -> None:
    """No fault: that order does not matter is held before anything is decided."""


def _values(setting: Setting, size: int) -> Float:
    """Levels; in large batches the lowest and the highest alone."""
    values = np.array(LEVELS[setting.rewards])
    return setting.unit * (values if size == 2 else values[[0, -1]])


def _pairs(rule: rules.Rule, setting: Setting, size: int) -> list[Pairs]:
    """Of the rule of one group beside each company; of 0/1 rewards first."""
    every = [_values(replace(setting, rewards="binary"), size)]
    if len(values := _values(setting, size)) > 2:
        every.append(values)
    return [
        on_levels(beside, values, n=setting.n, k=setting.k, equivariant=True)
        for values in every
        for beside in besides(rule, values, n=setting.n, size=size)
    ]


def _factor(found: list[Pairs], setting: Setting) -> float:
    earned = np.concatenate([each.earned for each in found])
    due = np.concatenate([each.due(setting.objective) for each in found])
    return float(earned @ due / (due @ due))


def _biased(rule: rules.Rule, setting: Setting, tried: tuple[int, ...]) -> str | None:
    """The smallest pair of groups, beside a company, that is not paid what is due; None where all are."""
    for size in tried if setting.unit == 1 else tried[:1]:
        found = _pairs(rule, setting, size)
        factor = _factor(found, setting) if setting.allow_scale else 1.0
        factor = factor if factor > 0 else 1.0
        if all(each.first_wrong(setting.objective, factor) is None for each in found):
            continue
        if factor != 1:
            return f"P={size}: no constant times the gradient of the target, whatever the others are"
        return f"P={size}: {_smallest(rule, setting, size)}"
    return None


def _smallest(rule: rules.Rule, setting: Setting, size: int) -> str:
    """The first pair that is wrong, of the smallest groups."""
    for n, kind in sizes(setting):
        smaller = replace(setting, n=n, rewards=kind)
        try:
            values = _values(smaller, size)
            for beside in besides(rule, values, n=n, size=size):
                pairs = on_levels(beside, values, n=n, k=setting.k, equivariant=True)
                if wrong := wrongly_paid(pairs, replace(smaller, allow_scale=False)):
                    beside_what = plain(beside.others[0]) if size == 2 else "the others"
                    return f"beside {beside_what}, {wrong}"
        except (RaisedError, HungError, ValueError, TypeError):
            if n == setting.n:
                raise
    return "in larger groups alone"


def _unbiased_words(rule: rules.Rule, setting: Setting, tried: tuple[int, ...]) -> str:
    if not setting.allow_scale:
        return "beside every company tried, unbiased for the target"
    scales = {size: scale_at(rule, setting, size) for size in tried}
    told = ", ".join(f"{scale:.4g} at P={size}" for size, scale in scales.items() if scale is not None)
    return f"beside every company tried, a constant times the target's gradient ({told})"


def _batches(setting: Setting, tried: list[int] | tuple[int, ...]) -> Iterator[Float]:
    """Batches (B, P, n) of every size, 0/1 rewards before graded ones."""
    for size in tried if setting.unit == 1 else tried[:1]:
        kinds = ("binary", "graded") if setting.rewards == "graded" else (setting.rewards,)
        for kind in kinds:
            yield drawn(setting.unit * np.array(LEVELS[kind]), setting.n, size, _BATCHES)


def _with_flat(rule: rules.Rule, setting: Setting, tried: list[int] | tuple[int, ...]) -> Iterator[Float]:
    """The batches, and after them, where rewards are graded, flat groups of rewards whose mean is rounded.

    Each beside a group of one success, by which a scale of the batch is no smaller than rewards are.
    """
    yield from _batches(setting, tried)
    pair = 2
    if setting.rewards == "graded" and not (isinstance(rule, BatchEstimator) and rule.why_not_batch(pair)):
        flat = np.repeat(FLAT, setting.n).reshape(-1, 1, setting.n)
        one = np.zeros_like(flat)
        one[..., -1] = 1.0
        yield setting.unit * np.concatenate([flat, one], axis=1)


def _off_center(rule: rules.Rule, setting: Setting, tried: tuple[int, ...]) -> str | None:
    for batches in _with_flat(rule, setting, tried):
        given = rules.of_batches(rule, batches, setting.k)
        for rewards, each in zip(batches, given, strict=True):
            total = np.abs(each.sum(axis=1))
            allowed = setting.n * rules.tolerance(rule, rewards, each, setting.k)[:, 0]
            if len(rows := np.flatnonzero(total > allowed)):
                row = rows[0]
                return (
                    f"P={len(rewards)}, n={setting.n}: the advantages of {plain(rewards[row])}, "
                    f"{plain(each[row])}, sum to {each[row].sum():.6g}"
                )
    return None


def _different(
    rule: rules.Rule, named: BatchEstimator, setting: Setting, tried: tuple[int, ...]
) -> str | None:
    for batches in _batches(setting, tried):
        if named.why_not(setting.n, setting.k) or named.why_not_batch(batches.shape[1]):
            continue
        if named.why_not_rewards(batches):
            continue
        ours, theirs = rules.of_batches(rule, batches, setting.k), rules.of_batches(named, batches, setting.k)
        factor = positive_factor(ours, theirs) if setting.allow_scale else 1.0
        for rewards, got, want in zip(batches, ours, factor * theirs, strict=True):
            off = np.abs(got - want) > rules.tolerance(rule, rewards, want, setting.k)
            if len(rows := np.flatnonzero(off.any(axis=1))):
                row = rows[0]
                return (
                    f"P={len(rewards)}, n={setting.n}, K={setting.k}: {plain(rewards[row])} gets "
                    f"{plain(got[row])}; {named.name} gives {plain(want[row])}"
                )
    return None
