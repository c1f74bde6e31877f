"""``RolloutSampler`` under its public path; ``networks.rollouts`` holds it."""

from .networks.rollouts import RolloutSampler

__all__ = ["RolloutSampler"]
