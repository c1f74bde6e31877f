"""What a claim is: a statement, and numbers of stored rows that bear it out or limit it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import pandas as pd

Verdict = Literal["holds", "holds with conditions", "does not hold", "not decided"]
Relation = Literal["=", "<=", ">=", "<", ">"]
#: How many numbers are taken as one: the only one, an extreme, a mean, a sum, or how many rows there are.
Take = Literal["one", "max", "min", "mean", "median", "sum", "rows"]

#: A table that is made of a study's rows, which it leaves as they are.
Through = Callable[[pd.DataFrame], pd.DataFrame]

#: Digits of a whole number up to which its zeros are digits.
_WHOLE = 2
_STATED = re.compile(r"\{([^{}]+)\}(%| million| billion|)")
_UNITS = {"%": 0.01, " million": 1e6, " billion": 1e9, "": 1.0}


@dataclass(frozen=True)
class Stated:
    """A number in words: its value, and half a unit of its last digit."""

    value: float
    rounding: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Numbers that are said, and where in the stored rows they are.

    Attributes
    ----------
    says
        The words, with each measured number in braces: ``"{0.13} of pkpo-loo1's variance at p = 0.92"``.
        Its last digit is its tolerance, that before its zeros in 540 and 75,000; a fraction is exact. A brace
        may be followed by ``%``, `` million`` or `` billion``.
    study
        The study whose rows are read.
    where
        Which rows: a query of pandas. Empty: all.
    of
        What is read of each: an expression of columns, or several.
    at
        Further queries, one for each number of a list.
    take
        How the values are one number; several give as many. There are ``len(at) * len(of) * len(take)``
        numbers, the last of them fastest.
    over
        A query of the rows whose value, of the same ``at``, ``of`` and ``take``, divides.
    through
        What is made of the study's rows before all this: a table of slopes, of break-evens.
    relation
        How the number in the rows stands to the one that is said.
    error
        The column of standard errors where the values are sampled.
    draws
        An expression of columns: how much was drawn for each value. A fresh run's error is that of the stored
        rows by the root of how much less it drew, whatever it says itself. Empty: as much in every run.
    drawn
        Whether the values are sampled without standard errors: a run that samples otherwise is not held to
        them.
    limits
        Whether the numbers tell against the statement: it does not hold there.
    """

    says: str
    study: str
    where: str = ""
    of: str | tuple[str, ...]
    at: tuple[str, ...] = ("",)
    take: Take | tuple[Take, ...] = "one"
    over: str = ""
    through: Through | None = None
    relation: Relation = "="
    error: str = ""
    draws: str = ""
    drawn: bool = False
    limits: bool = False

    def __post_init__(self) -> None:
        said, read = len(self.stated), len(self.at) * len(self.ofs) * len(self.takes)
        if said != read:
            raise ValueError(
                f"{self.says!r} states {said} numbers in braces, but at, of and take read {read}: "
                "make them as many"
            )

    @property
    def ofs(self) -> tuple[str, ...]:
        """The expressions."""
        return (self.of,) if isinstance(self.of, str) else self.of

    @property
    def takes(self) -> tuple[Take, ...]:
        """The ways in which values become a number."""
        return (self.take,) if isinstance(self.take, str) else self.take

    @cached_property
    def stated(self) -> tuple[Stated, ...]:
        """The numbers in braces."""
        return tuple(_number(text, unit) for text, unit in _STATED.findall(self.says))

    @property
    def words(self) -> str:
        """What is said, as a reader sees it."""
        return _STATED.sub(r"\1\2", self.says)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement that stored rows decide.

    Its verdict follows from the readings: it *holds* where they bear it out, *with conditions* where some of
    them limit it, *does not hold* where all do, and is *not decided* where there are none.

    Attributes
    ----------
    name
        Unique; by it a contradicted claim is named.
    statement
        What is claimed, in words.
    source
        Who says so: a paper and its section, a page of this repository, a documentation.
    conditions
        Under which it holds.
    why
        Why it is not decided, where it is not.
    readings
        The numbers.
    figure
        The picture of it, in the folder of results.
    page
        The page of the repository that has the words of the readings, as they are; empty where none does.
    """

    name: str
    statement: str
    source: str
    conditions: str = ""
    why: str = ""
    readings: tuple[Reading, ...] = ()
    figure: str
    page: str = ""

    def __post_init__(self) -> None:
        if self.verdict == "holds with conditions" and not self.conditions:
            raise ValueError(f"{self.name} has readings that limit it: state its conditions")
        if self.verdict == "not decided" and not self.why:
            raise ValueError(f"{self.name} has no readings: say why it is not decided")

    @property
    def verdict(self) -> Verdict:
        """What follows where every reading is as it is said."""
        kinds = {reading.limits for reading in self.readings}
        if not kinds:
            return "not decided"
        if kinds == {True}:
            return "does not hold"
        return "holds with conditions" if True in kinds else "holds"


def each(column: str, *values: object) -> tuple[str, ...]:
    """Queries, one for each value of a column."""
    return tuple(f"{column} == {value!r}" for value in values)


def near(column: str, *values: float, within: float = 0.03) -> tuple[str, ...]:
    """Queries, one for each value, of the rows whose value is so near to it, by the share of it."""
    return tuple(f"abs({column} - {value!r}) <= {within * abs(value)!r}" for value in values)


def finding(
    study: str, name: str, statement: str, *readings: Reading, figure: str = "figure", conditions: str = ""
) -> Claim:
    """What a study found, in the words of its page."""
    return Claim(
        name=f"{study}-{name}",
        statement=statement,
        source=f"study {study}",
        conditions=conditions,
        readings=readings,
        figure=f"{study}/{figure}.png",
        page=f"analysis/studies/{study.replace('-', '_')}/README.md",
    )


def _number(text: str, unit: str) -> Stated:
    digits = text.replace(",", "")
    try:
        if "/" in digits:
            exact = float(Fraction(digits))
            return Stated(exact, 1e-12 * abs(exact))
        value = float(digits)
    except ValueError:
        raise ValueError(
            f"{{{text}}} is no number; write one such as {{0.13}}, {{5e-13}} or {{2/49}}"
        ) from None
    mantissa, _, exponent = digits.partition("e")
    zeros = len(digits) - len(digits.rstrip("0")) if digits.isdigit() and len(digits) > _WHOLE else 0
    last = 10.0**zeros if zeros else 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    scale = _UNITS[unit]
    return Stated(value * scale, 0.5 * last * scale)
