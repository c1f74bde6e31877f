"""Whether what a rule gives a group is its own: not that of chance, earlier calls, or other groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..core.arrays import Bool, Float, Int
from .errors import BadShapeError, CoupledRowsError, RandomRuleError, StatefulRuleError

Same = Callable[[Float, Float], Bool]

#: Groups that are evaluated alone, and in companies of their own.
_FEW = 8
#: Calls that tell chance from memory: as many fair coins are in order once in 170 times, numbers never.
_SETTLING = 12
#: Share of the numbers that move one way only, where a memory settles or grows.
_IN_ORDER = 0.9
#: What to do about a rule that couples rows.
_ADVICE = (
    "the rows of a batch influence each other, so a group has no moments of its own; batch_moments measures "
    "what maxpo_lab.batch_rule makes of the rule; fix what it takes from the batch, a mean or scale, to a "
    "constant, or wrap a rule that is written for one group with maxpo_lab.per_group"
)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A rule at one K: groups (B, n) to what it gives them, (B, n), or (B, 1) where that is a value.

    ``name`` is the rule's, ``given`` the plural of what it gives: ``"advantages"``.
    """

    call: Callable[[Float], Float]
    name: str
    given: str

    def __call__(self, groups: Float) -> Float:
        """What groups (B, n) get."""
        return self.call(groups)


@dataclass(frozen=True, eq=False)
class Heard:
    """What a rule answered to batches of one shape (B, n), each of them time and again.

    Attributes
    ----------
    answers
        To copies of the least group, to the third of the groups with the least maxima, and to the groups:
        the first time in this order, so that a memory of all rewards so far has something left to learn each
        time, and later after copies of the best group.
    """

    answers: tuple[tuple[Float, ...], ...]

    @property
    def first(self) -> Float:
        """The first answer to the groups."""
        return self.answers[-1][0]


def hear(answer: Answer, groups: Float) -> Heard:
    """Call a rule on groups (B, n) again and again, with other rewards of the same shape in between.

    Raises CoupledRowsError for a rule that answers to the groups, but not to some of them.
    """

    def asked(part: Float) -> Float:
        return _in_part(answer, part, groups)

    order = np.lexsort((groups.sum(axis=1), groups.max(axis=1)))
    low, high = (np.repeat(groups[[order[end]]], len(groups), axis=0) for end in (0, -1))
    third = np.resize(groups[order[: -(-len(groups) // 3)]], groups.shape)
    first = [asked(each) for each in (low, third, groups)]
    asked(high)
    later = [asked(each) for each in (low, third, groups)]
    return Heard(((first[0], later[0]), (first[1], later[1]), (first[2], later[2], answer(groups))))


def check(answer: Answer, groups: Float, *, heard: Heard, same: Same, batch: int = 0) -> None:
    """Refuse a rule whose advantages, or value, of a group are not its own.

    Parameters
    ----------
    answer
        The rule.
    groups, heard
        What it was called on, and what ``hear`` heard.
    same
        Which rows of two answers are equal to rounding, (B,).
    batch
        Groups of the largest call that is to come: the rule is tried in a batch of that size.

    Raises
    ------
    RandomRuleError, StatefulRuleError, CoupledRowsError

    Notes
    -----
    Cost about 25 calls, most of a few groups. Every company of groups is fixed, so that the same rule always
    gets the same verdict.
    """
    if not all(same(first, other).all() for first, *others in heard.answers for other in others):
        raise changed(answer, groups)
    places = np.unique(np.linspace(0, len(groups) - 1, _FEW).astype(int))
    few = groups[places]
    alone = np.concatenate([_in_part(answer, row[None], groups) for row in few])
    differs = _first_different(answer, few, alone, same=same, batch=max(batch, len(groups)))
    if not same(heard.first, answer(groups)).all():  # it has changed its mind meanwhile
        raise changed(answer, groups)
    if differs is not None:
        raise _coupled(answer, *differs)
    agree = same(heard.first[places], alone)
    if not agree.all():
        raise _coupled(answer, few[int(np.argmin(agree))], len(groups))


def _first_different(
    answer: Answer, few: Float, alone: Float, *, same: Same, batch: int
) -> tuple[Float, int] | None:
    """A group that gets in company another answer than alone, and how many were together."""
    for members in _companies(few, batch):
        agree = same(answer(few[members]), alone[members])
        if not agree.all():
            return few[members[int(np.argmin(agree))]], len(members)
    return None


def _companies(few: Float, batch: int) -> Iterator[Int]:
    """Batches of the groups, by number: in another order, in pairs, alike, and very many."""
    every = np.arange(len(few))
    middle = len(few) // 2
    yield every[::-1]
    for other in (0, len(few) - 1, middle - 1):
        yield np.array([middle, other])
    yield np.array([middle] * 3)
    yield np.resize(every, max(batch, 2 * len(few)))


def _in_part(answer: Answer, part: Float, groups: Float) -> Float:
    """The answer to some of the groups, which a rule that answers to all of them has."""
    try:
        return answer(part)
    except BadShapeError:
        raise
    except ValueError as error:
        if part is groups:
            raise
        answer(groups)  # raises where the rule is not defined on such rewards at all
        raise CoupledRowsError(
            f"{answer.name} answers to {len(groups)} groups but not to {part[0].tolist()} by itself "
            f"({error}): {_ADVICE}"
        ) from error


def remembers(again: Callable[[], Float]) -> bool:
    """Whether answers that change do so by memory: they rest or move one way, as those of chance do not."""
    steps = np.diff([again() for _ in range(_SETTLING)], axis=0)
    moved = np.asarray((steps != 0).any(axis=0))
    one_way = np.asarray((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0))
    return not moved.any() or bool(one_way[moved].mean() >= _IN_ORDER)


def changed(answer: Answer, groups: Float) -> RandomRuleError:
    """The error for two answers to the same groups."""
    if remembers(lambda: answer(groups)):
        return StatefulRuleError(
            f"{answer.name} gave two answers for the same rewards, with other calls in between: it "
            f"remembers earlier calls, so a group has no {answer.given} of its own; fix what it remembers, a "
            f"baseline or scale, to a constant and measure that rule"
        )
    return RandomRuleError(
        f"{answer.name} gave two answers for the same rewards: its moments need a deterministic rule; "
        f"average over its randomness, or seed it inside the call from the group's own rewards"
    )


def _coupled(answer: Answer, group: Float, size: int) -> CoupledRowsError:
    return CoupledRowsError(
        f"{answer.name} gives the group {group.tolist()} other {answer.given} alone than in a batch of "
        f"{size}: {_ADVICE}"
    )
