"""A rule on the batches of a training loop, and the checks that an adapter makes of its framework."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ragged_batches import Batch, batches, check

import maxpo_lab as ml
from maxpo_lab.estimators.definitions.groups import BY_NAME
from maxpo_lab.integrations.adapters.by_rewards import as_rewards
from maxpo_lab.integrations.adapters.changed import FrameworkChangedError, MissingFrameworkError, Release
from maxpo_lab.integrations.adapters.training_rule import TrainingRule

NAN = float("nan")


def test_ragged_batches() -> None:
    def answer(batch: Batch) -> np.ndarray:
        found = TrainingRule(batch.estimator, batch.k)(batch.rewards, batch.ids)
        assert found.dtype == np.float64
        return found

    check(answer, batches())


def test_the_batches_that_adapters_are_checked_on_find_mistakes() -> None:
    """Groups by their places, an unscored rollout as a failure, one advantage moved by a place."""

    def in_order(batch: Batch) -> np.ndarray:
        return TrainingRule(batch.estimator, batch.k)(batch.rewards, np.sort(batch.ids))

    def as_failures(batch: Batch) -> np.ndarray:
        return TrainingRule(batch.estimator, batch.k)(np.nan_to_num(batch.rewards), batch.ids)

    def shifted(batch: Batch) -> np.ndarray:
        return np.roll(batch.due(), 1)

    def halved(batch: Batch) -> np.ndarray:
        return np.float16(batch.due())

    for mistake in (in_order, as_failures, shifted, halved):
        with pytest.raises(AssertionError):
            check(mistake, batches())


def test_a_hand_made_batch_by_the_definition() -> None:
    """None and NaN, a group of one, one too small, one without a score."""
    rewards = [0.0, None, 1.0, NAN, 0.5, 1.0, 0.25, 0.0]
    ids = ["a", "a", "a", "c", "a", "b", "c", "d"]
    rule = TrainingRule("maxpo", 2)
    a = [float(each) for each in BY_NAME["maxpo"]([0.0, 1.0, 0.5], 2)]
    np.testing.assert_allclose(rule(rewards, ids), [a[0], 0, a[1], 0, a[2], 0, 0, 0], atol=1e-15)
    assert rule.metrics == {
        "k": 2,
        "advantages/mean": pytest.approx(0, abs=1e-15),
        "advantages/rms": pytest.approx(float(np.sqrt(np.square(a).sum() / 8))),
        "advantages/largest": pytest.approx(max(map(abs, a))),
        "advantages/dead_groups": 0.75,
        "advantages/undefined_groups": 0.75,
        "advantages/unscored": 0.25,
    }


def test_small_groups_can_be_errors() -> None:
    rule = TrainingRule("maxpo", 2, small_groups="raise")
    with pytest.raises(ValueError, match="group b has 1 scored rollouts"):
        rule([1.0, 0.0, 0.0, 1.0], ["a", "a", "a", "b"])
    assert rule([], []).shape == (0,)


def test_several_rewards() -> None:
    rng = np.random.default_rng(0)
    rewards = rng.random((10, 3))
    rewards[rng.random((10, 3)) < 0.2] = NAN
    rewards[4] = NAN
    ids = np.arange(10) % 2
    rule = TrainingRule("per-reward:maxpo", 2, reward_weights=[1, 2, 0.5])
    due = ml.advantages(
        rewards,
        2,
        estimator="per-reward:maxpo",
        group_ids=ids,
        nan_policy="omit",
        small_groups="zero",
        reward_weights=[1, 2, 0.5],
    )
    np.testing.assert_array_equal(rule(rewards, ids), due)
    assert rule.metrics["advantages/unscored"] == 0.1
    lists = [[None if np.isnan(each) else each for each in row] for row in rewards.tolist()]
    np.testing.assert_array_equal(rule(lists, ids), due)


def test_two_groups_of_one_prompt_share_its_history_and_stay_two() -> None:
    rule, memory = TrainingRule("replay", 2), ml.Replay(2)
    rng = np.random.default_rng(1)
    for _ in range(3):
        rewards = rng.integers(0, 2, (3, 4)).astype(float)
        due = memory.advantages(rewards, ["q", "r", "q"])
        found = rule(rewards.T.reshape(-1), [0, 1, 2] * 4, prompts=["q", "r", "q"] * 4)
        np.testing.assert_array_equal(found, due.T.reshape(-1))
    assert rule.metrics["replay/prompts"] == 2
    before = rule.memory.step
    rule(rewards[0], [0] * 4, prompts=["q"] * 4, remember=False)
    assert rule.memory.step == before
    with pytest.raises(ValueError, match=r"prompts\[3\]='r': its group 0 has another prompt"):
        rule(rewards[0], [0] * 4, prompts=["q", "q", "q", "r"])


def test_ragged_and_unscored_groups_with_a_memory() -> None:
    rule, memory = TrainingRule("replay", 2), ml.Replay(2)
    for step in range(3):
        rewards = [1.0, 0.0, NAN, 1.0, 0.0, 0.0, 1.0, 1.0]
        ids = ["a", "a", "a", "a", "a", "b", "b", "c"]
        due = memory.advantages(np.roll(rewards, step), ids, nan_policy="omit", small_groups="zero")
        np.testing.assert_allclose(rule(np.roll(rewards, step), ids), due, atol=1e-15)


def test_a_memory_goes_on_in_its_folder(tmp_path: Path) -> None:
    first = TrainingRule("replay", 2, memory_folder=tmp_path)
    first([1.0, 0.0, 0.0, 1.0], [0] * 4, prompts=["q"] * 4)
    second = TrainingRule(ml.Replay(2), memory_folder=tmp_path)
    given = ([1.0, 1.0, 0.0, 0.0], [0] * 4)
    np.testing.assert_array_equal(second(*given, prompts=["q"] * 4), first(*given, prompts=["q"] * 4))
    assert second.metrics["replay/known"] == 1


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("maxpo",), {}, "needs the K of max@K: pass k=4"),
        (("replay",), {}, "needs the K of max@K"),
        (("no-such",), {"k": 2}, "no-such"),
        (("rae",), {}, "keeps a state of its own, which no framework carries"),
        (
            ("maxpo", 2),
            {"reward_weights": [1.0]},
            "takes one reward; leave them out, or use per-reward:maxpo",
        ),
        (("maxpo", 2), {"memory_folder": "x"}, "remembers nothing; leave it out, or use replay"),
        (("maxpo", 2), {"small_groups": "drop"}, "small_groups"),
        (("replay", 2), {"forgets": "it forgets"}, "remembers prompts, and it forgets; use a rule without"),
        ((ml.Replay(2), 3), {}, "k=3 with a Replay of k=2"),
        (("gdpo",), {"one_reward": "there is one"}, "and there is one; use a rule of one reward"),
    ],
)
def test_what_cannot_be_honoured(arguments: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingRule(*arguments, **settings)


def test_rewards_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 2\): maxpo takes \(B,\), one of each rollout"):
        TrainingRule("maxpo", 2)(np.zeros((4, 2)), [0] * 4)
    with pytest.raises(ValueError, match=r"shape \(4,\): per-reward:maxpo takes \(B, d\), several"):
        TrainingRule("per-reward:maxpo", 2)(np.zeros(4), [0] * 4)
    with pytest.raises(TypeError, match="is a function: a name, an Estimator or a Replay is needed"):
        TrainingRule(lambda rewards, k: rewards, 2)


def test_a_warning_says_what_got_0(caplog: pytest.LogCaptureFixture) -> None:
    rule = TrainingRule("maxpo", 2)
    rule([1.0, 0.0, 0.0, NAN], [0, 0, 0, 1])
    rule.warn(logging.getLogger("adapter"))
    assert (
        "maxpo: advantage 0 for want of rewards: shares: unscored 0.25, undefined_groups 0.5" in caplog.text
    )
    caplog.clear()
    rule([1.0, 0.0, 0.0], [0, 0, 0])
    rule.warn(logging.getLogger("adapter"))
    assert not caplog.text


def test_as_rewards_is_what_a_subtracted_mean_leaves() -> None:
    rng = np.random.default_rng(0)
    rewards, ids = rng.random(20), np.repeat([0, 1, 2, 3], 5)
    given = as_rewards(TrainingRule("maxpo", 3), rewards, ids, clip=10)
    left = given.reshape(4, 5) - given.reshape(4, 5).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        left.reshape(-1), ml.advantages(rewards.reshape(4, 5), 3).reshape(-1), atol=1e-14
    )
    with pytest.raises(ValueError, match=r"would be clipped at 0\.5, a bias: raise the framework's clip"):
        as_rewards(TrainingRule("maxpo", 3), rewards, ids, clip=0.5)
    with pytest.raises(ValueError, match=r"use a rule that is centered, e\.g\. maxpo"):
        as_rewards(TrainingRule("pkpo-loo1", 3), rewards, ids, clip=None)


def hook(rewards: Any, ids: Any) -> Any:
    """Stands for a framework's function."""
    return estimator_func(rewards, index=ids)  # noqa: F821 - it is read, not run


