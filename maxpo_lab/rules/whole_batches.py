"""Advantages of one batch under a rule that couples its groups, of one size or of several."""

from __future__ import annotations

from ..core import ragged
from ..core.arrays import Array, Namespace
from ..estimators import BatchEstimator
from .answers import checked
from .kinds import OfBatches


def of_groups(rule: OfBatches, xp: Namespace, flat: Array, groups: ragged.Groups, k: int) -> Array:
    """Advantages (B,) of rollouts (B,) in these groups; those of no group get 0.

    Raises ValueError where the rule needs groups of one size and these are not, or is not defined on them.
    """
    if isinstance(rule, BatchEstimator):
        return rule.of_groups(xp, flat, groups, k)
    if len(sizes := sorted(set(groups.sizes.tolist()))) > 1:
        raise ValueError(
            f"groups have {sizes} scored rollouts: the batch rule {rule.name} takes (P, n), groups of "
            f"one size; "
            f"drop rollouts until they are equal"
        )
    dense = xp.reshape(ragged.of_rows(xp, flat, groups.order), (len(groups.sizes), sizes[0]))
    found = xp.reshape(checked(rule, xp)(dense, k), (-1,))
    return ragged.to_rows(xp, found, groups.order, flat.shape[0])
