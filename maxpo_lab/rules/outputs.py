"""What a rule gives for the rewards of a group: advantages, or a value. Its shape, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """What a rule gives for rewards (B, n).

    ``name`` in the plural, ``rule`` what such a rule is called, ``shape`` in words; ``per_rollout`` tells
    (B, n) from (B,). ``takes``: the shape of the rewards, (B, n, d) of a rule of several.
    """

    name: str
    rule: str
    shape: str
    per_rollout: bool
    takes: str = "(B, n)"

    def shape_for(self, rewards: tuple[int, ...]) -> tuple[int, ...]:
        """The shape for rewards of this shape."""
        return rewards if self.per_rollout else rewards[:-1]


ADVANTAGES = Output("advantages", "rule", "(B, n)", per_rollout=True)
VALUES = Output("values", "value rule", "(B,)", per_rollout=False)
#: One number less an axis than the rewards, as a value is.
ADVANTAGES_OF_ROWS = Output(
    "advantages", "rule of several rewards", "(B, n)", per_rollout=False, takes="(B, n, d)"
)
