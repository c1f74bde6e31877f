"""Results of human-eval (``_results.jsonl``) and evalplus (``_eval_results.json``): verdicts of programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import Dump, DumpError

_PASS = "pass"  # noqa: S105 - a verdict


def recognises_human_eval(row: Mapping[str, Any]) -> bool:
    """Whether an object is a result of human-eval."""
    return row.keys() >= {"task_id", "passed", "result"}


def read_human_eval(rows: Sequence[Mapping[str, Any]]) -> Dump:
    """``passed`` of each completion."""
    return Dump("human-eval results", rows, ["passed"], "task_id")


def recognises_evalplus(content: Any) -> bool:
    """Whether the value of a JSON file is a result of evalplus."""
    if not isinstance(content, Mapping) or not isinstance(tasks := content.get("eval"), Mapping):
        return False
    first = next((each for each in tasks.values() if each), None)
    return isinstance(first, list) and isinstance(first[0], Mapping) and "base_status" in first[0]


def read_evalplus(content: Mapping[str, Any]) -> Dump:
    """``plus``, all tests, where these were run, else ``base``, those of the original benchmark."""
    records: list[dict[str, Any]] = []
    for task, solutions in content["eval"].items():
        for each in solutions:
            base, plus = each.get("base_status"), each.get("plus_status")
            verdicts = {"base": None if base is None else base == _PASS}
            verdicts["plus"] = None if plus is None else base == plus == _PASS
            records.append({"task_id": task, **verdicts})
    if empty := [task for task, solutions in content["eval"].items() if not solutions]:
        raise DumpError(
            f"{len(empty)} tasks have no solution (the first is {empty[0]}), so there is no pass@k of them: "
            f"take them out of the file"
        )
    rewards = ["plus", "base"] if any(record["plus"] is not None for record in records) else ["base"]
    notes = ("plus is all tests, base those of the original benchmark alone",) if len(rewards) > 1 else ()
    return Dump("evalplus results", records, rewards, "task_id", notes=notes)
