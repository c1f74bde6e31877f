"""Claims about a rule of several rewards that couples the groups of a batch, and how these meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...estimators import VectorBatchEstimator, get_estimator
from ...estimators.of_vectors.numbers import of_batches_of_numbers
from ..batches.claims import Balance
from ..batches.companies import besides, drawn
from ..batches.coupling import Effect
from ..decide.claims import EQUALS, Verdict, plain
from ..decide.nearest import positive_factor
from ..decide.verdicts import followed
from ..worker import HungError, RaisedError
from .calls import ByNumbers, RowRule
from .nearest import called
from .rows import RowSetting, plain_rows
from .steps import RowSteps, steps_on, wrongly_paid

#: Prompts of the batches that claims are decided in.
SIZES = (2, 4, 8)
#: Batches of a size that are looked at for sums and equality.
_BATCHES = 16


@dataclass(frozen=True, slots=True)
class MetRows:
    """Two batches of two prompts in which a group gets another answer for its company.

    ``group``, ``company`` and ``other_company`` are rows in words, ``given`` and ``given_otherwise`` what the
    group gets beside these; ``effect``: see ``Effect``.
    """

    group: str
    company: str
    other_company: str
    given: tuple[float, ...]
    given_otherwise: tuple[float, ...]
    effect: Effect


def met_rows(rule: RowRule, setting: RowSetting) -> MetRows | None:
    """Where the groups of a batch of two prompts meet; None where they do in none that was tried."""
    table, k = setting.table, setting.k
    batches = drawn(np.arange(float(len(table))), setting.n, 2, _BATCHES).astype(int)
    batches[:, 0] = np.arange(setting.n) % len(table)
    batches[0, 1] = 0
    rows = table[batches]
    every = of_row_batches(rule, rows, k)
    same = max(float(rule.tolerance(x, y, k).max()) for x, y in zip(rows, every, strict=True))
    given = every[:, 0]
    off = np.abs(given - given[:1]).max(axis=1)
    other = int(off.argmax())
    if off[other] <= same:
        return None
    return MetRows(
        group=plain_rows(rows[0, 0]),
        company=plain_rows(rows[0, 1]),
        other_company=plain_rows(rows[other, 1]),
        given=tuple(given[0].tolist()),
        given_otherwise=tuple(given[other].tolist()),
        effect=_effect(given, 4 * same),
    )


def _effect(given: Float, same: float) -> Effect:
    """What the others change of a group's answers (companies, n)."""
    about = given - given.mean(axis=1, keepdims=True)
    if np.abs(about - about[:1]).max() <= same:
        return "shift"
    square = (given[0] ** 2).sum()
    factor = (given @ given[0] / square)[:, None] if square else np.zeros((len(given), 1))
    return "scale" if np.abs(given - factor * given[0]).max() <= same else "other"


def balance_of(rule: RowRule, setting: RowSetting) -> Balance:
    """Whose advantages sum to 0, in all batches tried."""
    found: Balance = "group"
    for rows, each in _given(rule, setting, SIZES):
        allowed = setting.n * float(rule.tolerance(rows, each, setting.k).max())
        if abs(each.sum()) > len(each) * allowed:
            return "none"
        if np.abs(each.sum(axis=1)).max() > allowed:
            found = "batch"
    return found


def batch_verdict(rule: RowRule, claim: str, setting: RowSetting) -> Verdict:
    """Whether a rule of a batch keeps a claim, at every P that is tried, and why."""
    fault: Callable[[RowSetting], str | None]
    if claim == "unbiased":
        fault = lambda each: _biased(rule, each)  # noqa: E731
        words = "beside every company tried, unbiased for the target"
        if setting.allow_scale:
            words = "beside every company tried, a constant times the target's gradient"
    elif claim.startswith(EQUALS):
        name = claim.removeprefix(EQUALS)
        named = get_estimator(name)
        if not isinstance(named, VectorBatchEstimator):
            said = f"{name} is a {named.kind} rule, and this is a vector-batch rule, which couples the groups"
            return Verdict(claim, False, said)
        if reason := named.why_not(setting.n, setting.k):
            return Verdict(claim, None, f"not decided: {reason}")
        fault = lambda each: _different(rule, named, each)  # noqa: E731
        words = f"the numbers of {name}"
    elif claim == "centered":
        fault = lambda each: _off_center(rule, each)  # noqa: E731
        words = "the advantages of every group sum to 0"
    else:
        fault = _nothing
        words = "permuted rollouts and prompts get permuted advantages, ties aside"
    if (broken := fault(setting)) is not None:
        return Verdict(claim, False, broken)
    detail = f"{words}, in batches of {', '.join(map(str, SIZES[:-1]))} and {SIZES[-1]} prompts"
    return Verdict(claim, True, detail, *followed(fault, setting))


