"""Exact moments of gradient estimates: mean, variance and centering of a rule, without sampling.

``exact`` is the front door. ``by_states`` (with ``count_sums``) and ``closed_form`` take a rule's sums in two
ways, ``from_sums`` makes the ``result`` of either, ``against_gradient`` compares a mean with the exact
gradient. ``batches`` are of several prompts, ``floor`` (with ``least_variance``) is the least
variance that there can be. ``updates`` are what a training loop's loss makes of a rule. ``values`` is of
estimates of J_K, and of what evaluation tools print.
"""

from .batches import BatchMoments, StandardErrors, batch_moments, path_moments, side_by_side
from .exact import MAX_STATES, exact_moments
from .floor import VarianceFloor, variance_floor
from .from_sums import DEAD
from .result import Moments
from .updates import UpdateMoments, UpdateStep, update_moments, update_path
from .values import ReportedMoments, ValueMoments, reported_moments, value_moments

__all__ = [
    "DEAD",
    "MAX_STATES",
    "BatchMoments",
    "Moments",
    "ReportedMoments",
    "StandardErrors",
    "UpdateMoments",
    "UpdateStep",
    "ValueMoments",
    "VarianceFloor",
    "batch_moments",
    "exact_moments",
    "path_moments",
    "reported_moments",
    "side_by_side",
    "update_moments",
    "update_path",
    "value_moments",
    "variance_floor",
]
