"""Weighted sums by name: held to the definitions of their terms, read without ambiguity, refused in words."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from fractions import Fraction
from itertools import product

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.core import weighted_sums
from maxpo_lab.estimators import Laws
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.definitions import sums as sum_definitions
from maxpo_lab.estimators.families.sums.mixture import AtOwnK, Mixture
from maxpo_lab.kernels import engine
from maxpo_lab.objectives import as_objective, at_own_k, looks_at_k

F = Fraction
RNG = np.random.default_rng(20)
#: Mixtures with what they are, spelled out: weight, definition, K of its own or None.
MIXTURES: dict[str, list[tuple[F, str, int | None]]] = {
    "0.7*maxpo+0.3*rloo": [(F(7, 10), "maxpo", None), (F(3, 10), "rloo", None)],
    "maxpo-0.1*rloo": [(F(1), "maxpo", None), (F(-1, 10), "rloo", None)],
    "maxpo@2": [(F(1), "maxpo", 2)],
    "1/3*maxpo@3+2/3*pkpo-s": [(F(1, 3), "maxpo", 3), (F(2, 3), "pkpo-s", None)],
    "-2*reinforce-0.5*l-statistic:TopM:2@3": [
        (F(-2), "reinforce", None), (F(-1, 2), "l-statistic:TopM:2", 3),
    ],
    "0.5*grpo+1e-3*maxpo": [(F(1, 2), "grpo", None), (F(1, 1000), "maxpo", None)],
    "maxrl-1*max-minus-second+tailrl": [
        (F(1), "maxrl", None), (F(-1), "max-minus-second", None), (F(1), "tailrl", None),
    ],
    "passk-training@2+0.25*maclaurin:2": [(F(1), "passk-training", 2), (F(1, 4), "maclaurin:2", None)],
    "rloo-reweighted@3-0.5*pkpo-loo1": [(F(1), "rloo-reweighted", 3), (F(-1, 2), "pkpo-loo1", None)],
}  # fmt: skip
LINEAR = [name for name in MIXTURES if isinstance(ml.get_estimator(name), ml.RankLinear)]
EXACT = [
    name for name, terms in MIXTURES.items() if all(each in definitions.RATIONAL for _, each, _ in terms)
]
#: Those whose terms, and so they, are unbiased.
UNBIASED = [name for name in MIXTURES if ml.get_estimator(name).claims.unbiased]


def definition(name: str, group: list[float], k: int) -> list[Fraction]:
    found = [F(0)] * len(group)
    for weight, each, own in MIXTURES[name]:
        signal = definitions.grpo(1e-6, 1) if each == "grpo" else definitions.BY_NAME[each]
        found = [a + weight * b for a, b in zip(found, signal(group, own or k), strict=True)]
    return found


def groups(rule: ml.Estimator, n: int) -> list[np.ndarray]:
    binary = [RNG.integers(0, 2, n), np.zeros(n), np.ones(n), np.arange(n) == 0]
    graded = [RNG.integers(0, 3, n) / 4, RNG.random(n)]
    real = [RNG.normal(size=n), RNG.integers(-2, 3, n)]
    kinds = {"binary": binary, "unit": [*binary, *graded], "real": [*binary, *graded, *real]}
    return [np.asarray(group, dtype=float) for group in kinds[rule.domain]]


def valid(rule: ml.Estimator, n: int) -> list[int]:
    return [k for k in range(1, n + 1) if rule.why_not(n, k) is None]


@pytest.mark.parametrize("name", MIXTURES)
def test_is_the_sum_of_the_definitions_of_its_terms(name: str) -> None:
    rule, seen = ml.get_estimator(name), 0
    for n in range(2, 7):
        for k in valid(rule, n):
            for group in groups(rule, n):
                exact = np.array([float(each) for each in definition(name, group.tolist(), k)])
                # A term is within 1e-13 K of the rewards' size; grpo's of their ratio to the deviation.
                scale = max(1.0, abs(exact).max())
                np.testing.assert_allclose(rule(group, k), exact, rtol=0, atol=1e-12 * scale)
                seen += 1
    assert seen > 20


@pytest.mark.parametrize("name", EXACT)
def test_its_spectrum_is_the_sum_of_its_terms_in_rationals(name: str) -> None:
    for n, k in ((4, 2), (6, 3)):
        found = ml.pass_at_k_spectrum(name, n=n, k=k)
        assert found.exact
        parts = [
            weight * ml.pass_at_k_spectrum(each, n=n, k=own or k).weights
            for weight, each, own in MIXTURES[name]
        ]
        assert found.weights.tolist() == sum(parts).tolist()
        # And from the definition: a success less a failure in its place, beside m failures.
        for m in range(n):
            beside = [0] * m + [1] * (n - 1 - m)
            step = definition(name, [1, *beside], k)[0] - definition(name, [0, *beside], k)[0]
            assert found.increments[m] == step


def test_unbiased_mixtures_climb_what_they_say() -> None:
    found = ml.pass_at_k_spectrum("0.7*maxpo+0.3*rloo", n=8, k=4).weights
    assert found.tolist() == [F(3, 10), 0, 0, F(7, 10), 0, 0, 0, 0]
    assert ml.pass_at_k_spectrum("pass-sum:4", n=8, k=1).weights.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    mle = ml.pass_at_k_spectrum("maxrl-truncated:7", n=8, k=1).weights
    assert (
        mle.tolist()
        == [F(1, j) for j in range(1, 8)] + [0]
        == ml.pass_at_k_spectrum("maxrl", n=8, k=1).weights.tolist()
    )


CENTERED = ["0.7*maxpo+0.3*rloo", "maxpo-0.1*rloo", "maxpo@2", "pass-sum:3", "maxrl-truncated:2"]


@pytest.mark.parametrize("name", [*[each for each in UNBIASED if each in LINEAR], *CENTERED[3:]])
def test_claims_are_proved_from_the_coefficients(name: str) -> None:
    rule, seen = ml.get_estimator(name), 0
    for n in range(2, 9):
        for k in valid(rule, n):
            proof = theory.prove(rule, n=n, k=k)
            assert proof.decision.unbiased, (n, k)
            assert proof.decision.centered or not rule.claims.centered
            seen += proof.decision.centered
    assert rule.claims.centered == (name in CENTERED) == (seen > 0)


@pytest.mark.parametrize("broken", ["weight", "objective", "own k"])
def test_a_broken_mixture_is_seen(broken: str) -> None:
    rule = ml.get_estimator("0.7*maxpo+0.3*rloo")
    other = {
        "weight": "0.71*maxpo+0.3*rloo",
        "own k": "0.7*maxpo@2+0.3*rloo",
        "objective": "0.7*maxpo+0.3*rloo",
    }
    target = "0.7*max@k+0.29*mean" if broken == "objective" else rule.objective
    assert not theory.decide(ml.get_estimator(other[broken]), n=6, k=3, objective=target).unbiased


@pytest.mark.parametrize("name", UNBIASED)
def test_it_is_unbiased_for_its_objective_and_no_better_than_its_floor(name: str) -> None:
    rule, n, k = ml.get_estimator(name), 5, 3
    values = (0.0, 1.0) if rule.domain == "binary" else (-0.5, 0.25, 1.0)
    levels = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1)[: len(values)], values)
    wide = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1, 0.2)[: len(values) + 1], (*values, values[-1]))
    for policy in (levels, wide):
        seen = ml.exact_moments(rule, policy, n=n, k=k, target=rule.objective)
        assert seen.relative_bias <= seen.bias_resolution
    floor = ml.variance_floor(wide, n=n, k=k, target=rule.objective)
    assert 0 < seen.efficiency(floor) <= 1 + 1e-9
    best = ml.exact_moments(floor.rule, wide, n=n, k=k, target=rule.objective)
    assert best.relative_bias <= best.bias_resolution
    assert best.trace_covariance == pytest.approx(floor.trace_covariance, rel=1e-9)


def test_the_floor_of_one_objective_is_not_that_of_another() -> None:
    levels = ml.RewardLevels.from_softmax((0.3, -0.4, 0.1), (0.0, 0.5, 1.0))
    seen = ml.exact_moments("maxpo-0.1*rloo", levels, n=5, k=3, target="max@k-0.1*mean")
    with pytest.raises(ValueError, match=r"target='max@k-0.1\*mean'"):
        seen.efficiency(ml.variance_floor(levels, n=5, k=3))
    with pytest.raises(ValueError, match="looks at 6 rollouts"):
        ml.variance_floor(levels, n=5, k=3, target="max@6")
    by_name = ml.variance_floor(levels, n=5, k=3, target="l-statistic:ReMax").trace_covariance
    assert by_name == ml.variance_floor(levels, n=5, k=3).trace_covariance


@pytest.mark.parametrize("name", LINEAR)
def test_rank_linear_terms_are_one_call_of_the_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, calls = ml.get_estimator(name), []
    kernel = engine.host.rank_linear
    monkeypatch.setattr(engine.host, "rank_linear", lambda *given: calls.append(1) or kernel(*given))
    rule(RNG.random((3, 8)), 4)
    ml.advantages(RNG.random((3, 8)), 4, estimator=name)
    assert len(calls) == 2


def test_rank_linear_terms_beside_others_are_one_call_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rule, calls = ml.get_estimator("maxpo+0.5*rloo+0.25*reinforce+grpo"), []
    kernel = engine.host.rank_linear
    monkeypatch.setattr(engine.host, "rank_linear", lambda *given: calls.append(1) or kernel(*given))
    rule(RNG.random((3, 8)), 4)
    assert len(calls) == 1


@pytest.mark.parametrize("name", MIXTURES)
def test_array_libraries_and_types_agree(name: str) -> None:
    rule = ml.get_estimator(name)
    batch = np.stack(groups(rule, 6)).reshape(-1, 1, 6)
    expected = rule(batch, 3)
    scale = max(1.0, abs(expected).max())
    np.testing.assert_allclose(rule(torch.tensor(batch), 3).numpy(), expected, rtol=0, atol=1e-12 * scale)
    strict = rule(array_api_strict.asarray(batch), 3)
    np.testing.assert_allclose(np.asarray(strict), expected, rtol=0, atol=1e-12 * scale)
    single = rule(torch.tensor(batch, dtype=torch.float32), 3)
    assert single.dtype == torch.float32
    rounded = rule(batch.astype(np.float32).astype(float), 3)
    np.testing.assert_allclose(single.numpy(), rounded, rtol=2e-7, atol=2e-7 * scale)
    ragged = ml.advantages(
        batch.reshape(-1), 3, estimator=name, group_ids=np.repeat(np.arange(len(batch)), 6)
    )
    np.testing.assert_allclose(ragged, expected.reshape(-1), rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("name", [*MIXTURES, "pass-sum:3", "l-statistic:weights=[-1,0,1]"])
def test_a_pickled_mixture_is_the_mixture_itself(name: str) -> None:
    rule = ml.get_estimator(name)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(rule, protocol)) is rule
    assert copy.copy(rule) is copy.deepcopy(rule) is rule is ml.get_estimator(rule.name)
    own = pickle.loads(pickle.dumps(replace(rule, name="mine")))
    assert own.name == "mine"
    assert own(np.eye(6)[0], 3).tolist() == rule(np.eye(6)[0], 3).tolist()


@pytest.mark.parametrize(
    "spellings",
    [
        ("0.7*maxpo+0.3*rloo", "0.3*rloo+0.7*maxpo", " 7/10 * maxpo + 3e-1*rloo"),
        ("0.7*maxpo+0.3*rloo", "maxpo-0.3*maxpo+0.3*rloo"),
        ("maxpo-1e-4*grpo:eps=1e-4", "-0.0001*grpo:eps=0.0001,ddof=1+maxpo"),
        ("maxpo+rloo", "rloo+maxpo", "1*maxpo+1.0*rloo"),
        ("maxpo", "1*maxpo", "0.5*maxpo+.5*maxpo"),
        ("1e-06*maxpo+rloo", "0.000001*maxpo+1*rloo"),
        ("1e+20*maxpo", "100000000000000000000*maxpo"),
    ],
)
def test_one_rule_however_it_is_spelled(spellings: tuple[str, ...]) -> None:
    assert len({id(ml.get_estimator(each)) for each in spellings}) == 1
    assert weighted_sums.read(ml.get_estimator(spellings[0]).name) is not None or spellings[0] == "maxpo"


names = st.sampled_from(
    ["maxpo", "rloo", "pkpo-loo1", "max-minus-second", "l-statistic:TopM:2", "l-statistic:TopM:2@3",
     "maxpo@8", "grpo:eps=1e-4", "grpo:eps=1e-04,ddof=0", "pass-sum:3", "l-statistic:weights=[-1,.5,1e-3]",
     "l-statistic:RangeUpperTailMean:0.1:0.9", "entropic:beta=2.5"]
)  # fmt: skip
weights = st.fractions(min_value=-9, max_value=9, max_denominator=97).filter(bool)


@given(st.lists(st.tuples(weights, names), min_size=1, max_size=5))
def test_what_is_spelled_is_read(terms: list[tuple[Fraction, str]]) -> None:
    text = weighted_sums.spell(tuple(terms))
    expected = None if len(terms) == 1 and terms[0][0] == 1 else tuple(terms)
    assert weighted_sums.read(text) == expected


def test_no_name_of_the_catalogue_reads_as_a_sum() -> None:
    for name in ml.list_estimators("all"):
        assert weighted_sums.read(name) is None
        assert weighted_sums.own_k(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0.7*maxop+0.3*rloo", r"mixture '0.7\*maxop\+0.3\*rloo': .*did you mean maxpo"),
        ("maxpo-rloo", r"did you mean the mixture maxpo-1\*rloo\?"),
        ("0.7maxpo+0.3rloo", r"a mixture is written weight\*rule"),
        ("0.5*(maxpo+rloo)", "without brackets"),
        ("maxpo*0.5", r"weight\*rule"),
        ("maxpo@x", "a K of its own is a whole number"),
        ("maxpo@0", "K must be at least 1"),
        ("maxpo@-1", "a K of its own is a whole number"),
        ("rloo@8", "rloo does not use k.*drop the @8"),
        ("0*maxpo+rloo", "the weight of maxpo is 0"),
        ("maxpo-1*maxpo", "the weight of maxpo is 0"),
        ("1/0*maxpo", "not a number that a float holds"),
        ("1e999*maxpo", "not a number that a float holds"),
        ("1e-999*maxpo", "not a number that a float holds"),
        ("grpo:eps=1e-4*maxpo", r"eps='1e-4\*maxpo' is not a number"),
        ("0.5*whitened:maxpo+rloo", "whitened:maxpo couples the groups of a batch: a mixture"),
        ("maxpo+0.5*rae", "rae remembers earlier steps: a mixture is of rules of a group"),
        ("whitened:maxpo+0.5*rae", "rae remembers earlier steps"),
        ("pass-sum:0", "T must be a whole number of at least 1"),
        ("maxrl-truncated:2.5", "T must be a whole number"),
        ("pass-sum:4@2", "pass-sum:4 does not use k"),
        ("maclaurin:", "T must be a whole number"),
    ],
)  # fmt: skip
def test_what_does_not_read_is_refused_in_words(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.get_estimator(name)


def test_whitened_takes_all_that_follows() -> None:
    whitened = ml.get_estimator("whitened:scale=std1:0.3*rloo+0.7*maxpo")
    assert whitened.kind == "batch"
    assert whitened.name == "whitened:scale=std1:0.7*maxpo+0.3*rloo"
    assert whitened is ml.get_estimator(whitened.name)
    assert whitened.objective == "0.7*max@k+0.3*mean"


@pytest.mark.parametrize(
    ("name", "n", "k", "nearest"),
    [
        ("maxpo@8", 8, 2, "maxpo@7"),
        ("maxpo@8", 5, 2, "maxpo@4"),
        ("passk-training@8", 6, 1, "passk-training@6"),
        ("0.7*maxpo+0.3*pkpo-loo1", 8, 8, "k=7"),
        ("0.7*maxpo+0.3*pkpo-loo1", 8, 1, "k=2"),
        ("0.7*maxpo+0.3*pkpo-loo1", 8, 0, "k=2"),
        ("maxpo@8+grpo", 8, 3, "maxpo@7"),
        ("pass-sum:4", 4, 1, "pass-sum:3"),
        ("maclaurin:4", 3, 1, "maclaurin:3"),
    ],
)
def test_a_refusal_names_the_nearest_valid_choice(name: str, n: int, k: int, nearest: str) -> None:
    rule = ml.get_estimator(name)
    reason = rule.why_not(n, k)
    assert reason is not None
    assert reason.endswith(f"the nearest valid choice is {nearest}")
    if nearest.startswith("k="):
        assert rule.why_not(n, int(nearest[2:])) is None
    else:
        assert ml.get_estimator(nearest).why_not(n, 1) is None
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared whole
        rule(np.zeros(n), k)
    assert str(raised.value) == reason


def test_a_mixture_with_no_k_at_all_says_so() -> None:
    reason = ml.get_estimator("maxpo+pkpo-loo1").why_not(2, 1)
    assert reason is not None
    assert reason.endswith("use a larger group")
    assert ml.get_estimator("maxpo@8").why_not(8, 0) is not None


def test_facts_follow_from_the_terms() -> None:
    mixed = ml.get_estimator("maxrl+0.5*maxpo@3")
    assert isinstance(mixed, Mixture)
    assert (mixed.domain, mixed.uses_k, mixed.smallest_group) == ("binary", False, 2)
    assert mixed.laws == Laws(shift_invariant=False, scale="none")
    assert mixed.objective == "mean+0.5*max@3"
    assert mixed.why_not_rewards([0.5, 1]) is not None
    assert ml.get_estimator("reinforce+maxrl-keep-failures").dead_groups == "both"
    assert ml.get_estimator("reinforce+pkpo-s").dead_groups == "all-correct"
    assert ml.get_estimator("rloo+grpo").laws.scale == "none"
    assert not ml.get_estimator("krpo+maxpo").claims.equivariant
    assert ml.get_estimator("chebyshev+rloo").largest_k(8) == 16
    assert ml.get_estimator("chebyshev+maxpo").largest_k(8) == 8
    assert isinstance(ml.get_estimator("passk-training@2"), AtOwnK)
    own = ml.get_estimator("maxpo@4")
    assert (own.objective, own.uses_k) == ("max@4", False)
    group = RNG.random(9)
    assert (
        own(group, 1).tolist() == own(group, 10**6).tolist() == ml.get_estimator("maxpo")(group, 4).tolist()
    )


def test_objectives_by_name() -> None:
    assert as_objective("0.7*max@k+0.3*mean", 8, 1) == as_objective("mean", 8, 1)
    assert as_objective("max@8", 16, 2) == as_objective("max@k", 16, 8)
    assert as_objective("l-statistic:TopM:2@5", 9, 1) == as_objective("l-statistic:TopM:2", 9, 5)
    assert as_objective("pass-sum:3", 9, 1) == as_objective("mean+max@2+max@3", 9, 1)
    assert as_objective("maxrl-truncated:3", 9, 1) == as_objective("mean+1/2*max@2+1/3*max@3", 9, 1)
    assert looks_at_k("max@k+mean")
    for fixed in ("max@4+mean", "pass-sum:3", "l-statistic:Median@3", "l-statistic:weights=[1]"):
        assert not looks_at_k(fixed)
    assert at_own_k("max@n", 3) == "max@n"
    for name in ("max@0", "pass-sum:0", "max@k+nothing", "l-statistic:weights=[]"):
        with pytest.raises(ValueError, match=r"objective|must|weights|k >= 1"):
            as_objective(name, 8, 3)


def objective_by_hand(text: str, k: int, rewards: list[F]) -> F:
    """The mean of a sum's objectives over all draws of rewards alike in chance, by enumeration."""
    total = F(0)
    for weight, size in {"0.7*max@k+0.3*mean": [(F(7, 10), k), (F(3, 10), 1)]}[text]:
        draws = list(product(rewards, repeat=size))
        total += weight * sum(map(max, draws)) / len(draws)
    return total


