"""The audit says the right thing of every rule of the catalogue, and of rules with a fault."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import numpy as np
import pytest
from faulty_rules import FAULTS, Fault, baseline_with_self, hanging, ignored_k, in_place, order_dependent_ties
from rich.console import Console

import maxpo_lab as ml
from analysis.studies.frameworks.defects import EASYR1_ISSUE_585
from maxpo_lab import theory
from maxpo_lab.auditing import adapt
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.auditing.decide import claims, pairs
from maxpo_lab.core.precision import FLOAT64
from maxpo_lab.objectives import max_at

SIZES = ((6, 2), (3, 3))


@pytest.mark.parametrize("name", ml.list_estimators())
@pytest.mark.parametrize(("n", "k"), SIZES)
def test_every_rule_of_the_catalogue_gets_its_verdict(name: str, n: int, k: int) -> None:
    rule = ml.get_estimator(name)
    if rule.why_not(n, k):
        with pytest.raises(ValueError, match="needs"):
            ml.audit(name, n=n, k=k)
        return
    report = ml.audit(
        name, n=n, k=k, target=rule.objective, claims=("unbiased", "centered", f"equals:{name}")
    )
    assert report.ascent is not None
    assert report.symmetries is not None
    assert not report.misbehaviours
    if isinstance(rule, ml.RankLinear):
        scale = theory.decide(rule, n=n, k=k).scale
        centered = theory.decide(rule, n=n, k=k).centered
    else:
        decided = theory.decide_by_moments(rule, n=n, k=k)
        scale, centered = decided.scale, decided.centered
    assert report.ascent.unbiased_for_target == (scale == 1)
    assert report.ascent.proportional_to_target == (bool(scale) and scale is not None)
    if report.ascent.proportional_to_target:
        assert report.ascent.scale == pytest.approx(float(scale), rel=1e-9)  # type: ignore[arg-type]
    assert report.symmetries.centered == centered
    assert [verdict.holds for verdict in report.claims] == [scale == 1, centered, True]
    assert report.passed == (scale == 1 and centered)
    assert report.symmetries.equivariant == rule.claims.equivariant
    assert report.symmetries.tie is None or not rule.laws.equal_ties
    advantages = rule(np.tri(n), k)
    assert (report.nearest is None) == (not advantages.any())
    if report.nearest is not None:
        assert (report.nearest.name, report.nearest.scale, report.nearest.exact) == (name, 1, True)
    if rule.domain == "real":
        assert report.symmetries.shift == rule.laws.shift_invariant
        assert rule.laws.scale in (report.symmetries.scale, "none")
    assert report.symmetries.uses_k in (rule.uses_k, None)


def test_pkpo_mean_centered_is_silent_at_k_n() -> None:
    report = ml.audit("pkpo-mean-centered", n=4, k=4)
    assert report.ascent is not None
    assert report.ascent.text.startswith("climbs nothing")
    assert report.nearest is None
    assert not report.passed
    assert ml.audit("pkpo-mean-centered", n=8, k=4, allow_scale=True).passed
    assert "0.0625 x the max@4 gradient: exact direction, wrong scale" in str(
        report_text("pkpo-mean-centered")
    )


def report_text(name: str) -> str:
    found = ml.audit(name, n=8, k=4).ascent
    assert found is not None
    return found.text


def test_the_easyr1_defect_is_caught() -> None:
    report = ml.audit(
        EASYR1_ISSUE_585, n=8, k=4, target="max@n", claims=("unbiased", "equals:verl-grpo-passk")
    )
    assert [verdict.holds for verdict in report.claims] == [False, False]
    assert report.edges is not None
    succeed = next(case for case in report.edges.cases if case.label == "all succeed")
    assert succeed.remark == "tells equals apart"
    assert succeed.advantages is not None
    assert succeed.advantages[0] == 0
    assert min(succeed.advantages[1:]) > 1e5


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.rule.__name__)
def test_faults_are_found(fault: Fault) -> None:
    report = ml.audit(fault.rule, n=8, k=4, claims=(fault.claim,), seconds=0.5)
    (verdict,) = report.claims
    assert fault.says in verdict.detail
    assert not report.passed
    kinds = {found.kind for found in report.misbehaviours}
    assert kinds == ({fault.misbehaves} if fault.misbehaves else set())
    undecided = report.ascent is None and report.coupling is None
    assert verdict.holds is (None if undecided else fault.rule is in_place)
    assert undecided == (fault.misbehaves not in (None, "mutates", "not finite"))
    if fault.nearest:
        assert report.nearest is not None
        assert report.nearest.exact
        assert report.nearest.name == fault.nearest
    json.loads(report.to_json())
    assert report.rule in report.to_markdown()
    shown = StringIO()
    Console(file=shown, width=200).print(report)
    assert report.rule in shown.getvalue()


def test_ties_broken_by_place_are_shown() -> None:
    seen = ml.audit(order_dependent_ties, n=8, k=4).symmetries
    assert seen is not None
    assert seen.equivariant
    assert seen.tie is not None
    group, advantages = seen.tie
    assert len(set(group)) < len(set(zip(group, advantages, strict=True)))
    unbroken = ml.audit("maxpo", n=8, k=4).symmetries
    assert unbroken is not None
    assert unbroken.tie is None


@pytest.mark.parametrize("claim", ["unbiased", "centered", "equals:maxpo", "equivariant"])
def test_the_failing_test_fails_and_is_for_the_rule(claim: str) -> None:
    def neighbour(rewards: Any, k: int) -> Any:
        return rewards - 2 * np.roll(rewards, 1, axis=-1)

    report = ml.audit(neighbour, n=4, k=2, claims=(claim,), rewards="binary")
    assert report.failing_test is not None
    scope: dict[str, Any] = {"neighbour": neighbour}
    exec(report.failing_test, scope)
    (name,) = (each for each in scope if each.startswith("test_"))
    with pytest.raises(AssertionError, match=r"n=[234], K=2"):
        scope[name]()


def test_failing_tests_import_what_they_test() -> None:
    report = ml.audit(baseline_with_self, n=8, k=4)
    assert report.failing_test is not None
    assert "from faulty_rules import baseline_with_self" in report.failing_test
    catalogue = ml.audit("pkpo-sum-scale", n=8, k=4).failing_test
    assert catalogue is not None
    scope: dict[str, Any] = {}
    exec(catalogue, scope)
    with pytest.raises(AssertionError, match=r"0\.125 x the max@4 gradient"):
        scope["test_pkpo_sum_scale_is_unbiased"]()


def test_a_rule_that_is_not_equivariant_can_be_unbiased() -> None:
    def neighbour(rewards: Any, k: int) -> Any:
        return rewards - np.roll(rewards, 1, axis=-1)

    report = ml.audit(neighbour, n=5, k=1, target="mean", claims=("unbiased", "centered", "equivariant"))
    assert [verdict.holds for verdict in report.claims] == [True, True, False]
    assert report.ascent is not None
    assert report.ascent.spectrum is None


def test_ties_do_not_count_where_rewards_are_continuous() -> None:
    def odd_in_ties(rewards: Any, k: int) -> Any:
        tied = (np.diff(np.sort(rewards, axis=1), axis=1) == 0).any(axis=1, keepdims=True)
        return ml.get_estimator("maxpo")(rewards, k) + tied * rewards

    graded = ml.audit(odd_in_ties, n=6, k=2, rewards="graded")
    free = ml.audit(odd_in_ties, n=6, k=2, rewards="continuous")
    assert not graded.passed
    assert free.passed
    assert free.policies is not None
    continuous = [each for each in free.policies if each.rewards == "continuous"]
    assert continuous
    assert max(each.relative_bias for each in continuous) < 1e-6


def test_pairs_and_moments_agree_on_bias() -> None:
    """A rule is unbiased by its pairs exactly where its moments are under random policies."""
    rng = np.random.default_rng(11)
    right = ml.get_estimator("maxpo")
    values = np.array([0.0, 0.25, 1.0])
    policy = ml.RewardLevels.from_softmax(rng.normal(size=12), np.resize(values, 12))
    for size in (0.0, 1e-6, 0.1):

        def perturbed(rewards: Any, k: int, size: float = size) -> Any:
            every = rewards.min(axis=1, keepdims=True) == values[1]
            return right(rewards, k) + size * every * (rewards == 1.0)

        found = pairs.on_levels(perturbed, values, n=5, k=3, equivariant=True)
        fit = found.fit(max_at(3))
        biased = ml.exact_moments(perturbed, policy, n=5, k=3).relative_bias > 1e-10
        assert (fit.unscaled != FLOAT64) == biased == bool(size)


def test_an_offset_in_one_group_is_found_by_pairs_and_named() -> None:
    def wrong_once(rewards: Any, k: int) -> Any:
        only = (rewards.sum(axis=1, keepdims=True) == 2) & (rewards.shape[1] == 6)
        return ml.get_estimator("maxpo")(rewards, k) + 0.01 * only * rewards

    report = ml.audit(wrong_once, n=8, k=2, rewards="binary")
    assert report.passed  # only groups of six are wrong
    report = ml.audit(wrong_once, n=6, k=2, rewards="binary")
    assert not report.passed
    assert (
        "n=6, K=2: with the others at [0, 0, 0, 0, 1], raising one reward from 0 to 1"
        in report.claims[0].detail
    )


@pytest.mark.parametrize(("made", "precision"), [(np.float32, "float32"), (np.float64, "float64")])
def test_the_precision_is_seen_through_a_cast(made: Any, precision: str) -> None:
    def cast(rewards: Any, k: int) -> Any:
        return wrong(rewards.astype(made)).astype(np.float64)

    def wrong(rewards: Any) -> Any:
        return rewards / made(3) - (rewards / made(3)).mean(axis=1, keepdims=True)

    report = ml.audit(cast, n=6, k=1, target="mean", allow_scale=True)
    assert report.precision == precision
    assert report.ascent is not None
    assert report.ascent.proportional_to_target


def test_variances_are_those_of_exact_moments() -> None:
    report = ml.audit("pkpo-loo1", n=8, k=2, rewards="binary")
    assert report.policies is not None
    hard = next(each for each in report.policies if (each.difficulty, each.right_answers) == ("hard", "one"))
    levels = ml.RewardLevels.from_softmax(np.log([0.02, *[0.98 / 9] * 9]), [1.0, *[0.0] * 9])
    mine, maxpo = (ml.exact_moments(name, levels, n=8, k=2) for name in ("pkpo-loo1", "maxpo"))
    assert hard.to_maxpo == pytest.approx(mine.trace_covariance / maxpo.trace_covariance, rel=1e-9)
    assert hard.to_pkpo_loo1 == pytest.approx(1.0)
    assert hard.efficiency == pytest.approx(mine.efficiency(ml.variance_floor(levels, n=8, k=2)), rel=1e-9)
    assert hard.dead_groups == pytest.approx(mine.dead_group_probability)


def test_the_mean_is_compared_with_rules_for_the_mean() -> None:
    report = ml.audit("rloo", n=8, k=4, target="mean")
    assert report.policies is not None
    assert all(each.to_maxpo == pytest.approx(1.0) for each in report.policies)
    assert all(each.to_pkpo_loo1 is None for each in report.policies)


@pytest.mark.parametrize(
    ("rule", "target"), [("maxpo", "l-statistic:TopM:1"), ("rloo", "l-statistic:TopM:4")]
)
def test_an_objective_by_another_name_has_its_yardsticks(rule: str, target: str) -> None:
    found = ml.audit(rule, n=8, k=4, target=target).policies  # max@4, and the mean of all four
    assert found is not None
    assert all(each.to_maxpo == pytest.approx(1.0) for each in found)
    assert all(0 < each.efficiency <= 1 + 1e-9 for each in found)


def test_a_hanging_rule_costs_its_limit_alone() -> None:
    import time

    start = time.perf_counter()
    report = ml.audit(hanging, n=4, k=2, seconds=0.2)
    assert time.perf_counter() - start < 3
    assert report.misbehaviours[0].kind == "hangs"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"claims": ("fast",)}, "claim 'fast'"),
        ({"claims": ("equals:maxpoo",)}, "did you mean"),
        ({"claims": ("equals:maxpo",), "k": 8}, "k <= n-1"),
        ({"target": "max"}, "target='max'"),
        ({"rewards": "ternary"}, "rewards='ternary'"),
        ({"signature": "trl"}, "signature 'trl' does not exist; did you mean verl"),
        ({"seconds": 0}, "seconds=0"),
        ({"k": 9}, "k <= n"),
        ({"rule": "maxpoo"}, "did you mean"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {"rule": ignored_k, "n": 8, "k": 4} | change
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        ml.audit(**arguments)


def test_what_is_not_callable_is_named() -> None:
    with pytest.raises(TypeError, match="rule=3 is a int"):
        ml.audit(3, n=8, k=4)


def test_claims_need_a_binary_rule_to_be_asked_on_binary_rewards() -> None:
    assert ml.audit("maxrl", n=4, k=2).rewards == "binary"
    graded = ml.audit("maxrl", n=4, k=2, rewards="graded")
    assert graded.misbehaviours[0].kind == "raises"
    assert "0/1 rewards alone" in graded.misbehaviours[0].detail


@pytest.mark.integration
def test_large_groups_are_audited_in_seconds() -> None:
    report = ml.audit("maxpo", n=48, k=8)
    assert report.passed
    assert [len(claims.levels_of("graded", size)) for size in (64, 128, 512)] == [4, 3, 2]


@pytest.mark.parametrize("signature", ["batch", "group"])
@pytest.mark.parametrize("takes_k", [True, False])
def test_conventions_of_arrays_are_found(signature: str, takes_k: bool) -> None:
    def centre(rewards: Any) -> Any:
        return rewards - rewards.mean(axis=-1, keepdims=signature == "batch")

    rule = adapt((lambda rewards, k: centre(rewards)) if takes_k else centre, n=4, k=2)
    groups = np.random.default_rng(0).random((5, 4))
    expected = ml.get_estimator("batch-mean")(groups, 1)
    assert rule.signature == signature  # type: ignore[attr-defined]
    np.testing.assert_allclose(rule(groups.copy(), 2), expected, atol=1e-15)


def test_torch_conventions_are_found() -> None:
    torch = pytest.importorskip("torch")

    def batch(rewards: Any, k: int) -> Any:
        return rewards - rewards.mean(dim=1, keepdim=True)

    def token_level(token_level_rewards: Any, response_mask: Any, index: Any, config: Any) -> Any:
        scores = token_level_rewards.sum(-1)
        found = ml.advantages(scores, config.k, group_ids=index)
        return found[:, None] * response_mask, None

    def list_of_groups(rewards: list[Any], config: Any) -> Any:
        return [ml.advantages(row, config["k"]) for row in rewards], []

    groups = np.random.default_rng(0).random((5, 4))
    maxpo = ml.advantages(groups, 2)
    assert np.allclose(adapt(batch, n=4, k=2)(groups.copy(), 2), ml.get_estimator("batch-mean")(groups, 2))
    single = ml.advantages(groups.astype(np.float32), 2)
    conventions: list[tuple[Any, Any, Any]] = [
        *((token_level, each, single) for each in ("auto", "verl", "skyrl")),
        *((list_of_groups, each, maxpo) for each in ("auto", "rllm")),
    ]
    for function, signature, expected in conventions:
        assert np.array_equal(adapt(function, signature, n=4, k=2)(groups.copy(), 2), expected)

    def writes(token_level_rewards: Any, response_mask: Any, index: Any, **others: Any) -> Any:
        token_level_rewards[:, -1] += 1
        return token_level_rewards, None

    def uneven(token_level_rewards: Any, response_mask: Any, **others: Any) -> Any:
        return token_level_rewards, None

    kinds = [found.kind for found in ml.audit(uneven, n=4, k=2).misbehaviours]
    assert kinds == ["raises"]
    assert "one advantage per rollout" in ml.audit(uneven, n=4, k=2).misbehaviours[0].detail
    assert torch.get_default_dtype() == torch.float32
    assert ml.audit(writes, n=4, k=2, seconds=20).misbehaviours


def test_settings_reach_the_rule() -> None:
    def token_level(
        token_level_rewards: Any, response_mask: Any, index: Any, config: Any, by_std: bool = True
    ) -> Any:
        pytest.importorskip("torch")
        name = "grpo" if by_std and not config.get("plain", False) else "batch-mean"
        found = ml.advantages(token_level_rewards.sum(-1), 1, estimator=name, group_ids=index)
        return found[:, None] * response_mask, None

    options: dict[str, Any] = {"n": 4, "k": 1, "target": "mean", "claims": ("equals:batch-mean",)}
    assert not decide(token_level, **options).passed
    assert decide(token_level, **options, settings={"by_std": False}).passed
    assert ml.audit(token_level, **options, settings={"plain": True}).passed


def maxpo(rewards: Any, k: int) -> Any:
    return ml.advantages(rewards, k)


def rloo(rewards: Any) -> Any:
    return ml.advantages(rewards, 1, estimator="rloo")


def holds(rule: Any, *claims: str, **options: Any) -> list[bool | None]:
    return [verdict.holds for verdict in decide(rule, **{"n": 8, "k": 4} | options, claims=claims).claims]


def test_a_wrong_sign_and_zero_are_no_scale() -> None:
    claims = ("unbiased", "equals:maxpo")
    assert holds(lambda rewards, k: -maxpo(rewards, k), *claims, allow_scale=True) == [False, False]
    assert holds(lambda rewards, k: 0 * rewards, *claims, allow_scale=True) == [False, False]
    assert holds(lambda rewards, k: 3 * maxpo(rewards, k), *claims, allow_scale=True) == [True, True]
    descent = ml.audit(lambda rewards, k: -maxpo(rewards, k), n=8, k=4).ascent
    assert descent is not None
    assert descent.text == "-1 x the max@4 gradient: the opposite direction"


def test_a_rule_that_the_rewards_do_not_fit_is_not_compared() -> None:
    assert holds(lambda rewards, k: rewards**3, "equals:maxrl", rewards="continuous") == [None]
    assert holds("tailrl", "equals:maxrl") == [None]
    assert holds("tailrl", "equals:maxrl", rewards="binary") == [True]


@pytest.mark.parametrize("share", [0.95, 0.985])
def test_few_digits_are_no_low_precision(share: float) -> None:
    def verified(rewards: Any, k: int) -> Any:
        return share * ml.advantages((rewards == 1) * 1.0, k, estimator="pkpo-s")

    report = ml.audit(verified, n=16, k=4, rewards="binary")
    assert report.precision == "float64"
    assert not report.passed
    assert holds(lambda rewards, k: np.round(100 * rloo(rewards)) / 100, "unbiased", target="mean") == [False]


def test_a_large_unbiased_baseline_hides_no_bias() -> None:
    def shifted(rewards: Any, k: int) -> Any:
        single = rewards.astype(np.float32)
        none_else = single.sum(axis=1, keepdims=True) == single
        return np.float32(1.05) * maxpo(single, k) + np.float32(1e5) * none_else

    def huge(rewards: Any, k: int) -> Any:
        return (1.001 * maxpo(rewards, k) + 1e6).astype(np.float32)

    assert holds(shifted, "unbiased") == [False]
    assert holds(huge, "unbiased") == [None]


def test_rounding_inside_is_allowed_for() -> None:
    def single_inside(rewards: Any, k: int) -> Any:
        single = rewards.astype(np.float32)
        n = rewards.shape[1]
        return (single - single.mean(axis=1, keepdims=True)).astype(float) * (n / (n - 1))

    wanted = ("unbiased", "centered", "equivariant", "equals:rloo")
    assert holds(single_inside, *wanted, n=6, k=2, target="mean") == [True] * 4


def test_defaults_are_left_alone_and_sizes_are_given() -> None:
    def with_epsilon(rewards: Any, eps: float = 1e-6) -> Any:
        off = rewards - rewards.mean(axis=1, keepdims=True)
        return off / (rewards.std(axis=1, ddof=1, keepdims=True) + eps)

    def flat(rewards: Any, group_size: int) -> Any:
        return rloo(rewards.reshape(-1, group_size)).reshape(rewards.shape)

    def by_name(rewards: Any, *, K: int) -> Any:  # noqa: N803
        return maxpo(rewards, K)

    def by_any_name(rewards: Any, **options: Any) -> Any:
        return {"advantages": maxpo(rewards, options["k"])}

    def with_returns(rewards: Any, k: int) -> Any:
        return maxpo(rewards, k), rewards

    assert holds(with_epsilon, "equals:grpo", target="mean") == [True]
    assert holds(flat, "equals:rloo", target="mean") == [True]
    for rule in (by_name, by_any_name, with_returns):
        report = ml.audit(rule, n=8, k=4, claims=("unbiased", "equals:maxpo"))
        assert report.passed
        assert report.symmetries is not None
        assert report.symmetries.uses_k


def test_a_configured_group_size_is_judged_at_it() -> None:
    def eight(rewards: Any, k: int) -> Any:
        return rewards - rewards.sum(axis=1, keepdims=True) / 8

    assert holds(eight, "centered", "equals:batch-mean", target="mean") == [True, True]


def test_annotated_tensors_are_given() -> None:
    torch = pytest.importorskip("torch")

    def annotated(rewards: torch.Tensor) -> torch.Tensor:
        off = rewards - rewards.mean(-1)[..., None]
        return off / (rewards.std(-1)[..., None] + 1e-6)

    report = ml.audit(annotated, n=8, k=4, target="mean", claims=("equals:grpo",))
    assert report.passed
    assert report.signature == "batch (torch)"


def test_a_rule_that_changes_its_mind_late_is_random() -> None:
    calls = []

    def doubling(rewards: Any, k: int) -> Any:
        calls.append(1)
        return maxpo(rewards, k) * (1 + (len(calls) > 40))

    assert [found.kind for found in ml.audit(doubling, n=8, k=4).misbehaviours] == ["random"]


@pytest.mark.parametrize("n", [20, 32])
def test_continuous_rewards_at_larger_sizes(n: int) -> None:
    assert holds("maxpo", "unbiased", "centered", n=n, rewards="continuous") == [True, True]


def test_rules_that_refuse_ties_are_audited_without() -> None:
    def strict(rewards: Any, k: int) -> Any:
        if any(len(set(row)) < len(row) for row in rewards.tolist()):
            raise ValueError("a tie")
        return maxpo(rewards, k)

    assert holds(strict, "unbiased", "centered", n=6, k=2, rewards="continuous") == [True, True]


def test_what_cannot_be_enumerated_is_left_open_and_the_rest_decided() -> None:
    def neighbour(rewards: Any, k: int) -> Any:
        return rewards - np.roll(rewards, 1, axis=-1)

    report = ml.audit(neighbour, n=16, k=4, target="mean", claims=("unbiased", "centered", "equivariant"))
    assert [verdict.holds for verdict in report.claims] == [None, True, False]
    assert report.policies is None
    assert "arrangements" in report.to_markdown()


@pytest.mark.parametrize("late", ["wide", "complex", "coupled"])
def test_misbehaviour_on_rewards_without_ties_is_reported(late: str) -> None:
    def rule(rewards: Any, k: int) -> Any:
        free = (np.diff(np.sort(rewards, axis=1), axis=1) > 0).all()
        if not free:
            return maxpo(rewards, k)
        broken = {
            "wide": np.ones((len(rewards), 3)),
            "complex": 1j * rewards,
            "coupled": rewards * np.random.default_rng().random(),
        }
        return broken[late]

    kinds = {found.kind for found in ml.audit(rule, n=8, k=4, rewards="continuous").misbehaviours}
    assert kinds == {{"wide": "shape", "complex": "not real", "coupled": "random"}[late]}


def test_the_report_names_the_levels() -> None:
    assert "graded rewards (0, 0.25, 0.625, 1)" in ml.audit("maxpo", n=8, k=4).to_markdown()
    assert "binary rewards (0, 1)" in ml.audit("maxrl", n=8, k=4).to_markdown()


def of_tokens(baseline: Any) -> Any:
    """A rule in verl's signature: rewards less ``baseline(rewards, lengths)`` of each group, both (n,)."""

    def rule(token_level_rewards: Any, response_mask: Any, index: Any, **others: Any) -> Any:
        rewards, lengths = token_level_rewards.sum(-1), response_mask.sum(-1)
        advantages = rewards.clone()
        for name in dict.fromkeys(index):
            own = [place for place, each in enumerate(index) if each == name]
            advantages[own] -= baseline(rewards[own], lengths[own])
        return advantages[:, None] * response_mask, None

    return rule


