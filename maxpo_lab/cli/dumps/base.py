"""What is taken from a tool's file: one record a rollout, and which of its fields are reward and prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dump:
    """Rollouts of a tool's file.

    ``tool`` is what messages call the file. ``records`` hold the fields of each rollout, those of the first
    by name; what another lacks it has no value of. ``rewards`` are those that can be the reward, of which the
    first is taken where ``decided``, and ``group`` is that of the prompt. ``notes`` say what must be known of
    the reading.
    """

    tool: str
    records: Sequence[Mapping[str, Any]]
    rewards: Sequence[str]
    group: str
    decided: bool = True
    notes: tuple[str, ...] = ()


class DumpError(ValueError):
    """A file of a known tool that holds no rollouts that can be told apart; the message says what would."""


def of_steps(records: Sequence[Mapping[str, Any]], step: str, prompt: str) -> list[str]:
    """Ids of prompts: a prompt's text, with the step before it where a file holds several policies."""
    several = len({record[step] for record in records}) > 1
    return [
        f"step {record[step]}: {record[prompt]}" if several else str(record[prompt]) for record in records
    ]
