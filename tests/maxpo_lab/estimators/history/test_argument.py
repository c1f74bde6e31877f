"""``history=``: what it may be, how it is put into rows, and what is said of the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import array_api_compat
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.estimators.history.argument import as_histories
from maxpo_lab.estimators.history.centered import why_not as why_not_centered
from maxpo_lab.estimators.history.learned import why_not as why_not_learned
from maxpo_lab.estimators.history.plug_in_floor import why_not as why_not_plug_in
from maxpo_lab.estimators.history.pooled import why_not as why_not_pooled
from maxpo_lab.estimators.history.replay import replay
from maxpo_lab.estimators.history.replay import why_not as why_not_replay

#: The baseline from history alone.
hist = partial(replay, lam=1.0)

NUMPY = array_api_compat.array_namespace(np.empty(0))


def test_rows_are_sorted_and_padded_by_weight_0() -> None:
    y, w = as_histories([[3, 1, 2], (np.array([0.5, 0.25]), [1.0, 0.5]), [], None], groups=4)
    assert y.tolist() == [[1, 2, 3], [0.25, 0.5, 0.5], [0, 0, 0], [0, 0, 0]]
    assert w.tolist() == [[1, 1, 1], [0.5, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert (np.diff(y) >= 0).all()


def test_padding_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    past = [rng.normal(size=size) for size in (3, 7, 1)]
    shares = [rng.random(len(each)) for each in past]
    group = rng.normal(size=(3, 5))
    y, w = as_histories(list(zip(past, shares, strict=True)), groups=3)
    for rule in (hist, replay):
        together = rule(NUMPY, group, 3, y, w, history_sorted=True)
        for row in range(3):
            alone = rule(NUMPY, group[row], 3, past[row], shares[row])
            np.testing.assert_allclose(together[row], alone, rtol=0, atol=1e-13 * 3 * 6)


@pytest.mark.parametrize("ids", [["b", "a", "c"], np.array(["b", "a", "c"]), [2, 1, 3], np.array([2, 1, 3])])
def test_a_mapping_is_looked_up_by_id(ids: Any) -> None:
    first, second = list(ids)[:2]
    held = {first.item() if isinstance(first, np.generic) else first: [5.0], second: [1.0, 2.0]}
    y, w = as_histories(held, groups=3, ids=ids)
    assert y.tolist() == [[5, 5], [1, 2], [0, 0]]
    assert w.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_no_history_anywhere_is_one_reward_of_weight_0() -> None:
    for history in ([None, []], {}):
        y, w = as_histories(history, groups=2, ids=["a", "b"])
        assert y.shape == w.shape == (2, 1)
        assert not w.any()


def test_arrays_of_other_libraries() -> None:
    y, w = as_histories([(torch.tensor([2.0, 1.0]), torch.tensor([0.5, 1.0]))], groups=1)
    assert (y.tolist(), w.tolist()) == ([[1, 2]], [[1, 0.5]])
    y, _ = as_histories(np.array([[2.0, 1.0], [3.0, 0.0]]), groups=2)
    assert y.tolist() == [[1, 2], [0, 3]]


def test_rows_that_are_held_come_back_as_they_are() -> None:
    y, w = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[1.0, 0.5], [0.0, 1.0]])
    assert all(a is b for a, b in zip(as_histories((y, w), groups=2), (y, w), strict=True))
    held, ones = as_histories(y, groups=2)
    assert held is y
    assert (ones == 1).all()
    turned = as_histories((torch.tensor(y[:, ::-1].copy()), torch.tensor(w[:, ::-1].copy())), groups=2)
    assert all((a == b).all() for a, b in zip(turned, (y, w), strict=True))
    assert not as_histories(np.zeros((2, 0)), groups=2)[1].any()


def test_weights_of_1_are_no_weights() -> None:
    """To the bit, whoever says so; one other weight anywhere is seen, and so is a row out of order."""
    rng = np.random.default_rng(0)
    group, past = rng.normal(size=(3, 5)), np.sort(rng.normal(size=(3, 6)), axis=-1)
    weights = np.ones((3, 6))
    for made in (np.asarray, torch.tensor):
        plain, told = (
            ml.advantages(made(group), 2, estimator="replay", history=history)
            for history in (made(past), (made(past), made(weights)))
        )
        np.testing.assert_array_equal(plain, told)
    assert not as_histories((past, weights), groups=3)[1].flags.owndata  # held once
    for place in np.ndindex(3, 6):
        less = weights.copy()
        less[place] = 0.5
        np.testing.assert_array_equal(as_histories((past, less), groups=3)[1], less)
        turned = past.copy()
        turned[place] += 9.0
        np.testing.assert_array_equal(as_histories(turned, groups=3)[0], np.sort(turned, axis=-1))
        with pytest.raises(ValueError, match="finite"):
            as_histories(np.where(turned == turned[place], np.nan, turned), groups=3)


@pytest.mark.parametrize(
    ("history", "options", "error", "fragments"),
    [
        (3.0, {}, TypeError, ["history is a float"]),
        ("ab", {}, TypeError, ["history is a str"]),
        ([[1.0]], {}, ValueError, ["1 entries for 2 groups"]),
        ({"a": [1.0]}, {}, ValueError, ["no group_ids"]),
        ({"a": [1.0]}, {"ids": [1, 2]}, TypeError, ["text for keys", "numbers", "e.g. 1"]),
        ({1: [1.0]}, {"ids": ["1", "2"]}, TypeError, ["numbers for keys", "text", "e.g. '1'"]),
        ([[1.0], [0.0, float("nan")]], {}, ValueError, ["history[1][1] is nan", "finite"]),
        ([[1.0], [float("inf")]], {}, ValueError, ["history[1][0] is inf"]),
        ([[1.0], ["x"]], {}, TypeError, ["history[1]", "real numbers"]),
        (np.zeros((3, 2)), {}, ValueError, ["shape (3, 2)", "2 groups"]),
        (np.array([[1.0, 0.0], [0.0, np.nan]]), {}, ValueError, ["history[1][1] is nan"]),
        ((np.zeros((2, 2)), np.zeros((2, 1))), {}, ValueError, ["(2, 2)", "(2, 1)"]),
        (
            (np.zeros((2, 2)), np.full((2, 2), 2.0)),
            {},
            ValueError,
            ["weights of history[0][0] is 2", "[0, 1]"],
        ),
        ((np.zeros((2, 1)), np.full((2, 1), np.nan)), {}, ValueError, ["weights of history[0][0] is nan"]),
        (np.array([["a"], ["b"]]), {}, TypeError, ["history", "real numbers"]),
        ([[1.0], [[1.0], [2.0]]], {}, ValueError, ["history[1] has shape (2, 1)"]),
        ([[1.0], ([1.0, 0.0], [1.0])], {}, ValueError, ["history[1] has 2 rewards and 1 weights"]),
        ([[1.0], ([1.0], [1.5])], {}, ValueError, ["weights of history[1][0] is 1.5", "[0, 1]"]),
        ([[1.0], ([1.0], [-0.1])], {}, ValueError, ["weights of history[1][0] is -0.1"]),
        ([[1.0], ([1.0], [float("nan")])], {}, ValueError, ["weights of history[1][0] is nan"]),
        (
            [[1.0], [0.5]],
            {"rule": "plug-in-floor", "rewards": "binary"},
            ValueError,
            ["history[1][0] is 0.5", "plug-in-floor is defined for 0/1 rewards alone", "replay"],
        ),
        (
            [[1.0], ([1.0], [0.5])],
            {"rule": "pooled", "weights": "whole"},
            ValueError,
            ["weights of history[1][0] is 0.5", "pooled", "0 or 1"],
        ),
    ],
)
def test_bad_histories_are_named(
    history: Any, options: dict[str, Any], error: type[Exception], fragments: list[str]
) -> None:
    with pytest.raises(error) as caught:
        as_histories(history, groups=2, **options)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_where_the_rules_are_undefined() -> None:
    for why_not in (why_not_replay, why_not_plug_in):
        for n in (1, 4):
            assert all(why_not(n, k) is None for k in range(1, n + 1))
            assert "k=1" in str(why_not(n, 0)).partition("nearest")[2]
            assert f"k={n}" in str(why_not(n, n + 1)).partition("nearest")[2]
    assert "pooled" in str(why_not_replay(4, 5))
    assert why_not_centered(4, 4) is None
    assert why_not_centered(4, 3, everyone=False) is None
    assert "pkpo-loo1" in str(why_not_centered(4, 4, everyone=False))
    assert "replay" in str(why_not_centered(1, 1))
    assert "k=4" in str(why_not_centered(4, 6))
    assert why_not_pooled(4, 7, 4) is None
    assert "k=7" in str(why_not_pooled(4, 8, 4))
    assert "5 earlier rewards" in str(why_not_pooled(4, 8, 4))
    assert why_not_pooled(4, 8, 5) is None
    assert "k=1" in str(why_not_pooled(4, 0, 4))
    assert "pool of at least 2" in str(why_not_pooled(1, 1, 0))
    assert why_not_learned(2) is None
    assert "at least 2" in str(why_not_learned(1))
