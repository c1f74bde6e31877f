"""The report of a value rule's audit in words: the facts and rows that every form of it shows."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

from ..decide.claims import plain
from .edges import ValueCase
from .nearest import NearestValueRule
from .policies import ValueUnderPolicy

POLICY_COLUMNS = ("policy", "p", "J", "bias", "rel.\nbias", "sd", "sd of\nunbiased")
EDGE_COLUMNS = ("group", "n", "K", "value", "")
_STATES = {
    "untouched": "left alone",
    "consumed": "moved on by every call",
    "reset": "reset by every call: all else that draws from it repeats itself",
}


def facts(report: Any) -> list[tuple[str, str]]:
    """What was found of a rule, each fact under a label."""
    found = []
    if report.edges is not None:
        order = "does not matter"
        if report.permuted is not None:
            order = f"matters: {' and '.join(map(plain, report.permuted))} get different values"
        found.append(("order", order))
    if report.random_state is not None:
        found.append(("NumPy's global random state", _STATES[report.random_state]))
    if report.nearest is not None:
        found.append(("nearest rule", _nearest(report.nearest, report.k)))
    return found


def _nearest(near: NearestValueRule, k: int) -> str:
    at = "" if near.k == k else f" at K = {near.k}"
    if near.exact:
        to = "" if near.precision == "float64" else f", to the precision of {near.precision}"
        alike = f" (here the same as {', '.join(near.alike)})" if near.alike else ""
        return f"equals {near.name}{at}{to}{alike}"
    return (
        f"{near.name}{at}, off by {near.difference:.3g} at most: {plain(near.rewards)} gets "
        f"{near.value:.4g}, not {near.theirs:.4g}"
    )


def policy_rows(policies: Sequence[ValueUnderPolicy]) -> list[tuple[str, ...]]:
    """A row of ``POLICY_COLUMNS`` for each policy; a bias within rounding is 0."""
    return [
        (
            under.rewards,
            f"{under.success:g}",
            f"{under.value:.4g}",
            "0" if abs(under.bias) <= under.resolution else f"{under.bias:+.3g}",
            "0" if abs(under.bias) <= under.resolution else _share(under.relative_bias),
            f"{under.standard_deviation:.3g}",
            f"{under.unbiased_deviation:.3g}",
        )
        for under in policies
    ]


def _share(relative: float) -> str:
    return "-" if isnan(relative) else f"{relative:+.1%}"


def edge_rows(cases: Sequence[ValueCase]) -> list[tuple[str, ...]]:
    """A row of ``EDGE_COLUMNS`` for each group at the edges."""
    return [
        (case.label, str(case.n), str(case.k), case.refusal or f"{case.value:.4g}", case.remark)
        for case in cases
    ]
