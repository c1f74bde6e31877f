"""The protocols of samplers, under their public path; ``policies`` holds them."""

from .policies.rollouts import RolloutPolicy, RolloutTokens
from .policies.samplers import Sampler, Scores

__all__ = ["RolloutPolicy", "RolloutTokens", "Sampler", "Scores"]
