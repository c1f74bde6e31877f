"""Published claims, judged: readings where the figure shows them, and the smallest counterexample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import nan

from ...run.presets import Preset
from . import rules, updates
from .claim import Case, Reading
from .published import CLAIMS

#: Kinds of rows.
SHOWN, COUNTEREXAMPLE, SEARCHED = "shown", "counterexample", "searched"
#: Claims that take no variances.
_QUICK = {claim.name for claim in (*updates.CLAIMS, *rules.CLAIMS)}
#: A number that is no fraction of a smaller denominator than this is given as a decimal alone.
_DENOMINATOR = 100_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One claim at one of the sizes that it is shown at, or (None) the search for a counterexample."""

    claim: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One number at one case, next to what is claimed of it.

    ``what``: which number. ``exact``: it as a fraction, where it is one to rounding and simple. ``inside``:
    whether the claim's condition is met; ``holds``: whether the relation does. A ``searched`` row says among
    how many ``cases``, and how many of them inside, no counterexample is but the rows of that kind; its own
    numbers are those of the first case.
    """

    claim: str
    kind: str
    what: str
    rule: str
    n: int
    k: int
    rates: str
    success: float
    arms: int
    good: int
    copies: int
    curve: str
    measured: float
    exact: str
    relation: str
    claimed: float
    inside: int
    holds: int
    cases: int


def cells(preset: Preset) -> Sequence[Cell]:
    """Every claim's search, and its first sizes: two, or all; in smoke, one of the quick ones."""
    claims = {name: claim for name, claim in CLAIMS.items() if preset != "smoke" or name in _QUICK}
    sizes = {"smoke": 1, "standard": 2, "paper": None}[preset]
    return [
        Cell(name, size) for name, claim in claims.items() for size in (None, *tuple(claim.shown)[:sizes])
    ]


def measure(cell: Cell) -> list[Row]:
    """The readings of a cell."""
    claim = CLAIMS[cell.claim]
    if cell.size is None:
        return list(_search(cell.claim))
    return [
        _row(cell.claim, SHOWN, case, reading)
        for case in claim.shown[cell.size]
        for reading in claim.judge(case)
    ]


def _search(name: str) -> Iterator[Row]:
    """For each thing that is read: the first failure, the first inside the condition, and how many cases."""
    claim = CLAIMS[name]
    first: dict[str, tuple[Case, Reading]] = {}
    number: dict[str, list[int]] = {}
    found: dict[tuple[str, bool], Row] = {}
    for case in claim.searched():
        for reading in claim.judge(case):
            first.setdefault(reading.what, (case, reading))
            number.setdefault(reading.what, [0, 0])[0] += 1
            number[reading.what][1] += reading.inside
            if not reading.holds:
                key = (reading.what, reading.inside)
                found.setdefault(key, _row(name, COUNTEREXAMPLE, case, reading))
    yield from found.values()
    for what, (case, reading) in first.items():
        for inside, cases in ((False, number[what][0] - number[what][1]), (True, number[what][1])):
            if cases:
                yield _row(name, SEARCHED, case, reading, inside=inside, cases=cases)


def _row(
    name: str, kind: str, case: Case, reading: Reading, *, inside: bool | None = None, cases: int = 1
) -> Row:
    return Row(
        claim=name,
        kind=kind,
        what=reading.what,
        rule=case.rule,
        n=case.n,
        k=case.k,
        rates=", ".join(map(str, case.rates)),
        success=float(case.p) if case.rates else nan,
        arms=case.arms,
        good=case.good,
        copies=case.copies,
        curve=CLAIMS[name].curve(case),
        measured=float(reading.measured),
        exact=as_fraction(reading.measured),
        relation=reading.relation,
        claimed=float(reading.claimed),
        inside=int(reading.inside if inside is None else inside),
        holds=int(reading.holds),
        cases=cases,
    )


def as_fraction(value: float) -> str:
    """A simple fraction that the value is to rounding, or nothing."""
    near = Fraction(value).limit_denominator(_DENOMINATOR)
    return str(near) if abs(float(near) - value) <= 1e-13 * max(1.0, abs(value)) else ""
