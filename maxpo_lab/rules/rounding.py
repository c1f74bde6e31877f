"""What rounding may do to the advantages of a rule."""

from __future__ import annotations

import numpy as np

from ..core import precision
from ..core.arrays import Float
from ..core.precision import FLOAT64, Precision, allowed, ladder
from .calling import Rule


def tolerance(rule: Rule, groups: Float, advantages: Float, k: int, made: Precision | None = None) -> Float:
    """What rounding may do to the advantages of groups, both (B, n): an absolute error per group, (B, 1).

    In the coarsest type that the rule may compute in, or in ``made``; relative to the group's own advantages
    or to ``K max|R|`` over all groups, the larger (``precision``).
    """
    found = precision_of(rule)
    scale = _scale(groups, advantages, k)
    return np.asarray(allowed(made or ladder(found)[-1], found, *scale, groups.shape[-1]))[:, None]


def finest(rule: Rule, groups: Float, advantages: Float, k: int, off: Float) -> Precision | None:
    """The finest type whose rounding explains errors ``off`` (B, n) or (B, 1); None where none does."""
    return precision.finest(off, precision_of(rule), *_scale(groups, advantages, k), groups.shape[-1])


def _scale(groups: Float, advantages: Float, k: int) -> tuple[Float, float]:
    """The largest advantage of each group, and ``K max|R|`` over all."""
    size = np.maximum(np.abs(advantages).max(axis=-1), np.finfo(np.float64).tiny)
    return size, k * float(np.abs(groups).max())


def precision_of(rule: Rule) -> Precision:
    """The type that a rule says it computes in, by an attribute ``precision``; else float64."""
    found: Precision = getattr(rule, "precision", FLOAT64)
    return found
