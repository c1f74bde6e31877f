"""Groups at the edges of a value rule: K beyond n, missing, graded, large and negative rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...evaluation import value_estimate
from ..worker import RaisedError

#: Nearly a success: what a threshold makes of it.
NEARLY = 0.999


@dataclass(frozen=True, slots=True)
class ValueCase:
    """A group at an edge and what the rule makes of it: ``value``, or ``refusal``, its message."""

    label: str
    n: int
    k: int
    rewards: tuple[float, ...]
    value: float | None
    refusal: str | None
    remark: str


def value_edges(rule: rules.Rule, *, n: int, k: int) -> tuple[ValueCase, ...]:
    """Evaluate the rule on the groups at the edges."""

    def one(high: float, rest: float = 0.0, size: int = n) -> list[float]:
        return [high] + [rest] * (size - 1)

    plan: list[tuple[str, int, list[float]]] = [
        ("no success", k, [0.0] * n),
        ("one success", k, one(1.0)),
        ("all succeed", k, [1.0] * n),
        ("K = 1, one success", 1, one(1.0)),
        ("K = n, one success", n, one(1.0)),
        ("K > n, no success", n + 1, [0.0] * n),
        ("K > n, one success", n + 1, one(1.0)),
        ("n = 1, a success", 1, [1.0]),
        ("one 0.5, graded", k, one(0.5)),
        (f"one {NEARLY}, nearly 1", k, one(NEARLY)),
        ("one 2, twice 1", k, one(2.0)),
        ("one -0.25, the rest -1", k, one(-0.25, -1.0)),
        ("one NaN, one success", k, [float("nan"), *one(1.0, size=n - 1)][:n]),
    ]
    return tuple(_case(rule, label, each, group) for label, each, group in plan)


def _case(rule: rules.Rule, label: str, k: int, group: list[float]) -> ValueCase:
    value, refusal = _asked(rule, group, k)
    if refusal is not None:
        return ValueCase(label, len(group), k, tuple(group), None, refusal, "refuses")
    return ValueCase(label, len(group), k, tuple(group), value, None, _remark(rule, group, k, value))


def _asked(rule: rules.Rule, group: list[float], k: int) -> tuple[float, str | None]:
    """The value of a group, or why there is none."""
    try:
        with np.errstate(all="ignore"):
            answer = np.asarray(rule(np.array([group]), k), dtype=np.float64)
    except RaisedError as error:
        return np.nan, str(error.__cause__)
    except (TypeError, ValueError) as error:
        return np.nan, f"no number: {error}"
    return (float(answer[0]), None) if answer.shape == (1,) else (np.nan, f"shape {answer.shape}")


def _remark(rule: rules.Rule, group: list[float], k: int, value: float) -> str:
    """What a value is, next to what an unbiased rule gives and to the values of like groups."""
    if np.isnan(group).any():
        return _missing(rule, group, k, value)
    if not np.isfinite(value):
        return "not finite"
    if k > len(group):
        alone = ", without a success" if value > 0 and not any(group) else ""
        return f"a number where no unbiased estimate exists{alone}"
    rewards: Float = np.array(group)
    due = float(value_estimate(rewards, k))
    if _same(rule, value, due, rewards):
        return "as an unbiased rule"
    if rewards[0] not in (0, 1):
        for taken_for in (1.0, 0.0):
            other, refusal = _asked(rule, [taken_for, *group[1:]], k)
            if refusal is None and _same(rule, value, other, rewards):
                return f"{group[0]:g} counts as {taken_for:g}; an unbiased rule gives {due:.4g}"
    return f"an unbiased rule gives {due:.4g}"


def _missing(rule: rules.Rule, group: list[float], k: int, value: float) -> str:
    """What became of an unscorable rollout, the first."""
    if np.isnan(value):
        return "NaN spreads to the value"
    rest = group[1:]
    for others, words in (([0.0, *rest], "NaN counts as a failure"), (rest, "NaN is left out")):
        if others:
            other, refusal = _asked(rule, others, k)
            if refusal is None and _same(rule, value, other, np.array(others)):
                return words
    return "not finite" if np.isinf(value) else "a number"


def _same(rule: rules.Rule, value: float, other: float, rewards: Float) -> bool:
    size = max(1.0, float(np.abs(rewards).max()))
    return abs(value - other) <= rules.precision_of(rule).share(len(rewards)) * size
