"""Moments of a gradient estimate by sampling, where no exact oracle exists, or to check one.

``experiments`` checks what is asked for, ``batches`` says how many groups a call draws, ``shards`` measures
one shard of the sample, rank-linear rules as ``matrices`` or from ``one_sort``, ``accumulators`` merges
shards along a fixed tree, ``estimates`` says how well each quantity is known, ``sampled`` is the front door;
``updates`` does the same for a loop's updates.
Needs torch.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("maxpo_lab.monte_carlo samples with torch: pip install 'maxpo-lab[torch]'")

from .accumulators import Accumulator, ShardTree, merge
from .batched_rules import on_numpy
from .estimates import Estimate, RuleMoments, SampledGradient
from .experiments import QUANTITIES, Experiment, Until, experiment, shard_sizes
from .sampled import SampledMoments, finish, monte_carlo_moments
from .shards import measure_shard
from .updates import SampledUpdates, UpdateEstimates, monte_carlo_updates

__all__ = [
    "QUANTITIES",
    "Accumulator",
    "Estimate",
    "Experiment",
    "RuleMoments",
    "SampledGradient",
    "SampledMoments",
    "SampledUpdates",
    "ShardTree",
    "Until",
    "UpdateEstimates",
    "experiment",
    "finish",
    "measure_shard",
    "merge",
    "monte_carlo_moments",
    "monte_carlo_updates",
    "on_numpy",
    "shard_sizes",
]
