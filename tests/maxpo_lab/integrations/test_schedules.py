"""K by phases: what it is at each step, when two are alike, and what makes none."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from maxpo_lab.integrations.schedules import KSteps


def test_k_is_that_of_the_latest_start() -> None:
    schedule = KSteps({5: 1, 0: 8, 3: 4})
    assert [schedule(step) for step in range(7)] == [8, 8, 8, 4, 4, 1, 1]


def test_schedules_are_alike_by_value_in_any_order() -> None:
    schedule = KSteps({3: 4, 0: 8})
    assert {schedule, KSteps({0: 8, 3: 4}), pickle.loads(pickle.dumps(schedule))} == {schedule}
    assert schedule != KSteps({0: 8, 3: 2})


@pytest.mark.parametrize(
    ("starts", "error", "message"),
    [
        ({}, ValueError, "first step must be 0"),
        ({5: 2}, ValueError, "first step must be 0"),
        ({-1: 2, 0: 1}, ValueError, "first step must be 0"),
        ({0: 0}, ValueError, "k >= 1"),
        ({0: 1.5}, TypeError, "must be an int"),
        ({0.5: 1}, TypeError, "step=0.5"),
        ([8, 1], TypeError, "must map steps to k"),
    ],
)
def test_steps_of_k_that_make_no_schedule(starts: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KSteps(starts)
