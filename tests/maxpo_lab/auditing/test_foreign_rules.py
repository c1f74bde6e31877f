"""Correct rules in other people's styles and types pass, near misses fail, random rules get their verdict."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import foreign_rules as foreign
import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.core.precision import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, recognise

Array = np.ndarray
NARROW = ("float16", "bfloat16")
FAULTS = (">", "K-1", "n/K", "no K")
#: Styles that take seconds.
LOOPS = ("enumeration", "log_gamma_by_entry")


def claims(n: int, k: int) -> tuple[str, ...]:
    """What the rules keep: centered, and Leave-Two-Out's numbers, below K = n alone."""
    if k < n:
        return ("unbiased", "centered", "equivariant", "equals:maxpo")
    return ("unbiased", "equals:pkpo-loo1") if k > 1 else ("unbiased",)


def said(rule: Callable[..., Any], n: int, k: int, *wanted: str) -> dict[str, bool | None]:
    found = decide(rule, n=n, k=k, claims=wanted or claims(n, k))
    assert not found.misbehaviours, found.misbehaviours
    return {verdict.claim: verdict.holds for verdict in found.claims}


def is_no_miss(fault: str, n: int, k: int) -> bool:
    """Whether a fault changes no number: K = 1 has no rank, n/K is 1 at K = n, no K is K = 1."""
    return (k == 1 and fault != "n/K") or (fault == "n/K" and k == n)


def sizes(slow_from: int = 8) -> list[Any]:
    """Group sizes to 12, those from ``slow_from`` on for test-integrations."""
    return [pytest.param(n, marks=[pytest.mark.integration] if n >= slow_from else []) for n in range(2, 13)]


@pytest.mark.parametrize("n", sizes(6))
@pytest.mark.parametrize("style", ["prefix_sums", "log_gamma"])
def test_correct_rules_in_float64_pass(style: str, n: int) -> None:
    for k in range(1, n + 1):
        assert set(said(foreign.written(foreign.STYLES[style]), n, k).values()) == {True}, k


@pytest.mark.parametrize("n", sizes(5))
@pytest.mark.parametrize("style", LOOPS)
def test_correct_rules_in_loops_pass(style: str, n: int) -> None:
    for k in range(1, n + 1):
        wanted = claims(n, k) if n <= 8 else ("unbiased",)  # minutes
        assert set(said(foreign.written(foreign.STYLES[style]), n, k, *wanted).values()) == {True}, k


@pytest.mark.parametrize("n", sizes(6))
def test_correct_rules_with_float32_inside_pass(n: int) -> None:
    for k in range(1, n + 1):
        assert set(said(foreign.single_inside, n, k).values()) == {True}, k


@pytest.mark.parametrize("n", sizes(5))
@pytest.mark.parametrize("kind", NARROW)
def test_correct_rules_in_narrow_types_pass(kind: str, n: int) -> None:
    pytest.importorskip("torch")
    for k in range(1, n + 1):
        rule = foreign.narrow(kind, returned=("same", "float32", "float64")[k % 3])
        assert set(said(rule, n, k, *claims(n, k)).values()) == {True}, k


@pytest.mark.parametrize(
    "style",
    [
        pytest.param(style, marks=pytest.mark.integration if style in LOOPS else ())
        for style in (*foreign.STYLES, "bfloat16")
    ],
)
def test_styles_pass_at_twelve(style: str) -> None:
    rule = foreign.narrow(style) if style in NARROW else foreign.written(foreign.STYLES[style])
    assert said(rule, 12, 7, "unbiased") == {"unbiased": True}


@pytest.mark.parametrize("n", sizes(5))
@pytest.mark.parametrize("kind", ["float64", *NARROW])
@pytest.mark.parametrize("fault", FAULTS)
def test_near_misses_fail(kind: str, fault: str, n: int) -> None:
    pytest.importorskip("torch")
    for k in range(1, n + 1):
        if not is_no_miss(fault, n, k):
            assert said(foreign.narrow(kind, fault=fault), n, k, "unbiased") == {"unbiased": False}, k


@pytest.mark.parametrize(("fault", "k"), [(">", 7), ("K-1", 12), ("n/K", 11), ("no K", 2)])
def test_the_nearest_misses_fail_in_bfloat16_at_twelve(fault: str, k: int) -> None:
    pytest.importorskip("torch")
    assert said(foreign.narrow("bfloat16", fault=fault), 12, k, "unbiased") == {"unbiased": False}


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize(("n", "k"), [(4, 3), (8, 4), (8, 7)])
def test_signals_subtracted_in_a_narrow_type_pass(kind: str, n: int, k: int) -> None:
    """K q and K v rounded before the one is taken from the other: little is left of their digits."""
    torch = pytest.importorskip("torch")

    def rule(rewards: Array, k: int) -> Any:
        made = getattr(torch, kind)
        q, v = (torch.tensor(each).to(made) for each in foreign.prefix_sums(rewards, k, k))
        return k * q - k * v

    assert set(said(rule, n, k, "unbiased", "centered").values()) == {True}