def _nothing(_: RowSetting) -> None:
    """No fault: that order does not matter is held before anything is decided."""


def small_setting(setting: RowSetting, size: int) -> RowSetting:
    """The setting with as few rows as batches of this size allow: in pairs small groups keep theirs."""
    return setting if size == 2 and setting.n <= 2 else replace(setting, rewards="binary")


def _steps(rule: RowRule, setting: RowSetting, size: int) -> Iterator[tuple[Float, RowSteps]]:
    """The steps beside each company: the rows of the others (P-1, n, c), and what is paid there."""
    here = small_setting(setting, size)
    by_number: rules.Rule = ByNumbers(rule, here.table)
    if isinstance(rule.own, VectorBatchEstimator):  # which takes many batches at a time
        rows = here.table if rule.lengths else here.table[:, : rule.rewards]
        by_number = of_batches_of_numbers(rule.own, rows)
    for beside in besides(by_number, np.arange(float(len(here.table))), n=here.n, size=size):
        yield here.table[beside.others.astype(int)], steps_on(beside, here)


def _biased(rule: RowRule, setting: RowSetting) -> str | None:
    """The smallest pair of groups, beside a company, that is not paid what is due; None where all are."""
    for size in SIZES if setting.unit == 1 else SIZES[:1]:
        here = small_setting(setting, size)
        found = list(_steps(rule, setting, size))
        factor = 1.0
        if setting.allow_scale:
            earned = np.concatenate([each.earned for _, each in found])
            due = np.concatenate([each.due(here.objective) for _, each in found])
            factor = max(float(earned @ due / (due @ due)), 0.0) or 1.0
        for others, steps in found:
            if steps.first_wrong(here.objective, factor) is None:
                continue
            if factor != 1:
                return f"P={size}: no constant times the gradient of the target, whatever the others are"
            return _smallest(rule, setting, size) or _beside(others, size, wrongly_paid(steps, here, factor))
    return None


def _smallest(rule: RowRule, setting: RowSetting, size: int) -> str | None:
    """The first pair that is wrong, of the smallest groups."""
    for n in range(min(max(setting.k, 2), setting.n), setting.n + 1):
        smaller = replace(setting, n=n, rewards="binary", allow_scale=False)
        if smaller.objective.size > n:
            continue
        try:
            for others, steps in _steps(rule, smaller, size):
                if wrong := wrongly_paid(steps, smaller, 1.0):
                    return _beside(others, size, wrong)
        except (RaisedError, HungError, ValueError, TypeError):  # a size that the rule refuses
            continue
    return None


def _beside(others: Float, size: int, wrong: str | None) -> str:
    company = plain_rows(others[0]) if size == 2 else "the others"
    return f"P={size}: beside {company}, {wrong}"


def of_row_batches(rule: RowRule, batches: Float, k: int) -> Float:
    """Advantages (B, P, n) of batches of rows (B, P, n, c), each by itself."""
    if isinstance(rule.own, VectorBatchEstimator):
        return rule(batches, k)
    return np.stack([rule(batch, k) for batch in batches])


def _given(rule: RowRule, setting: RowSetting, sizes: tuple[int, ...]) -> Iterator[tuple[Float, Float]]:
    """Batches of rows (P, n, c) of each size, and what they get."""
    table = replace(setting, rewards="binary").table
    for size in sizes:
        batches = table[drawn(np.arange(float(len(table))), setting.n, size, _BATCHES).astype(int)]
        yield from zip(batches, of_row_batches(rule, batches, setting.k), strict=True)


def _off_center(rule: RowRule, setting: RowSetting) -> str | None:
    for rows, each in _given(rule, setting, SIZES):
        total = np.abs(each.sum(axis=1))
        allowed = setting.n * rule.tolerance(rows, each, setting.k)[:, 0]
        if len(found := np.flatnonzero(total > allowed)):
            row = found[0]
            return (
                f"P={len(rows)}, n={setting.n}: the advantages of {plain_rows(rows[row])}, "
                f"{plain(each[row])}, sum to {each[row].sum():.6g}"
            )
    return None


def _different(rule: RowRule, named: VectorBatchEstimator, setting: RowSetting) -> str | None:
    own = named.weighted(setting.reward_weights)
    for rows, ours in _given(rule, setting, SIZES):
        theirs = called(own, [rows], setting.k)
        if theirs is None:
            continue
        factor = positive_factor(ours, theirs[0]) if setting.allow_scale else 1.0
        want = factor * theirs[0]
        off = np.abs(ours - want) > rule.tolerance(rows, want, setting.k)
        if len(found := np.flatnonzero(off.any(axis=1))):
            row = found[0]
            return (
                f"P={len(rows)}, n={setting.n}, K={setting.k}: {plain_rows(rows[row])} gets "
                f"{plain(ours[row])}; {named.name} gives {plain(want[row])}"
            )
    return None
