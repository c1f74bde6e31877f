"""Rules with history against their enumeration, on every array library, and group by group."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import array_api_compat
import numpy as np
import pytest
from backends import Backend

from maxpo_lab.estimators.definitions import histories as definitions
from maxpo_lab.estimators.history import on_host, portable, tables
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.pooled import pooled
from maxpo_lab.estimators.history.replay import largest_share, parts, replay

#: The baseline from history alone.
hist = partial(replay, lam=1.0)

NUMPY = array_api_compat.array_namespace(np.empty(0))
RULES: dict[str, Any] = {
    "hist": hist,
    "replay": replay,
    "centered-replay": centered_replay,
    "pooled": pooled,
    "plug-in-floor": plug_in_floor,
}
DEFINITIONS: dict[str, Any] = {"hist": definitions.hist, **definitions.BY_NAME}


def examples(n: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random, near 1000, tied, 0/1, flat; a history beyond the group, below it, of one reward, of none."""
    rng = np.random.default_rng(n)
    made = [
        (rng.normal(size=n), 3 * rng.normal(size=4), rng.random(4)),
        (1000 + rng.random(n), 1000 + rng.random(3), np.array([1.0, 0.0, 0.5])),
        (rng.integers(0, 3, n) / 2, rng.integers(-1, 4, 4) / 2, np.ones(4)),
        (rng.integers(0, 2, n), rng.integers(0, 2, 3), np.array([0.0, 1.0, 1.0])),
        (np.full(n, 0.7), rng.random(2), np.ones(2)),
        (rng.random(n), 10 + rng.random(2), rng.random(2)),
        (rng.random(n), -10 - rng.random(3), rng.random(3)),
        (rng.random(n), np.array([0.5]), np.array([0.25])),
        (rng.random(n), rng.random(2), np.zeros(2)),
    ]
    return [tuple(np.asarray(each, dtype=np.float64) for each in one) for one in made]


def cases(name: str, n: int) -> list[tuple[np.ndarray, int, np.ndarray, np.ndarray]]:
    """What a rule takes of these, at every K."""
    found = []
    for group, y, w in examples(n):
        if name == "plug-in-floor" and not np.isin(np.concatenate([group, y]), (0, 1)).all():
            continue
        weights = (w > 0).astype(float) if name == "pooled" else w
        largest = min(n + int(weights.sum()) - 1, 8) if name == "pooled" else n
        found += [(group, k, y, weights) for k in range(1, largest + 1)]
    return found


def size(group: np.ndarray, k: int, y: np.ndarray, w: np.ndarray) -> float:
    """K times the range of group and history; of a group of one without history K times its reward."""
    used = np.concatenate([group, y[w > 0]])
    return k * float(np.ptp(used) if len(used) > 1 else abs(used[0]))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [*range(1, 7), pytest.param(7, marks=pytest.mark.integration)])
def test_gap_form_is_the_enumeration(name: str, n: int) -> None:
    if (name, n) == ("centered-replay", 1):
        pytest.skip("one rollout has no other to be centered against")
    for group, k, y, w in cases(name, n):
        got = RULES[name](NUMPY, group, k, y, w)
        want = DEFINITIONS[name](group.tolist(), k, y.tolist(), w.tolist())
        error = max(abs(float(Fraction(a) - b)) for a, b in zip(got.tolist(), want, strict=True))
        scale = k if name == "plug-in-floor" else size(group, k, y, w)
        assert error <= 1e-13 * scale, (name, group, k, y, w)


def test_by_hand() -> None:
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    group, y, w = [0, 1, 0, half], [1, 0, 0, quarter], [1] * 4
    want = {2: (["-7/24", "7/6", "-7/24", "1/4"], ["-5/12", "11/9", "-5/12", "1/6"])}
    want[4] = (["0", "3/2", "0", "0"], ["0", "3/2", "0", "0"])
    for k, (of_hist, of_replay) in want.items():
        assert definitions.hist(group, k, y, w) == [Fraction(x) for x in of_hist]
        assert definitions.replay(group, k, y, w) == [Fraction(x) for x in of_replay]


