"""Group ids: every kind that there is, none mixed, none missing, and no cost in rows times the longest."""

from __future__ import annotations

import pickle
import tracemalloc
import uuid
from collections import deque
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.core.ragged import GroupIdError

REWARDS = np.array([1.0, 5.0, 0.0, 2.0, 4.0, 3.0])
WHICH = [0, 1, 0, 1, 1, 0]
WANT = ml.advantages(REWARDS, 1, group_ids=WHICH)
BIG = (2**64, 2**64 + 1)
UUIDS = (uuid.UUID(int=2**127 + 1), uuid.UUID(int=2**127 + 2))


def of(pair: tuple[Any, Any]) -> list[Any]:
    return [pair[each] for each in WHICH]


@pytest.mark.parametrize(
    "ids",
    [
        np.array(of((3, 1)), dtype=object),
        np.array(of((np.int64(3), 1)), dtype=object),
        of((np.int32(3), np.uint64(1))),
        of(BIG),
        np.array(of(BIG), dtype=object),
        of((2**63, 2**63 + 1)),
        of((2**63 + 1, -1)),  # NumPy makes floats of these
        np.array(of((2**63, 2**63 + 1)), dtype=np.uint64),
        of(UUIDS),
        of((UUIDS[0].int, UUIDS[1].int)),
        np.array(of(("a", "b")), dtype=np.dtypes.StringDType()),
        of((b"a", b"b")),
        of(("a", "a\0")),  # NumPy's text drops the end of the second
        of(("", "nan")),
        of((True, False)),
        deque(of(("a", "b"))),
        np.ma.array(of((3, 1))),
    ],
    ids=lambda ids: f"{type(ids).__name__} {ids[0]!r:.25} {ids[1]!r:.25}",
)
def test_every_kind_of_id_is_taken(ids: Any) -> None:
    assert ml.advantages(REWARDS, 1, group_ids=ids).tolist() == WANT.tolist()


def test_ids_of_other_libraries() -> None:
    torch, pandas, arrow = (pytest.importorskip(name) for name in ("torch", "pandas", "pyarrow"))
    for ids in (
        list(torch.tensor(WHICH)),
        torch.tensor(WHICH, dtype=torch.uint64),
        pandas.Series(of(("a", "b"))),
        pandas.array(WHICH, dtype="Int64"),
        pandas.Categorical(of(("a", "b"))),
        arrow.array(of((2**63, 2**63 + 1)), arrow.uint64()),
        arrow.chunked_array([of(("a", "b"))]),
    ):
        assert ml.advantages(REWARDS, 1, group_ids=ids).tolist() == WANT.tolist()


def missing_of_other_libraries() -> list[Any]:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    return [
        pandas.array([1, 2, None, 1, 2, 1], dtype="Int64"),
        pandas.Series(["a", "b", None, "a", "b", "a"]),
        pandas.Categorical(["a", "b", None, "a", "b", "a"]),
        [1, 2, pandas.NA, 1, 2, 1],
        ["a", "b", pandas.NaT, "a", "b", "a"],
        arrow.array([1, 2, None, 1, 2, 1]),
        arrow.array(["a", "b", None, "a", "b", "a"]),
    ]


def test_a_missing_id_is_refused_with_its_row() -> None:
    nan = float("nan")
    of_numpy = [
        ["a", "b", nan, "a", "b", nan],
        [1, 2, None, 1, 2, 1],
        [1, 2, np.float32("nan"), 1, 2, 1],
        [1, 2, np.ma.masked, 1, 2, 1],
        np.array([1, 2, nan, 1, 2, 1]),
        np.array(["a", "b", None, "a", "b", "a"], dtype=object),
        np.array(["a", "b", None, "a", "b", "a"], dtype=np.dtypes.StringDType(na_object=None)),
        np.array(["a", "b", nan, "a", "b", "a"], dtype=np.dtypes.StringDType(na_object=nan)),
        np.array(["2020", "2021", "NaT", "2020", "2021", "2020"], dtype="datetime64[D]"),
        np.ma.array([1, 2, 1, 1, 2, 1], mask=[0, 0, 1, 0, 0, 0]),
        np.ma.array(["a", "b", "a", "a", "b", "a"], mask=[0, 0, 1, 0, 0, 0]),
    ]
    for ids in (*of_numpy, *missing_of_other_libraries()):
        with pytest.raises(GroupIdError, match=r"^group_ids\[2\] is missing \(") as caught:
            ml.advantages(REWARDS, 1, group_ids=ids)
        assert caught.value.row == 2
        assert caught.value.reason.startswith("is missing")


