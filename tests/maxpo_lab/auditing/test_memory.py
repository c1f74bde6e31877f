"""The audit of rules with memory: at every state a rule of one group, and pure."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml


def last_mean(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    new = state.copy()
    new[prompts] = rewards.mean(axis=1)
    return rewards - state[prompts, None], new


def too_early(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    """Takes the step's own rewards into its baseline before it is used."""
    new = state.copy()
    new[prompts] = 0.5 * state[prompts] + 0.5 * rewards.mean(axis=1)
    return rewards - new[prompts, None], new


def after_success(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    """Right as long as nothing was learnt: then it steps by what it knows."""
    given, new = last_mean(state, rewards, k, prompts)
    return np.where(state[prompts, None] > 0, 2 * given, given), new


def in_place(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    given = rewards - state[prompts, None]
    state[prompts] = rewards.mean(axis=1)
    return given, state


def across(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    return rewards - state[prompts, None] - rewards.mean(), state


def bare(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
    return rewards


def drawing() -> Any:
    numbers = count()
    return lambda state, rewards, k, prompts: (rewards * next(numbers), state)


def audited(update: Any, **options: Any) -> Any:
    return ml.audit(ml.memory_rule(np.zeros, update), **({"n": 4, "k": 1, "target": "mean"} | options))


def test_a_baseline_of_the_past_is_unbiased_at_every_state() -> None:
    report = audited(last_mean, state=np.array([37.0]))
    assert report.passed
    assert report.memory.remembers
    assert [each.state for each in report.memory.states][::4] == ["fresh", "as given"]
    assert [each.scale for each in report.memory.states] == [1.0] * 5
    assert not report.nearest.exact


@pytest.mark.parametrize(
    ("update", "says"),
    [
        (too_early, "fresh: 0.875 x the mean-reward gradient"),
        (after_success, "after 3 steps of"),
    ],
)
def test_a_bias_is_found_with_the_state_that_shows_it(update: Any, says: str) -> None:
    (verdict,) = audited(update).claims
    assert verdict.holds is False
    assert verdict.detail.startswith(says)


def test_a_stated_state_is_judged_too() -> None:
    def far(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        given, new = last_mean(state, rewards, k, prompts)
        return np.where(state[prompts, None] > 5, 0.0, given), new

    assert audited(far).passed
    (verdict,) = audited(far, state=np.array([6.0])).claims
    assert verdict.detail.startswith("as given: climbs nothing")


@pytest.mark.parametrize(
    ("update", "kind", "says"),
    [
        (in_place, "mutates", "update changed the state"),
        (across, "coupled rows", "beside other prompts"),
        (drawing(), "random", "two answers"),
        (bare, "shape", r"must be \(advantages, state\)"),
    ],
    ids=["in place", "across", "drawing", "bare"],
)
def test_what_is_not_pure_is_refused_by_name(update: Any, kind: str, says: str) -> None:
    report = audited(update)
    assert [each.kind for each in report.misbehaviours] == [kind]
    assert report.claims[0].holds is None
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(report.misbehaviours[0].detail)


@pytest.mark.integration
def test_the_catalogue_is_recognised() -> None:
    report = ml.audit(
        "rae", n=4, k=1, target="mean", claims=("unbiased", "equals:rae", "equals:rae:decay=0.5")
    )
    assert [each.holds for each in report.claims] == [True, True, False]
    assert "step 2" in report.claims[2].detail
    assert (report.nearest.name, report.nearest.exact) == ("rae", True)
    assert "## At each state" in report.to_markdown()
    with pytest.raises(ValueError, match="state holds"):
        ml.audit("rae", n=4, k=1, state={"mean": np.zeros(2)})
    with pytest.raises(ValueError, match="leave them out"):
        ml.audit("rae", n=4, k=1, signature="verl")
