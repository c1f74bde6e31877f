"""Groups of different sizes, unscorable rollouts, groups too small: always the group's own answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from backends import Backend
from hypothesis import given, settings
from hypothesis import strategies as st

import maxpo_lab as ml

EPS = np.finfo(float).eps

RNG = np.random.default_rng(5)
SIZES = np.array([3, 5, 2, 8, 5, 3, 6])
IDS = np.repeat(np.arange(7), SIZES)
ORDER = RNG.permutation(len(IDS))
IDS, REWARDS = IDS[ORDER], RNG.normal(size=len(ORDER))


def one_by_one(rewards, ids, k, estimator="maxpo"):
    expected = np.zeros(len(rewards))
    for each in set(ids.tolist()):
        members = ids == each
        expected[members] = ml.advantages(rewards[members], k, estimator=estimator)
    return expected


@pytest.mark.parametrize("estimator", ["maxpo", "grpo", "rloo", "pkpo-s"])
def test_ragged_groups_equal_their_groups_one_by_one(estimator: str) -> None:
    k = 1 if estimator == "maxpo" else 2
    found = ml.advantages(REWARDS, k, estimator=estimator, group_ids=IDS)
    np.testing.assert_array_equal(found, one_by_one(REWARDS, IDS, k, estimator))


@pytest.mark.parametrize(
    "ids",
    [
        IDS.tolist(),
        IDS.astype(np.uint8),
        IDS - 3,
        IDS.astype(np.int64) * 10**15,
        IDS * 70_001,
        [f"uid-{each}" for each in IDS],
        np.array([f"uid-{each}" for each in IDS], dtype=object),
        torch.tensor(IDS),
    ],
    ids=["list", "uint8", "negative", "wide", "two-digit", "strings", "objects", "torch"],
)
def test_any_kind_of_id_gives_the_same_groups(ids) -> None:
    expected = one_by_one(REWARDS, IDS, 1)
    np.testing.assert_array_equal(ml.advantages(REWARDS, 1, group_ids=ids), expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=40), st.booleans())
def test_groups_are_found_whatever_the_ids(pool: list[int], spread: bool) -> None:
    ids = np.array(pool + pool[::-1] + pool) % (2**41 if spread else 5)
    rewards = np.sin(np.arange(len(ids)))
    np.testing.assert_array_equal(ml.advantages(rewards, 2, group_ids=ids), one_by_one(rewards, ids, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_keeps_type_and_dtype(dtype: torch.dtype) -> None:
    found = ml.advantages(torch.tensor(REWARDS, dtype=dtype), 1, group_ids=torch.tensor(IDS))
    assert isinstance(found, torch.Tensor)
    assert found.dtype == dtype
    # One rounding to the dtype of a value of at most 4.
    np.testing.assert_allclose(found, one_by_one(REWARDS, IDS, 1), atol=8 * torch.finfo(dtype).eps)


def test_every_array_library_runs_the_same_path(backend: Backend) -> None:
    rewards, ids = backend.array(REWARDS), backend.array(IDS, "int64")
    for found in (
        ml.advantages(rewards, 1, group_ids=IDS),
        ml.advantages(rewards, 1, group_ids=ids, nan_policy="omit"),
    ):
        assert backend.made(found, "float64")
        # The same sums; a library may take them in another order.
        np.testing.assert_allclose(backend.numpy(found), one_by_one(REWARDS, IDS, 1), atol=64 * EPS)


def test_omitted_rows_leave_their_group_and_get_zero() -> None:
    rewards = REWARDS.copy()
    rewards[::4] = np.nan
    found = ml.advantages(rewards, 1, group_ids=IDS, nan_policy="omit", small_groups="zero")
    kept = ~np.isnan(rewards)
    alone = [each for each in set(IDS.tolist()) if (kept & (each == IDS)).sum() < 2]
    kept &= ~np.isin(IDS, alone)
    expected = np.zeros(len(rewards))
    expected[kept] = one_by_one(rewards[kept], IDS[kept], 1)
    np.testing.assert_array_equal(found, expected)


def test_omit_works_on_dense_groups_of_any_shape() -> None:
    rewards = RNG.normal(size=(2, 3, 6))
    rewards[0, 1, 2] = np.nan
    found = ml.advantages(rewards, 2, nan_policy="omit")
    dense = ml.advantages(np.nan_to_num(rewards), 2)
    untouched = np.ones((2, 3), dtype=bool)
    untouched[0, 1] = False
    np.testing.assert_array_equal(found[untouched], dense[untouched])
    assert found[0, 1, 2] == 0
    members = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(found[0, 1, members], ml.advantages(rewards[0, 1, members], 2))


def test_a_batch_in_which_nothing_is_scorable_is_all_zero() -> None:
    assert not ml.advantages([[float("nan")] * 3], 1, nan_policy="omit").any()


def test_omit_without_nan_changes_nothing() -> None:
    rewards = RNG.normal(size=(4, 6))
    np.testing.assert_array_equal(ml.advantages(rewards, 2, nan_policy="omit"), ml.advantages(rewards, 2))


@pytest.mark.parametrize(
    ("call", "error", "fragments"),
    [
        (
            lambda: ml.advantages(REWARDS, 3, group_ids=IDS),
            ValueError,
            ["group 0", "3 scored", "k=3", "small_groups"],
        ),
        (lambda: ml.advantages(REWARDS, 1, group_ids=IDS[:-1]), ValueError, ["group_ids", "(31,)", "(32,)"]),
        (
            lambda: ml.advantages(REWARDS, 1, group_ids=REWARDS),
            TypeError,
            ["group_ids", "float64", "integers or strings"],
        ),
        (lambda: ml.advantages(REWARDS, 1, group_ids=[None, *IDS[1:]]), ValueError, ["group_ids[0]", "None"]),
        (lambda: ml.advantages(np.ones((2, 4)), 1, group_ids=[0, 1]), ValueError, ["(2, 4)", "(B,)"]),
        (lambda: ml.advantages([1.0, np.nan], 1), ValueError, ["rewards[1]", "nan", "nan_policy='omit'"]),
        (lambda: ml.advantages([1.0, np.inf], 1, nan_policy="omit"), ValueError, ["rewards[1]", "inf"]),
        (lambda: ml.advantages([1.0, 0.0], 1, nan_policy="skip"), ValueError, ["nan_policy='skip'", "omit"]),
        (
            lambda: ml.advantages([1.0, 0.0], 1, small_groups="drop"),
            ValueError,
            ["small_groups='drop'", "zero"],
        ),
        (lambda: ml.advantages(REWARDS, 0, group_ids=IDS), ValueError, ["k=0"]),
    ],
)
def test_bad_batches_are_refused_by_name(call, error: type[Exception], fragments: list[str]) -> None:
    with pytest.raises(error) as caught:
        call()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_small_groups_get_zero_when_asked() -> None:
    found = ml.advantages(REWARDS, 3, group_ids=IDS, small_groups="zero")
    small = np.isin(IDS, np.flatnonzero(SIZES <= 3))
    assert not found[small].any()
    np.testing.assert_array_equal(found[~small], one_by_one(REWARDS[~small], IDS[~small], 3))
