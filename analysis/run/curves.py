"""The part of a study that is tracked step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Curves:
    """Learning curves of one contestant, a run of their own.

    Attributes
    ----------
    name
        The contestant: a rule.
    seed_group
        The seeds that the curves are of, in words.
    points
        By step, values by the name of their curve; None where a curve has no value.
    """

    name: str
    seed_group: str
    points: Mapping[int, Mapping[str, float | None]]
