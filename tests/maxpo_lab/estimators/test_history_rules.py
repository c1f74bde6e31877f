"""Rules with history behind ``ml.advantages`` and as rules with memory; what is said of dead groups."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import histories as definitions

RNG = np.random.default_rng(19)
DEFINED: dict[str, Callable[..., Any]] = {
    "replay": definitions.replay,
    "centered-replay": definitions.centered_replay,
    "pooled": definitions.pooled,
    "plug-in-floor": definitions.plug_in_floor,
}
#: The laboratory's own vectors: R = [0, 1, 0, 1/2], earlier rewards [1, 0, 0, 1/4].
GROUP, EARLIER = np.array([[0.0, 1.0, 0.0, 0.5]]), [1, 0, 0, 0.25]


def exact(name: str, group: Any, k: int, history: Any) -> np.ndarray:
    rows = [Fraction(float(r)) for r in group]
    earlier = [Fraction(float(r)) for r in history]
    weights = [Fraction(1)] * len(earlier)
    return np.array([float(a) for a in DEFINED[name](rows, k, earlier, weights)])


def test_the_vectors() -> None:
    for k, expected in ((2, [-5 / 12, 11 / 9, -5 / 12, 1 / 6]), (4, [0, 3 / 2, 0, 0])):
        found = ml.advantages(GROUP, k, estimator="replay", history=[EARLIER])
        np.testing.assert_allclose(found, [expected], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", DEFINED)
def test_groups_of_several_sizes_by_id(name: str) -> None:
    """Each group's advantages are those of its own definition, by id, on NumPy, torch and another library."""
    ids = ["b", "a", "b", "a", "a", "b", "c", "b", "c", "c"]
    rewards = RNG.integers(0, 2, 10).astype(float)
    history = {"a": [1, 0, 0], "b": [0, 1, 1, 0], "c": np.array([1.0, 1.0])}
    k = 2
    expected = np.empty(10)
    for group in "abc":
        rows = np.array(ids) == group
        expected[rows] = exact(name, rewards[rows], k, history[group])
    tensor = torch.tensor(rewards)
    for given in (rewards, tensor, array_api_strict.asarray(rewards)):
        found = ml.advantages(given, k, estimator=name, group_ids=ids, history=history)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-12)
    single = ml.advantages(tensor.float(), k, estimator=name, group_ids=ids, history=history)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", DEFINED)
def test_the_state_is_the_history(name: str) -> None:
    """Three steps by ``update`` are ``advantages`` with what was seen before; 5 rewards are kept."""
    rule = ml.get_estimator(f"{name}:keep=5")
    assert isinstance(rule, ml.MemoryEstimator)
    state = rule.remember(rule.init(3), RNG.integers(0, 2, (3, 4)).astype(float), 2, [0, 1, 2])
    for prompts in ([2, 0], [0, 1], [1, 2]):
        rewards = RNG.integers(0, 2, (2, 4)).astype(float)
        seen = [state["rewards"][prompt][state["weights"][prompt] > 0].tolist() for prompt in prompts]
        given, new = rule.update(state, rewards, 2, prompts)
        expected = ml.advantages(rewards, 2, estimator=name, history=seen)
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-13)
        for prompt, group in zip(prompts, rewards, strict=True):
            kept = [*group, *state["rewards"][prompt]][:5]
            assert new["rewards"][prompt].tolist() == kept
        alone = rule.remember(state, rewards, 2, prompts)
        assert all(np.array_equal(alone[each], new[each]) for each in new)
        state = new


def test_a_checkpoint_may_hold_the_state_as_tensors() -> None:
    rule = ml.get_estimator("replay:keep=4")
    state = rule.remember(rule.init(2), np.array([[1.0, 0.0], [0.0, 0.0]]), 2, [0, 1])
    held = {name: torch.as_tensor(np.asarray(array)) for name, array in state.items()}
    rewards = np.array([[1.0, 0.0], [1.0, 1.0]])
    for one, two in zip(
        rule.update(held, rewards, 2, [0, 1]), rule.update(state, rewards, 2, [0, 1]), strict=True
    ):
        same = (
            np.array_equal(one, two)
            if isinstance(one, np.ndarray)
            else all(np.array_equal(one[k], two[k]) for k in two)
        )
        assert same
    policy = ml.RewardLevels.from_softmax([0.3, 0.0, 0.0], [1.0, 0.0, 0.0])
    settings: dict[str, Any] = {"n": 2, "k": 2, "batch": None}
    moments = [ml.batch_moments(rule, [policy] * 2, **settings, state=each) for each in (held, state)]
    assert moments[0].trace_covariance == moments[1].trace_covariance


def test_weights_fall_with_age() -> None:
    rule = ml.get_estimator("replay:keep=6,decay=0.5")
    state = rule.init(1)
    for _ in range(3):
        _, state = rule.update(state, np.array([[1.0, 0.0]]), 1, [0])
    assert state["weights"].tolist() == [[1.0, 1.0, 0.5, 0.5, 0.25, 0.25]]


