"""What a rule's source, or the algebra, says of it: claims, which the moments decide, and laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Claims:
    """What a rule's source, or the algebra, says of it; the exact moments decide whether it is so.

    ``unbiased``: E[g] is the gradient of the rule's objective for every policy, at every valid
    (n, k). ``centered``: the advantages of every realised group sum to 0. ``equivariant``: rollouts that
    change places take their advantages along, ties aside; one that is not depends on the order of a group.
    """

    unbiased: bool
    centered: bool
    equivariant: bool = True


@dataclass(frozen=True, slots=True)
class Laws:
    """How a rule answers to a change of the rewards' origin and unit, and to ties.

    ``shift_invariant``: adding a constant to a group changes nothing. ``scale``: what multiplying the rewards
    by c > 0 does to the advantages: multiplies them by c (``"linear"``), nothing but for an epsilon
    (``"invariant"``), or neither (``"none"``; of rules on 0/1 rewards too, where there is nothing to scale).
    ``equal_ties``: equal rewards of a group get equal advantages; where not, their places decide who gets
    which.
    """

    shift_invariant: bool = True
    scale: Literal["linear", "invariant", "none"] = "linear"
    equal_ties: bool = True
