"""The rules: enumeration, witnesses of MaxPO, array libraries and dtypes, and the laws of the mathematics."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from backends import Backend
from checks import EPS, RANK_LINEAR, error_scale, has_offset, rounding, sample_groups, valid_k, worst_share
from hypothesis import given
from hypothesis import strategies as st

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.families.maxpo import maxpo, maxpo_quadratic

NAMES = (*RANK_LINEAR, "grpo")
HERE = ("reinforce", "rloo", "batch-mean", "grpo", "pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "canonical")


def nearby(name: str, n: int, wanted: int) -> int:
    """The valid K nearest to the wanted one."""
    return min(valid_k(name, n), key=lambda k: abs(k - wanted))


# Against the enumeration


@pytest.mark.parametrize("name", NAMES)
def test_equals_its_definition(name: str) -> None:
    checks.check_equals_definition(ml.get_estimator(name), name)


@pytest.mark.parametrize("name", ["maxpo", "canonical"])
@pytest.mark.parametrize(("n", "ks"), [(8, range(1, 8)), (9, (1, 4, 8)), (10, (2, 5, 9))])
def test_maxpo_is_leave_two_out_by_enumeration(name: str, n: int, ks: Any) -> None:
    for group in sample_groups(n)[:4]:
        for k in ks:
            want = np.array([float(a) for a in definitions.maxpo(group.tolist(), k)])
            for rule in (ml.get_estimator(name), maxpo_quadratic):
                worst_share(rule(group, k) - want, 1e-12 * error_scale(name, group, k), f"n={n}, k={k}")


def test_the_three_forms_of_maxpo_agree_at_n_64() -> None:
    groups = sample_groups(64)
    canonical = ml.get_estimator("canonical")
    for k in range(1, 64):
        gap, tolerance = maxpo(groups, k), 1e-12 * error_scale("maxpo", groups, k)
        worst_share(gap - maxpo_quadratic(groups, k), tolerance, f"quadratic form at k={k}")
        worst_share(gap - canonical(groups, k), tolerance, f"canonical at k={k}")


def test_the_smallest_groups() -> None:
    assert maxpo([0.0, 1.0], 1).tolist() == maxpo_quadratic([0.0, 1.0], 1).tolist() == [-1.0, 1.0]
    assert ml.advantages([2.0], 1, estimator="reinforce").tolist() == [2.0]
    assert ml.advantages([2.0], 1, estimator="pkpo-s").tolist() == [2.0]


# Array libraries, shapes, dtypes


@pytest.mark.parametrize("name", NAMES)
def test_array_libraries_agree(arrays: Backend, name: str) -> None:
    rewards = np.random.default_rng(0).normal(size=(2, 3, 9)).astype(arrays.dtype)
    rewards[0, 1] = np.round(rewards[0, 1])
    for wanted in (1, 4, 9):
        k = nearby(name, 9, wanted)
        want = ml.get_estimator(name)(rewards, k)
        got = ml.advantages(arrays.array(rewards), k, estimator=name)
        assert arrays.made(got)
        assert got.shape == want.shape
        # Sums of the same terms in another order, then rounded to the dtype.
        unit = arrays.eps / 2 * np.abs(want).max()
        tolerance = 2 * rounding(name, rewards.astype(np.float64), k) + 2 * unit * (arrays.dtype == "float32")
        worst_share(arrays.numpy(got) - want, tolerance, f"{name} at n=9, k={k} on {arrays}")


def test_other_functions_keep_the_array_library(arrays: Backend) -> None:
    given_ = arrays.array(np.random.default_rng(1).normal(size=(2, 3, 7)))
    same = arrays.numpy(given_)
    quadratic, rho = maxpo_quadratic(given_, 3), ml.value_estimate(given_, 3)
    assert arrays.made(quadratic)
    assert arrays.made(rho)
    assert rho.shape == (2, 3)
    # One rounding to the dtype of numbers of at most K range, plus float64's own.
    unit = (arrays.eps + 400 * EPS) * error_scale("maxpo", same, 3)
    worst_share(arrays.numpy(quadratic) - maxpo(same, 3), unit, f"quadratic on {arrays}")
    worst_share(arrays.numpy(rho) - ml.value_estimate(same, 3), unit[..., 0], f"value on {arrays}")


def test_integers_and_booleans_become_the_default_floats(backend: Backend) -> None:
    default = "float32" if backend.name.startswith("torch") else "float64"
    want = ml.advantages([0.0, 1.0, 1.0, 0.0], 2)
    for dtype in ("int64", "int32", "bool"):
        got = ml.advantages(backend.array([0, 1, 1, 0], dtype), 2)
        assert backend.made(got, default)
        worst_share(backend.numpy(got) - want, np.finfo(default).eps * 2, dtype)


@pytest.mark.parametrize("rewards", [[0, 1, 1, 0], [False, True, True, False], (0.0, 1.0, 1.0, 0.0)])
def test_sequences_become_numpy(rewards: Any) -> None:
    got = ml.advantages(rewards, 2)
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.float64
    assert got.tolist() == ml.advantages(np.array([0.0, 1, 1, 0]), 2).tolist()
    assert ml.advantages([rewards, rewards], 2).shape == (2, 4)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (4, 6), (2, 3, 6), (1, 1, 2, 6)])
@pytest.mark.parametrize("name", NAMES)
def test_leading_axes_are_a_batch(backend: Backend, name: str, shape: tuple[int, ...]) -> None:
    rewards, k = np.random.default_rng(2).normal(size=shape), nearby(name, 6, 3)
    got = backend.numpy(ml.advantages(backend.array(rewards), k, estimator=name))
    assert got.shape == shape
    for index in np.ndindex(shape[:-1]):
        alone = backend.numpy(ml.advantages(backend.array(rewards[index]), k, estimator=name))
        worst_share(
            got[index] - alone, rounding(name, rewards[index], k), f"{name} at {index} of {shape}, k={k}"
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_kept(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    rewards = torch.tensor([[0.0, 1, 0.5, 0.25, 1, 0], [3, 1, 4, 1, 5, 9]], dtype=kind)
    k = nearby(name, 6, 3)
    got = ml.advantages(rewards, k, estimator=name)
    assert got.dtype == kind
    want = ml.advantages(rewards.double(), k, estimator=name)
    # The float64 advantages, rounded once; what lies below the least number of the type becomes 0.
    least = torch.finfo(kind).smallest_normal * torch.finfo(kind).eps
    rounded = torch.finfo(kind).eps / 2 * want.abs() * (1 + 1e-9)
    assert ((got.double() - want).abs() <= rounded + least / 2).all()
    if dtype == "float16":
        in_numpy = ml.advantages(rewards.numpy(), k, estimator=name)
        assert in_numpy.dtype == np.float16
    assert ml.value_estimate(rewards, 3).dtype == kind


def float32_share(name: str, rewards: np.ndarray, k: int) -> float:
    """Error of float32 advantages over ``(8 + sqrt(n)) eps32`` of the error scale."""
    single = rewards.astype(np.float32)
    same = single.astype(np.float64)  # the rewards themselves were rounded before the rule saw them
    got, want = (ml.advantages(x, k, estimator=name) for x in (single, same))
    assert got.dtype == np.float32
    bound = (8 + np.sqrt(rewards.shape[-1])) * np.finfo(np.float32).eps * error_scale(name, same, k)
    return worst_share(got - want, bound, f"{name} in float32, n={rewards.shape[-1]}, k={k}")


@pytest.mark.parametrize("n", [4, 64, 1024, 16384])
@pytest.mark.parametrize("name", HERE)
def test_float32_law(name: str, n: int) -> None:
    for wanted in (1, 2, 8, 256, n // 2, n):
        float32_share(name, sample_groups(n), nearby(name, n, min(wanted, n)))


@pytest.mark.parametrize("name", ["maxpo", "grpo", "pkpo-s"])
def test_float32_law_in_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    single = torch.tensor(sample_groups(4096), dtype=torch.float32)
    got, want = ml.advantages(single, 8, estimator=name), ml.advantages(single.double(), 8, estimator=name)
    bound = (8 + 64) * np.finfo(np.float32).eps * error_scale(name, single.double().numpy(), 8)
    worst_share((got.double() - want).numpy(), bound, f"{name} in torch float32")


def test_the_input_is_left_alone(backend: Backend) -> None:
    for name in NAMES:
        rewards = backend.array([[0.0, 2.0, 1.0, 1.0]])
        ml.advantages(rewards, nearby(name, 4, 2), estimator=name)
        assert backend.numpy(rewards).tolist() == [[0.0, 2.0, 1.0, 1.0]]


# Laws, on rewards that are multiples of 1/16: shifting and permuting them is exact


def groups(min_size: int = 2) -> st.SearchStrategy[np.ndarray]:
    """Groups with many ties, and without."""
    small, large = st.integers(-2, 2), st.integers(-1000, 1000)
    size = {"min_size": min_size, "max_size": 12}
    return st.one_of(st.lists(small, **size), st.lists(large, **size)).map(lambda x: np.array(x) / 16)


def choose_k(data: st.DataObject, name: str, n: int) -> int:
    return data.draw(st.sampled_from(valid_k(name, n)), label="k")


def minimum(name: str) -> int:
    """The smallest group the rule has some K for."""
    return next(n for n in range(1, 10) if valid_k(name, n))


def draw(data: st.DataObject, name: str) -> tuple[ml.Estimator, np.ndarray, int]:
    group = data.draw(groups(max(2, minimum(name))), label="group")
    return ml.get_estimator(name), group, choose_k(data, name, len(group))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_permuting_permutes(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    order = np.array(data.draw(st.permutations(range(len(group))), label="order"))
    checks.check_permutation(rule, name, group, order, k)
    if name != "grpo":
        assert (rule(group[order], k) == rule(group, k)[order]).all()  # the same sort, to the bit


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_shift_law(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    shift = data.draw(st.integers(-1000, 1000), label="16 * shift") / 16
    checks.check_shift(rule, name, group, shift, k)
    if not has_offset(name) and name != "grpo":
        assert (rule(group + shift, k) == rule(group, k)).all()  # the same gaps, to the bit


@pytest.mark.parametrize("name", RANK_LINEAR)
@given(data=st.data())
def test_scale_law(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    factor = data.draw(st.floats(0.01, 100), label="factor")
    want = factor * rule(group, k)
    # Rounding of the products factor * R adds 2 eps of max|R| to a gap.
    extra = 2 * EPS * k * len(group) * factor * np.abs(group).max()
    worst_share(
        rule(factor * group, k) - want,
        2 * factor * rounding(name, group, k) + extra,
        f"{name} times {factor}, k={k}",
    )
    assert (rule(8.0 * group, k) == 8.0 * rule(group, k)).all()


@pytest.mark.parametrize("name", ["grpo"])
@given(data=st.data())
def test_grpo_does_not_scale(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    deviation = group.std(ddof=1)
    factor = data.draw(st.floats(0.01, 100), label="factor")
    # Its epsilon is absolute: (R - mean)/(std + eps) at scale c is at eps/c.
    want = rule(group, k) * (deviation + 1e-6) / (deviation + 1e-6 / factor)
    tolerance = 4 * rounding(name, group, k) + 16 * EPS * len(group) * np.abs(group).max() / (
        deviation + 1e-8
    )
    worst_share(rule(factor * group, k) - want, tolerance, f"{name} times {factor}, k={k}")


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_ties_get_equal_advantages(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    checks.check_ties(rule, name, group, k)


@pytest.mark.parametrize("name", [n for n in NAMES if ml.get_estimator(n).claims.centered])
@given(data=st.data())
def test_centered_rules_sum_to_0(name: str, data: st.DataObject) -> None:
    rule, group, k = draw(data, name)
    worst_share(rule(group, k).sum(), len(group) * rounding(name, group, k), f"{name} centered, k={k}")


@pytest.mark.parametrize("name", NAMES)
def test_sums_are_as_claimed(name: str) -> None:
    checks.check_sums(ml.get_estimator(name), name)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_flat_groups(name: str, data: st.DataObject) -> None:
    rule = ml.get_estimator(name)
    n = data.draw(st.integers(max(2, minimum(name)), 12), label="n")
    reward, k = data.draw(st.floats(-1e6, 1e6), label="reward"), choose_k(data, name, n)
    got = rule(np.full(n, reward), k)
    if has_offset(name):
        worst_share(
            got - rule.coefficients(n, k).offset * reward, 4 * EPS * k * abs(reward), f"{name} flat, k={k}"
        )
    else:
        assert not got.any()


@given(groups())
def test_k_1_is_the_mean_reward(group: np.ndarray) -> None:
    by_name = {name: ml.get_estimator(name)(group, 1) for name in ("maxpo", "canonical", "rloo")}
    for name in ("maxpo", "canonical"):
        worst_share(by_name[name] - by_name["rloo"], 2 * rounding("rloo", group, 1), f"{name} is rloo")
    assert (
        ml.advantages(group, 1, estimator="pkpo-s") == ml.advantages(group, 1, estimator="reinforce")
    ).all()
    # REINFORCE gives the rewards back: R_(1) + gaps, n roundings of max|R|; here multiples of 1/16, exactly.
    assert (ml.advantages(group, 1, estimator="reinforce") == group).all()


@given(data=st.data())
def test_pkpo_loo1_is_never_negative(data: st.DataObject) -> None:
    rule, group, k = draw(data, "pkpo-loo1")
    assert (rule(group, k) >= 0).all()


@given(data=st.data())
def test_sums_of_the_inclusion_values(data: st.DataObject) -> None:
    rule, group, k = draw(data, "pkpo-s")
    n, rho = len(group), ml.value_estimate(group, k)
    tolerance = n * rounding("pkpo-s", group, k)
    worst_share(rule(group, k).sum() - n * k * rho, 2 * tolerance, "mean of q is rho")
    if k < n:
        total = ml.advantages(group, k, estimator="pkpo-loo").sum()
        worst_share(total + n * k * rho / (n - 1), 4 * tolerance, "sum of pkpo-loo")
        centered = rule(group, k) - rule(group, k).mean()
        canonical = ml.advantages(group, k, estimator="canonical")
        worst_share(centered - (1 - k / n) * canonical, 2 * tolerance, "group-mean-centered K q")


@given(groups(1), st.data())
def test_value_estimate_is_the_mean_over_subsets(group: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, min(len(group), 6)), label="k")
    want = float(definitions.value(group.tolist(), k))
    # n products of a gap and a weight that took at most 2n roundings.
    tolerance = 4 * (len(group) + 4) * EPS * (abs(group).max() + np.ptp(group))
    assert abs(ml.value_estimate(group, k) - want) <= tolerance


@given(groups(2), st.floats(0, 1), st.data())
def test_raising_a_reward_never_lowers_its_own_advantage(
    group: np.ndarray, lift: float, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(group) - 1), label="k")
    raised = group.copy()
    raised[0] += np.round(16 * lift) / 16
    gain = maxpo(raised, k)[0] - maxpo(group, k)[0]
    assert gain >= -2 * rounding("maxpo", raised, k)[0] - 2 * rounding("maxpo", group, k)[0]
