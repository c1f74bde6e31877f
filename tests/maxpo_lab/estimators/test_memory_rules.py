"""Rules with memory: every step equal to a definition without a state; claims decided; states that last."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.estimators import MemoryEstimator
from maxpo_lab.estimators.definitions import histories as history_definitions
from maxpo_lab.estimators.definitions import memories as memory_definitions
from maxpo_lab.estimators.definitions.memories import Rule, along

#: Definitions, by the name of the rule; those at options that the catalogue does not list, too.
DEFINED: dict[str, Rule] = memory_definitions.BY_NAME | {
    "rae:decay=0.5": memory_definitions.rae(0.5),
    "spo:rho=0.5,whiten=0": memory_definitions.spo(0.5, whiten=False),
    "spo:whiten=0": memory_definitions.spo(0.875, whiten=False),
    "dbb:keep=0.5": memory_definitions.dbb(0.5),
    "curverl:window=2": memory_definitions.curverl(2),
    "curverl:window=0": memory_definitions.curverl(0),
    "ha-dw:window=1,scale=1": memory_definitions.ha_dw(1, 1.0),
    "ebpo:ddof=0,eps=1e-6": memory_definitions.ebpo(0, 1e-6),
}
#: Prompts of each step, of five.
VISITS = ([0, 1, 2], [2, 3], [4, 0, 1], [1, 2, 0], [3, 0, 2], [0, 1, 4])


def sizes_of(rule: MemoryEstimator) -> list[int]:
    return [n for n in range(1, 7) if rule.why_not(n, 1) is None]


def steps_of(rule: MemoryEstimator, n: int, seed: int = 0) -> list[tuple[list[int], np.ndarray]]:
    """A path of 0/1 rewards, dead groups among them, of graded ones, and of any that the rule takes."""
    rng = np.random.default_rng([seed, n])
    found = []
    for index, prompts in enumerate(VISITS):
        shape = (len(prompts), n)
        kinds = [rng.integers(0, 2, shape), rng.integers(0, 5, shape) / 4, rng.normal(size=shape)]
        takes = [each for each in kinds if rule.why_not_rewards(each.astype(float)) is None]
        rewards = takes[index % len(takes)].astype(float)
        rewards[0] = rewards[0, 0]  # a dead group
        found.append((prompts, rewards))
    return found


def test_every_rule_has_a_definition() -> None:
    defined = {*memory_definitions.BY_NAME, *history_definitions.BY_NAME}
    assert defined == set(ml.list_estimators("memory"))


@pytest.mark.parametrize("name", DEFINED)
def test_equals_its_definition(name: str) -> None:
    rule = ml.get_estimator(name)
    for n in sizes_of(rule):
        steps = steps_of(rule, n)
        state = rule.init(5)
        exact = along(DEFINED[name], [(prompts, rewards.tolist()) for prompts, rewards in steps])
        for (prompts, rewards), truth in zip(steps, exact, strict=True):
            given, after = rule.update(state, rewards, 1, prompts)
            expected = np.array([[float(a) for a in row] for row in truth])
            scale = max(1.0, abs(expected).max())
            np.testing.assert_allclose(given, expected, rtol=0, atol=1e-12 * scale, err_msg=f"n={n}")
            remembered = rule.remember(state, rewards, 1, prompts)
            assert remembered.keys() == after.keys() == state.keys()
            for key, array in after.items():
                np.testing.assert_array_equal(remembered[key], array)
            state = after


@pytest.mark.parametrize("name", memory_definitions.BY_NAME)
def test_libraries_agree_and_a_checkpoint_of_tensors_goes_on(name: str) -> None:
    rule = ml.get_estimator(name)
    n = sizes_of(rule)[-1]
    state = rule.init(5)
    for prompts, rewards in steps_of(rule, n):
        given, after = rule.update(state, rewards, 1, prompts)
        for library in (torch.asarray, array_api_strict.asarray):
            saved = {key: torch.as_tensor(np.array(array)) for key, array in state.items()}
            again, next_state = rule.update(saved, library(rewards), 1, prompts)
            np.testing.assert_allclose(np.asarray(again), given, rtol=1e-12, atol=1e-12)
            for key, array in after.items():
                np.testing.assert_allclose(next_state[key], array, rtol=1e-14, atol=1e-15)
        single, _ = rule.update(state, torch.tensor(rewards, dtype=torch.float32), 1, prompts)
        assert single.dtype == torch.float32
        state = after


def moves(
    rule: Rule, past: list[Any], own: int, others: list[list[Fraction]], levels: list[Fraction]
) -> bool:
    """Whether ``R - A`` of a rollout changes with its own reward alone, in rationals."""
    baselines = set()
    for reward in levels:
        groups = [list(group) for group in others]
        groups[0][own] = reward
        baselines.add(reward - rule(past, (range(len(groups)), groups))[0][own])
    return len(baselines) > 1


@pytest.mark.parametrize("name", DEFINED)
def test_unbiased_is_decided_in_rationals(name: str) -> None:
    """By completeness a rule for the mean is unbiased exactly if no baseline sees its rollout's reward.

    At every state that two steps of two prompts can leave, beside every company.
    """
    rule = ml.get_estimator(name)
    levels = (
        [Fraction(0), Fraction(1)] if rule.domain == "binary" else [Fraction(0), Fraction(1, 2), Fraction(1)]
    )
    n = min(2, sizes_of(rule)[-1])
    groups = [list(each) for each in product(levels, repeat=n)]
    steps = [[(range(2), [one, two])] for one, two in zip(groups, groups[::-1], strict=True)]
    pasts = [[], *steps, *(a + b for a, b in pairwise(steps))]
    seen = any(
        moves(DEFINED[name], past, 0, [one, two], levels)
        for past in pasts
        for one in groups
        for two in groups
    )
    assert seen != rule.claims.unbiased
    assert rule.claims.unbiased == name.startswith(("rae", "spo:rho=0.5,whiten=0", "spo:whiten=0"))


@pytest.mark.parametrize("name", ["rae", "spo:whiten=0"])
@pytest.mark.parametrize("history", ["none", "fair", "stale", "adversarial"])
def test_rae_and_spo_without_whitening_are_unbiased_after_any_history(name: str, history: str) -> None:
    n = 1 if "spo" in name else 3

    def prompts(rates: tuple[float, ...]) -> list[ml.RewardLevels]:
        good = np.arange(5) < 2
        found = [ml.RewardLevels.from_softmax(np.where(good, np.log(p / (1 - p)), 0.0), good) for p in rates]
        return list(ml.side_by_side(found))

    now = (0.1, 0.5, 0.8)
    past = {"none": [], "fair": [now], "stale": [(0.05, 0.2, 0.4)], "adversarial": [(0.9, 0.5, 0.2)]}[history]
    found = ml.batch_moments(
        name, prompts(now), n=n, k=1, batch=None, target="mean", history=[prompts(each) for each in past * 2]
    )
    assert found.method == "independent"
    assert found.relative_bias <= 1e-13
    assert np.allclose(found.weights, 1, rtol=1e-12)


def test_whitening_makes_spo_biased() -> None:
    levels = ml.side_by_side([ml.RewardLevels.from_softmax([0.0, 1.0], [1.0, 0.0])] * 3)
    biased = ml.batch_moments("spo", levels, n=1, k=1, batch=None, target="mean")
    assert biased.method == "product"
    assert biased.relative_bias > 0.1


@pytest.mark.parametrize("name", DEFINED)
def test_claims_and_dead_groups_at_states(name: str) -> None:
    rule = ml.get_estimator(name)
    pays, centered = set(), True
    for n in [size for size in sizes_of(rule) if size <= 3]:
        state = rule.init(5)
        for prompts, rewards in steps_of(rule, n):
            for rest in product((0.0, 1.0), repeat=n):
                for level, word in ((0.0, "all-fail"), (1.0, "all-correct")):
                    batch = np.array([[level] * n, [*rest], [1.0] + [0.0] * (n - 1)])
                    given, _ = rule.update(state, batch, 1, [0, 1, 2])
                    centered &= bool(abs(given.sum(axis=1)).max() < 1e-9)
                    if abs(given[0]).max() > 1e-9:
                        pays.add(word)
            _, state = rule.update(state, rewards, 1, prompts)
    assert centered == rule.claims.centered
    assert {"none": set(), "both": {"all-fail", "all-correct"}}[rule.dead_groups] == pays


def test_one_rollout_a_prompt() -> None:
    rule = ml.get_estimator("spo")
    assert rule.why_not(1, 1) is None
    with pytest.raises(ValueError, match=r"spo takes one rollout a prompt \(n=2\).*rae"):
        rule.update(rule.init(2), np.ones((2, 2)), 1, [0, 1])
    with pytest.raises(ValueError, match=r"at least 2 prompts in it \(P=1\).*whiten=0"):
        rule.update(rule.init(2), np.ones((1, 1)), 1, [0])
    alone = ml.get_estimator("spo:whiten=0")
    assert alone.update(alone.init(2), np.ones((1, 1)), 1, [1])[0].tolist() == [[0.5]]


def test_what_a_batch_leaves_is_of_no_prompt() -> None:
    """Rules that remember batches keep how many prompts there are, and refuse a state of others."""
    rule = ml.get_estimator("curverl")
    state = rule.init(3)
    assert int(state["prompts"]) == rule.prompts_of(state) == 3
    with pytest.raises(ValueError, match="the state is of prompts 0 to 2"):
        rule.update(state, np.ones((1, 4)), 1, [3])
    with pytest.raises(ValueError, match="holds means, prompts, version"):
        rule.update(ml.get_estimator("ha-dw").init(3), np.ones((1, 4)), 1, [0])


def test_a_rate_that_the_window_has_not_seen_gets_nothing() -> None:
    rule = ml.get_estimator("curverl")
    _, state = rule.update(rule.init(2), np.array([[1.0, 0, 0, 0]] * 2), 1, [0, 1])
    given, _ = rule.update(state, np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]]), 1, [0, 1])
    assert given.tolist() == [[0.75, -0.25, -0.25, -0.25], [0.0] * 4]


def wrong(rule: str) -> list[tuple[str, Callable[..., Any]]]:
    """Mutants of the definitions, as the mistakes that ports make."""
    return {
        "spo": [
            (
                "counts before the baseline",
                lambda past, now: memory_definitions.spo(0.875, whiten=True)([*past, now], now),
            ),
            ("rho of another", memory_definitions.spo(0.9, whiten=True)),
            ("no whitening", memory_definitions.spo(0.875, whiten=False)),
        ],
        "dbb": [("counts that are kept whole", memory_definitions.dbb(1.0))],
        "curverl": [
            ("its own batch too", lambda past, now: memory_definitions.curverl(10)([*past, now], now)),
            ("a window short by one", memory_definitions.curverl(1)),
        ],
        "ha-dw": [
            ("another batch's anchor", memory_definitions.ha_dw(1, 1.5)),
            ("another scale", memory_definitions.ha_dw(10, 1.3)),
        ],
        "ebpo": [("ddof 0", memory_definitions.ebpo(0, 1e-8))],
    }[rule]


@pytest.mark.parametrize(
    ("name", "what", "mutant"),
    [(name, what, each) for name in ("spo", "dbb", "curverl", "ha-dw", "ebpo") for what, each in wrong(name)],
)
def test_mutants_are_caught(name: str, what: str, mutant: Rule) -> None:
    rule = ml.get_estimator(name)
    n = sizes_of(rule)[-1]
    steps = [(prompts, rewards.tolist()) for prompts, rewards in steps_of(rule, n)]
    truth, other = along(memory_definitions.BY_NAME[name], steps), along(mutant, steps)
    off = [
        abs(float(a - b))
        for x, y in zip(truth, other, strict=True)
        for u, v in zip(x, y, strict=True)
        for a, b in zip(u, v, strict=True)
    ]
    assert max(off) > 1e-3, what
