"""Rules that shape rewards or advantages: against plain code, near misses, and what each turns out to be."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from plain_rules import MUTANTS, PLAIN, OfGroup, batched, greatest_variance, name_of

import maxpo_lab as ml
from maxpo_lab import rules, theory
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.estimators.definitions import groups as definitions

RNG = np.random.default_rng(15)


def groups(name: str, n: int) -> np.ndarray:
    """0/1 groups, and where the rule takes them graded, negative, tied and continuous ones."""
    rng = np.random.default_rng(n)
    binary = np.array(list(product((0.0, 1.0), repeat=min(n, 6))))
    binary = np.concatenate([binary, np.repeat(binary[:, :1], n - binary.shape[1], axis=1)], axis=1)
    if ml.get_estimator(name).domain == "binary":
        return binary
    graded = [rng.integers(-2, 3, (8, n)) / 2, rng.normal(size=(8, n)), 2 * binary[:8] - 1]
    return np.concatenate([binary, *graded])


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("n", [4, 5, 8])
def test_equals_plain_code(name: str, n: int) -> None:
    own = groups(name, n)
    found, plain = ml.advantages(own, 1, estimator=name), batched(PLAIN[name])(own)
    # Code in torch divides the rounding of a flat group's mean by its epsilon, of 1e-6 at least.
    flat = np.ptp(own, axis=1) == 0
    assert np.abs(found - plain)[~flat].max() <= 1e-12 * max(1, np.abs(plain).max())
    assert np.abs(found - plain)[flat].max(initial=0) <= 1e-9


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=name_of)
def test_a_slip_is_caught_by_the_definition_and_by_the_audit(name: str, mutant: OfGroup) -> None:
    own = groups(name, 6)
    exact = [[float(a) for a in definitions.BY_NAME[name](row.tolist(), 1)] for row in own]
    off = np.abs(batched(mutant)(own) - exact)
    assert off.max() > 1e-7
    kind = "binary" if ml.get_estimator(name).domain == "binary" else "graded"
    found = decide(batched(mutant), n=5, k=1, target="mean", claims=(f"equals:{name}",), rewards=kind)
    assert found.claims[0].holds is False


@pytest.mark.parametrize("name", PLAIN)
def test_the_audit_names_plain_code(name: str) -> None:
    kind = "binary" if ml.get_estimator(name).domain == "binary" else "graded"
    near = ml.audit(batched(PLAIN[name]), n=5, k=2, rewards=kind, seconds=60).nearest
    assert near is not None
    assert (near.name, near.scale, near.exact) == (name, 1, True)


@pytest.mark.parametrize(
    "name",
    ["rs-grpo:beta=8", "opmd:tau=0.3", "asymre:shift=-0.25", "w-reinforce:weight=0.3", "w-reinforce:weight=0",
     "pods:keep=3", "riskpo:std=0", "leader:alpha=0.7", "entropic:beta=3.5", "maxrl:eps=1e-06"],
)  # fmt: skip
def test_the_audit_names_members_of_families(name: str) -> None:
    def mine(rewards: Any, k: int) -> Any:
        return ml.advantages(rewards, k, estimator=name)

    kind = "binary" if ml.get_estimator(name).domain == "binary" else "graded"
    near = ml.audit(mine, n=5, k=2, rewards=kind).nearest
    assert near is not None
    assert (ml.get_estimator(near.name).name, near.scale, near.exact) == (name, 1, True)


def test_pods_that_keeps_the_whole_group_is_named_as_the_grpo_that_it_is() -> None:
    def standardised(rewards: Any, k: int) -> Any:
        return ml.advantages(rewards, k, estimator="grpo:eps=1e-4")

    near = ml.audit(standardised, n=4, k=2).nearest
    assert near is not None
    assert (near.name, near.scale, near.alike) == ("grpo:eps=0.0001", 1, ("pods",))


def test_a_fitted_parameter_is_told_where_it_explains_everything() -> None:
    def bent(rewards: Any) -> Any:
        return ml.advantages(rewards, 1, estimator="rs-grpo:beta=8") + 1e-3 * (rewards == 0)

    near = ml.audit(bent, n=5, k=2).nearest
    assert near is not None
    assert not near.exact
    assert "beta=" not in near.name


# Parameters


@pytest.mark.parametrize(
    ("spec", "fragments"),
    [
        ("rs-grpo:beta=0", ["beta=0", "not 0", "batch-mean"]),
        ("rs-grpo:beta=inf", ["beta=inf", "finite"]),
        ("opmd:tau=0", ["tau=0", "positive"]),
        ("riskpo:low=0.9,high=0.1", ["low=0.9", "low < high"]),
        ("riskpo:high=1.5", ["high=1.5", "high <= 1"]),
        ("riskpo:std=2", ["std=2", "1", "0"]),
        ("w-reinforce:weight=-1", ["weight=-1", "at least 0"]),
        ("asymre:shift=nan", ["shift=nan", "finite"]),
        ("pods:keep=1", ["keep=1", "at least 2"]),
        ("grpo-lead:eps=1", ["grpo-lead takes no parameters"]),
    ],
)
def test_bad_parameters_are_refused(spec: str, fragments: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
        ml.get_estimator(spec)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        ("rs-grpo:beta=-1.5", lambda r: PLAIN["rs-grpo"](r, -1.5)),  # type: ignore[call-arg]
        ("opmd:tau=0.2", lambda r: PLAIN["opmd"](r, 0.2)),  # type: ignore[call-arg]
        ("riskpo:std=0", lambda r: PLAIN["riskpo"](r, False)),  # type: ignore[call-arg]
        ("asymre:shift=0.3", lambda r: PLAIN["asymre"](r, 0.3)),  # type: ignore[call-arg]
        ("w-reinforce:weight=2", lambda r: PLAIN["w-reinforce"](r, 2)),  # type: ignore[call-arg]
        ("pods:keep=3", lambda r: PLAIN["pods"](r, 3)),  # type: ignore[call-arg]
    ],
)
def test_parameters_change_the_rule_as_they_change_plain_code(spec: str, plain: OfGroup) -> None:
    rule, own = ml.get_estimator(spec), groups(spec.partition(":")[0], 6)
    assert np.abs(rule(own, 1) - batched(plain)(own)).max() <= 1e-9
    assert ml.get_estimator(spec) is rule is ml.get_estimator(rule.name)
    assert np.abs(rule(own, 1) - ml.get_estimator(spec.partition(":")[0])(own, 1)).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "objective"), [("asymre:shift=0", "batch-mean"), ("w-reinforce:weight=0", None)]
)
def test_claims_follow_the_parameters(name: str, objective: str | None) -> None:
    rule = ml.get_estimator(name)
    decided = theory.decide_by_moments(rule, n=5, k=1)
    assert (decided.scale == 1, decided.centered) == (rule.claims.unbiased, rule.claims.centered)
    if objective:
        own = RNG.normal(size=(5, 6))
        assert np.abs(rule(own, 1) - ml.advantages(own, 1, estimator=objective)).max() <= 1e-15


# What each turns out to be


@pytest.mark.parametrize("weight", [0, 0.1, 1])
def test_w_reinforce_is_reinforce_at_another_scale_less_a_constant(weight: float) -> None:
    """Its mean is 1 + weight times the gradient of pass@1, in rationals; the weight is a baseline."""
    spectrum = ml.pass_at_k_spectrum(f"w-reinforce:weight={weight}", n=8, k=1)
    if weight == 0.1:
        assert spectrum.exact
        assert spectrum.weights.tolist() == [1 + Fraction(0.1), *[0] * 7]
    assert spectrum.weights.astype(float).tolist() == pytest.approx([1 + weight, *[0] * 7], abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7, 16])
def test_expected_improvement_less_its_mean_is_maxpo_at_n_minus_1_over_n(n: int) -> None:
    own = ml.get_estimator("ei-group-mean").coefficients(n, 1, exact=True)
    other = ml.get_estimator("maxpo").coefficients(n, n - 1, exact=True)
    assert (own.above * n == other.above).all()
    assert (own.below * n == other.below).all()


def test_riskpo_punishes_failures_until_the_group_is_too_large_to_see_one_success() -> None:
    for n, successes in ((8, 1), (8, 7), (10, 1), (11, 1), (16, 1), (16, 15), (16, 2)):
        group = (np.arange(n) < successes).astype(float)
        found = ml.advantages(group, 1, estimator="riskpo:std=0")
        seen = n < 11 or 1 < successes < n - 1
        assert found == pytest.approx((group - 1) * seen, abs=1e-4)


def test_rs_grpo_falls_to_the_batch_mean_and_is_entropic_with_its_own_reward_in_the_mean() -> None:
    group = RNG.normal(size=7)
    small = ml.advantages(group, 1, estimator="rs-grpo:beta=1e-9")
    assert small == pytest.approx(ml.advantages(group, 1, estimator="batch-mean"), rel=1e-7)
    weights = 1 + 2 * ml.advantages(group, 1, estimator="rs-grpo")  # e_i / mean e
    others = (7 - weights) / 6
    entropic = ml.advantages(group, 1, estimator="entropic")
    assert entropic == pytest.approx(weights / others - 1, abs=1e-9)


def test_large_exponents_do_not_overflow() -> None:
    for name in ("rs-grpo:beta=50", "rs-grpo:beta=-50", "opmd:tau=0.01"):
        with np.errstate(over="raise", invalid="raise"):
            assert np.isfinite(ml.advantages([1000.0, -1000.0, 3.0, 999.0], 1, estimator=name)).all()


def test_the_soft_baseline_lies_above_the_mean() -> None:
    own = RNG.normal(size=(50, 6))
    assert (ml.advantages(own, 1, estimator="opmd").sum(axis=1) < 0).all()
    assert (ml.advantages(own, 1, estimator="riskpo") <= 0).all()


@pytest.mark.parametrize(("n", "keep"), [(6, 4), (7, 3), (8, 2), (5, 5)])
def test_pods_keeps_a_subset_of_the_greatest_variance(n: int, keep: int) -> None:
    for group in (
        RNG.normal(size=n),
        RNG.integers(0, 3, n).astype(float),
        RNG.integers(0, 2, n).astype(float),
    ):
        kept = ml.advantages(group, 1, estimator=f"pods:keep={keep}") != 0
        if np.ptp(group):
            # A kept reward may equal the mean of the kept, and get 0 like those that are not.
            own = float(np.var(group[kept], ddof=1)) if kept.sum() == keep else None
            assert own is None or own == pytest.approx(greatest_variance(group, keep))


def test_pods_on_binary_rewards_has_an_exact_direction() -> None:
    for success in (0.05, 0.2, 0.5, 0.8):
        logits = np.log([success, 0.6 * (1 - success), 0.4 * (1 - success)])
        moments = ml.exact_moments("pods", ml.RewardLevels.from_softmax(logits, [1, 0, 0]), n=8, k=1)
        assert moments.direction_error == pytest.approx(0, abs=1e-6)


# The order of the rollouts


POLICY = ml.RewardLevels.from_softmax(np.log([0.2, 0.3, 0.4, 0.1]), [1.0, 0.5, 0.0, -1.0])


def test_krpo_depends_on_the_order_and_says_so() -> None:
    rule = ml.get_estimator("krpo")
    assert not rule.claims.equivariant
    first, last = (ml.advantages(each, 1, estimator="krpo") for each in ([1.0, 0, 0, 0], [0.0, 0, 0, 1]))
    assert (first[0], last[3]) == (pytest.approx(0.0995, rel=1e-3), pytest.approx(14.99, rel=1e-3))
    report = ml.audit("krpo", n=4, k=1, target="mean", claims=("equivariant",))
    assert report.claims[0].holds is False
    assert "in the order" in report.claims[0].detail
    assert report.symmetries is not None
    assert report.symmetries.permuted is not None


@pytest.mark.parametrize("name", PLAIN)
def test_the_claim_of_equivariance_is_decided(name: str) -> None:
    rule = ml.get_estimator(name)
    n = max(4, rule.smallest_group)
    k = next(k for k in range(1, n + 1) if rule.why_not(n, k) is None)
    values = np.array([0.0, 1.0] if rule.domain == "binary" else [0.0, 0.25, 1.0])
    level = np.array(list(product(range(len(values)), repeat=n)))[:: 1 if n < 5 else 7]
    assert rules.observe(rule.__call__, values[level], level, k).equivariant == rule.claims.equivariant


def over_orders(n: int) -> tuple[np.ndarray, float]:
    """E[g] and tr Cov(g) of krpo over all sequences of levels, written out."""
    size = len(POLICY.values)
    mean, second = 0.0, 0.0
    for draw in product(range(size), repeat=n):
        chance = float(np.prod(POLICY.probabilities[list(draw)]))
        a = ml.advantages(POLICY.values[list(draw)], 1, estimator="krpo")
        g = sum(a[i] * POLICY.mean_scores[level] for i, level in enumerate(draw)) / n
        inside = sum(a[i] ** 2 * POLICY.score_variances[level] for i, level in enumerate(draw)) / n**2
        mean, second = mean + chance * g, second + chance * (g @ g + inside)
    return mean, second - mean @ mean


def test_exact_moments_take_all_orders() -> None:
    mean, trace = over_orders(4)
    moments = ml.exact_moments("krpo", POLICY, n=4, k=1, target="mean")
    assert moments.mean == pytest.approx(mean, abs=1e-12)
    assert moments.trace_covariance == pytest.approx(trace, rel=1e-11)
    batch = ml.batch_moments("krpo", [POLICY, POLICY], n=4, k=1, batch=None, target="mean")
    assert batch.mean == pytest.approx(mean, abs=1e-12)


def test_krpo_climbs_the_mean_reward_at_a_scale_of_its_own() -> None:
    """Its gains do not look at rewards: the mean of its gradient is a multiple, whatever the policy."""
    rule: Any = ml.get_estimator("krpo")
    for n, scale in ((4, 8.442875), (8, 14.863878)):
        assert np.mean([left / size for left, size in rule.steps(n)]) == pytest.approx(scale, rel=1e-6)
        weights = ml.pass_at_k_spectrum("krpo", n=n, k=1).weights
        assert weights == pytest.approx([scale, *[0] * (n - 1)], abs=1e-6)
        if n == 4:
            moments = ml.exact_moments("krpo", POLICY, n=n, k=1, target="mean")
            assert (moments.scale, moments.direction_error) == (
                pytest.approx(scale, rel=1e-6),
                pytest.approx(0, abs=1e-6),
            )


def test_consumers_that_sum_by_counts_refuse_a_rule_of_the_order_by_name() -> None:
    whitened = ml.get_estimator("whitened:krpo")
    assert not whitened.claims.equivariant
    with pytest.raises(rules.RuleError, match=r"whitened:krpo depends on the order .*monte_carlo_moments"):
        ml.batch_moments(whitened, [POLICY, POLICY], n=4, k=1, batch=None)
    with pytest.raises(ValueError, match=r"krpo is not permutation-equivariant .* 4\^16"):
        ml.exact_moments("krpo", POLICY, n=16, k=1)
    with pytest.raises(ValueError, match=r"krpo is not permutation-equivariant .* n=12"):
        ml.pass_at_k_spectrum("krpo", n=16, k=1)


# Rules of 0/1 rewards


@pytest.mark.parametrize("name", [n for n in ml.list_estimators() if ml.get_estimator(n).domain == "binary"])
def test_rewards_of_plus_and_minus_1_are_refused(name: str) -> None:
    """SkyRL's MaxRL makes [-3, 1, 1, 1] of [1, -1, -1, -1]: failures are rewarded."""
    for k in (1, 2):
        if ml.get_estimator(name).why_not(4, k) is None:
            with pytest.raises(
                ValueError, match=rf"{name} is defined for 0/1 rewards alone, rewards hold -1"
            ):
                ml.advantages([1.0, -1.0, -1.0, -1.0], k, estimator=name)


def test_all_rules_of_a_success_rate_are_of_binary_or_unit_rewards() -> None:
    kin = {"maxrl", "maxrl-keep-failures", "maxrl-pkpo", "passk-training", "w-reinforce"}
    kin |= {"maclaurin:2", "maclaurin-baseline:2", "cross-fitted-maclaurin:2", "oversample-subset-vr:2"}
    assert kin == {n for n in ml.list_estimators() if ml.get_estimator(n).domain == "binary"}
    assert ml.get_estimator("rloo-reweighted").domain == "unit"