def test_what_differs_is_named() -> None:
    tested = Release("Here", "1.2", "maxpo-lab")
    framework = SimpleNamespace(__name__="here.module", hook=hook)
    assert tested.takes(framework, "hook", "rewards") is hook
    tested.calls(framework, "hook", "estimator_func", ("index",))
    tested.calls(framework, "hook", "estimator_func", 1)
    for differs, message in (
        (lambda: tested.has(framework, "other"), "here.module has no other"),
        (lambda: tested.takes(framework, "hook", "ids"), r"takes \(rewards, ids\), not \(ids\)"),
        (
            lambda: tested.calls(framework, "hook", "estimator_func", ("mask",)),
            "calls estimator_func with other",
        ),
        (lambda: tested.calls(framework, "hook", "estimator_func", 2), "not 2 arguments"),
        (lambda: tested.calls(framework, "hook", "gone", 1), r"\(not at all\)"),
        (lambda: tested.module("maxpo_lab.no_such"), "there is no module maxpo_lab.no_such"),
    ):
        with pytest.raises(FrameworkChangedError, match=message) as caught:
            differs()
        assert f"Here {ml.__version__}: " in str(caught.value)
        assert str(caught.value).endswith("; this adapter is tested with Here 1.2")
    with pytest.raises(
        MissingFrameworkError, match=r"no_such_framework of Here needs .*: pip install maxpo-lab"
    ):
        tested.module("no_such_framework")
    assert Release("There", "1", "no-such-distribution").installed == "of unknown version"
