"""The audit of value rules: the registered ones, foreign code that is right, and rules with a fault."""

from __future__ import annotations

import json
from io import StringIO
from itertools import combinations_with_replacement, permutations, product
from math import comb
from statistics import mean
from typing import Any

import numpy as np
import pytest
from checks import EPS
from rich.console import Console

import maxpo_lab as ml
from maxpo_lab import rules
from maxpo_lab.auditing import adapt
from maxpo_lab.auditing.decide.claims import Setting
from maxpo_lab.auditing.values import claims
from maxpo_lab.evaluation.definitions import BY_NAME

torch = pytest.importorskip("torch")

ALL = ("unbiased", "order-free", "monotone", "bounded")
N, K = 5, 3


def holds(report: ml.ValueAuditReport) -> dict[str, bool | None]:
    return {verdict.claim: verdict.holds for verdict in report.claims}


def detail(report: ml.ValueAuditReport, claim: str = "unbiased") -> str:
    return next(verdict.detail for verdict in report.claims if verdict.claim == claim)


# The registered rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ml.list_value_rules())
@pytest.mark.parametrize(("n", "k"), [(5, 3), (4, 4), (3, 1), (1, 1)])
def test_every_registered_rule_gets_its_verdicts(name: str, n: int, k: int) -> None:
    report = ml.audit_value(name, n=n, k=k, claims=(*ALL, f"equals:{name}"))
    claimed = ml.get_value_rule(name).claims
    kept = kept_by_definition(name, n, k)
    assert holds(report) == {**kept, f"equals:{name}": True}
    for claim, kept_here in kept.items():
        assert kept_here or not getattr(claimed, claim.replace("-", "_"))
    assert report.passed == all(kept.values())
    assert report.nearest is not None
    assert report.nearest.exact
    assert name in (report.nearest.name, *report.nearest.alike)
    assert report.random_state == "untouched"
    assert not report.misbehaviours
    assert (report.permuted is None) == kept["order-free"]


def kept_by_definition(name: str, n: int, k: int) -> dict[str, bool]:
    """The claims on every group of the levels, by definition: at K = 1 or K = n some hold that else fail."""
    levels = (0, 0.25, 1) if ml.get_value_rule(name).domain == "real" else (0, 1)
    found = {group: BY_NAME[name](group, k) for group in product(levels, repeat=n)}
    means = {
        group: mean(found[order] for order in permutations(group))
        for group in combinations_with_replacement(levels, n)
    }
    raised = [
        (group, (*group[:i], higher, *group[i + 1 :]))
        for group in found
        for i in range(n)
        for higher in levels
        if higher > group[i]
    ]
    return {
        "unbiased": all(means[group] == BY_NAME["unbiased"](group, k) for group in means),
        "order-free": all(found[group] == found[tuple(sorted(group))] for group in found),
        "monotone": all(found[low] <= found[high] for low, high in raised),
        "bounded": all(min(group) <= found[group] <= max(group) for group in found),
    }


def test_the_counterexample_is_the_smallest_and_its_numbers_are_true() -> None:
    report = ml.audit_value("plug-in", n=8, k=3)
    value = BY_NAME["plug-in"]([0, 0, 1], 3)
    assert detail(report) == f"n=3, K=3: [0, 0, 1] gets {float(value):.6g}; an unbiased rule gives 1"
    assert [case.value for case in report.edges or () if case.label == "one success"] == [
        pytest.approx(1 - (7 / 8) ** 3, abs=8 * EPS)
    ]


def test_the_table_of_policies_is_of_exact_moments() -> None:
    report = ml.audit_value("plug-in", n=4, k=2)
    assert report.policies is not None
    assert [(row.rewards, row.success) for row in report.policies] == [
        *product(("binary", "graded"), (0.02, 0.1, 0.5, 0.9))
    ]
    row = report.policies[1]
    chance = [comb(4, c) * 0.1**c * 0.9 ** (4 - c) for c in range(5)]
    mean = sum(p * (1 - (1 - c / 4) ** 2) for c, p in enumerate(chance))
    square = sum(p * (1 - (1 - c / 4) ** 2) ** 2 for c, p in enumerate(chance))
    assert row.value == pytest.approx(1 - 0.9**2, abs=8 * EPS)
    assert row.bias == pytest.approx(mean - row.value, abs=32 * EPS)
    assert row.relative_bias == pytest.approx((mean - row.value) / row.value, abs=256 * EPS)
    assert row.standard_deviation**2 == pytest.approx(square - mean**2, abs=32 * EPS)
    assert row.unbiased_deviation > row.standard_deviation  # K = 2 of 4: shrinking costs bias


