"""The training loop as part of the estimator: exact moments of the update that a loss makes."""

from .exact import update_moments, updates_of
from .path import UpdateStep, update_path
from .result import UpdateMoments

__all__ = ["UpdateMoments", "UpdateStep", "update_moments", "update_path", "updates_of"]