def test_the_type_is_told_from_behaviour() -> None:
    torch = pytest.importorskip("torch")

    def loses(made: Any, back: Any = np.float64) -> Any:
        return lambda rewards, k: ml.advantages(rewards.astype(made), k).astype(back)

    def weights_alone(rewards: Array, k: int) -> Array:
        return np.float32(1 / 3) * (rewards - rewards.mean(axis=1, keepdims=True))

    def binary_only(rewards: Array, k: int) -> Any:
        if not np.isin(rewards, (0, 1)).all():
            raise ValueError("0/1 rewards")
        return torch.as_tensor(ml.advantages(rewards, k)).bfloat16().float().numpy()

    told = {
        "maxpo": (ml.get_estimator("maxpo"), FLOAT64),
        "float32": (loses(np.float32), FLOAT32),
        "float16": (loses(np.float16), FLOAT16),
        "float16 said to be float32": (loses(np.float16, np.float32), FLOAT16),
        "bfloat16": (foreign.narrow("bfloat16"), BFLOAT16),
        "bfloat16 said to be float32": (foreign.narrow("bfloat16", returned="float32"), BFLOAT16),
        "bfloat16 said to be float64": (foreign.narrow("bfloat16", returned="float64"), BFLOAT16),
        "bfloat16 on 0/1 rewards": (binary_only, BFLOAT16),
        "winner takes all": (ml.get_estimator("max-minus-second"), FLOAT64),
        "weights in float32": (weights_alone, FLOAT64),
        "two decimals": (lambda rewards, k: np.round(100 * ml.advantages(rewards, k)) / 100, FLOAT64),
        "a threshold": (lambda rewards, k: ml.advantages((rewards > 0.5) * 1.0, k), FLOAT64),
        "ranks": (lambda rewards, k: rewards.argsort(axis=1).argsort(axis=1) - 3.5, FLOAT64),
        "signs": (lambda rewards, k: np.sign(rewards - 0.5), FLOAT64),
    }
    found = {name: recognise(rule, 8, 4) for name, (rule, _) in told.items()}
    assert found == {name: made for name, (_, made) in told.items()}


def test_verdicts_name_the_precision() -> None:
    pytest.importorskip("torch")
    found = decide(foreign.narrow("bfloat16"), n=8, k=4, claims=("unbiased", "centered"))
    unbiased, centered = (verdict.detail for verdict in found.claims)
    assert "unbiased for max@4, to the precision of bfloat16: at most" in unbiased
    assert "biases below 5.3% are hidden" in unbiased
    assert "to the precision of bfloat16: the largest sum is" in centered
    single = decide(foreign.single_inside, n=8, k=4, claims=("unbiased", "centered")).claims
    assert all("to the precision of float32" in verdict.detail for verdict in single)
    exact = decide("maxpo", n=8, k=4, claims=("unbiased", "centered")).claims
    assert not any("precision" in verdict.detail for verdict in exact)


def test_a_fault_beyond_bfloat16_is_seen_in_it() -> None:
    torch = pytest.importorskip("torch")
    right = foreign.narrow("bfloat16", returned="float32")
    for share, holds in ((1.0, True), (0.9, False)):
        assert said(lambda r, k, share=share: share * right(r, k), 8, 4, "unbiased") == {"unbiased": holds}
    assert torch.get_default_dtype() == torch.float32


def random_rule(seed: int, style: str, error: float) -> Callable[[Array, int], Array]:
    """``K q - b``, b a random symmetric function of the others; ``error`` scales what is earned."""
    weights = np.random.default_rng(seed).normal(size=4)

    def rule(rewards: Array, k: int) -> Array:
        n = rewards.shape[1]
        q, _ = foreign.STYLES[style](rewards, k, 0)
        others = np.stack([np.delete(rewards, i, axis=1) for i in range(n)], axis=1)
        moments = np.stack([others.mean(2), others.max(2), others.min(2), others.std(2)], axis=-1)
        return (1 + error) * k * q - moments @ weights

    return rule


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.integration] if seed >= 12 else []) for seed in range(200)]
)
def test_random_unbiased_rules_pass_and_planted_errors_fail(seed: int) -> None:
    n, k = [(n, k) for n in range(2, 9) for k in range(1, n + 1)][seed % 35]
    style = ("prefix_sums", "log_gamma", "enumeration")[seed % 3]
    assert said(random_rule(seed, style, 0.0), n, k, "unbiased") == {"unbiased": True}
    assert said(random_rule(seed, style, 0.01), n, k, "unbiased") == {"unbiased": False}


