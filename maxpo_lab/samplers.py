"""The protocols of samplers, under their public path; ``policies.samplers`` holds them."""

from .policies.samplers import Sampler, Scores

__all__ = ["Sampler", "Scores"]