def test_lengths_of_responses_are_told_apart() -> None:
    pytest.importorskip("torch")
    claims, options = ("unbiased", "centered", "equals:rloo"), {"n": 3, "k": 2, "target": "mean"}
    plain = of_tokens(lambda r, n: (r.sum() - r) / (len(r) - 1))
    weighted = of_tokens(lambda r, n: (r * n).sum() / n.sum())
    by_others = of_tokens(lambda r, n: ((r * n).sum() - r * n) / (n.sum() - n))
    by_own = of_tokens(lambda r, n: 0.1 * n)
    found = {rule: ml.audit(rule, claims=claims, **options) for rule in (plain, weighted, by_others, by_own)}
    used = [report.lengths.used for report in found.values() if report.lengths is not None]
    assert used == [False, True, True, True]
    assert [verdict.holds for verdict in found[plain].claims] == [True, True, True]
    assert [verdict.holds for verdict in found[weighted].claims] == [False, False, False]
    # A baseline that never sees its own rollout's length is unbiased, whatever it does with the others'.
    assert [verdict.holds for verdict in found[by_others].claims] == [True, False, False]
    assert [verdict.holds for verdict in found[by_own].claims] == [False, False, False]
    assert "in 3 tokens earns" in found[by_own].claims[0].detail
    assert found[by_others].lengths is not None
    assert found[by_others].lengths.fault is None
    assert found[weighted].lengths is not None
    assert found[weighted].lengths.fault is not None
    assert "| of responses matter: rewards" not in found[weighted].to_markdown()
    assert "**lengths**: of responses matter: rewards" in found[weighted].to_markdown()
    assert ml.audit("rloo", **options).lengths is None


