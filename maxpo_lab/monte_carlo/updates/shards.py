"""One shard of a sample of updates: batches from a stream of its own, and what they leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core.arrays import Float
from ...losses import Loss
from ...moments.updates.draws import DeadGroupPolicy
from ...policies.rollouts import RolloutPolicy
from ..accumulators import Accumulator, Scatter, exponents
from ..batches import BATCHES
from ..shards import comoments, from_batches
from .admission import Advantages
from .drawing import Batches, draw_batches
from .weighing import Weighing

#: Numbers in the updates of a shard, and its rollouts: 64 MiB, and some more for their tokens.
_NUMBERS, _ROLLOUTS = 1 << 23, 1 << 17
#: Updates of a shard at least: the standard error of a variance is a share of 2 over them off.
_FEWEST, _MOST = 64, 4096


@dataclass(frozen=True, eq=False, kw_only=True)
class Loop:
    """What is sampled: a loss, the prompts of a batch, and what becomes of dead groups."""

    loss: Loss
    policies: Sequence[RolloutPolicy]
    n: int
    k: int
    seed: int
    dead_groups: DeadGroupPolicy
    duplicates: float
    gradient: Float | None

    def batches(self, shard: int, size: int) -> Batches:
        """The batches of a shard, from -1 on; that one is for admission alone."""
        rng = np.random.default_rng([self.seed, shard + 1])
        return draw_batches(
            self.policies,
            rng,
            batches=size,
            n=self.n,
            dead_groups=self.dead_groups,
            duplicates=self.duplicates,
        )

    def shard_updates(self, rules: int) -> int:
        """Updates of a full shard, a function of the settings alone."""
        numbers = _NUMBERS // (rules * self.policies[0].parameters)
        most = min(_MOST, numbers, _ROLLOUTS // (self.n * len(self.policies)))
        return max(_FEWEST, most - most % BATCHES)


@dataclass(frozen=True, eq=False)
class Measured:
    """A shard: what rules leave behind, ``sum (u - mean)^2`` by coordinate (R, d), and groups that live."""

    total: Accumulator
    squares: Float
    live: Float
    seen: Float


def measure(
    loop: Loop, names: tuple[str, ...], rules: Sequence[Advantages], shard: int, size: int
) -> Measured:
    """Sample one shard and measure all rules on it; memory O(size R d + rollouts T)."""
    batches = loop.batches(shard, size)
    prompts, d = len(loop.policies), loop.policies[0].parameters
    weigh = Weighing(loop.loss, loop.n, prompts).of(batches)
    logs = batches.rollout_log_ratios()
    updates, sums, squares = np.empty((len(rules), size, d)), *np.empty((2, len(rules), size))
    for place, rule in enumerate(rules):
        advantages = rule(batches.rewards, logs)
        updates[place] = weigh(advantages)
        sums[place] = advantages.reshape(size, -1).sum(axis=1)
        squares[place] = np.sum(advantages.reshape(size, -1) ** 2, axis=1)
    if not np.isfinite(updates).all():
        bad = names[int(np.argmin(np.isfinite(updates).all(axis=(1, 2))))]
        raise ValueError(f"the updates of {bad} are not finite: check the policy's scores and log-ratios")
    mean = updates.mean(axis=1)
    off = updates - mean[:, None]
    rows = [np.sum(off**2, axis=2), np.einsum("rud,rd->ru", updates, mean), sums**2, squares]
    direction = None
    if loop.gradient is not None:
        length = float(np.linalg.norm(loop.gradient))
        direction = loop.gradient / length if length else loop.gradient
        along = updates @ direction
        rows += [along, (along - along.mean(axis=1, keepdims=True)) ** 2]
    columns = comoments(torch.from_numpy(np.concatenate(rows)))
    batch = max(1, size // BATCHES)
    whole = size - size % batch
    by_batch = updates[:, :whole].reshape(len(rules), -1, batch, d).sum(axis=2)
    spread, pull = from_batches(
        torch.from_numpy(np.ascontiguousarray(by_batch.swapaxes(0, 1))),
        torch.from_numpy(mean),
        None if direction is None else torch.from_numpy(direction),
        size,
        batch,
    )
    total = Accumulator(
        names=names,
        n=loop.n,
        k=loop.k,
        prompts=prompts,
        seed=loop.seed,
        start=shard,
        stop=shard + 1,
        estimates=Scatter(size, mean, columns.mean[: len(rules)] * size),
        scalars=columns,
        pull=pull,
        spread=spread,
        sizes=exponents(torch.from_numpy(np.sqrt(squares))),
        sum_max=np.abs(sums).max(axis=1),
    )
    return Measured(total, np.sum(off**2, axis=1), batches.live, batches.seen)