@pytest.mark.parametrize("name", RULES)
def test_array_libraries_agree(arrays: Backend, name: str) -> None:
    rng = np.random.default_rng(3)
    group = rng.integers(0, 2, (2, 3, 6)) if name == "plug-in-floor" else rng.normal(size=(2, 3, 6))
    y = rng.integers(0, 2, (2, 3, 5)) if name == "plug-in-floor" else rng.normal(size=(2, 3, 5))
    w = rng.integers(0, 2, (2, 3, 5)) if name == "pooled" else rng.random((2, 3, 5))
    group, y, w = (np.asarray(each, dtype=arrays.dtype) for each in (group, y, w))
    xp = array_api_compat.array_namespace(arrays.array(group))
    for k in (1, 2, 5):
        want = RULES[name](NUMPY, *(np.float64(group), k, np.float64(y), np.float64(w)))
        got = RULES[name](xp, arrays.array(group), k, arrays.array(y), arrays.array(w))
        assert arrays.made(got)
        assert got.shape == group.shape
        # The same sums in another order, then one rounding to the dtype.
        tolerance = 1e-13 * k * 8 + arrays.eps * abs(want).max() * (arrays.dtype == "float32")
        assert abs(arrays.numpy(got) - want).max() <= tolerance


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_group_is_what_it_is_alone(name: str, rows: int) -> None:
    """To the bit, whatever lies next to it: no history, a shorter one, all of weight 1, another block."""
    rng = np.random.default_rng(rows)
    binary = name == "plug-in-floor"
    group = rng.integers(0, 2, (rows, 5)) * 1.0 if binary else rng.normal(size=(rows, 5))
    y = rng.integers(0, 2, (rows, 9)) * 1.0 if binary else rng.normal(size=(rows, 9))
    w = rng.integers(0, 2, (rows, 9)) * 1.0 if name == "pooled" else rng.random((rows, 9))
    w[0], w[-1] = 1.0, 0.0
    for k in (1, 3):
        together = RULES[name](NUMPY, group, k, y, w)
        for row in range(rows):
            alone = RULES[name](NUMPY, group[row], k, y[row], w[row])
            np.testing.assert_array_equal(alone, together[row])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 31, 64, 65, 300])
def test_blocks_and_the_portable_form_agree(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(size)
    group, y = (rng.integers(0, 9, (11, n)) / 4.0 for n in (6, size))
    w = rng.random((11, size))
    w[3], w[4] = 1.0, 0.0
    for made in (tables.replay(6, 1), tables.replay(6, 4), tables.replay(6, 6), tables.centered(6, 3)):
        settings: Any = {"tables": [made], "shares": [None], "history_sorted": False}
        want = portable.evaluate(NUMPY, group, y, w, **settings)
        for block in (1, 4 * max(6, size), 1 << 16):
            monkeypatch.setattr(on_host, "BLOCK", block)
            got = on_host.evaluate(group, y, w, **settings)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-13 * 6 * 2.25)


def test_a_sorted_history_is_believed_to_be_and_its_order_else_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    group, y, w = rng.normal(size=(4, 6)), rng.normal(size=(4, 20)), rng.random((4, 20))
    order = np.argsort(y, axis=-1)
    held = [np.take_along_axis(each, order, axis=-1) for each in (y, w)]
    for rule in (hist, replay, centered_replay):
        want = rule(NUMPY, group, 3, y, w)
        np.testing.assert_array_equal(rule(NUMPY, group, 3, *held, history_sorted=True), want)
        assert abs(rule(NUMPY, group, 3, y, w, history_sorted=True) - want).max() > 1e-3


def test_tied_rewards_get_the_same_bits_and_flat_groups_one_number() -> None:
    rng = np.random.default_rng(1)
    y, w = rng.normal(size=12), rng.random(12)
    group = np.repeat(rng.normal(size=4), 2)
    for rule in (hist, replay, centered_replay):
        for k in (1, 3, 8):
            got = rule(NUMPY, group, k, y, w)
            assert (got[::2] == got[1::2]).all()
            assert np.ptp(rule(NUMPY, np.full(8, 0.3), k, y, w)) == 0


def test_lambda_mixes_the_parts() -> None:
    rng = np.random.default_rng(2)
    group, y, w = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 7)), rng.random((2, 3, 7))
    w[0, 0] = 0.0
    lam = rng.random((2, 3))
    for k in (1, 3, 5):
        plain, past = parts(NUMPY, group, k, y, w)
        np.testing.assert_array_equal(past, hist(NUMPY, group, k, y, w))
        np.testing.assert_array_equal(plain[0, 0], past[0, 0])  # no history
        for share in (lam, 0.25):
            got = replay(NUMPY, group, k, y, w, lam=share)
            column = share[..., None] if isinstance(share, np.ndarray) else share
            np.testing.assert_allclose(got, (1 - column) * plain + column * past, rtol=0, atol=1e-13)
        fair = largest_share(NUMPY, w, n=5, k=k)
        np.testing.assert_allclose(
            replay(NUMPY, group, k, y, w, lam=fair), replay(NUMPY, group, k, y, w), rtol=0, atol=1e-13
        )
        assert fair[0, 0] == 0
        assert ((fair == 1) == (w.sum(-1) > 0)).all() == (k == 5)


def test_an_outlier_of_the_history_costs_a_centered_rule_nothing() -> None:
    group, y = np.array([0.1, 0.4, 0.2, 0.9]), np.array([0.3, 0.5, 0.7, 1e15])
    tame = np.minimum(y, 2.0)
    got, want = (centered_replay(NUMPY, group, 2, each, np.ones(4)) for each in (y, tame))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-14)


def test_no_number_is_looked_at_off_the_cpu() -> None:
    torch = pytest.importorskip("torch")
    empty = [torch.empty((3, size), device="meta") for size in (6, 9, 9)]
    xp = array_api_compat.array_namespace(empty[0])
    for rule in (hist, replay, centered_replay, plug_in_floor):
        found = rule(xp, empty[0], 3, *empty[1:])
        assert (found.shape, found.dtype, found.device.type) == ((3, 6), torch.float32, "meta")
