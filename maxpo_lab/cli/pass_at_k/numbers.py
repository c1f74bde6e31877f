"""Results of pass@k as JSON: one object, a list of numbers by k; what does not exist is null."""

from __future__ import annotations

import json
import math
from typing import Any

from ...evaluation import Comparison, PassAtK, Plan


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
        "by_k": [
            {
                "k": int(found.k[place]),
                "estimate": float(found.estimate[place]),
                "standard_error": float(found.standard_error[place]),
                "low": float(found.low[place]),
                "high": float(found.high[place]),
                "fixed_prompts_error": float(found.fixed_prompts_error[place]),
                "prompts": int(found.prompts[place]),
                "left_out": int(found.left_out[place]),
            }
            for place in range(len(found.k))
        ],
        "notes": list(found.notes),
    }


def _of_comparison(found: PassAtK, compared: Comparison) -> dict[str, Any]:
    return {
        "other": _of_result(compared.other),
        "by_k": [
            {
                "k": int(found.k[place]),
                "difference": float(compared.difference[place]),
                "standard_error": float(compared.standard_error[place]),
                "low": float(compared.low[place]),
                "high": float(compared.high[place]),
                "prompts": int(compared.prompts[place]),
            }
            for place in range(len(found.k))
        ],
    }


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
