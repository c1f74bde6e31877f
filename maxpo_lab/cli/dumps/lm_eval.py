"""lm-eval (``--log_samples``): one object a document and filter, its metrics beside its responses."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from math import comb
from typing import Any

from .base import Dump, DumpError

_KEYS = {"doc_id", "resps", "filtered_resps"}
#: Keys of a sample that are no metric, for releases that do not list their metrics.
_OTHERS = _KEYS | {
    "doc",
    "target",
    "arguments",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
}
_PASS = re.compile(r"pass@(\d+)")
#: What stands for a choice of a multiple-choice task.
_PAIR, _GREEDY = 2, ("True", "False")
#: How near a number of passes must be to a whole one.
_NEAR = 1e-6


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether an object is a sample of lm-eval."""
    return row.keys() >= _KEYS


def read(rows: Sequence[Mapping[str, Any]], asked: str) -> Dump:
    """The rollouts of the metric that is asked for, or of the only one.

    A metric is of one document, whatever the number of its responses. ``pass@k`` of n responses tells how
    many of them pass; a list has an entry a response; any other number is that of the one response that a
    filter left.
    """
    filters = sorted({_filter(row) for row in rows})
    names = {
        metric if len(filters) == 1 else f"{metric},{_filter(row)}": (metric, _filter(row))
        for row in rows
        for metric in _metrics(row)
    }
    if not names:
        raise DumpError("its samples have no metric")
    ordered = sorted(names, key=lambda name: (int(found[1]) if (found := _PASS.match(name)) else 0, name))
    decided = asked in names or len(names) == 1 or (len(filters) == 1 and all(map(_PASS.fullmatch, names)))
    if not decided:  # none is read, as that of one may fail where that of another does not
        return Dump(
            "lm-eval samples", [dict.fromkeys((*ordered, "doc_id", "answer"))], ordered, "doc_id", False
        )
    chosen = asked if asked in names else ordered[0]
    metric, kept = names[chosen]
    mine = [row for row in rows if _filter(row) == kept]
    records = [
        {chosen: reward, "doc_id": row["doc_id"], "answer": answer}
        for row in mine
        for reward, answer in _rollouts(row, metric)
    ]
    given = sum(len(_responses(row)) for row in mine)
    left = f"{metric} is of the {len(records)} responses that filter {kept!r} left of {given}"
    return Dump(
        "lm-eval samples",
        records,
        [chosen, *(name for name in ordered if name != chosen)],
        "doc_id",
        notes=(left,) if len(records) < given else (),
    )


def _filter(row: Mapping[str, Any]) -> str:
    return str(row.get("filter", "none"))


def _metrics(row: Mapping[str, Any]) -> list[str]:
    return list(row["metrics"]) if "metrics" in row else [key for key in row if key not in _OTHERS]


def _responses(row: Mapping[str, Any]) -> list[Any]:
    found = row["resps"]
    return list(found[0]) if found and isinstance(found[0], list) else list(found)


def _rollouts(row: Mapping[str, Any], metric: str) -> Iterator[tuple[Any, Any]]:
    """Reward and answer of each rollout of a sample."""
    value, kept = row.get(metric), row["filtered_resps"]
    answers = kept[0] if kept and isinstance(kept[0], list) else kept
    n = len(answers)
    if isinstance(value, list):
        if len(value) != n:
            raise DumpError(f"doc_id {row['doc_id']}: {metric} has {len(value)} entries for {n} responses")
        yield from zip(value, answers, strict=True)
        return
    found = _PASS.fullmatch(metric)
    if found is None or value is None or n == 1:
        if n > 1 and value is not None and _of_choices(kept):
            raise DumpError(
                f"doc_id {row['doc_id']}: its responses are log-likelihoods of choices, no rollouts"
            )
        if n > 1 and value is not None:
            raise DumpError(
                f"doc_id {row['doc_id']}: {metric} is one number for {n} responses, which does not tell "
                f"which of them are right; let the task also report pass@1, or an entry a response"
            )
        yield value, answers[0] if n == 1 else None
        return
    passed = _passes(row["doc_id"], float(value), n, int(found[1]))
    for place in range(n):
        yield float(place < passed), None


def _of_choices(kept: Sequence[Any]) -> bool:
    """Whether each response is a log-likelihood, and whether it is the greedy one."""
    return all(isinstance(each, list) and len(each) == _PAIR and str(each[1]) in _GREEDY for each in kept)


def _passes(document: Any, value: float, n: int, k: int) -> int:
    """How many of n pass where the unbiased pass@k is this."""
    if math.isnan(value) or k > n:
        raise DumpError(f"doc_id {document}: pass@{k} = {value:g} of {n} responses tells no number of passes")
    fits = [c for c in range(n + 1) if abs(1 - comb(n - c, k) / comb(n, k) - value) <= _NEAR]
    if len(fits) != 1:
        raise DumpError(
            f"doc_id {document}: pass@{k} = {value:g} of {n} responses "
            + (
                "is none that a whole number of passes gives"
                if not fits
                else f"may be {fits[0]} to {fits[-1]} passes"
            )
            + "; let the task report pass@1"
        )
    return fits[0]
