"""Rules of several rewards and of lengths: equal to their definitions, to their sources' numbers, by name."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.of_vectors import definitions as truth
from maxpo_lab.estimators.references import bibtex

NAMES = ml.list_estimators("vector")
BATCHES = ml.list_estimators("vector-batch")
RNG = np.random.default_rng(26)
NAN = float("nan")


def groups(n: int, d: int = 2) -> list[np.ndarray]:
    """Binary, one reward flat, all flat, tied, continuous, far from 0."""
    binary = RNG.integers(0, 2, (n, d)).astype(float)
    half = binary.copy()
    half[:, 0] = 1
    return [
        binary,
        half,
        np.full((n, d), 0.7),
        RNG.integers(0, 3, (n, d)) / 4,
        RNG.normal(size=(n, d)),
        1000 + RNG.random((n, d)),
    ]


def called(rule: Any, rewards: Any, k: int, lengths: Any) -> np.ndarray:
    return np.asarray(rule(rewards, k, lengths=lengths) if rule.takes_lengths else rule(rewards, k))


def test_every_rule_has_a_definition() -> None:
    assert set(truth.BY_NAME) == set(NAMES)
    assert set(truth.OF_BATCHES) == set(BATCHES)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 2.0), (1.0, -0.25)])
@pytest.mark.parametrize("name", NAMES)
def test_equals_its_definition(name: str, weights: tuple[float, ...]) -> None:
    rule = ml.get_estimator(name).weighted(weights)
    for n in (1, 2, 3, 5):
        lengths = RNG.integers(1, 9, n)
        for k in (k for k in range(1, n + 1) if rule.why_not(n, k) is None):
            for group in groups(n):
                exact = [float(a) for a in truth.BY_NAME[name](group.tolist(), k, weights, lengths.tolist())]
                scale = max(1.0, np.abs(exact).max()) * max(1.0, abs(group).max())
                found = called(rule, group, k, lengths)
                np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("prompts", [1, 2, 3])
def test_gdpo_equals_its_definition(prompts: int) -> None:
    rule = ml.get_estimator("gdpo").weighted((1.0, 0.5))
    others = {
        "whitened:scale=std1,mean=1,add=1e-4:per-reward:grpo:eps=1e-4": truth.gdpo(1e-4, 0.0, 1e-4),
        "whitened:scale=std1,mean=1,add=1e-8:per-reward:grpo:eps=1e-8": truth.gdpo(1e-8, 0.0, 1e-8),
    }
    for n in (2, 3, 4):
        batch = np.stack([groups(n)[i] for i in (0, 3, 4)][:prompts])
        for spec, signal in ({"gdpo": truth.OF_BATCHES["gdpo"]} | others).items():
            given = ml.get_estimator(spec).weighted(rule.reward_weights)
            exact = [[float(a) for a in row] for row in signal(batch.tolist(), 1, (1.0, 0.5))]
            np.testing.assert_allclose(given(batch, 1), exact, rtol=0, atol=1e-11)


def test_numbers_of_the_frameworks() -> None:
    """verl 0.9.1 run on lengths, one key; TRL 1.16 and ms-swift 4.6 on two groups, one reward."""
    opo = ml.get_estimator("opo")
    for lengths, expected in (([6, 2, 2, 2], 0.5), ([2, 6, 2, 2], 0.8333), ([3, 3, 3, 3], 0.75)):
        assert opo([1.0, 0, 0, 0], 1, lengths=lengths)[0] == pytest.approx(expected, abs=1e-4)
    two = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]])[..., None]
    for spec in (
        "whitened:scale=std1,mean=1,add=1e-4:per-reward:grpo:eps=1e-4",
        "whitened:scale=std1,mean=1,add=1e-8:per-reward:grpo:eps=1e-8",
    ):
        found = ml.get_estimator(spec)(two, 1)
        np.testing.assert_allclose(found[:, 0], [1.620, 0.935], atol=1e-3)
    verl = ml.get_estimator("whitened:scale=std1,mean=1,tokens=3:per-reward:grpo")
    np.testing.assert_allclose(verl(two[:1], 1)[0], [1.658, -0.553, -0.553, -0.553], atol=5e-4)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_multi_axis_of_one_reward_has_maxpos_direction(k: int) -> None:
    """At K = n it is maxpo at K = n-1, whatever it is called."""
    rewards = RNG.normal(size=4)
    found = ml.get_estimator("multi-axis-maxk")(rewards[:, None], k)
    plain = ml.get_estimator("maxpo")(rewards, min(k, 3))
    factor = found @ plain / (plain @ plain)
    np.testing.assert_allclose(found, factor * plain, rtol=0, atol=1e-12 * np.abs(found).max())


@pytest.mark.parametrize("name", NAMES)
def test_one_reward_is_the_group_rule(name: str) -> None:
    """And summed and per-reward differ where there are two."""
    rule = ml.get_estimator(name)
    group = RNG.normal(size=(5, 1))
    if name.startswith(("summed:", "per-reward:")):
        own = ml.get_estimator(name.partition(":")[2])
        np.testing.assert_allclose(rule(group, 2), own(group[:, 0], 2), rtol=0, atol=1e-12)
    two, lengths = RNG.normal(size=(5, 2)), np.array([1, 5, 2, 4, 3])
    family = {each: called(ml.get_estimator(each), two, 2, lengths) for each in NAMES}
    assert all(abs(family[name] - family[other]).max() > 1e-3 for other in NAMES if other != name)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_rollouts_and_rewards_may_change_places(name: str, data: st.DataObject) -> None:
    rule = ml.get_estimator(name)
    n = data.draw(st.integers(3, 7))
    number = st.sampled_from([-1.0, 0.0, 0.25, 1.0, 2.0])
    row = st.tuples(number, number, number)
    rewards = np.array(data.draw(st.lists(row, min_size=n, max_size=n)))
    lengths = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)))
    weights = np.array(data.draw(st.tuples(number, number, number)))
    order, axes = (np.array(data.draw(st.permutations(range(size)))) for size in (n, 3))
    k = data.draw(st.integers(1, n - 1))
    found = called(rule.weighted(weights), rewards, k, lengths)
    moved = called(rule.weighted(weights[axes]), rewards[order][:, axes], k, lengths[order])
    scale = max(1.0, np.abs(found).max())
    np.testing.assert_allclose(moved, found[order], rtol=0, atol=2e-9 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_array_libraries_agree(name: str) -> None:
    rule = ml.get_estimator(name).weighted((1.0, 0.5))
    stack = np.stack(groups(6)[:5]).reshape(5, 1, 6, 2)
    lengths = RNG.integers(1, 9, (5, 1, 6))
    expected = called(rule, stack, 3, lengths)
    assert expected.shape == (5, 1, 6)
    scale = max(1.0, np.abs(expected).max())
    for library in (array_api_strict.asarray, torch.tensor):
        got = called(rule, library(stack), 3, library(lengths))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * scale)
    single = rule(torch.tensor(stack).float(), 3, lengths=lengths if rule.takes_lengths else None)
    assert single.dtype == torch.float32
    rounded = called(rule, stack.astype(np.float32), 3, lengths)
    np.testing.assert_allclose(single.numpy(), rounded, rtol=2e-7, atol=2e-7 * scale)


@pytest.mark.parametrize("name", [*NAMES, *BATCHES])
def test_laws_are_as_documented(name: str) -> None:
    rule, lengths = ml.get_estimator(name), np.array([[2, 1, 3, 1, 5]])
    rewards = RNG.normal(size=(1, 5, 2))
    found = called(rule, rewards, 2, lengths)
    size = np.abs(found).max()
    assert (np.abs(called(rule, rewards + 2, 2, lengths) - found).max() <= 1e-12 * size) == (
        rule.laws.shift_invariant
    )
    scaled = called(rule, 3 * rewards, 2, lengths)
    law = {3.0: "linear", 1.0: "invariant"}
    close = {law[c] for c in law if np.abs(scaled - c * found).max() <= 1e-3 * size}
    assert close == {rule.laws.scale}
    alive = np.abs(found.sum(axis=-1)).max() > 1e-9
    assert rule.claims.centered != alive


@pytest.mark.parametrize("name", [*NAMES, *BATCHES])
def test_entries_are_whole(name: str) -> None:
    rule = ml.get_estimator(name)
    assert bibtex(rule).startswith("@")
    assert all((rule.title, rule.equation, rule.citation, rule.degenerate))
    assert name in ml.list_estimators("all")
    assert name not in ml.list_estimators()
    assert pickle.loads(pickle.dumps(rule)) is rule is copy.copy(rule)
    mine = pickle.loads(pickle.dumps(rule.weighted((1, 0.5))))
    assert (mine.name, mine.reward_weights) == (name, (1.0, 0.5))
    assert rule.reward_weights is None


def test_spelling_does_not_matter() -> None:
    get = ml.get_estimator
    assert get("whitened:scale=std1,mean=1:per-reward:grpo") is get("gdpo")
    assert get("per-reward:grpo:eps=1e-6") is get("per-reward:grpo")
    assert get("summed:l-statistic:TopM:2").objective == "l-statistic:TopM:2"
    assert get("per-reward:pkpo-loo1").objective == "per-reward:max@k"
    assert get("per-reward:rloo").objective == "mean"


# In a training loop -------------------------------------------------------------------------------------


def test_groups_of_several_sizes_and_missing_rewards() -> None:
    """A reward that a rollout lacks: each reward is of those that have it, a sum of what is there."""
    rewards = np.array([[1, 0], [0, NAN], [1, 1], [NAN, NAN], [0, 1], [0, 2], [1, NAN]])
    ids = ["a", "a", "a", "a", "b", "b", "b"]
    weights = (1.0, 0.5)
    rloo = definitions.rloo

    def expected(columns: list[list[tuple[list[int], list[float]]]]) -> np.ndarray:
        total = np.zeros(len(rewards))
        for weight, parts in zip(weights, columns, strict=False):
            for rows, values in parts:
                total[rows] += weight * np.array([float(a) for a in rloo(values, 1)])
        return total

    by_reward = expected(
        [
            [([0, 1, 2], [1, 0, 1]), ([4, 5, 6], [0, 0, 1])],
            [([0, 2], [0, 1]), ([4, 5], [1, 2])],
        ]
    )
    of_sum = expected([[([0, 1, 2], [1, 0, 1.5]), ([4, 5, 6], [0.5, 1, 1])]])
    for name, exact in (("per-reward:rloo", by_reward), ("summed:rloo", of_sum)):
        found = ml.advantages(
            rewards, 1, estimator=name, group_ids=ids, nan_policy="omit", reward_weights=weights
        )
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-15)
    white = ml.advantages(
        rewards,
        1,
        estimator="whitened:mean=1,scale=std1,eps=0:per-reward:rloo",
        group_ids=ids,
        nan_policy="omit",
        reward_weights=weights,
    )
    kept = by_reward[[0, 1, 2, 4, 5, 6]]  # the fourth has no reward at all
    np.testing.assert_allclose(white[[0, 1, 2, 4, 5, 6]], (kept - kept.mean()) / kept.std(ddof=1), atol=1e-12)
    assert white[3] == 0


def test_ids_are_dense_groups_in_any_order() -> None:
    rewards, lengths = RNG.normal(size=(3, 4, 2)), RNG.integers(1, 9, (3, 4))
    order = RNG.permutation(12)
    for name in (*NAMES, *BATCHES):
        given = {"lengths": lengths} if name == "opo" else {}
        dense = np.asarray(ml.advantages(rewards, 2, estimator=name, **given)).reshape(-1)
        flat = {"lengths": lengths.reshape(-1)[order]} if name == "opo" else {}
        ids = np.repeat([7, 8, 9], 4)[order]
        found = ml.advantages(rewards.reshape(12, 2)[order], 2, estimator=name, group_ids=ids, **flat)
        np.testing.assert_allclose(found, dense[order], rtol=0, atol=1e-12)


def test_small_groups() -> None:
    rewards, ids = np.array([[1.0, 0], [0, 1], [1, 1], [1, 0]]), [0, 0, 0, 1]
    with pytest.raises(ValueError, match="group 1 has 1 scored rollouts: maxpo needs"):
        ml.advantages(rewards, 2, estimator="per-reward:maxpo", group_ids=ids)
    found = ml.advantages(rewards, 2, estimator="per-reward:maxpo", group_ids=ids, small_groups="zero")
    assert found[3] == 0
    np.testing.assert_allclose(found[:3], ml.advantages(rewards[:3], 2, estimator="per-reward:maxpo"))


def test_a_users_rule() -> None:
    mine = ml.vector_rule(lambda rewards, k: rewards[..., 0] * rewards[..., 1])
    assert ml.advantages(np.ones((2, 3, 2)), 1, estimator=mine).shape == (2, 3)
    found = ml.advantages(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, estimator=mine, group_ids=[0, 0])
    assert found.tolist() == [2.0, 12.0]
    long = ml.vector_rule(lambda rewards, k, lengths: rewards[..., 0] / lengths, takes_lengths=True)
    assert ml.advantages([1.0, 1.0], 1, estimator=long, lengths=[1, 2]).tolist() == [1.0, 0.5]
    with pytest.raises(ValueError, match=r"maps \(B, n, d\) to \(B, n\)"):
        ml.advantages(np.ones((2, 3, 2)), 1, estimator=ml.vector_rule(lambda rewards, k: rewards))
    with pytest.raises(ValueError, match="weights of its own"):
        ml.advantages(np.ones((2, 3, 2)), 1, estimator=mine, reward_weights=(1, 1))
    with pytest.raises(TypeError, match="must be a callable"):
        ml.vector_rule(ml.batch_rule(lambda rewards, k: rewards))


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (
            {"estimator": "maxpo", "reward_weights": (1, 2)},
            "summed:maxpo, of the weighted sum, or per-reward:maxpo",
        ),
        ({"estimator": "maxpo", "lengths": np.ones((2, 4))}, "which takes none"),
        ({"estimator": "per-reward:maxpo", "lengths": np.ones((2, 4))}, "which takes none"),
        ({"estimator": "opo"}, "pass lengths="),
        ({"estimator": "opo", "lengths": np.ones((2, 3))}, r"lengths have shape \(2, 3\)"),
        ({"estimator": "opo", "lengths": np.zeros((2, 4))}, "a length is positive"),
        ({"estimator": "gdpo", "reward_weights": (1, 2, 3)}, "are 3, of 2 rewards"),
        ({"estimator": "gdpo", "reward_weights": (1, NAN)}, r"reward_weights\[1\]"),
        ({"estimator": "summed:maxrl"}, "0/1 rewards alone, rewards hold 2"),
        ({"estimator": "summed:grpo", "validate": False}, "packed into rows"),
        ({"estimator": "summed:grpo", "history": [[1.0]]}, "takes none"),
        ({"estimator": "summed:whitened:maxpo"}, "whitened:maxpo is a batch rule"),
        ({"estimator": "per-reward:nothing"}, "nothing.*not in the catalogue"),
        ({"estimator": "multi-axis-maxk:eps=1"}, "takes no parameters"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], fragment: str) -> None:
    with pytest.raises((TypeError, ValueError), match=fragment):
        ml.advantages(np.full((2, 4, 2), 1.0), 2, **arguments)


def test_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs \(\.\.\., n, d\)"):
        ml.advantages(np.ones(4), 1, estimator="per-reward:maxpo")
    with pytest.raises(ValueError, match=r"needs \(\.\.\., P, n, d\)"):
        ml.advantages(np.ones((4, 2)), 1, estimator="gdpo")
    with pytest.raises(ValueError, match=r"\(B, d\), the d rewards"):
        ml.advantages(np.ones(4), 1, estimator="per-reward:maxpo", group_ids=[0] * 4)
    with pytest.raises(ValueError, match="validate=False takes dense groups"):
        ml.advantages(np.ones((4, 2)), 1, reward_weights=(1, 2), validate=False)


def test_other_consumers_refuse_by_name() -> None:
    levels = ml.RewardLevels.from_softmax([0.0, 0.0], [0.0, 1.0])
    for consumer, policies in ((ml.exact_moments, (levels,)), (ml.pass_at_k_spectrum, ())):
        for name in ("per-reward:maxpo", "gdpo"):
            with pytest.raises(ValueError, match=f"{name} is a vector.* rule.*VectorLevels"):
                consumer(name, *policies, n=4, k=1)
    with pytest.raises(ValueError, match=r"batch_moments|vector"):
        ml.batch_moments("gdpo", [levels], n=4, k=1, batch=None)


# Faults that must be seen -------------------------------------------------------------------------------


def _first_only(signal: Any) -> Any:
    return lambda rows, k, w, lengths: signal([row[0] for row in rows], k)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("per-reward:grpo", truth.sum_then(definitions.grpo(1e-6, 1))),
        ("summed:grpo", truth.then_sum(definitions.grpo(1e-6, 1))),
        ("per-reward:grpo", truth.then_sum(definitions.grpo(1e-6, 0))),
        ("per-reward:maxpo", _first_only(definitions.maxpo)),
        (
            "per-reward:maxpo",
            lambda rows, k, w, lengths: truth.then_sum(definitions.maxpo)(rows, k, (1, 1), ()),
        ),
        ("multi-axis-maxk", truth.then_sum(definitions.maxpo)),
        ("opo", lambda rows, k, w, lengths: truth.opo(rows, k, w, [1] * len(rows))),
        ("opo", lambda rows, k, w, lengths: truth.opo(rows, k, w, [Fraction(x) ** 2 for x in lengths])),
    ],
)
def test_a_mutant_is_caught(name: str, wrong: Any) -> None:
    rewards, lengths = np.array([[1.0, 0.2], [0, 1], [1, 1], [0, 0.5]]), [1, 4, 2, 3]
    found = called(ml.get_estimator(name).weighted((1.0, 0.5)), rewards, 2, lengths)
    other = [float(a) for a in wrong(rewards.tolist(), 2, (1.0, 0.5), lengths)]
    assert np.abs(found - other).max() > 1e-3
