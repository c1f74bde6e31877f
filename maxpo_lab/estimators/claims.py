"""What a rule's source, or the algebra, says of it: claims, which the moments decide, and laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Claims:
    """What a rule's source, or the algebra, says of it; the exact moments decide whether it is so.

    ``unbiased``: E[g] is the gradient of the rule's objective for every policy, at every valid
    (n, k). ``centered``: the advantages of every realised group sum to 0.
    """

    unbiased: bool
    centered: bool


@dataclass(frozen=True, slots=True)
class Laws:
    """How a rule answers to a change of the rewards' origin and unit.

    ``shift_invariant``: adding a constant to a group changes nothing. ``scale``: what multiplying the rewards
    by c > 0 does to the advantages: multiplies them by c (``"linear"``), nothing but for an epsilon
    (``"invariant"``), or neither (``"none"``; of rules on 0/1 rewards too, where there is nothing to scale).
    """

    shift_invariant: bool = True
    scale: Literal["linear", "invariant", "none"] = "linear"
