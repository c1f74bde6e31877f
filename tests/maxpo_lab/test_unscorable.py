"""Unscorable rollouts: NaN and masked entries are left out or refused, never read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.families.maxpo import maxpo_quadratic

VALUES = np.array([[1.0, 0.0, 99.0, 0.5], [1.0, 0.0, 0.25, 0.5]])
MASK = np.array([[0, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
NAN = np.where(MASK, np.nan, VALUES)
ROWS = [np.ma.array(row, mask=mask) for row, mask in zip(VALUES, MASK, strict=True)]


@pytest.mark.parametrize("name", ["maxpo", "grpo", "pkpo-s"])
@pytest.mark.parametrize(
    "rewards",
    [
        np.ma.array(VALUES, mask=MASK),
        np.ma.array(np.where(MASK, np.inf, VALUES), mask=MASK),
        ROWS,
        tuple(ROWS),
        [[1.0, 0.0, np.ma.masked, 0.5], [1.0, 0.0, 0.25, 0.5]],
    ],
    ids=["masked", "infinity under the mask", "list of masked", "tuple of masked", "masked constants"],
)
def test_masked_entries_are_left_out_as_nan_is(rewards: Any, name: str) -> None:
    want = ml.advantages(NAN, 2, estimator=name, nan_policy="omit")
    found = ml.advantages(rewards, 2, estimator=name, nan_policy="omit")
    assert type(found) is np.ndarray
    assert found.tolist() == want.tolist()
    assert found[0, 2] == 0
    np.testing.assert_array_equal(found[0, [0, 1, 3]], ml.advantages(VALUES[0, [0, 1, 3]], 2, estimator=name))


def test_masked_rows_of_a_ragged_batch_are_left_out() -> None:
    ids, flat = [0] * 4 + [1] * 4, np.ma.array(VALUES.ravel(), mask=MASK.ravel())
    found = ml.advantages(flat, 2, group_ids=ids, nan_policy="omit")
    assert found.tolist() == ml.advantages(NAN.ravel(), 2, group_ids=ids, nan_policy="omit").tolist()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
def test_masked_arrays_of_other_dtypes(dtype: str) -> None:
    group = np.ma.array([1, 0, 1, 1], mask=[0, 0, 1, 0]).astype(dtype)
    found = ml.advantages(group, 1, nan_policy="omit")
    assert found.dtype == (dtype if dtype.startswith("float") else "float64")
    assert found.tolist() == [0.5, -1, 0, 0.5]


@pytest.mark.parametrize(
    "call",
    [
        lambda rewards: ml.advantages(rewards, 2),
        lambda rewards: ml.advantages(rewards.ravel(), 2, group_ids=[0] * 8),
        lambda rewards: ml.advantages(rewards, 2, estimator=lambda r, k: r),
        lambda rewards: ml.advantages(list(rewards), 2),
        lambda rewards: ml.get_estimator("rloo")(rewards, 2),
        lambda rewards: ml.value_estimate(rewards, 2),
        lambda rewards: maxpo_quadratic(rewards, 2),
        lambda rewards: ml.get_estimator("maxrl").why_not_rewards(rewards),
    ],
)
def test_a_masked_reward_is_refused_by_name(call: Any) -> None:
    with pytest.raises(ValueError, match=r"^rewards\[(0, )?2\] is masked: .*nan_policy='omit'"):
        call(np.ma.array(VALUES, mask=MASK))


@pytest.mark.parametrize("mask", [np.ma.nomask, np.zeros((2, 4), bool)])
def test_a_mask_that_hides_nothing_changes_nothing(mask: Any) -> None:
    rewards = np.ma.array(VALUES, mask=mask)
    assert type(ml.advantages(rewards, 2)) is np.ndarray
    assert ml.advantages(rewards, 2).tolist() == ml.advantages(VALUES, 2).tolist()
    assert ml.value_estimate(rewards, 2).tolist() == ml.value_estimate(VALUES, 2).tolist()


def test_missing_numbers_of_other_libraries_are_nan() -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for rewards in (
        pandas.Series([1, None, 0], dtype="Float64"),
        pandas.array([1, None, 0], dtype="Int64"),
        arrow.array([1.0, None, 0.0]),
    ):
        assert ml.advantages(rewards, 1, nan_policy="omit").tolist() == [1, 0, -1]
        with pytest.raises(ValueError, match=r"rewards\[1\] is nan"):
            ml.advantages(rewards, 1)
    with pytest.raises(TypeError, match=r"rewards\[1\] is <NA>; NaN marks an unscorable rollout"):
        ml.advantages([1.0, pandas.NA, 0.0], 1, nan_policy="omit")
