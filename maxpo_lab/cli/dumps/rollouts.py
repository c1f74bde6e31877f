"""Rollouts of trainers: verl (``rollout_data_dir``, ``validation_data_dir``), TRL (``log_completions``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .base import Dump, DumpError, of_steps

_VERL = {"input", "output", "score", "step"}
_TRL = {"step", "prompt", "completion", "advantage"}
_SAME = "prompts of equal text are one, as the file has no id of theirs"


def recognises_verl(row: Mapping[str, Any]) -> bool:
    """Whether an object is a rollout that verl dumped."""
    return row.keys() >= _VERL


def read_verl(rows: Sequence[Mapping[str, Any]]) -> Dump:
    """``score`` of each response, or another field of numbers that is asked for."""
    ids = of_steps(rows, "step", "input")
    records = [{**row, "prompt": each} for row, each in zip(rows, ids, strict=True)]
    more = [
        key for key, value in rows[0].items() if isinstance(value, bool | int | float) and key not in _VERL
    ]
    return Dump("rollouts of verl", records, ["score", *more], "prompt", notes=(_SAME,))


def recognises_trl(columns: Sequence[str]) -> bool:
    """Whether columns are those of TRL's completions."""
    return set(columns) >= _TRL


def read_trl(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> Dump:
    """The reward of each completion; ``numbers`` are the columns of numbers."""
    rewards = [column for column in numbers if column not in _TRL]
    if not rewards:
        raise DumpError("it has no column of rewards")
    texts = [{**row, "prompt": _text(row["prompt"])} for row in rows]
    ids = of_steps(texts, "step", "prompt")
    records = [{**row, "prompt": each} for row, each in zip(texts, ids, strict=True)]
    return Dump("completions of TRL", records, rewards, "prompt", decided=len(rewards) == 1, notes=(_SAME,))


def _text(prompt: Any) -> str:
    """A prompt, or the messages of one, as text."""
    return prompt if isinstance(prompt, str) else json.dumps(prompt, default=str, sort_keys=True)