def test_claims_look_at_flat_groups_of_rounded_rewards() -> None:
    torch = pytest.importorskip("torch")

    def grpo(rewards: torch.Tensor) -> torch.Tensor:
        single = rewards.float()
        return (single - single.mean(1, keepdim=True)) / (single.std(1, keepdim=True) + 1e-9)

    report = ml.audit(grpo, n=8, k=4, target="mean", claims=("centered", "equals:grpo:eps=1e-9"))
    assert [verdict.holds for verdict in report.claims] == [False, False]
    assert report.symmetries is not None
    assert not report.symmetries.centered
    assert len(set(report.symmetries.worst_group)) == 1
    for verdict in report.claims:
        assert any(f"[{value:g}, {value:g}" in verdict.detail for value in (0.1, 0.7, 0.8))
    assert ml.audit("grpo:eps=1e-9", n=8, k=4, target="mean", claims=("centered",)).passed


@pytest.mark.parametrize(("limit", "up_to"), [(10.0, 10.0), (200.0, 100.0), (1e6, 1e5)])
def test_claims_say_up_to_which_rewards_they_hold(limit: float, up_to: float) -> None:
    def clipped(rewards: Array) -> Array:
        return np.clip(ml.advantages(rewards, 1, estimator="rloo"), -limit, limit)

    report = ml.audit(clipped, n=8, k=4, target="mean", claims=("unbiased", "centered", "equals:rloo"))
    assert report.passed
    assert {verdict.up_to for verdict in report.claims} == {up_to}
    assert report.symmetries is not None
    assert (report.symmetries.scale, report.symmetries.scale_up_to) == ("linear", up_to)
    shown = report.to_markdown()
    if up_to == 1e5:
        assert all(verdict.beyond is None for verdict in report.claims)
        assert "multiplies advantages by c" in shown
    else:
        assert all("gets" in v.beyond or "sum to" in v.beyond or "raising" in v.beyond for v in report.claims)
        assert f"for rewards up to {up_to:g} alone" in shown
        assert f"up to c = {up_to:g}" in shown


@pytest.mark.parametrize(("eps", "ddof"), list(product((1e-5, 3e-3, 2.5e-7), (0, 1))))
def test_an_epsilon_is_fitted(eps: float, ddof: int) -> None:
    def standardised(rewards: Array) -> Array:
        off = rewards - rewards.mean(axis=1, keepdims=True)
        return off / (rewards.std(axis=1, ddof=ddof, keepdims=True) + eps)

    near = ml.audit(standardised, n=8, k=4, target="mean").nearest
    assert near is not None
    name = f"grpo:eps={eps:g}{'' if ddof else ',ddof=0'}"
    assert (near.name, near.scale, near.exact) == (name, 1.0, True)


def test_of_equally_near_rules_the_one_of_scale_one_is_named() -> None:
    """GRPO with both ddof is off by the same from a rule that is neither, one of them at scale 1."""

    def bent(rewards: Array) -> Array:
        return ml.advantages(rewards, 1, estimator="grpo") + 1e-3 * (rewards == rewards.max(1, keepdims=True))

    near = ml.audit(bent, n=8, k=4, target="mean").nearest
    assert near is not None
    assert not near.exact
    assert near.name.startswith("grpo")
    assert near.scale == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("scale", [1e-6, 1e3, 1e6, 1e12])
def test_the_scale_of_a_rule_changes_no_verdict(scale: float) -> None:
    def scaled(rewards: Array, k: int) -> Array:
        return scale * ml.advantages(rewards, k)

    found = decide(scaled, n=6, k=3, claims=("unbiased", "centered"), allow_scale=True)
    assert [verdict.holds for verdict in found.claims] == [True, True]


def test_a_fault_at_middling_rewards_alone_ends_a_claim() -> None:
    """0.01 is below what rounding may do at rewards of 100000, and a fault at 10."""

    def offset(rewards: Array, k: int) -> Array:
        return ml.advantages(rewards, k) + 0.01 * (np.abs(rewards).max(axis=1, keepdims=True) > 3.2)

    found = decide(offset, n=6, k=3, claims=("centered", "equals:maxpo"))
    assert [(verdict.holds, verdict.up_to) for verdict in found.claims] == [(True, 1.0)] * 2
    assert "sum to 0.0" in (found.claims[0].beyond or "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"claims": "unbiased"}, r"claims='unbiased' is a str: .* claims=\('unbiased',\)"),
        ({"claims": None}, "claims=None is a NoneType"),
        ({"claims": (1,)}, "claim 1 is a int"),
        ({"target": None}, "target=None: objective None is a NoneType"),
        ({"target": [0, 1]}, r"target=\[0, 1\]: objective \[0, 1\] is a list"),
    ],
)
def test_what_is_no_name_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        ml.audit("maxpo", n=4, k=2, **change)