# Foreign-looking code that is right ----------------------------------------------------------------------


def product_form(rewards: Any, k: int) -> list[float]:
    """Of 0/1 rewards, as Chen et al. publish it."""
    n = rewards.shape[1]
    return [
        1.0 if n - c < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))
        for c in rewards.sum(axis=1).astype(int)
    ]


def comb_form(rewards: Any, k: int) -> float:
    """Of one group."""
    n, c = len(rewards), int(sum(r == 1 for r in rewards))
    if any(r not in (0, 1) for r in rewards):
        raise ValueError("pass@k counts 0 and 1 alone")
    return 1 - comb(n - c, k) / comb(n, k)


def sorted_weights(rewards: Any, k: int) -> float:
    """Graded, of one group: the chance of each rank to be the maximum."""
    n = len(rewards)
    return float(sum(r * comb(i, k - 1) for i, r in enumerate(sorted(rewards))) / comb(n, k))


def in_float32(rewards: torch.Tensor, k: int) -> torch.Tensor:
    n = rewards.shape[-1]
    weights = torch.tensor([comb(i, k - 1) / comb(n, k) for i in range(n)], dtype=torch.float32)
    return rewards.float().sort(dim=-1).values @ weights


def the_first_k(rewards: Any, k: int) -> Any:
    """Unbiased, though it depends on the order and wastes n - K rollouts."""
    return rewards[:, :k].max(axis=1)


def without_k(rewards: Any) -> Any:
    return rewards.mean(axis=1)


@pytest.mark.parametrize(
    ("rule", "k", "rewards", "signature"),
    [
        (product_form, 3, "binary", "batch"),
        (comb_form, 3, "auto", "group"),
        (sorted_weights, 3, "graded", "group"),
        (in_float32, 3, "graded", "batch (torch)"),
        (the_first_k, 3, "graded", "batch"),
        (without_k, 1, "graded", "batch"),
        (lambda r, k: ml.value_estimate(r, k).tolist(), 3, "graded", "batch"),
        (ml.per_group(sorted_weights), 3, "graded", "batch"),
    ],
)
def test_right_code_passes(rule: Any, k: int, rewards: str, signature: str) -> None:
    report = ml.audit_value(rule, n=N, k=k, rewards=rewards, claims=("unbiased", "bounded", "monotone"))
    assert report.passed, report.to_markdown()
    assert report.signature == signature
    assert report.rewards == ("graded" if rewards == "graded" else "binary")


def test_what_a_type_hides_is_said() -> None:
    report = ml.audit_value(in_float32, n=N, k=K)
    assert report.precision == "float32"
    assert "to the precision of float32" in detail(report)


def test_a_rule_that_depends_on_the_order_is_unbiased_over_orders() -> None:
    report = ml.audit_value(the_first_k, n=N, k=K, claims=("unbiased", "order-free"))
    assert holds(report) == {"unbiased": True, "order-free": False}
    assert "in all 1,267 arrangements" in detail(report)  # 4^5 of four levels, 3^5 of three
    assert "the same rewards in the order" in detail(report, "order-free")
    assert report.permuted is not None
    assert report.policies is not None
    assert all(row.standard_deviation > row.unbiased_deviation for row in report.policies)
    wide = ml.audit_value(the_first_k, n=13, k=K, claims=("unbiased", "monotone"))
    assert wide.passed
    assert wide.levels == (0, 1)
    assert "in all 8,192 arrangements" in detail(wide)  # and not 3^13 of three levels
    large = ml.audit_value(the_first_k, n=20, k=K)
    assert holds(large) == {"unbiased": None}
    assert "audit it at a smaller n" in detail(large)
    assert not large.passed


# Mutants -------------------------------------------------------------------------------------------------


def off_by_one(rewards: Any, k: int) -> Any:
    return ml.value_estimate(rewards, max(1, k - 1))


def any_success(rewards: Any, k: int) -> Any:
    return (rewards > 0).any(axis=1).astype(float)


def nearly_one(rewards: Any, k: int) -> Any:
    return ml.value_estimate((rewards >= 0.999).astype(float), k)


def first_counts_double(rewards: Any, k: int) -> Any:
    return ml.value_estimate(np.column_stack([rewards, rewards[:, 0]]), k)


