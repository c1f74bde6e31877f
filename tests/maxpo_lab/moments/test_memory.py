"""Rules with memory: a state, its histories and a path of policies, against all outcomes of all of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from brute_force import sequences, softmax_policy

import maxpo_lab as ml
from maxpo_lab.moments.batches import memory
from maxpo_lab.rules.errors import CoupledRowsError, StatefulRuleError

N = 2
PROMPTS = (
    softmax_policy((0.4, -1.0, 0.2), (0.0, 1.0, 0.0)),
    softmax_policy((0.4, 0.5, -0.7), (1.0, 0.0, 0.0)),
)
EARLIER = (
    softmax_policy((0.1, -1.5, 0.3), (0.0, 1.0, 0.0)),
    softmax_policy((0.0, 0.8, 0.1), (1.0, 0.0, 0.0)),
)
LEVELS, STALE = ([each.levels() for each in prompts] for prompts in (PROMPTS, EARLIER))
SEEN = np.array([[1.0, 0.0], [0.5, 0.5]])


def step_outcomes(prompts: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = [sequences(prompt, N) for prompt in prompts]
    picks = np.array(list(product(*(range(len(chance)) for _, chance in found))))
    chance = np.prod([found[j][1][picks[:, j]] for j in range(len(prompts))], axis=0)
    rolled = [found[j][0][picks[:, j]] for j in range(len(prompts))]
    rewards = np.stack([p.rewards[each] for p, each in zip(prompts, rolled, strict=True)], axis=1)
    scores = np.stack([p.scores[each] for p, each in zip(prompts, rolled, strict=True)], axis=1)
    return chance, rewards, scores


def brute_force(rule: Any, *, history: list[Any]) -> tuple[np.ndarray, float]:
    """Mean and trace covariance of the batch gradient over all histories and all outcomes after them."""
    pasts: list[tuple[float, list[np.ndarray]]] = [(1.0, [])]
    for step in history:
        if isinstance(step, np.ndarray):
            pasts = [(chance, [*seen, step]) for chance, seen in pasts]
            continue
        chances, rewards, _ = step_outcomes(step)
        distinct, index = np.unique(rewards, axis=0, return_inverse=True)
        weights = np.bincount(index.ravel(), chances)
        pasts = [
            (chance * weight, [*seen, each])
            for chance, seen in pasts
            for weight, each in zip(weights, distinct, strict=True)
        ]
    chances, rewards, scores = step_outcomes(PROMPTS)
    distinct, index = np.unique(rewards, axis=0, return_inverse=True)
    weight, gradients = [], []
    for chance, seen in pasts:
        state = rule.init(len(PROMPTS))
        for each in seen:
            _, state = rule.update(state, each, 1, np.arange(len(PROMPTS)))
        given = np.stack([rule.update(state, each, 1, np.arange(len(PROMPTS)))[0] for each in distinct])
        gradients.append(np.einsum("bpn,bpnd->bd", given[index.ravel()], scores) / N / len(PROMPTS))
        weight.append(chance * chances)
    chance, g = np.concatenate(weight), np.concatenate(gradients)
    mean = chance @ g
    return mean, float(chance @ np.sum((g - mean) ** 2, axis=1))


def shared_average() -> ml.MemoryRule:
    """One running average for all prompts: what a prompt got before is in the baseline of the others."""

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        return rewards - state, 0.5 * state + 0.5 * rewards.mean()

    return ml.memory_rule(lambda prompts: np.zeros(()), update)


def whitened_average() -> ml.MemoryRule:
    """A running average by prompt over the deviation of the batch: prompts meet in the step itself."""

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        new = state.copy()
        new[prompts] = 0.5 * state[prompts] + 0.5 * rewards.mean(axis=1)
        return (rewards - state[prompts, None]) / (rewards.std() + 0.1), new

    return ml.memory_rule(np.zeros, update)


HISTORIES: dict[str, tuple[list[Any], list[Any]]] = {
    "none": ([], []),
    "seen": ([SEEN], [SEEN]),
    "fair": ([PROMPTS, PROMPTS], [LEVELS, LEVELS]),
    "stale": ([EARLIER, SEEN, EARLIER], [STALE, SEEN, STALE]),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_prompts_apart_are_exact_over_all_histories(history: str) -> None:
    rule = ml.get_estimator("rae:decay=0.5")
    outcomes, policies = HISTORIES[history]
    mean, trace = brute_force(rule, history=outcomes)
    found = ml.batch_moments(rule, LEVELS, n=N, k=1, batch=None, history=policies, target="mean")
    assert found.method == "independent"
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-13)
    assert found.trace_covariance == pytest.approx(trace, rel=1e-12)
    assert found.relative_bias <= 1e-12  # unbiased, whatever the history


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("make", [shared_average, whitened_average])
def test_prompts_that_meet(history: str, make: Callable[[], ml.MemoryRule]) -> None:
    """Exact at a state; over histories within 4 standard errors."""
    rule = make()
    outcomes, policies = HISTORIES[history]
    mean, trace = brute_force(rule, history=outcomes)
    found = ml.batch_moments(rule, LEVELS, n=N, k=1, batch=None, history=policies, target="mean", draws=300)
    errors = found.standard_errors
    if errors is None:
        assert history in ("none", "seen")
        assert found.method == ("independent" if make is shared_average else "product")
        np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-13)
        assert found.trace_covariance == pytest.approx(trace, rel=1e-12)
        return
    assert found.method == "conditional"
    # A baseline changes no mean: what is left of it is rounding, which has no standard error.
    assert np.linalg.norm(found.mean - mean) <= 4 * errors.mean + 1e-14
    assert abs(found.trace_covariance - trace) <= 4 * errors.trace_covariance


def test_more_histories_than_can_be_listed_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ml.get_estimator("rae:decay=0.5")
    settings: dict[str, Any] = {"n": N, "k": 1, "batch": None, "history": [LEVELS, LEVELS], "target": "mean"}
    exact = ml.batch_moments(rule, LEVELS, **settings)
    monkeypatch.setattr(memory, "HISTORIES", 5)
    drawn = ml.batch_moments(rule, LEVELS, **settings, draws=600)
    assert drawn.method == "conditional"
    assert drawn.standard_errors is not None
    error = drawn.standard_errors.trace_covariance
    assert 0 < error < 0.05 * exact.trace_covariance
    assert abs(drawn.trace_covariance - exact.trace_covariance) <= 4 * error


def test_a_path_of_policies_is_its_steps() -> None:
    path = ml.path_moments("rae:decay=0.5", [STALE, STALE, LEVELS], n=N, k=1, target="mean")
    assert len(path) == 3
    last = ml.batch_moments(
        "rae:decay=0.5", LEVELS, n=N, k=1, batch=None, target="mean", history=[STALE, STALE]
    )
    assert path[2].trace_covariance == last.trace_covariance
    first = ml.batch_moments("reinforce", STALE, n=N, k=1, batch=None, target="mean")
    assert path[0].trace_covariance == pytest.approx(first.trace_covariance, rel=1e-12)
    with pytest.raises(ValueError, match="path is empty"):
        ml.path_moments("rae", [], n=N, k=1)


def test_a_state_goes_on_where_it_was() -> None:
    rule = ml.get_estimator("rae")
    _, state = rule.update(rule.init(2), SEEN, 1, [0, 1])
    settings: dict[str, Any] = {"n": N, "k": 1, "batch": None, "target": "mean"}
    by_state = ml.batch_moments(rule, LEVELS, **settings, state=state)
    by_history = ml.batch_moments(rule, LEVELS, **settings, history=[SEEN])
    assert by_state.trace_covariance == by_history.trace_covariance
    assert {name: np.asarray(array).dtype.kind for name, array in state.items()} == {
        "version": "i",
        "baseline": "f",
    }


def test_rae_is_its_definition_and_leaves_its_state_alone() -> None:
    rule = ml.get_estimator("rae:decay=0.9")
    state, baseline = rule.init(3), np.zeros(3)
    rng = np.random.default_rng(0)
    for prompts in ([0, 2], [2, 1], [1, 0]):
        rewards = rng.random((2, 4))
        before = {name: np.array(array) for name, array in state.items()}
        given, new = rule.update(state, rewards, 1, prompts)
        np.testing.assert_allclose(given, rewards - baseline[prompts][:, None], rtol=0, atol=1e-15)
        for name, array in before.items():
            np.testing.assert_array_equal(state[name], array)
        for prompt, group in zip(prompts, rewards, strict=True):
            baseline[prompt] = 0.9 * baseline[prompt] + 0.1 * group.mean()
        np.testing.assert_allclose(new["baseline"], baseline, rtol=1e-14)
        state = new


def test_bad_states_and_steps_are_named() -> None:
    rule = ml.get_estimator("rae")
    state = rule.init(2)
    for given, prompts, text in (
        ({**state, "version": np.array(2)}, [0, 1], "version 2 of rae, this is version 1"),
        ({"version": state["version"], "other": np.zeros(2)}, [0, 1], "holds other, version"),
        ({**state, "baseline": np.zeros((2, 2))}, [0, 1], "shapes"),
        (state, [0, 2], "hold 2: the state is of prompts 0 to 1"),
        (state, [0, 0], "hold 0 twice"),
        (state, [0.0, 1.0], "whole numbers"),
        (state, [0], "each of the 2 rows"),
    ):
        with pytest.raises(ValueError, match=text):
            rule.update(given, SEEN, 1, prompts)
    with pytest.raises(TypeError, match=r"rae\.init"):
        rule.update(None, SEEN, 1, [0, 1])
    with pytest.raises(ValueError, match="at least one prompt"):
        rule.init(0)
    with pytest.raises(ValueError, match=r"needs \(P, n\)"):
        rule.update(state, SEEN[0], 1, [0, 1])


def test_bad_histories_are_named() -> None:
    settings: dict[str, Any] = {"n": N, "k": 1, "batch": None}
    with pytest.raises(ValueError, match=r"history\[1\] is of 3 prompts: 2 are listed"):
        ml.batch_moments("rae", LEVELS, **settings, history=[SEEN, np.ones((3, 2))])
    with pytest.raises(TypeError, match=r"history\[0\] has shape \(2,\)"):
        ml.batch_moments("rae", LEVELS, **settings, history=[np.ones(2)])
    with pytest.raises(ValueError, match="state is of 1 prompts, 2 are listed"):
        ml.batch_moments("rae", LEVELS, **settings, state=ml.get_estimator("rae").init(1))
    with pytest.raises(ValueError, match="batch=2 with rae"):
        ml.batch_moments("rae", LEVELS, n=N, k=1, batch=2)
    with pytest.raises(ValueError, match="histories are drawn"):
        ml.batch_moments("rae", LEVELS, **settings, history=[LEVELS], method="product")


def test_prompts_that_meet_rarely_are_seen() -> None:
    """A step that is left out when nobody succeeds: exact as a product, as the same step of a batch rule."""

    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        if rewards.max() == rewards.min():
            return np.zeros_like(rewards), state
        return rewards - state[prompts, None], state

    rule = ml.memory_rule(lambda prompts: np.full(prompts, 0.5), update)
    good = np.arange(10) < 5
    hard = ml.side_by_side(
        [
            ml.RewardLevels.from_softmax(np.where(good, np.log(p / (1 - p)), 0.0), good)
            for p in (0.01, 0.02, 0.05)
        ]
    )
    settings: dict[str, Any] = {"n": 4, "k": 1, "batch": None, "target": "mean"}
    found = ml.batch_moments(rule, hard, **settings)
    same = ml.batch_rule(lambda rewards, k: (rewards - 0.5) * (rewards.max() != rewards.min()))
    assert found.method == "product"
    expected = ml.batch_moments(same, hard, **settings, method="product")
    assert found.trace_covariance == pytest.approx(expected.trace_covariance, rel=1e-12)


def test_the_order_of_rollouts_is_held_not_to_matter() -> None:
    rule = ml.memory_rule(np.zeros, lambda state, rewards, k, prompts: (np.cumsum(rewards, axis=1), state))
    with pytest.raises(CoupledRowsError, match="order of the rollouts"):
        ml.batch_moments(rule, LEVELS, n=3, k=1, batch=None)


def test_impure_rules_are_refused() -> None:
    def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
        state += rewards.mean()
        return rewards - state, state

    with pytest.raises(StatefulRuleError, match="copy the arrays"):
        ml.batch_moments(ml.memory_rule(lambda prompts: np.zeros(()), update), LEVELS, n=N, k=1, batch=None)
    for arguments in ((1, update), (np.zeros, None)):
        with pytest.raises(TypeError, match="must be callable"):
            ml.memory_rule(*arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a callable"):
        ml.batch_rule(ml.get_estimator("rae"))
    with pytest.raises(ValueError, match="statistic='mean'"):
        ml.batch_rule(np.copy, statistic="mean")  # type: ignore[arg-type]