@pytest.mark.parametrize("share", ["others", "ema"])
def test_a_learned_share_is_unbiased(share: str) -> None:
    """On a batch of two prompts: A_i - K q_i does not change when R_i alone does, whatever the history."""
    rule = ml.get_estimator(f"replay:share={share}")
    start = rule.init(2)
    for _ in range(2):
        start = rule.remember(start, RNG.integers(0, 3, (2, 3)) / 2, 2, [0, 1])
    signal = ml.get_estimator("pkpo-s")
    for _ in range(20):
        batch = RNG.integers(0, 3, (2, 3)) / 2
        left = []
        for own in (0.0, 0.5, 1.0):
            batch[0, 0] = own
            given = rule.update(start, batch, 2, [0, 1])[0]
            left.append(given[0, 0] - signal(batch[0], 2)[0])
        assert np.ptp(left) < 1e-12


def test_a_learned_share_of_others_is_the_formula() -> None:
    rewards = RNG.integers(0, 2, (3, 4)).astype(float)
    history = [[1, 0], [0, 0, 1], [1, 1]]
    plain = np.asarray(ml.get_estimator("maxpo")(rewards, 2))
    found = np.stack(
        [
            [
                float(a)
                for a in definitions.hist(
                    [Fraction(r) for r in g], 2, list(map(Fraction, h)), [Fraction(1)] * len(h)
                )
            ]
            for g, h in zip(rewards, history, strict=True)
        ]
    )
    apart = plain - found
    along, square = np.sum(plain * apart, axis=1), np.sum(apart**2, axis=1)
    expected = np.empty_like(plain)
    for x in range(3):
        others = np.arange(3) != x
        most = len(history[x]) / (4 - 2 + len(history[x]))
        lam = np.clip(along[others].sum() / (2 * square[others].sum()), 0, most)
        expected[x] = plain[x] - lam * apart[x]
    got = ml.advantages(rewards, 2, estimator="replay:share=others", history=history)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"estimator": "maxpo", "history": [[1]]}, ValueError, "takes none; use replay"),
        ({"estimator": "rae", "history": [[1]]}, ValueError, "takes none; use replay"),
        ({"estimator": "replay"}, ValueError, "pass history=, or begin with state"),
        ({"history": [[np.nan]]}, ValueError, "must be finite"),
        ({"history": [[1], [1]]}, ValueError, "2 entries for 1 groups"),
        ({"history": [([1], [2])]}, ValueError, "in \\[0, 1\\]"),
        ({"history": {"a": [1]}}, ValueError, "no group_ids"),
        ({"history": 3}, TypeError, "sequence with one entry a group"),
        ({"estimator": "plug-in-floor", "history": [[0.5]]}, ValueError, "0/1 rewards"),
        ({"estimator": "pooled", "history": [([1], [0.5])]}, ValueError, "0 or 1"),
        ({"estimator": "pooled", "history": [[1]], "k": 9}, ValueError, "k=9: pooled needs"),
        ({"estimator": "centered-replay", "history": [[]], "k": 4}, ValueError, "earlier reward of every"),
        ({"estimator": "replay:share=ema", "history": [[1]]}, ValueError, "init and update"),
        ({"estimator": "replay:share=others", "history": [[1]]}, ValueError, "at least 2"),
        ({"history": [[1]], "validate": False}, ValueError, "history"),
        ({"validate": False}, TypeError, "takes a history"),
        ({"history": np.ma.array([[1.0, 9.0]], mask=[[0, 1]])}, TypeError, "masked"),
        ({"history": [np.ma.array([1.0, 9.0], mask=[0, 1])]}, TypeError, "masked"),
        ({"estimator": "replay:keep=2", "history": [[1]]}, ValueError, "keep and decay are of"),
    ],
)
def test_bad_histories_are_named(settings: dict[str, Any], error: type[Exception], text: str) -> None:
    rewards = np.array([[0.0, 1.0, 0.0, 1.0]])
    arguments = {"k": 2, "estimator": "replay"} | settings
    with pytest.raises(error, match=text):
        ml.advantages(rewards, **arguments)


def test_groups_that_are_left_out_keep_their_place_in_a_history() -> None:
    rewards = np.array([[1.0, 0, 1, 0], [np.nan] * 4, [0, 1, 1, 1]])
    history = [[1], [0], [1, 0]]
    found = ml.advantages(rewards, 2, estimator="replay", nan_policy="omit", history=history)
    for row in (0, 2):
        alone = ml.advantages(rewards[row], 2, estimator="replay", history=[history[row]])
        np.testing.assert_allclose(found[row], alone, rtol=0, atol=1e-15)
    assert not found[1].any()


