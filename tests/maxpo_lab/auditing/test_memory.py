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


def tracked(keep: float, prior: float) -> Any:
    """A success rate by prompt, as somebody else might write it: two numbers in a list."""

    def counts(state: Any, rewards: Any, prompts: Any) -> Any:
        won, lost = state[0].copy(), state[1].copy()
        for row, prompt in enumerate(prompts):
            won[prompt] = keep * won[prompt] + rewards[row].sum()
            lost[prompt] = keep * lost[prompt] + (1 - rewards[row]).sum()
        return [won, lost]

    return counts, lambda prompts: [np.full(prompts, prior), np.full(prompts, prior)]


def plain_spo() -> Any:
    counts, init = tracked(0.875, 0.5)

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        rate = np.array([state[0][x] / (state[0][x] + state[1][x]) for x in prompts])
        return rewards - rate[:, None], counts(state, rewards, prompts)

    return ml.memory_rule(init, update)


def plain_spo_whitened() -> Any:
    rule = plain_spo()

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        given, new = rule.update(state, rewards, k, prompts)
        return (given - given.mean()) / (given.std(ddof=1) + 1e-8), new

    return ml.memory_rule(rule.init, update)


def plain_dbb() -> Any:
    counts, init = tracked(0.75, 1.0)

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        won, lost = counts(state, rewards, prompts)
        rate = (won / (won + lost))[prompts][:, None]
        return (rewards - rate) / np.sqrt(rate - rate**2), [won, lost]

    return ml.memory_rule(init, update)


def plain_curverl() -> Any:
    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        wins = rewards.sum(axis=1)
        live = [int(c) for c in wins if 0 < c < rewards.shape[1]]
        seen = [c for batch in state for c in batch] or live
        given = np.zeros_like(rewards)
        for row, c in enumerate(wins):
            if 0 < c < rewards.shape[1] and seen.count(c):
                given[row] = seen.count(c) / sum(x <= c for x in seen) * (rewards[row] - rewards[row].mean())
        return given, [*state, live][-10:]

    return ml.memory_rule(lambda prompts: [], update)


def plain_ha_dw() -> Any:
    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        means = [*state, float(rewards.mean())][-10:]
        anchor, mean = np.mean(means), rewards.mean(axis=1, keepdims=True)
        own = (rewards - mean) / (rewards.std(axis=1, ddof=1, keepdims=True) + 1e-6)
        sign = -np.sign(mean - anchor) * np.sign(rewards - mean)
        return 1.5 * np.exp(sign * abs(mean - anchor)) * own, means

    return ml.memory_rule(lambda prompts: [], update)


def plain_ebpo() -> Any:
    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        every = [*state, *rewards]
        mean = rewards.mean(axis=1, keepdims=True)
        noise = np.var(every, ddof=1) / rewards.shape[1]
        share = noise / (noise + np.var(np.mean(every, axis=1), ddof=1))
        own = rewards - (1 - share) * mean - share * np.mean(every)
        return (own - own.mean()) / (own.std(ddof=1) + 1e-8), every

    return ml.memory_rule(lambda prompts: [], update)


@pytest.mark.parametrize(
    ("name", "mine", "n"),
    [
        ("spo:whiten=0", plain_spo, 1),
        ("spo", plain_spo_whitened, 1),
        ("dbb", plain_dbb, 4),
        ("curverl", plain_curverl, 4),
        ("ha-dw", plain_ha_dw, 4),
        ("ebpo", plain_ebpo, 4),
    ],
)
def test_code_of_others_is_recognised(name: str, mine: Any, n: int) -> None:
    """Where prompts meet too, of which nothing else is told; options other than the catalogue's are near."""
    rule = ml.get_estimator(name)
    report = ml.audit(mine(), n=n, k=1, target="mean", claims=(f"equals:{name}", "equals:rae"))
    assert [each.holds for each in report.claims] == [True, False]
    assert [each.kind for each in report.misbehaviours] == (["coupled rows"] if rule.couples else [])
    assert report.nearest is not None
    assert (report.nearest.name, report.nearest.exact) == (name, True)


def test_one_that_remembers_the_others_is_seen() -> None:
    """A baseline that all prompts share: in a single step nobody meets."""

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        return rewards - state, np.asarray(rewards.mean())

    report = ml.audit(ml.memory_rule(lambda prompts: np.asarray(0.0), update), n=4, k=1, target="mean")
    assert [each.kind for each in report.misbehaviours] == ["coupled rows"]
    assert "at step" in report.misbehaviours[0].detail