def test_an_unscorable_rollout_needs_its_id_too() -> None:
    rewards = REWARDS.copy()
    rewards[2] = np.nan
    with pytest.raises(GroupIdError, match=r"group_ids\[2\] is missing"):
        ml.advantages(rewards, 1, group_ids=[0, 0, None, 0, 0, 0], nan_policy="omit")


@pytest.mark.parametrize(
    ("ids", "row", "fragments"),
    [
        ([1, "1", 1, "1", 1, 1], 1, ["'1', text", "group_ids[0] is 1, an integer", "all of one kind"]),
        ([True, True, 1, 0, 1, 0], 2, ["is 1, an integer", "group_ids[0] is True, a bool"]),
        ([b"a", b"a", "a", "a", "a", "a"], 2, ["is 'a', text", "bytes"]),
        ([str(UUIDS[0]), UUIDS[0], "", "", "", ""], 1, ["a UUID"]),
        (deque([1, "1", 1, "1", 1, 1]), 1, ["'1', text"]),
        (np.array(["a", 1, "a", "a", "a", "a"], dtype=object), 1, ["is 1, an integer"]),
        ([1, 2.5, 1, 1, 1, 1], 1, ["is 2.5, a float", "integers or strings"]),
        ([0.5, 0.5, 0.5, 1.5, 1.5, 1.5], 0, ["is 0.5, a float", "integers or strings"]),
        ([(0, 1)] * 6, 0, ["(0, 1), a tuple"]),
        ([[0]] * 6, 0, ["[0], a list"]),
        (["x" * 1000, 1, 1, 1, 1, 1], 1, ["xxx...,"]),
    ],
)
def test_kinds_are_not_mixed(ids: Any, row: int, fragments: list[str]) -> None:
    with pytest.raises(GroupIdError) as caught:
        ml.advantages(REWARDS, 1, group_ids=ids)
    assert caught.value.row == row
    for fragment in (f"group_ids[{row}]", *fragments):
        assert fragment in str(caught.value)
    assert len(str(caught.value)) < 300
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.row, str(copied)) == (row, str(caught.value))


@pytest.mark.parametrize("ids", [np.array([0.0, 1] * 3), np.zeros(6, complex), "abcdef", 3])
def test_what_holds_no_ids_is_refused(ids: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"group_ids have (dtype|shape)"):
        ml.advantages(REWARDS, 1, group_ids=ids)


def test_one_long_prompt_costs_its_own_length() -> None:
    length, groups = 60_000, 1000
    ids = [prompt for group in range(groups) for prompt in [f"prompt {group}"] * 8]
    ids[:8] = ["x" * length + str(each % 2) for each in range(8)]
    rewards = np.arange(len(ids), dtype=float)
    tracemalloc.start()
    found = ml.advantages(rewards, 2, group_ids=ids)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[:8].tolist() == ml.advantages(rewards[:8].reshape(4, 2).T, 2).T.ravel().tolist()
    # An array of text is rows times the longest, 4 bytes a character: 1.9 GB. Numbers take 100 bytes a row.
    assert peak < 1000 * len(ids)
    with pytest.raises(ValueError, match=r"^group x+\.\.\. has 4 scored rollouts"):
        ml.advantages(rewards, 4, group_ids=ids)