def with_penalty(rewards: Any, k: int) -> Any:
    return ml.value_estimate(rewards, k) - 0.1 * rewards.std(axis=1)


def restless(rewards: Any, k: int) -> Any:
    """Falls where the worst reward is raised."""
    return rewards.max(axis=1) + 0.1 * (rewards.max(axis=1) - rewards.min(axis=1))


def summed(rewards: Any, k: int) -> Any:
    return rewards.sum(axis=1)


@pytest.mark.parametrize(
    ("rule", "broken", "says"),
    [
        (off_by_one, {"unbiased"}, "[0, 0, 1] gets 0.666667; an unbiased rule gives 1"),
        (any_success, {"unbiased", "bounded"}, "[0, 0, 0.25] gets 1; an unbiased rule gives 0.25"),
        (nearly_one, {"unbiased", "bounded"}, "[0, 0, 0.25] gets 0; an unbiased rule gives 0.25"),
        (first_counts_double, {"unbiased", "order-free"}, "on average over its orders"),
        (with_penalty, {"unbiased", "monotone"}, "an unbiased rule gives 1"),
        (restless, {"unbiased", "monotone", "bounded"}, "[0, 0, 1] gets 1.1"),
        (summed, {"unbiased", "bounded"}, "[0, 1, 1] gets 2; an unbiased rule gives 1"),
        (ml.get_value_rule("plug-in").function, {"unbiased"}, "[0, 0, 1] gets 0.703704"),
    ],
)
def test_a_mutant_breaks_its_claims(rule: Any, broken: set[str], says: str) -> None:
    report = ml.audit_value(rule, n=N, k=K, claims=ALL)
    assert {claim for claim, kept in holds(report).items() if not kept} == broken
    assert says in detail(report)
    assert not report.passed


def test_off_by_one_is_told_by_its_k() -> None:
    near = ml.audit_value(off_by_one, n=N, k=K).nearest
    assert near is not None
    assert (near.name, near.k, near.exact) == ("unbiased", 2, True)


def test_a_claim_to_be_another_rule() -> None:
    report = ml.audit_value(off_by_one, n=N, k=K, claims=("equals:plug-in", "equals:unbiased"))
    assert holds(report) == {"equals:plug-in": False, "equals:unbiased": False}
    assert detail(report, "equals:unbiased") == "n=3, K=3: [0, 0, 1] gets 0.666667; unbiased gives 1"
    assert ml.audit_value(product_form, n=N, k=K, rewards="binary", claims=("equals:unbiased",)).passed


def test_a_claim_is_followed_to_larger_rewards() -> None:
    (verdict,) = ml.audit_value(comb_form, n=N, k=K).claims
    assert verdict.up_to == 1
    assert verdict.beyond is not None
    assert "counts 0 and 1 alone" in verdict.beyond
    (verdict,) = ml.audit_value("unbiased", n=N, k=K).claims
    assert (verdict.up_to, verdict.beyond) == (1e5, None)


# Misbehaviour --------------------------------------------------------------------------------------------


def with_noise(rewards: Any, k: int) -> Any:
    return rewards.max(axis=1) + np.random.rand(len(rewards))  # noqa: NPY002


def whitened(rewards: Any, k: int) -> Any:
    values = rewards.max(axis=1)
    return (values - values.mean()) / (values.std() + 1e-6)


def in_place(rewards: Any, k: int) -> Any:
    rewards.sort(axis=1)
    return rewards[:, -1]


def with_nan(rewards: Any, k: int) -> Any:
    return np.log(rewards.min(axis=1) * np.nan)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (with_noise, "random"),
        (whitened, "coupled rows"),
        (in_place, "mutates"),
        (with_nan, "not finite"),
        (lambda r, k: r.max(axis=1) * 1j, "not real"),
        (lambda r, k: r, "shape"),
        (lambda r, k: 1 / 0, "raises"),
    ],
)
def test_misbehaviour_is_named(rule: Any, kind: str) -> None:
    report = ml.audit_value(rule, n=N, k=K)
    assert kind in [each.kind for each in report.misbehaviours]
    assert not report.passed
    assert json.loads(report.to_json())["passed"] is False


def test_a_rule_that_hangs() -> None:
    from threading import Event

    def hanging(rewards: Any, k: int) -> Any:
        Event().wait(30)

    report = ml.audit_value(hanging, n=N, k=K, signature="batch", seconds=0.05)
    assert [each.kind for each in report.misbehaviours] == ["hangs"]
    assert detail(report) == "not decided: the rule does not return"


