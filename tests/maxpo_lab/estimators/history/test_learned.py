"""Lambda from other prompts and from earlier steps: the formulas, and what it may not see."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import array_api_compat
import numpy as np
import pytest
from backends import Backend

from maxpo_lab.estimators.definitions import histories as definitions
from maxpo_lab.estimators.history.learned import MovingAverage, inner_products, leave_one_out, sums
from maxpo_lab.estimators.history.replay import largest_share, parts, replay

NUMPY = array_api_compat.array_namespace(np.empty(0))
RNG = np.random.default_rng(5)


def batch(prompts: int, n: int, m: int) -> tuple[np.ndarray, ...]:
    return RNG.normal(size=(prompts, n)), RNG.normal(size=(prompts, m)), RNG.random((prompts, m))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_sums_are_those_of_the_definitions(k: int) -> None:
    group, y, w = batch(3, 4, 3)
    w[2] = 0.0
    along, apart = sums(NUMPY, group, k, y, w)
    for row in range(3):
        given = [each[row].tolist() for each in (group, y, w)]
        plain = definitions.without_history(given[0], k)
        past = definitions.hist(given[0], k, *given[1:])
        gap = [a - b for a, b in zip(plain, past, strict=True)]
        want = [sum(a * d for a, d in zip(plain, gap, strict=True)), sum(d * d for d in gap)]
        assert [along[row], apart[row]] == pytest.approx([float(each) for each in want], rel=1e-12)
    assert (along[2], apart[2]) == (0, 0)


def test_leave_one_out_by_hand() -> None:
    along, apart = np.array([1.0, 2.0, -4.0, 1.0]), np.array([2.0, 1.0, 1.0, 4.0])
    largest = np.array([0.9, 0.9, 0.5, 0.9])
    ridge = 1 + Fraction(2, 3)
    want = [0, 0, Fraction(4) / (ridge * 7), 0]  # others of the third: 1 + 2 + 1 over 2 + 1 + 4
    got = leave_one_out(NUMPY, along, apart, largest)
    np.testing.assert_allclose(got, [float(each) for each in want], rtol=1e-15)
    assert leave_one_out(NUMPY, 100 * abs(along), apart, largest).tolist() == largest.tolist()
    assert not leave_one_out(NUMPY, along, 0 * apart, largest).any()


def test_a_prompt_that_outweighs_all_others_is_not_subtracted() -> None:
    along, apart = np.array([1.0, 1e20, 1.0]), np.array([3.0, 1e20, 5.0])
    got = leave_one_out(NUMPY, along, apart, np.ones(3))
    assert got[1] == pytest.approx(2 / (2 * 8))


def test_a_prompt_does_not_see_itself_and_the_others_do() -> None:
    group, y, w = batch(5, 6, 8)
    largest = largest_share(NUMPY, w, n=6, k=3)
    for changed in range(5):
        other = group.copy()
        other[changed] = RNG.normal(size=6)
        one, two = (
            leave_one_out(NUMPY, *sums(NUMPY, each, 3, y, w), 10 * largest) for each in (group, other)
        )
        same = one == two
        assert same[changed]
        assert not same[np.arange(5) != changed].any()


def test_moving_average_of_earlier_steps() -> None:
    state, seen = MovingAverage(), []
    steps = [(3.0, 4.0), (1.0, 2.0), (-1.0, 5.0)]
    for along, apart in steps:
        seen.append(float(state.lam(NUMPY, np.array(0.7))))
        state = state.updated(along, apart)
    weights = [0.95**1, 0.95**0]
    assert seen[0] == 0  # nothing was learned
    assert seen[1] == 0.7  # 3/4, capped
    assert seen[2] == pytest.approx(
        sum(a * b for a, (b, _) in zip(weights, steps, strict=False))
        / sum(a * b for a, (_, b) in zip(weights, steps, strict=False))
    )
    negative = MovingAverage().updated(-1.0, 1.0)
    assert not negative.lam(NUMPY, np.ones(3)).any()
    assert MovingAverage().updated(1.0, 2.0, decay=0.5) == MovingAverage(0.5, 1.0)


def test_lambda_of_a_group_without_history_is_0_and_at_n_at_most_1() -> None:
    group, y, w = batch(4, 3, 5)
    w[1] = 0.0
    for k in (2, 3):
        plain, past = parts(NUMPY, group, k, y, w)
        lam = leave_one_out(NUMPY, *inner_products(NUMPY, plain, past), largest_share(NUMPY, w, n=3, k=k))
        assert lam[1] == 0
        assert (lam <= (1 if k == 3 else w.sum(-1) / (1 + w.sum(-1)))).all()
        mixed = plain - lam[:, None] * (plain - past)
        np.testing.assert_allclose(replay(NUMPY, group, k, y, w, lam=lam), mixed, rtol=0, atol=1e-13)


def test_array_libraries_agree(arrays: Backend) -> None:
    group, y, w = (np.asarray(each, dtype=arrays.dtype) for each in batch(4, 5, 6))
    xp = array_api_compat.array_namespace(arrays.array(group))

    def learned(xp: Any, group: Any, y: Any, w: Any) -> Any:
        return leave_one_out(xp, *sums(xp, group, 2, y, w), largest_share(xp, w, n=5, k=2))

    got = learned(xp, arrays.array(group), arrays.array(y), arrays.array(w))
    want = learned(NUMPY, *(np.float64(each) for each in (group, y, w)))
    # float32 rounds the advantages that the sums are of.
    np.testing.assert_allclose(
        arrays.numpy(got), want, rtol=0, atol=1e-12 if arrays.dtype == "float64" else 1e-5
    )


@pytest.mark.parametrize(("rate", "low", "high"), [(1.0, 0.6, 0.88), (None, 0.0, 0.1)])
def test_history_is_believed_where_it_is_fair_and_not_where_it_is_turned_round(
    rate: float | None, low: float, high: float
) -> None:
    """32 prompts, rates log-uniform in [.001, .9], n = 8, K = 4, m = 32; the other history has rate 1 - p."""
    rng = np.random.default_rng(9)
    state, found = MovingAverage(), []
    for _ in range(60):
        p = np.exp(rng.uniform(np.log(0.001), np.log(0.9), 32))[:, None]
        group = (rng.random((32, 8)) < p).astype(float)
        y = (rng.random((32, 32)) < (p if rate else 1 - p)).astype(float)
        found.append(float(state.lam(NUMPY, np.array(32 / 36))))
        state = state.updated(*(float(each.sum()) for each in sums(NUMPY, group, 4, y, np.ones_like(y))))
    # Batch by batch it stays within a few hundredths of .83 and .02, which 400 runs of 200 steps give.
    assert low <= np.mean(found[30:]) <= high