def test_a_sum_of_objectives_is_worth_the_sum() -> None:
    rewards = [F(0), F(1, 3), F(2)]
    objective = as_objective("0.7*max@k+0.3*mean", 8, 3)
    draws = list(product(rewards, repeat=objective.size))
    worth = sum(sum(a * r for a, r in zip(objective.weights, sorted(d), strict=True)) for d in draws) / len(
        draws
    )
    assert worth == objective_by_hand("0.7*max@k+0.3*mean", 3, rewards)


# Sums of pass@k, and the estimators of the MaxRL repository

VARIANTS = {
    "pass-sum": sum_definitions.pass_sum,
    "maxrl-truncated": lambda largest: sum_definitions.pass_sum(largest, sum_definitions.harmonic),
    "maclaurin": sum_definitions.maclaurin,
    "maclaurin-baseline": sum_definitions.maclaurin_baseline,
    "cross-fitted-maclaurin": sum_definitions.cross_fitted_maclaurin,
    "oversample-subset-vr": sum_definitions.oversample_subset_vr,
}


@pytest.mark.parametrize("family", VARIANTS)
def test_sums_up_to_any_order_equal_their_definitions(family: str) -> None:
    for largest, n in ((T, n) for T in range(1, 6) for n in range(2, 7)):
        rule = ml.get_estimator(f"{family}:{largest}")
        if rule.why_not(n, 1):
            assert largest > n - family.startswith(("pass-sum", "maxrl"))
            continue
        for group in groups(rule, n):
            exact = [float(each) for each in VARIANTS[family](largest)(group.tolist(), 1)]
            np.testing.assert_allclose(rule(group, 1), exact, rtol=0, atol=1e-12 * largest * max(1, n))


