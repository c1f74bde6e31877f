"""What a claim is, the cases it is judged on, and what is read there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

#: What a claim says of a measured number and the claimed one; ``->``: it tends to it.
Relation = Literal["<", ">", "=", "!=", "->"]
#: Numbers nearer than this, relative to the claimed one or to 1, are equal: rounding of a few thousand terms.
SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Where a claim is judged: a group size, a K and 0/1 prompts, so that a reader can do it again.

    ``rates``: the success rate of each prompt; ``copies``: how often each is in the batch. Each prompt has
    ``arms`` answers of which ``good`` are right, equally likely inside each class. ``rule``: where a claim
    is of several.
    """

    n: int
    k: int = 1
    rates: tuple[Fraction, ...] = ()
    arms: int = 2
    good: int = 1
    copies: int = 1
    rule: str = ""

    @property
    def p(self) -> Fraction:
        """The first success rate."""
        return self.rates[0]

    @property
    def prompts(self) -> int:
        """How many prompts are in the batch."""
        return self.copies * max(1, len(self.rates))


@dataclass(frozen=True, slots=True)
class Reading:
    """One number at one case, next to the one that is claimed.

    ``what``: which number, where a claim can be read in more than one way. ``inside``: whether the claim's
    condition is met, as we state it. ``holds``: whether the relation does.
    """

    what: str
    measured: float
    relation: Relation
    claimed: float
    holds: bool
    inside: bool = True


def below(what: str, measured: float, claimed: float, *, inside: bool = True) -> Reading:
    """The claim: the number is less."""
    return Reading(what, measured, "<", claimed, measured < claimed - _near(claimed), inside)


def above(what: str, measured: float, claimed: float, *, inside: bool = True) -> Reading:
    """The claim: the number is more."""
    return Reading(what, measured, ">", claimed, measured > claimed + _near(claimed), inside)


def equal(what: str, measured: float, claimed: float, *, inside: bool = True) -> Reading:
    """The claim: the number is this one."""
    return Reading(what, measured, "=", claimed, abs(measured - claimed) <= _near(claimed), inside)


def unequal(what: str, measured: float, claimed: float, *, inside: bool = True) -> Reading:
    """The claim: the number is another one."""
    return Reading(what, measured, "!=", claimed, abs(measured - claimed) > _near(claimed), inside)


def tends(what: str, measured: float, later: float, claimed: float, *, inside: bool = True) -> Reading:
    """The claim: the number goes to this one: it is there, or nearer to it later."""
    left = abs(measured - claimed)
    nearer = left <= _near(claimed) or abs(later - claimed) < left * (1 - SAME)
    return Reading(what, measured, "->", claimed, nearer, inside)


def _near(claimed: float) -> float:
    return SAME * max(1.0, abs(claimed))


#: What the engine says at a case.
Judge: TypeAlias = Callable[[Case], Iterable[Reading]]
#: What the horizontal axis of a claim's curves is.
Axis = Literal["success rate", "group size", "prompts", "K"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published statement, and how it is judged.

    Attributes
    ----------
    name
        Of a few words, with hyphens.
    source
        Paper or repository, and the place in it.
    statement
        What it says, in our words.
    condition
        When it holds, in plain words; ``Reading.inside`` is this condition.
    remark
        What else a practitioner should know, in one sentence; measured numbers are in the rows.
    judge
        What the engine measures at a case.
    shown
        The cases of the figure and the table, by group size; a preset takes the first few.
    searched
        The cases that are searched for a counterexample, the simplest first.
    axis, label
        Of the figure: what runs along, and what the measured number is; no axis, no panel.
    drawn
        What is drawn of it, those of ``what``; all where there are none.
    curve
        What tells the curves of a panel apart, of a case.
    """

    name: str
    source: str
    statement: str
    condition: str
    remark: str
    judge: Judge
    shown: Mapping[int, Sequence[Case]]
    searched: Callable[[], Iterator[Case]]
    axis: Axis | None = None
    label: str = ""
    drawn: tuple[str, ...] = ()
    curve: Callable[[Case], str] = lambda case: f"n = {case.n}"
