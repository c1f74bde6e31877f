"""What the rows say of each claim: a verdict in plain words, its numbers, its smallest counterexample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from .published import CLAIMS
from .study import COUNTEREXAMPLE, SEARCHED, SHOWN

#: The verdicts, by whether a claim holds within its condition, and outside it.
TRUE, CONDITION = "true", "true under the condition"
DEFINITION, FALSE = "a matter of definition", "false"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one claim.

    ``numbers``: the range of what was measured, where the claim holds and where not. ``counterexamples``: the
    smallest of each thing that can be read, with their numbers; empty where none was found among ``cases``.
    """

    claim: str
    verdict: str
    numbers: tuple[str, ...]
    counterexamples: tuple[str, ...]
    cases: int


def verdicts(rows: pd.DataFrame) -> dict[str, Verdict]:
    """The verdict of every claim that has rows, in the order of the table."""
    by_name = {str(name): group for name, group in rows.groupby("claim", sort=False)}
    return {name: _decide(name, by_name[name]) for name in CLAIMS if name in by_name}


def _decide(name: str, rows: pd.DataFrame) -> Verdict:
    shown = rows[rows.kind == SHOWN]
    found = rows[rows.kind == COUNTEREXAMPLE]
    return Verdict(
        claim=name,
        verdict=decide(rows),
        numbers=tuple(_numbers(str(what), group) for what, group in shown.groupby("what", sort=False)),
        counterexamples=tuple(told(row) for row in found.drop_duplicates("what").itertuples(index=False)),
        cases=int(rows[rows.kind == SEARCHED].groupby("what").cases.sum().max()),
    )


def decide(rows: pd.DataFrame) -> str:
    """One of the four verdicts.

    True: no reading fails. Under the condition: none fails inside it. A matter of definition: one number that
    the claim can be read of never fails, and another does inside the condition. False: else.
    """
    judged = rows[rows.kind != SEARCHED]
    if judged.holds.all():
        return TRUE
    if judged[judged.inside == 1].holds.all():
        return CONDITION
    # A search that has found nothing leaves no row but its own.
    fails = set(judged[judged.holds == 0].what)
    return DEFINITION if set(rows.what) - fails else FALSE


def _numbers(what: str, rows: pd.DataFrame) -> str:
    parts = []
    for holds, word in ((1, ""), (0, "fails at ")):
        values = rows[rows.holds == holds].measured
        if len(values):
            parts.append(word + _range(values.min(), values.max()))
    return f"{what}: {'; '.join(parts)}"


def _range(low: float, high: float) -> str:
    first, last = number(low), number(high)
    return first if first == last else f"{first} to {last}"


def number(value: float) -> str:
    """Three digits, and no rounding's 1e-17."""
    return f"{0.0 if abs(value) < 1e-12 else value:.3g}"


def told(row: Any) -> str:
    """A counterexample in one line that a reader can do again."""
    sizes = [f"n = {row.n}"] if row.n > 1 else []
    if row.k > 1:
        sizes.append(f"K = {row.k}")
    if row.rates:
        sizes.append(f"p = {row.rates.replace(', ', ' and ')}")
        if (row.arms, row.good) != (2, 1):
            sizes.append(f"{row.good} of {row.arms} answers right")
    if row.rule:
        sizes.append(row.rule)
    exact = row.exact or number(row.measured)
    return f"{', '.join(sizes)}: {row.what} {exact} (claimed {row.relation} {number(row.claimed)})"
