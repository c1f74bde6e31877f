"""What the audit finds of a rule with memory."""

from __future__ import annotations

from dataclasses import dataclass

from ...estimators.entry import DeadGroups


@dataclass(frozen=True, slots=True)
class AtState:
    """A rule of one group, its memory fixed.

    Attributes
    ----------
    state
        In words: fresh, after some steps, or as given.
    climbs
        What it climbs there, in words.
    scale
        The constant in front of the target's gradient; None where there is none.
    centered
        Whether every group's advantages sum to 0.
    pays
        Which groups that are all alike get something: ``"none"``, ``"all-fail"``, ``"all-correct"``,
        ``"both"``. A trainer that drops dead groups changes what is climbed unless it is none.
    """

    state: str
    climbs: str
    scale: float | None
    centered: bool
    pays: DeadGroups


@dataclass(frozen=True, slots=True)
class Memory:
    """What was found at each state; ``remembers``: whether earlier steps change what a group gets."""

    states: tuple[AtState, ...]
    remembers: bool
