"""``ml.advantages`` with a user's own rule: any callable, its answer checked and cast back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import Backend

import maxpo_lab as ml
from maxpo_lab.rules import BadShapeError, NotFiniteError, NotRealError

RNG = np.random.default_rng(8)
BATCH = RNG.integers(-8, 9, (3, 8)) / 8  # means of 8 or 4 of them are exact
IDS = RNG.permutation(np.repeat([0, 1, 2, 3], [8, 4, 8, 4]))


def centered(rewards: Any, k: int) -> Any:
    return rewards - rewards.sum(-1)[..., None] / rewards.shape[-1]


class Centered:
    """A rule that says where it is defined."""

    def __call__(self, rewards: Any, k: int) -> Any:
        return centered(rewards, k)

    def why_not(self, n: int, k: int) -> str | None:
        return None if n > 4 else f"needs a group of 5 (n={n})"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_callable_gets_and_gives_the_callers_arrays(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for rewards in (BATCH.astype(dtype), torch.tensor(BATCH, dtype=getattr(torch, dtype))):
        seen: list[Any] = []

        def rule(groups: Any, k: int, seen: list[Any] = seen) -> Any:
            seen.append((type(groups), groups.dtype, tuple(groups.shape), k))
            return centered(groups, k)

        found = ml.advantages(rewards, 2, estimator=rule)
        assert seen == [(type(rewards), rewards.dtype, (3, 8), 2)]
        assert (type(found), found.dtype) == (type(rewards), rewards.dtype)
        assert found.tolist() == ml.advantages(BATCH, 2, estimator="batch-mean").tolist()


def test_every_array_library(backend: Backend) -> None:
    rewards = backend.array(BATCH)
    found = ml.advantages(rewards, 2, estimator=lambda groups, k: groups * k)
    assert backend.made(found, "float64")
    assert backend.numpy(found).tolist() == (2 * BATCH).tolist()


def test_what_it_returns_is_cast_back() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.ones(1, requires_grad=True)
    tensor = torch.tensor(BATCH, dtype=torch.float32)
    for rule in (
        lambda r, k: r.double(),
        lambda r, k: r * weight,
        lambda r, k: r.numpy().astype(np.float64),
        lambda r, k: r.tolist(),
    ):
        found = ml.advantages(tensor, 2, estimator=rule)
        assert torch.equal(found, tensor)
        assert not found.requires_grad
    assert ml.advantages(BATCH, 2, estimator=lambda r, k: torch.tensor(r) * weight).tolist() == BATCH.tolist()
    assert ml.advantages([1, 0, 1], 2, estimator=lambda r, k: r > 0).tolist() == [1.0, 0.0, 1.0]


def test_shapes_groups_and_omissions_as_for_a_name() -> None:
    deep, flat = BATCH.reshape(3, 1, 8), BATCH.ravel()
    for rewards, options in (
        (deep, {}),
        (BATCH[0], {}),
        (flat, {"group_ids": IDS}),
        (np.where(np.arange(24) % 9 == 0, np.nan, flat), {"group_ids": IDS, "nan_policy": "omit"}),
    ):
        found = ml.advantages(rewards, 9, estimator=centered, **options)
        want = ml.advantages(rewards, 1, estimator="batch-mean", **options)
        # Sums of 8 numbers of size 1, taken in another order.
        np.testing.assert_allclose(found, want, rtol=0, atol=16 * np.finfo(float).eps)


def test_a_rule_that_writes_into_its_input_harms_nobody() -> None:
    def rule(groups: Any, k: int) -> Any:
        groups[...] = 0
        return groups

    rewards = BATCH.copy()
    assert not ml.advantages(rewards, 2, estimator=rule).any()
    assert (rewards == BATCH).all()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda r: r[:, :2], BadShapeError, r"shape \(3, 2\) for rewards of shape \(3, 8\)"),
        (lambda r: r.mean(-1), BadShapeError, r"shape \(3,\)"),
        (lambda r: [[1.0], [1.0, 2.0]], BadShapeError, r"no array of shape \(B, n\)"),
        (lambda r: r * 1j, NotRealError, "complex"),
        (lambda r: None, NotRealError, "object"),
        (lambda r: np.full(r.shape, "a"), NotRealError, "<U1"),
        (lambda r: r * float("nan"), NotFiniteError, r"\[nan, .* for the group \["),
        (lambda r: np.ma.array(np.asarray(r), mask=np.asarray(r) > 0), NotFiniteError, "nan"),
        (lambda r: r + 1e39, NotFiniteError, "inf"),
    ],
)
def test_bad_answers_are_refused_by_name(answer: Any, error: type[Exception], message: str) -> None:
    def mine(groups: Any, k: int) -> Any:
        return answer(groups)

    with np.errstate(all="ignore"), pytest.raises(error, match=f"mine returned .*{message}"):
        ml.advantages(BATCH.astype(np.float32), 2, estimator=mine)


def test_small_groups_are_the_callables_to_name() -> None:
    flat = BATCH.ravel()
    with pytest.raises(ValueError, match=r"group 1 has 4 scored rollouts: needs a group of 5 \(n=4\)"):
        ml.advantages(flat, 2, estimator=Centered(), group_ids=IDS)
    found = ml.advantages(flat, 2, estimator=Centered(), group_ids=IDS, small_groups="zero")
    small = np.isin(IDS, [1, 3])
    assert not found[small].any()
    assert (
        found[~small].tolist() == ml.advantages(flat, 2, estimator=centered, group_ids=IDS)[~small].tolist()
    )
    with pytest.raises(ValueError, match=r"small_groups='zero' with the callable centered.*why_not\(n, k\)"):
        ml.advantages(flat, 2, estimator=centered, group_ids=IDS, small_groups="zero")


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_k_is_checked_all_the_same(k: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"k="):
        ml.advantages(BATCH, k, estimator=lambda r, k: pytest.fail("the rule was called"))
