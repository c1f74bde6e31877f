"""What is to be measured, on which sample: the arguments of a measurement, checked, and its shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..core import devices
from ..core.arguments import as_group_size, as_k, real_number, whole_number
from ..core.arrays import Float
from ..policies.samplers import Sampler
from ..rules.calling import Rule
from ..rules.kinds import OfBatches
from . import batched_rules
from .batched_rules import BatchedRules
from .batches import BATCHES, LOADS, batch_size

#: One rule, of groups or of batches, or several.
Estimators = str | Rule | OfBatches | Sequence[str | Rule | OfBatches] | Mapping[str, str | Rule | OfBatches]

#: Quantities that a sample can be drawn until it knows, and that rules can be compared by.
QUANTITIES = (
    "trace_covariance",
    "along_gradient_variance",
    "scale",
    "advantage_rms",
    "advantage_sum_rms",
    "snr",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """Sample until a quantity of every rule has this relative standard error, or ``at_most`` groups.

    A rule with fewer than 50 informative groups is not known yet, whatever its standard error. Looked at
    after 4 shards (an eighth of ``at_most`` or less) and then whenever there are a quarter more of them, so
    where it stops depends on the seed alone. A quantity that stops its own sampling is a little likelier to
    be caught when its standard error is too small: for rare successes prefer a fixed number of groups.
    """

    quantity: str = "trace_covariance"
    relative_error: float = 0.01
    at_most: int = 10**7

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ValueError(f"quantity={self.quantity!r}: must be one of {', '.join(QUANTITIES)}")
        if not 0 < real_number(self.relative_error, "relative_error") < 1:
            raise ValueError(f"relative_error={self.relative_error}: must be between 0 and 1, e.g. 0.01")
        _at_least_two(self.at_most, "at_most")


@dataclass(frozen=True, eq=False, kw_only=True)
class Experiment:
    """What is measured, on which sample; made and checked by ``monte_carlo.experiment``.

    Attributes
    ----------
    rules
        The rules, with n, k, and the prompts of a batch.
    sampler
        Where groups come from.
    seed
        Root of the random streams.
    gradient
        The exact gradient (d,), or None.
    batch
        Groups, or batches of prompts, whose mean is one of those that ``tr Sigma^2`` is taken from.
    call
        As many per call of the sampler: some of ``batch``.
    """

    rules: BatchedRules
    sampler: Sampler
    seed: int
    gradient: Float | None
    batch: int
    call: int

    @property
    def shard_groups(self) -> int:
        """Groups, or batches of prompts, of a full shard."""
        return BATCHES * self.batch


def experiment(
    estimators: Estimators,
    sampler: Sampler,
    *,
    n: int,
    k: int,
    groups: int | Until,
    seed: int,
    device: torch.device | str = "cpu",
    gradient: npt.ArrayLike | None = None,
    batch: int | None = None,
) -> Experiment:
    """The checked arguments of ``monte_carlo_moments``, for those who distribute its shards themselves.

    ``shard_sizes`` tells the shards, ``measure_shard`` measures one, ``ShardTree`` collects them and
    ``finish`` gives the result, the same to the bit.
    """
    n = as_group_size(n)
    k = as_k(k)
    where = devices.as_device(device)
    missing = [name for name in ("__call__", "device", "parameters") if not hasattr(sampler, name)]
    if missing:
        raise TypeError(
            f"sampler={sampler!r} has no {missing[0]}: it must be a Sampler, such as specimen.sampler(theta) "
            f"gives"
        )
    if devices.as_device(sampler.device) != where:
        raise ValueError(
            f"device={str(where)!r}: the sampler lives on {sampler.device}; pass "
            f"device={str(sampler.device)!r}"
        )
    # Until can stop between shards alone: the cap makes 32 of them at least.
    fewest = -(-groups.at_most // 32) if isinstance(groups, Until) else _as_groups(groups)
    prompts = batched_rules.prompts_of(estimators, batch)
    seed = whole_number(seed, "seed")
    if seed < 0:
        raise ValueError(f"seed={seed}: must be 0 or more")
    along = isinstance(groups, Until) and groups.quantity in ("scale", "along_gradient_variance")
    if along and gradient is None:
        raise ValueError(f"groups={groups} is measured against a gradient: pass gradient=")
    flat = None if gradient is None else flat_gradient(gradient, sampler.parameters)
    asked = batched_rules.named(estimators)
    together = batch_size(where.type, n * prompts, fewest, rules=len(asked))
    call = together * LOADS[where.type].together

    def draw() -> torch.Tensor:
        rewards, _ = sampler(call * prompts, n, generator=devices.stream(seed, 0, where))
        return rewards

    with torch.no_grad(), devices.reproducible(where):
        rules = batched_rules.admit(
            asked, n, k, device=where, batch=call * prompts, draw=draw, prompts=prompts
        )
    return Experiment(rules=rules, sampler=sampler, seed=seed, gradient=flat, batch=together, call=call)


def shard_sizes(settings: Experiment, groups: int) -> list[int]:
    """Groups of each shard of a sample of ``groups``."""
    return [shard_size(settings, shard, groups) for shard in range(-(-groups // settings.shard_groups))]


def shard_size(settings: Experiment, shard: int, groups: int) -> int:
    """Groups of one shard of a sample of ``groups``."""
    return min(settings.shard_groups, groups - shard * settings.shard_groups)


def _as_groups(groups: int) -> int:
    """A number of groups, checked."""
    if isinstance(groups, bool) or not hasattr(groups, "__index__"):
        raise TypeError(
            f"groups={groups!r} is a {type(groups).__name__}: it must be an int, e.g. groups=10_000, or "
            f"maxpo_lab.monte_carlo.Until(relative_error=0.01) to stop where a quantity is known"
        )
    return _at_least_two(groups, "groups")


def _at_least_two(groups: int, name: str) -> int:
    whole = whole_number(groups, name)
    if whole < 2:
        raise ValueError(f"{name}={whole}: a variance needs at least 2 groups, and its error some hundreds")
    return whole


def flat_gradient(gradient: npt.ArrayLike, parameters: int) -> Float:
    """A gradient as a vector, checked."""
    flat = np.array(gradient, dtype=np.float64).ravel()
    if flat.size != parameters:
        raise ValueError(f"gradient has {flat.size} entries: expected {parameters}, one per parameter")
    if not np.isfinite(flat).all():
        raise ValueError("gradient must be finite")
    return flat
