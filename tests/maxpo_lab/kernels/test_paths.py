"""Every way in which a rank-linear rule is evaluated, against rationals: accuracy, zeros, ties, rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from typing import Any

import array_api_compat
import numpy as np
import pytest
from backends import BACKENDS
from checks import EPS, RANK_LINEAR, has_offset, valid_k
from hypothesis import given, settings
from hypothesis import strategies as st

import maxpo_lab as ml
from maxpo_lab.kernels import host, portable
from maxpo_lab.kernels.engine import rank_linear
from maxpo_lab.kernels.tables import stacks, stacks_on

torch = pytest.importorskip("torch")

Path = Callable[[np.ndarray, ml.RankLinear, int], np.ndarray]


def on(backend: Any) -> Path:
    """The engine on a library and a device."""

    def path(rewards: np.ndarray, rule: ml.RankLinear, k: int) -> np.ndarray:
        given_ = backend.array(rewards)
        return backend.numpy(
            rank_linear(array_api_compat.array_namespace(given_), given_, ((rule, k),))[0, ...]
        )

    return path


def one_by_one(rewards: np.ndarray, rule: ml.RankLinear, k: int) -> np.ndarray:
    return np.stack([host.rank_linear(row, stacks(((rule, k),), row.size))[0] for row in rewards])


def beside_others(rewards: np.ndarray, rule: ml.RankLinear, k: int) -> np.ndarray:
    """From a sort that other rules of both kinds share."""
    n = rewards.shape[-1]
    others = [ml.get_estimator(name) for name in ("reinforce", "pkpo-s", "tailrl") if k in valid_k(name, n)]
    return host.rank_linear(rewards, stacks(tuple((each, k) for each in (*others, rule)), n))[-1]


def on_any_library(rewards: np.ndarray, rule: ml.RankLinear, k: int) -> np.ndarray:
    """What a GPU runs on large groups, here on tensors of the CPU: a scan that torch.func can wrap too."""
    xp = array_api_compat.array_namespace(torch.empty(0))
    made = stacks_on(((rule, k),), rewards.shape[-1], xp, torch.device("cpu"))
    return portable.rank_linear(xp, torch.tensor(rewards), made)[0].numpy()


def mapped(rewards: np.ndarray, rule: ml.RankLinear, k: int) -> np.ndarray:
    xp = array_api_compat.array_namespace(torch.empty(0))
    each = torch.func.vmap(lambda group: rule.unchecked(xp, group, k))
    return each(torch.tensor(rewards)).numpy()


PATHS: dict[str, Path] = {str(backend): on(backend) for backend in BACKENDS} | {
    "one by one": one_by_one,
    "beside others": beside_others,
    "portable": on_any_library,
    "vmap": mapped,
}
#: Groups of one size: real, of few levels, flat, one success, one failure, far apart.
SIZES = (2, 5, 16, 64, 129)


def groups(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    one = np.eye(1, n)
    rows = [rng.normal(size=(2, n)), rng.integers(0, 4, (2, n)) / 3, np.full((1, n), 0.7), one, 1 - one]
    return np.concatenate([*rows, 1000 + rng.random((1, n)), -rng.random((1, n))])


def exactly(rule: ml.RankLinear, group: np.ndarray, k: int) -> list[Fraction]:
    """The advantages in rationals, from the rule's exact coefficients."""
    made = rule.coefficients(len(group), k, exact=True)
    order = np.argsort(group, kind="stable")
    ranked = [Fraction(float(group[place])) for place in order]
    gaps = [high - low for low, high in pairwise(ranked)]
    lowest = sum((gap * share for gap, share in zip(gaps, made.below, strict=True)), made.offset * ranked[0])
    values = [lowest]
    for gap, above, below in zip(gaps, made.above, made.below, strict=True):
        values.append(values[-1] + gap * (above - below))
    found = [Fraction(0)] * len(group)
    for place, value in zip(order, values, strict=True):
        found[place] = value
    return found


