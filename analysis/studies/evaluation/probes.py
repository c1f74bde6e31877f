"""What is asked of every tool: replacement, order, K > n, graded, missing and unequal rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from maxpo_lab.evaluation.as_reported import Report

from .tools import Groups

#: ``(groups, k)``.
Call = tuple[Groups, int]


def one_of(n: int, place: int) -> list[float]:
    """A group with one success, at a place."""
    return [float(each == place) for each in range(n)]


#: By the column of the table: the calls whose answers it shows.
SHOWN: Mapping[str, Sequence[Call]] = {
    "one of 8 right, K = 4": [([one_of(8, place)], 4) for place in range(8)],
    "one of 8 right, K = 8": [([one_of(8, place)], 8) for place in range(8)],
    "none of 4 right, K = 8": [([[0.0] * 4], 8)],
    "four scores of 0.5, K = 2, 4": [([[0.5] * 4], 2), ([[0.5] * 4], 4)],
    "1, 1, -1, -1, K = 4": [([[1.0, 1.0, -1.0, -1.0]], 4)],
    "no verdict, 1, 0, 0, K = 2": [([[None, 1.0, 0.0, 0.0]], 2)],
    "1 of 4 and 0 of 8, K = 4, 8": [([one_of(4, 0), [0.0] * 8], 4), ([one_of(4, 0), [0.0] * 8], 8)],
}


def battery(smallest: Sequence[int] = (1, 2, 4, 8)) -> list[Call]:
    """Every count of every size at every K, beyond n too; graded, negative, missing and unequal rollouts."""
    calls: list[Call] = [call for shown in SHOWN.values() for call in shown]
    for n in smallest:
        calls += [([[1.0] * c + [0.0] * (n - c)], k) for c in range(n + 1) for k in range(1, n + 3)]
    graded = ([0.5] * 4, [0.9] * 4, [2.0, 0, 0, 0], [0.25, 0.75, 1.0, 0.5], [-0.5, -0.25, 0.0, 0.0])
    calls += [([list(group)], k) for group in graded for k in (1, 2, 4)]
    lost: list[list[float | None]] = [[None, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, None]]
    calls += [([group, *more], k) for group in lost for more in ([], [[0.0] * 4]) for k in (1, 3, 4)]
    unequal = (
        [[0.0] * 8, one_of(4, 0)],
        [[1.0, 1.0], [0.0] * 4, [1.0, 0.0, 0.0]],
        [[0.0] * 4, one_of(4, 2), [1.0, 1.0, 0.0, 0.0]],
    )
    calls += [(groups, k) for groups in unequal for k in (1, 2, 3, 4, 8)]
    return calls


def by_definition(report: Report, calls: Sequence[Call]) -> list[dict[str, Any]]:
    """What a report answers, in the form of a tool's answers."""
    found: list[dict[str, Any]] = []
    for groups, k in calls:
        try:
            found.append({"value": report(groups, k)})
        except (TypeError, ValueError) as error:
            found.append({"error": str(error)})
    return found


def apart(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    """How far two answers are apart: 0 for two refusals or two times nothing, infinite for unlike ones."""
    if "error" in one or "error" in two:
        return 0.0 if "error" in one and "error" in two else math.inf
    a, b = one["value"], two["value"]
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    if math.isnan(a) or math.isnan(b):
        return 0.0 if math.isnan(a) and math.isnan(b) else math.inf
    return float(abs(a - b))


def in_words(answers: Sequence[Mapping[str, Any]], joined: Callable[[list[str]], str]) -> str:
    """Answers as a cell of the table."""
    return joined([_word(answer) for answer in answers])


def listed(words: list[str]) -> str:
    """One after the other."""
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def as_range(words: list[str]) -> str:
    """The least and the greatest of numbers, in words of equal length; else one after the other."""
    different = sorted(set(words))
    return different[0] if len(different) == 1 else f"{different[0]} to {different[-1]}"


def _word(answer: Mapping[str, Any]) -> str:
    if "error" in answer:
        return "refused"
    value = answer["value"]
    if value is None:
        return "not printed"
    return "NaN" if math.isnan(value) else f"{value:.3f}"
