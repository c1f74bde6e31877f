"""The rules that are not linear in the ranks, and what every rule of the catalogue documents of itself."""

from __future__ import annotations

from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import maxpo_lab as ml
from analysis.studies.frameworks.defects import EASYR1_ISSUE_585
from maxpo_lab.estimators import Laws, RankLinear
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.registry import parameters

NAMES = ml.list_estimators()
OTHERS = [name for name in NAMES if not isinstance(ml.get_estimator(name), RankLinear)]
RNG = np.random.default_rng(20)


def groups(rule: ml.Estimator, n: int) -> list[np.ndarray]:
    """Binary, flat, tied and continuous groups, as far as the rule takes them."""
    binary = [*RNG.integers(0, 2, size=(4, n)), np.zeros(n), np.ones(n)]
    unit = [RNG.random(n), RNG.integers(0, 3, n) / 4]
    real = [RNG.normal(size=n), 1000 + RNG.random(n), RNG.integers(-2, 3, n)]
    kinds = {"binary": binary, "unit": [*binary, *unit], "real": [*binary, *unit, *real]}
    return [np.asarray(group, dtype=float) for group in kinds[rule.domain]]


def valid(rule: ml.Estimator, n: int) -> list[int]:
    return [k for k in range(1, n + 1) if rule.why_not(n, k) is None]


