"""Groups at the edges: nothing to compare, one success, K = n, missing, huge and tiny rewards, float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ... import rules
from ...core.arrays import Float
from ..worker import RaisedError

#: Rewards beyond float16; of squares beyond float32; of squares below float32.
LARGE, HUGE, TINY = 1e5, 1e30, 1e-30


@dataclass(frozen=True, slots=True)
class Case:
    """A group at an edge and what the rule makes of it: ``advantages``, or ``refusal``, its message."""

    label: str
    n: int
    k: int
    rewards: tuple[float, ...]
    advantages: tuple[float, ...] | None
    refusal: str | None
    remark: str


@dataclass(frozen=True, slots=True)
class Edges:
    """The cases, and how far float32 rewards move the advantages, over the largest one (None: refused)."""

    cases: tuple[Case, ...]
    float32_error: float | None
    overflows: tuple[str, ...]


def edges(rule: rules.Rule, *, n: int, k: int) -> Edges:
    """Evaluate the rule on the groups at the edges."""

    def one(count: int, size: int, high: float = 1.0) -> list[float]:
        return [high] * count + [0.0] * (size - count)

    plan: list[tuple[str, int, list[float]]] = [
        ("all fail", k, one(0, n)),
        ("all succeed", k, one(n, n)),
        ("all equal, 0.1", k, [0.1] * n),
        ("one success", k, one(1, n)),
        ("one failure", k, one(n - 1, n)),
        ("K = n", n, one(1, n)),
        ("K = 1", 1, one(1, n)),
        ("n = 2", min(k, 2), one(1, 2)),
        ("n = 1", 1, [1.0]),
        ("one NaN", k, [float("nan"), *one(1, n - 1)]),
        (f"large, {LARGE:g}", k, one(1, n, LARGE)),
        (f"huge, {HUGE:g}", k, one(1, n, HUGE)),
        (f"tiny, {TINY:g}", k, one(1, n, TINY)),
    ]
    cases = tuple(_case(rule, label, each, group) for label, each, group in plan if len(group) <= n)
    overflows = tuple(
        case.label
        for case in cases
        if case.label.startswith("large") and case.advantages and not np.isfinite(case.advantages).all()
    )
    return Edges(cases, _float32_error(rule, n, k), overflows)


def _case(rule: rules.Rule, label: str, k: int, group: list[float]) -> Case:
    rewards = np.array([group])
    given = tuple(group)
    try:
        with np.errstate(all="ignore"):
            answer = np.asarray(rule(rewards.copy(), k), dtype=np.float64)
    except RaisedError as error:
        return Case(label, len(group), k, given, None, str(error.__cause__), "refuses")
    except (TypeError, ValueError) as error:
        return Case(label, len(group), k, given, None, str(error), "no numbers")
    if answer.shape != rewards.shape:
        return Case(label, len(group), k, given, None, f"shape {answer.shape}", "wrong shape")
    advantages = answer[0]
    remark = (
        _missing(rule, rewards, advantages, k) if np.isnan(rewards).any() else _remark(rewards[0], advantages)
    )
    return Case(label, len(group), k, given, tuple(advantages.tolist()), None, remark)


def _remark(rewards: Float, advantages: Float) -> str:
    if not np.isfinite(advantages).all():
        return "not finite"
    if not advantages.any():
        return "all 0"
    flat = rewards.min() == rewards.max()
    if flat and np.abs(advantages).max() <= 1e-3 * max(1.0, float(np.abs(rewards).max())):
        return "0 but for rounding"
    if flat and np.ptp(advantages) > 1e-9 * np.abs(advantages).max():
        return "tells equals apart"
    if flat:
        return "not 0 on a flat group"
    return "separates" if np.ptp(advantages) else "does not separate"


def _missing(rule: rules.Rule, rewards: Float, advantages: Float, k: int) -> str:
    """What became of an unscorable rollout, the first, and of the others."""
    rest = advantages[1:]
    if np.isnan(rest).any():
        return "NaN spreads to the group"
    try:
        without: Any = np.asarray(rule(rewards[:, 1:].copy(), k), dtype=np.float64)
    except (RaisedError, TypeError, ValueError):
        without = None
    left_out = without is not None and without.shape == (1, len(rest)) and np.allclose(without[0], rest)
    own: Literal["NaN", "0", "a number"] = (
        "NaN" if np.isnan(advantages[0]) else "0" if advantages[0] == 0 else "a number"
    )
    return f"gets {own}; the others " + ("as without it" if left_out else "as if it had a reward")


def _float32_error(rule: rules.Rule, n: int, k: int) -> float | None:
    rng = np.random.default_rng(2)
    groups = (rng.random((16, n)) < 0.4).astype(np.float64) * rng.choice([1.0, 0.3], (16, n))
    binary = (groups > 0).astype(np.float64)
    for rewards in (groups, binary):  # a rule of 0/1 rewards refuses the first
        try:
            full = np.asarray(rule(rewards.copy(), k), dtype=np.float64)
            single = np.asarray(rule(rewards.astype(np.float32), k), dtype=np.float64)
        except (RaisedError, TypeError, ValueError):
            continue
        size = float(np.abs(full).max())
        return float(np.abs(single - full).max()) / size if size else 0.0
    return None
