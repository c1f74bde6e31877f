"""evalscope reviews (``reviews/<model>/<dataset>.jsonl``): one object an attempt, its scores by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import Dump, DumpError


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether an object is a review of evalscope."""
    return isinstance(row.get("sample_score"), Mapping) and isinstance(
        row["sample_score"].get("score"), Mapping
    )


def read(rows: Sequence[Mapping[str, Any]]) -> Dump:
    """The metrics of each attempt; one that could not be scored lacks its metric."""
    scored = [row["sample_score"] for row in rows]
    values = [each["score"].get("value") or {} for each in scored]
    names = list(dict.fromkeys(name for value in values for name in value))
    if not names:
        raise DumpError("none of its reviews has a score")
    records = [
        {
            **{name: value.get(name) for name in names},
            "group_id": each["sample_id"] if each.get("group_id") is None else each["group_id"],
            "answer": each["score"].get("extracted_prediction"),
        }
        for each, value in zip(scored, values, strict=True)
    ]
    alone = sum(each.get("group_id") is None for each in scored)
    notes = (f"{alone} reviews have no group_id: the prompt of these is their sample_id",) if alone else ()
    main = scored[0]["score"].get("main_score_name")
    ordered = sorted(names, key=lambda name: name != main)
    decided = main in names or len(names) == 1
    return Dump("evalscope reviews", records, ordered, "group_id", decided=decided, notes=notes)