@pytest.mark.parametrize("name", OTHERS)
def test_equals_its_definition(name: str) -> None:
    rule = ml.get_estimator(name)
    for n in range(1, 7):
        for k in valid(rule, n):
            for group in groups(rule, n):
                exact = np.array([float(value) for value in definitions.BY_NAME[name](group, k)])
                # 1e-12 of the advantages; rewards near 1000 come with 1000 ulps of their spread.
                scale = max(1.0, abs(exact).max()) * max(1.0, abs(group).max())
                np.testing.assert_allclose(rule(group, k), exact, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("spec", ["grpo:eps=1e-4,ddof=0", "leader:alpha=1.5", "entropic:beta=0.5"])
def test_parameters_change_the_rule_as_they_change_its_definition(spec: str) -> None:
    rule = ml.get_estimator(spec)
    name, values = rule.name.partition(":")[0], (rule.eps, rule.ddof) if "grpo" in spec else ()
    changed = {"grpo": definitions.grpo, "leader": definitions.leader, "entropic": definitions.entropic}
    values = values or (1.5 if "leader" in spec else 0.5,)
    group = RNG.normal(size=6)
    exact = [float(value) for value in changed[name](*values)(group, 1)]
    np.testing.assert_allclose(rule(group, 1), exact, rtol=0, atol=1e-12)
    assert abs(rule(group, 1) - ml.get_estimator(name)(group, 1)).max() > 1e-6
    assert ml.get_estimator(spec) is rule


def test_each_parameter_alone_changes_something() -> None:
    group = RNG.normal(size=6)
    for name in ("grpo", "leader", "entropic"):
        for key, default in parameters(name).items():
            other = ml.get_estimator(f"{name}:{key}={1 - default if key == 'ddof' else 2 * default:g}")
            assert abs(other(group, 1) - ml.get_estimator(name)(group, 1)).max() > 1e-9


@pytest.mark.parametrize(
    ("spec", "fragments"),
    [
        ("grpo:esp=1", ["esp=1", "eps=1e-06,ddof=1"]),
        ("grpo:eps=1,eps=2", ["eps=2"]),
        ("grpo:", ["eps="]),
        ("grpo:eps=x", ["eps='x'", "a number"]),
        ("grpo:ddof=0.5", ["ddof='0.5'", "whole number"]),
        ("grpo:eps=-1", ["eps=-1", "positive"]),
        ("grpo:eps=nan", ["eps=nan", "positive"]),
        ("grpo:ddof=2", ["ddof=2", "0 or 1"]),
        ("leader:alpha=inf", ["alpha=inf", "finite"]),
        ("entropic:beta=0", ["beta=0", "positive"]),
        ("maxpo:k=3", ["maxpo takes no parameters", "grpo"]),
        ("l-statistic:TopX:2", ["TopX", "did you mean TopM"]),
        ("l-statistic:TopM:0", ["TopM:0", "1 <= m <= k"]),
        ("l-statistic:LowerTailMean:2", ["0 < q <= 1"]),
        ("l-statistic:Median:1", ["Median:1", "it reads Median"]),
    ],
)
def test_bad_specs_are_refused(spec: str, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        ml.get_estimator(spec)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize("name", OTHERS)
def test_array_libraries_agree(name: str) -> None:
    rule = ml.get_estimator(name)
    batch = np.stack(groups(rule, 6)).reshape(-1, 1, 6)
    for k in valid(rule, 6):
        expected = rule(batch, k)
        strict = rule(array_api_strict.asarray(batch), k)
        tensor = rule(torch.tensor(batch), k)
        assert tensor.dtype == torch.float64
        # Sums of six terms in another order, over a standard deviation of at least 1e-2 of the rewards.
        scale = 1e-13 * max(1.0, abs(expected).max()) * 1000
        np.testing.assert_allclose(np.asarray(strict), expected, rtol=0, atol=scale)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=0, atol=scale)
        single = rule(torch.tensor(batch, dtype=torch.float32), k)
        assert single.dtype == torch.float32
        rounded = rule(batch.astype(np.float32).astype(float), k)
        # float32 in, float64 inside, one rounding out.
        np.testing.assert_allclose(single.numpy(), rounded, rtol=2e-7, atol=2e-7 * max(1, abs(rounded).max()))


@pytest.mark.parametrize("name", [name for name in OTHERS if ml.get_estimator(name).claims.equivariant])
@given(data=st.data())
def test_permuting_permutes_and_ties_are_equal(name: str, data: st.DataObject) -> None:
    rule = ml.get_estimator(name)
    levels = {"binary": [0.0, 1.0], "unit": [0.0, 0.25, 1.0]}.get(rule.domain, [-1.0, 0.0, 0.5, 2.0])
    size = {"min_size": max(3, rule.smallest_group), "max_size": 9}
    group = np.array(data.draw(st.lists(st.sampled_from(levels), **size)))
    k = data.draw(st.sampled_from(valid(rule, len(group))))
    order = np.array(data.draw(st.permutations(range(len(group)))))
    found = rule(group, k)
    tolerance = 1e-13 * max(1.0, abs(found).max()) * 100
    moved = rule(group[order], k)
    for value in set(group):
        own, others = found[group == value], moved[group[order] == value]
        np.testing.assert_allclose(np.sort(others), np.sort(own), rtol=0, atol=tolerance)
        assert not rule.laws.equal_ties or np.ptp(own) <= tolerance


@pytest.mark.parametrize("name", NAMES)
def test_shift_law_is_as_documented(name: str) -> None:
    rule = ml.get_estimator(name)
    group, k = (np.array([1.0, 0, 0, 1, 0, 0]), 3)
    if rule.domain != "real":
        assert rule.laws == Laws(shift_invariant=False, scale="none")
        assert rule.why_not_rewards(group + 1) is not None
        return
    group = RNG.normal(size=6)
    # Shifting by 2 rounds rewards of size 3 to 4.5e-16, over a standard deviation of about 1.
    moved = abs(rule(group + 2.0, k) - rule(group, k)).max()
    assert (moved <= 1e-12 * k) == rule.laws.shift_invariant


@pytest.mark.parametrize("name", [name for name in NAMES if ml.get_estimator(name).domain == "real"])
def test_scale_law_is_as_documented(name: str) -> None:
    rule, group, k = ml.get_estimator(name), RNG.normal(size=6), 3
    found, scaled = rule(group, k), rule(3.0 * group, k)
    linear = abs(scaled - 3 * found).max() <= 1e-12 * k
    # An epsilon beside a standard deviation of about 1.
    invariant = abs(scaled - found).max() <= max(1e-5, 2 * getattr(rule, "eps", 0)) * abs(found).max()
    law = rule.laws.scale
    if name == "nemo-grpo":  # like GRPO, but its undivided winners scale: seen where the others are flat
        lone = np.array([1.0, 0.0, 0.0, 0.0])
        assert abs(rule(3 * lone, k) - rule(lone, k)).max() > 1
        linear = invariant = False
    assert law == ("linear" if linear else "invariant" if invariant else "none")


DEGENERATE = {
    "nemo-grpo": [([1, 0, 0, 0], [1, -1 / np.sqrt(3)] + [-1 / np.sqrt(3)] * 2), ([1, 1, 1, 1], [0] * 4)],
    "maxrl": [([0] * 4, [0] * 4), ([1] * 4, [0] * 4)],
    "maxrl-keep-failures": [([0] * 4, [-1] * 4), ([1] * 4, [0] * 4)],
    "maxrl-pkpo": [([0] * 4, [0] * 4), ([1] * 4, [0] * 4)],
    "max-minus-second": [([1, 1, 0, 0], [0] * 4)],
    "verl-grpo-passk": [([1, 1, 0, 0], [0] * 4), ([1] * 4, [0] * 4)],
    "verl-grpo-passk-nostd": [([1, 1, 0, 0], [0] * 4)],
    "passk-training": [([0] * 4, [0] * 4), ([1, 1, 1, 0], [0] * 4)],
    "entropic": [([1] * 4, [-1e-12] * 4)],
    "reinforce": [([0] * 4, [0] * 4)],
    "pkpo-s": [([0] * 4, [0] * 4)],
    "pkpo-loo": [([0] * 4, [0] * 4)],
    "ei-group-mean": [([1, 1, 0, 0], [0] * 4)],
    "riskpo": [([1] * 4, [0] * 4), ([0] + [1] * 15, [0] * 16), ([1] + [0] * 15, [0] * 16)],
    "w-reinforce": [([0] * 4, [-1] * 4), ([1] * 4, [0.1] * 4)],
    "asymre": [([0] * 4, [0.1] * 4), ([1] * 4, [0.1] * 4)],
    "krpo": [([0] * 4, [0] * 4), ([1] * 4, [0.0995, 0.0705, 0.0575, 0.0497])],
    "pods": [([1] * 4, [0] * 4), ([1, 0, 0, 1, 0, 0], [0.8659, -0.8659, -0.8659, 0.8659, 0, 0])],
    "maclaurin:2": [([0] * 4, [-1] * 4), ([1] * 4, [1] * 4)],
    "maclaurin-baseline:2": [([0] * 4, [0] * 4), ([0] * 2, [-1] * 2), ([1] * 4, [1] * 4)],
    "cross-fitted-maclaurin:2": [([0] * 4, [0] * 4), ([0] * 3, [-1] * 3), ([1] * 4, [1] * 4)],
    "oversample-subset-vr:2": [([0] * 4, [-1] * 4), ([1] * 4, [0] * 4)],
}


@pytest.mark.parametrize("name", NAMES)
def test_degenerate_groups_are_as_documented(name: str) -> None:
    rule = ml.get_estimator(name)
    assert rule.degenerate.strip()
    k = 2 if rule.why_not(4, 2) is None else 3
    for group, expected in DEGENERATE.get(name, [([1] * 4, [0] * 4)]):
        np.testing.assert_allclose(rule(np.array(group, dtype=float), k), expected, rtol=1e-3, atol=0)
    if name in ("pkpo-mean-centered", "passk-training"):
        assert not rule(np.array([1.0, 0, 0, 0]), 4).any()


@pytest.mark.parametrize("name", [name for name in NAMES if ml.get_estimator(name).domain != "real"])
def test_rewards_outside_the_domain_are_refused_with_a_way_out(name: str) -> None:
    rule = ml.get_estimator(name)
    with pytest.raises(ValueError, match=rf"{name} is defined for .*-0.5; use maxpo"):
        rule([-0.5, 1.0, 0.0], 1)
    assert rule.why_not_rewards([0.0, 1.0]) is None


def test_maxrl_with_the_epsilon_and_the_scale_of_the_code_it_cites() -> None:
    for successes in range(9):
        group = (np.arange(8) < successes).astype(float)
        mean = successes / 8
        skyrl = (group - mean) / (mean + 1e-6)
        np.testing.assert_allclose(ml.advantages(group, 1, estimator="maxrl:eps=1e-6"), skyrl, rtol=1e-15)
        weights = np.where(group == 1, (8 - successes) / (max(successes, 1) * 8), -1 / 8)  # vr_cond_weights
        kept = ml.advantages(group, 1, estimator="maxrl-keep-failures")
        np.testing.assert_allclose(kept, 8 * weights, rtol=1e-15)
    assert ml.advantages([1, 0], 1, estimator="maxrl").tolist() == [1, -1]
    for eps in ("-1e-6", "inf", "nan"):
        with pytest.raises(ValueError, match="maxrl:eps="):
            ml.get_estimator(f"maxrl:eps={eps}")


def test_tailrl_is_maxrl_on_binary_rewards() -> None:
    group = RNG.integers(0, 2, size=(50, 7)).astype(float)
    tail, max_rl = (ml.advantages(group, 1, estimator=name) for name in ("tailrl", "maxrl"))
    np.testing.assert_allclose(tail, max_rl, rtol=0, atol=1e-13)


def test_max_minus_second_is_pkpo_loo1_at_n() -> None:
    group = RNG.normal(size=(20, 6))
    for k in (1, 6):
        found = ml.advantages(group, k, estimator="max-minus-second")
        np.testing.assert_allclose(found, ml.advantages(group, 6, estimator="pkpo-loo1"), rtol=0, atol=1e-14)


def test_passk_training_is_the_canonical_direction_over_sigma() -> None:
    n, k = 8, 3
    for c in range(1, n - k + 1):
        group = (np.arange(n) < c).astype(float)
        rho = float(definitions.value(group, k))
        sigma = np.sqrt(rho * (1 - rho))
        canonical = ml.advantages(group, k, estimator="canonical")
        expected = (1 - Fraction(k, n)) / k * canonical / (sigma + 1e-6)
        found = ml.advantages(group, k, estimator="passk-training")
        np.testing.assert_allclose(found, expected.astype(float), rtol=1e-12)


def test_the_easyr1_defect_is_kept_apart_and_is_the_defect() -> None:
    assert EASYR1_ISSUE_585.name not in NAMES
    all_correct = EASYR1_ISSUE_585([1.0, 1.0, 1.0, 1.0], 1)
    assert all_correct[0] == 0
    assert (all_correct[1:] > 0).all()
    once = EASYR1_ISSUE_585([0.2, 0.9, 0.5], 1)
    spread = np.std([0.2, 0.9, 0.5], ddof=1) + 1e-6
    np.testing.assert_allclose(once, np.array([0.2, 0.4, 0.5]) / spread, rtol=1e-12)