# NumPy's global random state -----------------------------------------------------------------------------


def redraws(rewards: Any, k: int) -> Any:
    """As verl's best@N: seeded inside, so that it repeats itself and resets what is not its own."""
    np.random.seed(42)  # noqa: NPY002
    chosen = np.random.choice(rewards.shape[1], size=(100, k), replace=True)  # noqa: NPY002
    return rewards[:, chosen].max(axis=-1).mean(axis=-1)


def test_a_rule_that_resets_the_global_state_is_told_and_undone() -> None:
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    report = ml.audit_value(redraws, n=4, k=2, claims=("unbiased", "order-free"))
    assert report.random_state == "reset"
    assert holds(report) == {"unbiased": False, "order-free": False}
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002
    assert "reset by every call" in report.to_markdown()


def test_draws_that_change_nothing_are_told() -> None:
    def wasteful(rewards: Any, k: int) -> Any:
        np.random.rand()  # noqa: NPY002
        return ml.value_estimate(rewards, k)

    report = ml.audit_value(wasteful, n=4, k=2)
    assert report.passed
    assert report.random_state == "consumed"
    assert ml.audit_value(with_noise, n=4, k=2).random_state == "consumed"


# Edges ---------------------------------------------------------------------------------------------------


def remarks(rule: Any, **options: Any) -> dict[str, tuple[float | None, str]]:
    report = ml.audit_value(rule, n=N, k=K, **options)
    return {case.label: (case.value, case.remark) for case in report.edges or ()}


def test_the_edges_of_tools() -> None:
    def tool(rewards: Any, k: int) -> Any:
        return product_form((np.nan_to_num(rewards) >= 0.999).astype(float), k)

    found = remarks(tool)
    assert found["K > n, no success"] == (
        1.0,
        "a number where no unbiased estimate exists, without a success",
    )
    assert found["one 0.5, graded"][1] == "0.5 counts as 0; an unbiased rule gives 0.3"
    assert found["one 0.999, nearly 1"][1].startswith("0.999 counts as 1")
    assert found["one 2, twice 1"][1] == "2 counts as 1; an unbiased rule gives 1.2"
    assert found["one NaN, one success"][1] == "NaN counts as a failure"
    assert found["one success"] == (pytest.approx(0.6, abs=16 * EPS), "as an unbiased rule")

    found = remarks("unbiased")
    assert found["K > n, no success"] == (None, "refuses")
    assert found["one NaN, one success"] == (None, "refuses")
    assert {remark for value, remark in found.values() if value is not None} == {"as an unbiased rule"}


def test_missing_rewards_at_the_edges() -> None:
    def left_out(rewards: Any, k: int) -> Any:
        return [ml.value_estimate(row[~np.isnan(row)], k) for row in rewards]

    assert remarks(left_out)["one NaN, one success"][1] == "NaN is left out"
    assert remarks(lambda r, k: r.max(axis=1))["one NaN, one success"][1] == "NaN spreads to the value"
    assert remarks(comb_form)["one NaN, one success"][1] == "refuses"
    assert remarks(sorted_weights)["one -0.25, the rest -1"][1] == "as an unbiased rule"


# The report ----------------------------------------------------------------------------------------------


def test_forms_of_the_report() -> None:
    report = ml.audit_value("plug-in", n=N, k=K, claims=ALL)
    data = json.loads(report.to_json())
    assert data["claims"][0]["holds"] is False
    assert data["nearest"]["name"] == "plug-in"
    assert len(data["policies"]) == 8
    console = Console(file=StringIO(), width=140)
    console.print(report)
    shown, text = console.file.getvalue(), report.to_markdown()  # type: ignore[attr-defined]
    for form in (shown, text):
        assert "an estimate of max@3, graded rewards (0, 0.25, 0.625, 1)" in form
        assert "equals plug-in" in form
        assert "one 0.5, graded" in form
    assert text.startswith("# Audit of `plug-in`: failed")
    assert text.count("\n## ") == 2


# Arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"k": 6}, ValueError, "k=6: max@k needs 1 <= k <= n = 5"),
        ({"claims": ("centered",)}, ValueError, "must be unbiased, order-free, monotone, bounded or equals:"),
        ({"claims": "unbiased"}, TypeError, "must be a sequence of claims"),
        ({"claims": ("equals:plugin",)}, ValueError, "did you mean plug-in"),
        ({"rewards": "continuous"}, ValueError, "a value rule is audited on auto, binary, graded"),
        ({"signature": "verl"}, ValueError, "signature='verl' is of advantage rules.*batch, group or auto"),
        ({"signature": "gruop"}, ValueError, "did you mean group"),
        ({"seconds": 0}, ValueError, "needs some time"),
        ({"rule": 3}, TypeError, "must be callable, or a name"),
        ({"rule": "maxpo"}, ValueError, "value rule 'maxpo' is not registered"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], says: str) -> None:
    given: dict[str, Any] = {"rule": "unbiased", "n": N, "k": K} | options
    with pytest.raises(error, match=says):
        ml.audit_value(given.pop("rule"), **given)


def test_settings_go_to_the_rule_by_name() -> None:
    def thresholded(rewards: Any, k: int, *, threshold: float) -> Any:
        return ml.value_estimate((rewards >= threshold).astype(float), k)

    options: dict[str, Any] = {"n": N, "k": K, "rewards": "binary"}
    assert ml.audit_value(thresholded, settings={"threshold": 0.5}, **options).passed
    assert not ml.audit_value(thresholded, settings={"threshold": 2.0}, **options).passed


def test_adapt_finds_how_a_value_rule_is_called() -> None:
    rewards = np.array([[0.0, 0.0, 1.0, 0.5]])
    for rule in (sorted_weights, ml.per_group(sorted_weights), in_float32):
        found = adapt(rule, output=rules.VALUES)(rewards, 2)
        assert np.abs(found - ml.value_estimate(rewards, 2)).max() <= 1e-6
    with pytest.raises(ValueError, match=r"fits no calling convention \(as batch: shape \(2, 3\)"):
        adapt(lambda r, k: (r.max(axis=1), r.min(axis=1)), "batch", output=rules.VALUES)


def test_monotone_is_decided_on_every_place() -> None:
    """A rule that falls only where the first rollout of two reaches the top."""

    def trap(rewards: Any, k: int) -> Any:
        return rewards.max(axis=1) - 2.0 * ((rewards[:, 0] == 1) & (rewards[:, 1] == 0.25))

    setting = Setting(n=2, k=1, target="max@k", rewards="graded", equivariant=False)
    found = claims.not_monotone(trap, setting)
    assert found is not None
    assert "lowers the value" in found
    assert (
        claims.not_monotone(trap, Setting(n=2, k=1, target="max@k", rewards="binary", equivariant=False))
        is None
    )


def test_a_rule_of_successes_is_told_what_it_is_right_about() -> None:
    def codex(rewards, k):
        n, c = rewards.shape[1], (rewards > 0).sum(axis=1)
        return np.array([1 - comb(n - each, k) / comb(n, k) for each in c.tolist()])

    graded, binary = (ml.audit_value(codex, n=6, k=3, rewards=kind) for kind in ("auto", "binary"))
    assert not graded.passed
    assert graded.claims[0].detail.endswith("; on 0/1 rewards, rewards='binary', it is unbiased")
    assert binary.passed
    named = ml.audit_value(codex, n=6, k=3, claims=("equals:unbiased",)).claims[0]
    assert named.holds is False
    assert "0/1 rewards" not in named.detail  # which says what a claim is, not what a rule equals


def test_a_rule_that_depends_on_the_order_is_unbiased_on_average() -> None:
    report = ml.audit_value(lambda rewards, k: rewards[:, :k].max(axis=1), n=5, k=2)
    assert report.claims[0].detail.startswith("on average over its orders the mean of the maximum")


def test_a_copy_of_what_a_tool_does_is_recognised() -> None:
    """verl's redraws and evalscope's count, written as they are there."""

    def best_at(rewards: Any, k: int) -> Any:
        np.random.seed(42)  # noqa: NPY002
        places = np.random.choice(rewards.shape[-1], size=(1000, k), replace=True)  # noqa: NPY002
        return rewards[:, places].max(axis=-1).mean(axis=-1)

    def of_summed_scores(rewards: Any, k: int) -> float:
        n, c = len(rewards), int(sum(rewards))
        return 1.0 if n - c < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))

    for rule, name in ((best_at, "verl-redraws"), (of_summed_scores, "product-form")):
        report = ml.audit_value(rule, n=N, k=K, claims=("unbiased", f"equals:{name}"))
        assert holds(report) == {"unbiased": False, f"equals:{name}": True}
        assert report.nearest is not None
        assert (report.nearest.name, report.nearest.exact) == (name, True)
    assert ml.audit_value(best_at, n=N, k=K).random_state == "reset"
