"""Exact moments: of one rule under one policy, over batches of prompts, and the least there can be."""

from .against_gradient import AgainstGradient, against_gradient
from .batches import BatchMoments, batch_moments
from .exact import MAX_STATES, exact_moments
from .floor import VarianceFloor, variance_floor
from .from_sums import DEAD
from .prompts import side_by_side
from .result import Moments

__all__ = [
    "DEAD",
    "MAX_STATES",
    "AgainstGradient",
    "BatchMoments",
    "Moments",
    "VarianceFloor",
    "against_gradient",
    "batch_moments",
    "exact_moments",
    "side_by_side",
    "variance_floor",
]