def middle_k(name: str, n: int) -> int:
    """Of the small ones, as exact tables cost K n rationals."""
    ks = [k for k in range(1, min(n, 6) + 1) if ml.get_estimator(name).why_not(n, k) is None]
    return ks[len(ks) // 2]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", RANK_LINEAR)
def test_every_path_is_as_good_as_exact_rationals(name: str, n: int) -> None:
    if not valid_k(name, n) or (n > 64 and name.startswith("l-statistic")):
        pytest.skip("not defined on groups of this size, or exact tables take seconds")
    rule, k, rewards = ml.get_estimator(name), middle_k(name, n), groups(n)
    want = [exactly(rule, group, k) for group in rewards]
    # A rule with an offset is as good as its own terms: up to K of the largest reward.
    level = np.abs(rewards).max(axis=1) * k if has_offset(name) else 0.0
    size = np.maximum([float(max(map(abs, row))) for row in want], level)
    tolerance = size * (1e-15 if n <= 64 else 2 * EPS * sqrt(n))
    for path, evaluated in PATHS.items():
        found = evaluated(rewards, rule, k)
        for row, (exact, allowed) in enumerate(zip(want, tolerance, strict=True)):
            off = max(abs(Fraction(float(a)) - b) for a, b in zip(found[row], exact, strict=True))
            assert off <= allowed, (path, n, k, row, float(off))
            if not any(exact):
                assert not found[row].any(), (path, row)  # a dead group is 0, not nearly


@pytest.mark.parametrize("name", RANK_LINEAR)
def test_ties_are_equal_and_rows_alone_on_every_path(name: str) -> None:
    rule, rng = ml.get_estimator(name), np.random.default_rng(1)
    for n in (5, 16, 140):
        k = middle_k(name, n)
        rewards = rng.integers(0, 5, (40, n)) / 7
        for path, evaluated in PATHS.items():
            found = evaluated(rewards, rule, k)
            for group, row in zip(rewards, found, strict=True):
                for level in np.unique(group):
                    assert len(set(row[group == level])) == 1, (path, n)
            for few in (1, 2, 3):
                np.testing.assert_array_equal(evaluated(rewards[:few], rule, k), found[:few], path)
            upside_down = rewards[::-1].copy()
            np.testing.assert_array_equal(evaluated(upside_down, rule, k)[::-1], found, path)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_blocks_change_no_bit(data: st.DataObject) -> None:
    """Whatever their size, whatever else is in them, and whether several rules share the sort."""
    n, rows = data.draw(st.integers(1, 140)), data.draw(st.integers(1, 60))
    seed, block = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, 4096))
    rewards = np.random.default_rng(seed).normal(size=(rows, n)) + data.draw(st.sampled_from([0.0, 4.0]))
    names = [name for name in RANK_LINEAR if min(2, n) in valid_k(name, n)]
    name = data.draw(st.sampled_from(names))
    rule, k = ml.get_estimator(name), min(2, n)
    want = host.rank_linear(rewards, stacks(((rule, k),), n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "BLOCK", block)
        patch.setattr(host, "COLUMNS", 1)
        np.testing.assert_array_equal(host.rank_linear(rewards, stacks(((rule, k),), n)), want)
        together = host.rank_linear(rewards, stacks(tuple((ml.get_estimator(each), k) for each in names), n))
    np.testing.assert_array_equal(together[names.index(name)], want[0])


def test_calls_share_no_memory_that_shows() -> None:
    """Calls one after the other and at once, of one shape and of several, one with n and groups exchanged."""
    rng = np.random.default_rng(3)
    shapes = [(200, 64), (200, 64), (64, 200), (3000, 16), (3000, 16)]
    given_ = [rng.normal(size=shape) for shape in shapes]
    given_.append(given_[0].astype(np.float32))
    alone = [threaded(lambda rewards=rewards: ml.advantages(rewards, 3)) for rewards in given_]
    again = [ml.advantages(rewards, 3) for rewards in given_]
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(lambda rewards: ml.advantages(rewards, 3), given_ * 20)]
    for want, found in zip(alone * 21, again + together, strict=True):
        assert found.tobytes() == want.tobytes()


def threaded(call: Callable[[], Any]) -> Any:
    """What a call gives in a thread of its own, which has nothing from a call before."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed", "read-only"])
def test_any_layout_gives_the_same(dtype: str, layout: str) -> None:
    rewards = np.random.default_rng(2).normal(size=(6, 7)).astype(dtype)
    want = ml.advantages(rewards, 3)
    wide = np.zeros((6, 14), dtype)
    wide[:, ::2] = rewards
    laid = {
        "strided": wide[:, ::2],
        "reversed": rewards[:, ::-1].copy()[:, ::-1],
        "transposed": np.asfortranarray(rewards),
        "read-only": rewards.copy(),
    }[layout]
    laid.setflags(write=layout != "read-only")
    before = laid.tobytes()
    assert ml.advantages(laid, 3).tobytes() == want.tobytes()
    assert laid.tobytes() == before
    assert want.dtype == rewards.dtype


def test_a_tensor_and_its_array_share_bits_and_not_memory() -> None:
    rewards = torch.rand(50, 9, dtype=torch.float64)
    before = rewards.clone()
    found = ml.advantages(rewards, 3)
    assert found.numpy().tobytes() == ml.advantages(rewards.numpy(), 3).tobytes()
    found += 1
    assert torch.equal(rewards, before)
    half = rewards.bfloat16()
    assert torch.equal(ml.advantages(half, 3), ml.advantages(half.double(), 3).bfloat16())
