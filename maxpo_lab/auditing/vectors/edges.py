"""Groups of several rewards at the edges: flat rewards, specialists, missing, huge and tiny ones, float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.arrays import Float
from ..decide.edges import HUGE, LARGE, TINY
from ..worker import HungError, RaisedError
from .calls import RowRule


@dataclass(frozen=True, slots=True)
class RowCase:
    """A group at an edge and what the rule makes of it: ``advantages``, or ``refusal``, its message."""

    label: str
    n: int
    k: int
    rewards: tuple[tuple[float, ...], ...]
    advantages: tuple[float, ...] | None
    refusal: str | None
    remark: str


@dataclass(frozen=True, slots=True)
class RowEdges:
    """The cases, and how far float32 rewards move the advantages, over the largest one (None: refused).

    ``overflows``: the labels of finite rewards that get something that is not finite.
    """

    cases: tuple[RowCase, ...]
    float32_error: float | None
    overflows: tuple[str, ...]


def row_edges(rule: RowRule, *, n: int, k: int) -> RowEdges:
    """Evaluate the rule on the groups at the edges; responses are equally long."""
    d = rule.rewards

    def group(*rows: list[float], size: int = n) -> Float:
        filled = np.zeros((size, d))
        for place, row in enumerate(rows[:size]):
            filled[place] = row
        return filled

    def beside_flat(height: float) -> Float:
        """The first reward tells rollouts apart, all others are flat."""
        rows = group([1.0] + [0.0] * (d - 1))
        rows[:, 1:] = height
        return rows

    ones, first = [1.0] * d, [1.0] + [0.0] * (d - 1)
    missing = group(ones)
    missing[-1, 0] = np.nan
    plan: list[tuple[str, int, Float]] = [
        ("all fail", k, group()),
        ("all succeed", k, np.ones((n, d))),
        ("all equal, 0.1", k, np.full((n, d), 0.1)),
        ("one good at all", k, group(ones)),
        ("a specialist of each reward", k, group(*np.eye(d).tolist())),
        ("other rewards flat at 0", k, beside_flat(0.0)),
        ("other rewards flat at 0.1", k, beside_flat(0.1)),
        ("K = n", n, group(ones)),
        ("K = 1", 1, group(ones)),
        ("n = 2", min(k, 2), group(first, size=2)),
        ("n = 1", 1, group(ones, size=1)),
        ("one NaN", k, missing),
        (f"large, {LARGE:g}", k, LARGE * group(ones, first)),
        (f"huge, {HUGE:g}", k, HUGE * group(ones, first)),
        (f"tiny, {TINY:g}", k, TINY * group(ones, first)),
    ]
    cases = tuple(_case(rule, label, each, rewards) for label, each, rewards in plan if len(rewards) <= n)
    overflows = tuple(
        case.label
        for case in cases
        if case.label.startswith("large") and case.advantages and not np.isfinite(case.advantages).all()
    )
    return RowEdges(cases, _float32_error(rule, n, k), overflows)


def _answer(rule: RowRule, rewards: Float, k: int) -> Float | str:
    """Advantages of rewards (B, n, d), not looked at but for their shape; or the message of the refusal."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(rule.guard(rule.rows(rewards.copy()), k), dtype=np.float64)
    except HungError:
        raise
    except RaisedError as error:
        return str(error.__cause__)
    except (TypeError, ValueError) as error:
        return str(error)
    return found if found.shape == rewards.shape[:-1] else f"shape {found.shape}"


def _case(rule: RowRule, label: str, k: int, rewards: Float) -> RowCase:
    given, rows = _answer(rule, rewards[None], k), tuple(map(tuple, rewards.tolist()))
    if isinstance(given, str):
        return RowCase(label, len(rewards), k, rows, None, given, "refuses")
    remark = _missing(given[0]) if np.isnan(rewards).any() else _remark(rewards, given[0])
    return RowCase(label, len(rewards), k, rows, tuple(given[0].tolist()), None, remark)


def _remark(rewards: Float, advantages: Float) -> str:
    if not np.isfinite(advantages).all():
        return "not finite"
    if not advantages.any():
        return "all 0"
    flat = bool((rewards == rewards[0]).all())
    if flat and np.abs(advantages).max() <= 1e-3 * max(1.0, float(np.abs(rewards).max())):
        return "0 but for rounding"
    if flat:
        return (
            "tells equals apart"
            if np.ptp(advantages) > 1e-9 * np.abs(advantages).max()
            else "not 0 on a flat group"
        )
    return "separates" if np.ptp(advantages) else "does not separate"


def _missing(advantages: Float) -> str:
    """What becomes of a rollout, the last, that lacks a reward, and of the others."""
    if np.isnan(advantages[:-1]).any():
        return "NaN spreads to the group"
    own = "NaN" if np.isnan(advantages[-1]) else "0" if advantages[-1] == 0 else "a number"
    return f"gets {own}; the others have numbers"


def _float32_error(rule: RowRule, n: int, k: int) -> float | None:
    rng = np.random.default_rng(2)
    graded = (rng.random((16, n, rule.rewards)) < 0.4) * rng.choice([1.0, 0.3], (16, n, rule.rewards))
    for rewards in (graded, (graded > 0).astype(np.float64)):  # a rule of 0/1 rewards refuses the first
        full, single = (_answer(rule, each, k) for each in (rewards, rewards.astype(np.float32)))
        if isinstance(full, str) or isinstance(single, str):
            continue
        size = float(np.abs(full).max())
        return float(np.abs(single - full).max()) / size if size else 0.0
    return None
