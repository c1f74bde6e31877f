"""What a rule gives for the rewards of a group: advantages, or a value. Its shape, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """What a rule gives for rewards (B, n).

    ``name`` in the plural, ``rule`` what such a rule is called, ``shape`` in words; ``per_rollout`` tells
    (B, n) from (B,).
    """

    name: str
    rule: str
    shape: str
    per_rollout: bool

    def shape_for(self, rewards: tuple[int, ...]) -> tuple[int, ...]:
        """The shape for rewards of this shape."""
        return rewards if self.per_rollout else rewards[:-1]


ADVANTAGES = Output("advantages", "rule", "(B, n)", per_rollout=True)
VALUES = Output("values", "value rule", "(B,)", per_rollout=False)