def test_small_groups_are_small_with_their_history() -> None:
    settings: dict[str, Any] = {"estimator": "pooled", "group_ids": [0, 1, 1, 1], "history": {1: [1.0]}}
    found = ml.advantages(np.array([1.0, 0, 1, 0]), 2, **settings, small_groups="zero")
    np.testing.assert_allclose(found[1:], exact("pooled", [0, 1, 0], 2, [1]), rtol=0, atol=1e-15)
    assert found[0] == 0
    with pytest.raises(ValueError, match="group 0 has 1 scored rollouts and 0 earlier rewards"):
        ml.advantages(np.array([1.0, 0, 1, 0]), 2, **settings)


def test_pooled_takes_as_large_a_k_as_the_history_is_long() -> None:
    """By ``history=`` the whole of it counts, whatever a state would keep."""
    history = RNG.integers(0, 2, (1, 90)).astype(float)
    rewards = np.array([[0.0, 1.0, 0.0, 0.0]])
    found = ml.advantages(rewards, 80, estimator="pooled", history=history)
    together = np.concatenate([rewards, history], axis=1)
    np.testing.assert_allclose(found, ml.advantages(together, 80)[:, :4], rtol=0, atol=1e-12)
    by_id = ml.advantages(rewards[0], 80, estimator="pooled", group_ids=["a"] * 4, history={"a": history[0]})
    np.testing.assert_allclose(by_id, found[0], rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match="k=94: pooled needs"):
        ml.advantages(rewards, 94, estimator="pooled", history=history)


def test_nothing_scored_is_nothing() -> None:
    nothing = np.full((2, 3), np.nan)
    for name in ("trl-batch", "whitened:maxpo", "maxpo"):
        assert not ml.advantages(nothing, 1, estimator=name, nan_policy="omit").any()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("replay:keep=0", "keep=0"),
        ("replay:decay=2", "decay=2"),
        ("replay:share=all", "share=all"),
        ("pooled:decay=0.5", "decay"),
        ("centered-replay:share=ema", "share"),
    ],
)
def test_bad_options_are_named(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ml.get_estimator(name)


def test_moments_over_fair_history_are_those_that_were_promised() -> None:
    """Centered-replay at K = n is unbiased over fair history, and sums to 0; replay is for any history."""
    good = np.arange(30) < 3
    fair = ml.RewardLevels.from_softmax(np.where(good, 0.7, 0.0), good)
    stale = ml.RewardLevels.from_softmax(np.where(good, 1.8, 0.0), good)
    settings: dict[str, Any] = {"n": 4, "k": 4, "batch": None}
    centered = ml.batch_moments("centered-replay", [fair], **settings, history=[[fair]])
    assert centered.relative_bias < 1e-12
    assert centered.prompts[0].advantage_sum_max < 1e-12
    assert ml.batch_moments("centered-replay", [fair], **settings, history=[[stale]]).relative_bias > 1e-2
    for name in ("replay", "plug-in-floor"):
        assert ml.batch_moments(name, [fair], **settings, history=[[stale]]).relative_bias < 1e-12
    short = {"n": 4, "k": 2, "batch": None}
    one, two, four = (
        ml.batch_moments("replay", [fair], **short, history=[[fair]] * steps).trace_covariance
        for steps in (0, 1, 3)
    )
    assert one > two > four


# Dead groups ---------------------------------------------------------------------------------------------


def pays(rule: Any, value: float) -> bool:
    """Whether a group of this reward alone gets anything, beside others or after other rewards."""
    for n in range(1, 6):
        for k in range(1, n + 1):
            if rule.why_not(n, k):
                continue
            group = np.full(n, value)
            if rule.kind == "group":
                given = np.asarray(rule(group, k))
            elif rule.kind.startswith("vector"):
                rows = np.stack([group, group], axis=-1)
                beside = np.stack([rows, np.stack([np.arange(n) == 0, group], axis=-1)]).astype(float)
                lengths = np.ones((2, n)) if rule.takes_lengths else None
                given = np.asarray(rule(beside, k, lengths=lengths))[0]
            elif rule.kind == "batch":
                given = np.asarray(rule(np.stack([group, np.arange(n) == 0]).astype(float), k))[0]
            else:
                mixed = (np.arange(n) == 0).astype(float)
                seen = rule.remember(rule.init(2), np.stack([mixed, 1 - mixed]), k, [0, 1])
                given = rule.update(seen, np.stack([group, mixed]), k, [0, 1])[0][0]
            if abs(given).max() > 1e-9:
                return True
    return False


@pytest.mark.parametrize("name", ml.list_estimators("all"))
def test_the_registry_says_which_dead_groups_are_paid(name: str) -> None:
    rule = ml.get_estimator(name)
    found = {
        (False, False): "none",
        (False, True): "all-correct",
        (True, False): "all-fail",
        (True, True): "both",
    }
    assert rule.dead_groups == found[pays(rule, 0.0), pays(rule, 1.0)]