@pytest.mark.parametrize("family", VARIANTS)
@pytest.mark.parametrize(("largest", "n"), [(2, 5), (3, 8), (5, 8), (6, 9)])
def test_which_of_them_are_unbiased(family: str, largest: int, n: int) -> None:
    rule = ml.get_estimator(f"{family}:{largest}")
    found = ml.pass_at_k_spectrum(rule, n=n, k=1)
    assert found.exact
    wanted = [F(1) if family == "pass-sum" else F(1, k) for k in range(1, largest + 1)] + [F(0)] * (
        n - largest
    )
    assert (found.weights.tolist() == wanted) == rule.claims.unbiased == (family != "maclaurin-baseline")
    if family == "maclaurin-baseline":  # the share of the other tuples that share a rollout
        from math import comb

        for k in range(2, largest + 1):
            assert found.weights[k - 1] == F(1, k) * (1 - F(comb(n - 1, k - 1) - 1, comb(n, k) - 1))


def test_cross_fitting_compares_with_nothing_where_there_is_no_disjoint_tuple() -> None:
    group = np.array([1.0, 0, 0, 0, 0])
    whole, plain = (
        ml.get_estimator(f"{each}:3")(group, 1) for each in ("cross-fitted-maclaurin", "maclaurin")
    )
    two, two_plain = (
        ml.get_estimator(f"{each}:2")(group, 1) for each in ("cross-fitted-maclaurin", "maclaurin")
    )
    np.testing.assert_allclose(whole - two, plain - two_plain, atol=1e-14)  # k = 3 takes six
    assert abs(two - two_plain).max() > 0.1


def test_the_order_n_is_maxrl_that_keeps_failures() -> None:
    for successes in range(7):
        group = (np.arange(6) < successes).astype(float)
        kept = ml.advantages(group, 1, estimator="maxrl-keep-failures")
        np.testing.assert_allclose(
            ml.advantages(group, 1, estimator="oversample-subset-vr:6"), kept, atol=1e-14
        )


@pytest.mark.parametrize(
    "name", ["0.7*maxpo+0.3*rloo", "0.5*grpo+1e-3*maxpo", "passk-training@2+0.25*maclaurin:2"]
)
def test_one_graph_of_torch_compile_holds_a_mixture(name: str) -> None:
    rule = ml.get_estimator(name)
    compiled = torch.compile(
        lambda rewards: ml.advantages(rewards, 3, estimator=name, validate=False),
        fullgraph=True,
        backend="eager",
    )
    rewards = torch.tensor(RNG.integers(0, 2, (5, 8)), dtype=torch.float64)
    torch.testing.assert_close(compiled(rewards), rule(rewards, 3), rtol=0, atol=1e-14)
