"""What the audit finds of a rule of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from .claims import Balance
from .coupling import Met
from .sizes import OverSizes


@dataclass(frozen=True, slots=True)
class Coupling:
    """How the groups of a batch meet, and what that costs.

    Attributes
    ----------
    met
        The first batches in which a group's answer depends on the others; None where it does in none of
        those tried: what depends then is on P alone, or on a batch of one prompt.
    over_sizes
        Bias, scale, direction and weights at P = 2, 4, 8, ..., and the rule at large P.
    balance
        See ``Balance``.
    scales
        P, and the constant by which the mean gradient is the target's under every policy, None where it is no
        constant times it; asked for in batches of 2 and 32.
    """

    met: Met | None
    over_sizes: OverSizes
    balance: Balance
    scales: tuple[tuple[int, float | None], ...]