def test_lengths_of_large_groups_are_left_open() -> None:
    pytest.importorskip("torch")
    weighted, plain = (
        of_tokens(each)
        for each in (lambda r, n: (r * n).sum() / n.sum(), lambda r, n: (r.sum() - r) / (len(r) - 1))
    )
    options: dict[str, Any] = {"n": 40, "k": 2, "target": "mean", "rewards": "binary", "allow_scale": True}
    open_, decided = (decide(rule, claims=("unbiased",), **options).claims[0] for rule in (weighted, plain))
    assert (open_.holds, decided.holds) == (None, True)
    assert open_.detail.endswith("where they are not, too many groups to decide")


def test_the_failing_test_fits_a_terminal_and_is_complete() -> None:
    def a_rule_with_quite_a_long_name_for_what_it_does(rewards: Any, k: int) -> Any:
        return 0.5 * maxpo(rewards, k)

    report = ml.audit(
        a_rule_with_quite_a_long_name_for_what_it_does,
        n=8,
        k=4,
        rewards="binary",
        claims=("equals:maxpo",),
        settings={"norm_adv_by_std_in_grpo": False},
    )
    assert report.failing_test is not None
    compile(report.failing_test, "test", "exec")
    lines = report.failing_test.splitlines()
    assert max(map(len, lines)) <= 79
