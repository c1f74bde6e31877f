"""Broken rules with history: each is caught by the check that is said to catch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from fractions import Fraction
from typing import Any

import array_api_compat
import numpy as np
import pytest

from maxpo_lab.estimators.definitions import groups as plain
from maxpo_lab.estimators.definitions import histories as definitions
from maxpo_lab.estimators.history import tables
from maxpo_lab.estimators.history.evaluation import with_history
from maxpo_lab.estimators.history.learned import _others, leave_one_out
from maxpo_lab.estimators.history.replay import largest_share

NUMPY = array_api_compat.array_namespace(np.empty(0))
RNG = np.random.default_rng(8)
GROUP, Y, W = RNG.normal(size=(6, 5)), RNG.normal(size=(6, 4)), RNG.random((6, 4))


def equals_its_definition(made: Callable[[int, int], tables.Tables], name: str) -> bool:
    for k in range(1, 6):
        got = with_history(
            NUMPY, GROUP, Y, W, ((made(5, k), 1.0 if name != "replay" else None),), history_sorted=False
        )
        for row in range(6):
            given = [each[row].tolist() for each in (GROUP, Y, W)]
            rule = {"hist": definitions.hist, **definitions.BY_NAME}[name]
            want = rule(given[0], k, *given[1:])
            if np.abs(got[0, row] - np.array([float(each) for each in want])).max() > 1e-12:
                return False
    return True


MUTANTS: dict[str, Callable[[tables.Tables, int, int], tables.Tables]] = {
    "K dropped": lambda t, n, k: changed(t, origin=t.origin / k, slope=t.slope / k, reach=t.reach / k),
    "I_n dropped": lambda t, n, k: changed(t, reach=0.0),
    "history under a gap not credited": lambda t, n, k: changed(t, slope=t.slope * [[1], [1], [0]]),
    "lowest rank pays nothing": lambda t, n, k: changed(t, origin=0 * t.origin),
    "K = 1 without what is below the group": lambda t, n, k: changed(t, short=0.0),
    "weighed against n for n-K": lambda t, n, k: changed(t, spare=n),
    "ranks one too low": lambda t, n, k: changed(t, slope=np.roll(t.slope, 1, axis=1)),
}


def test_the_right_ones_pass() -> None:
    for name in ("hist", "replay"):
        assert equals_its_definition(tables.replay, name)
    assert equals_its_definition(tables.centered, "centered-replay")


@pytest.mark.parametrize("what", MUTANTS)
def test_a_broken_table_is_not_the_definition(what: str) -> None:
    assert not equals_its_definition(lambda n, k: MUTANTS[what](tables.replay(n, k), n, k), "replay")


def test_a_group_mean_that_is_not_taken_off_is_seen() -> None:
    def uncentered(n: int, k: int) -> tables.Tables:
        right = tables.centered(n, k)
        return changed(right, origin=0 * right.origin)

    assert not equals_its_definition(uncentered, "centered-replay")
    got = with_history(NUMPY, GROUP, Y, W, ((uncentered(5, 3), 1.0),), history_sorted=False)
    assert abs(got.sum(axis=-1)).max() > 0.1


def own_reward_alone(rule: Any) -> bool:
    for rest in ((0, 1, 0), (Fraction(1, 3), 0, 1)):
        found = {
            2 * plain.inclusion_value((own, *rest), 2)[0] - rule((own, *rest), 2, (0, 1), (1, 1))[0]
            for own in (0, Fraction(1, 3), 1)
        }
        if len(found) > 1:
            return False
    return True


def test_a_rate_that_sees_its_own_rollout_is_biased() -> None:
    def with_own(rewards: Any, k: int, y: Any, w: Any) -> list[Fraction]:
        return definitions.hist(rewards, k, [*y, *rewards], [*w, *([1] * len(rewards))])

    def learned_from_oneself(rewards: Any, k: int, y: Any, w: Any) -> list[Fraction]:
        return definitions.replay(rewards, k, y, w, lam=sum(map(Fraction, rewards)) / 4)

    assert own_reward_alone(definitions.hist)
    assert not own_reward_alone(with_own)
    assert not own_reward_alone(learned_from_oneself)


def test_a_lambda_without_its_cap_is_above_it() -> None:
    along, apart = np.array([5.0, 4.0, 6.0]), np.array([1.0, 1.0, 1.0])
    largest = largest_share(NUMPY, W[:3], n=5, k=3)
    uncapped = _others(NUMPY, along) / (2 * _others(NUMPY, apart))
    assert (uncapped > largest).all()
    assert (leave_one_out(NUMPY, along, apart, largest) == largest).all()
