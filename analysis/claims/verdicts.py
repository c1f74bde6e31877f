"""What rows say of a claim: each number as it is said, not as it is said, or not there."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from .claim import Claim, Reading, Relation, Stated, Take, Verdict
from .values import SeveralNumbersError, Value, values_of

Found = Literal["as said", "contradicted", "not decided"]

#: Standard errors by which a sampled number of a fresh run may be off: once in 10^9 if normal.
SURPRISE = 6.1
_ROUNDED: Mapping[Relation, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
#: What an extreme of all cells says of that of some of them.
_OF_FEWER: Mapping[Take, Relation] = {"max": "<=", "min": ">="}


@dataclass(frozen=True)
class Outcome:
    """One number of a reading on one set of rows: what it is, what is said, and why it cannot be told."""

    reading: Reading
    stated: Stated
    value: Value
    found: Found
    why: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim on one set of rows."""

    claim: Claim
    outcomes: tuple[Outcome, ...]

    @property
    def contradicted(self) -> tuple[Outcome, ...]:
        """The numbers that are not as they are said."""
        return tuple(each for each in self.outcomes if each.found == "contradicted")

    @property
    def lacking(self) -> tuple[Outcome, ...]:
        """The numbers that the rows do not decide."""
        return tuple(each for each in self.outcomes if each.found == "not decided")

    @property
    def why(self) -> str:
        """Why it is not decided."""
        return next((each.why for each in self.lacking), self.claim.why)

    @property
    def verdict(self) -> Verdict | Literal["contradicted"]:
        """The claim's, where some number that bears it out, and some that limits it, is as it is said."""
        if self.contradicted:
            return "contradicted"
        decided = {each.reading.limits for each in self.outcomes if each.found == "as said"}
        return self.claim.verdict if decided == {r.limits for r in self.claim.readings} else "not decided"


#: The rows of the studies that there are, by name.
Rows = Mapping[str, pd.DataFrame]


def judge(claim: Claim, rows: Rows, stored: Rows | None = None) -> Judged:
    """Judge a claim on rows; with ``stored``, on those of a run that may have fewer cells than these.

    An extreme over some of the cells can only fall short of that over all of them; a mean or a count of some
    says nothing, and what has no rows is not decided. Several numbers where one is said contradict it.
    """
    outcomes: list[Outcome] = []
    for reading in claim.readings:
        given = rows.get(reading.study)
        if given is None:
            missing = f"there are no rows of {reading.study}"
            nothing = Value(math.nan, 0)
            outcomes += [Outcome(reading, each, nothing, "not decided", missing) for each in reading.stated]
            continue
        whole = None if stored is None else stored[reading.study]
        try:
            values = values_of(reading, given)
        except SeveralNumbersError as error:
            several = Value(math.nan, len(given))
            outcomes += [
                Outcome(reading, each, several, "contradicted", str(error)) for each in reading.stated
            ]
            continue
        try:
            of_all = values if whole is None else values_of(reading, whole)
        except SeveralNumbersError:  # which contradicts the stored rows, and is said of these
            of_all = values
        derived = reading.through is not None and whole is not None and len(given) < len(whole)
        takes = reading.takes * (len(values) // len(reading.takes))
        for value, full, stated, take in zip(values, of_all, reading.stated, takes, strict=True):
            fewer = derived or (value.rows < full.rows and take != "one")
            found, why = _found(
                reading,
                value,
                stated,
                take,
                fewer=full.rows if fewer else 0,
                error=None if whole is None else full.error_of(value),
            )
            outcomes.append(Outcome(reading, stated, value, found, why))
    return Judged(claim, tuple(outcomes))


def _found(
    reading: Reading, value: Value, stated: Stated, take: Take, *, fewer: int, error: float | None
) -> tuple[Found, str]:
    """``fewer``: of how many rows there are but some here; 0 where all are. ``error``: a fresh value's."""
    if value.rows == 0 and take != "rows":
        return "not decided", f"{reading.study} has no rows of: {reading.words}"
    slack = stated.rounding * (1 + 1e-9) + SURPRISE * (error or 0.0)
    relation = reading.relation
    if fewer:
        some = f"{reading.study} has {value.rows} of {fewer} rows of: {reading.words}"
        bound = _OF_FEWER.get(take)
        if reading.through or bound is None or relation not in ("=", bound, bound[0]):
            stands = _stands(value.number, relation, stated.value, slack)
            return ("as said", "") if stands else ("not decided", some)
        relation = bound if relation == "=" else relation
    if _stands(value.number, relation, stated.value, slack):
        return "as said", ""
    if error is not None and reading.drawn:
        return "not decided", f"{reading.study} has sampled rows without errors of: {reading.words}"
    return "contradicted", ""


def _stands(value: float, relation: Relation, said: float, slack: float) -> bool:
    """Whether a number stands so to one that is said; to a rounded one, up to its rounding."""
    if relation == "=":
        return abs(value - said) <= slack
    if relation in ("<", ">"):
        return _ROUNDED[relation](value, said)
    return _ROUNDED[relation](value, said + slack if relation == "<=" else said - slack)
