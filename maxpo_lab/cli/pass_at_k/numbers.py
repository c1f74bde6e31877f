"""Results of pass@k as JSON: one object, a list of numbers by k; what does not exist is null."""

from __future__ import annotations

import json
import math
from typing import Any

from ...core.arrays import Int
from ...evaluation import Comparison, PassAtK, Plan

_ESTIMATES = ("estimate", "standard_error", "low", "high", "fixed_prompts_error", "prompts", "left_out")
_DIFFERENCES = ("difference", "standard_error", "low", "high", "prompts")


def as_json(found: PassAtK, planned: Plan | None) -> str:
    """The text of a result, its comparison and plan."""
    content = _of_result(found)
    if found.comparison is not None:
        content["comparison"] = _of_comparison(found, found.comparison)
    if planned is not None:
        content["plan"] = _of_plan(planned)
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _of_result(found: PassAtK) -> dict[str, Any]:
    scored = found.rollouts[found.rollouts > 0]
    return {
        "measure": found.measure,
        "threshold": found.threshold,
        "confidence": found.confidence,
        "bounds": list(found.bounds),
        "prompts": len(found.rollouts),
        "clusters": found.clusters,
        "rollouts": {"fewest": int(scored.min()), "most": int(scored.max()), "all": int(scored.sum())},
        "by_k": _by_k(found.k, found, _ESTIMATES),
        "notes": list(found.notes),
    }


def _of_comparison(found: PassAtK, compared: Comparison) -> dict[str, Any]:
    return {"other": _of_result(compared.other), "by_k": _by_k(found.k, compared, _DIFFERENCES)}


def _by_k(ks: Int, numbers: PassAtK | Comparison, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """One object a k, of the fields that are arrays over the k's."""
    columns = {"k": ks} | {field: getattr(numbers, field) for field in fields}
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _of_plan(planned: Plan) -> dict[str, Any]:
    return {
        "difference": planned.difference,
        "power": planned.power,
        "confidence": planned.confidence,
        "spread": {str(k): value for k, value in planned.spread.items()},
        "power_now": {str(k): value for k, value in planned.power_now.items()},
        "designs": [
            {"k": each.k, "rollouts": each.rollouts, "prompts": each.prompts, "cost": each.cost}
            for each in planned.designs
        ],
        "notes": list(planned.notes),
    }


def _finite(content: Any) -> Any:
    """The same with None for NaN, which JSON lacks."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
