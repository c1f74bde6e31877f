"""Moments of a loop's updates by sampling: ``drawing`` makes batches, ``weighing`` the updates of a loss."""

from .result import SampledUpdates, UpdateEstimates
from .sampled import monte_carlo_updates

__all__ = ["SampledUpdates", "UpdateEstimates", "monte_carlo_updates"]
