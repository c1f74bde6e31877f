"""``monte_carlo_moments``: sample, merge along the tree, and say what the sample knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

import numpy.typing as npt
import torch

from ..core import devices
from ..core.arguments import whole_number
from ..core.arrays import Float
from ..policies.samplers import Sampler
from .accumulators import Accumulator, ShardTree
from .estimates import INFORMATIVE, Estimate, RuleMoments, Smooth, estimate, rule_moments, smooth_quantities
from .experiments import QUANTITIES, Estimators, Experiment, Until, experiment, flat_gradient, shard_size
from .shards import measure_shard

#: Shards between looks, where sampling may stop early: a quarter more each time.
_GROWTH = 1.25


@dataclass(frozen=True, eq=False)
class SampledMoments:
    """Moments of rules that were measured on one sample; ``result["maxpo"]`` are those of one of them.

    Attributes
    ----------
    names
        The rules.
    n, k, batch, groups, seed
        The sample.
    gradient
        What bias was measured against, (d,), or None.
    """

    total: Accumulator = field(repr=False)
    gradient: Float | None = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The rules, in the order they were given in."""
        return self.total.names

    @property
    def n(self) -> int:
        """Group size."""
        return self.total.n

    @property
    def k(self) -> int:
        """The K of max@K."""
        return self.total.k

    @property
    def batch(self) -> int:
        """Groups of an estimate."""
        return self.total.prompts

    @property
    def groups(self) -> int:
        """Estimates sampled: groups, or batches of them."""
        return self.total.groups

    @property
    def seed(self) -> int:
        """Root of the random streams."""
        return self.total.seed

    def __getitem__(self, name: str) -> RuleMoments:
        return rule_moments(self.total, self._index(name), self.gradient)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def difference(self, first: str, second: str, quantity: str = "trace_covariance") -> Estimate:
        """A quantity of the first rule less that of the second.

        The rules met the same groups, so what these have in common cancels: the standard error is that of the
        paired difference, mostly far below the two rules' own. It knows no groups but those that came up:
        rules that differ on rare groups alone (two successes, where one is rare already) need many more.

        Raises KeyError for a rule, ValueError for a quantity that is not here.
        """
        a, b = self._pair(first, second, quantity)
        return estimate(self.total, Smooth(a.value - b.value, a.influence - b.influence, positive=False))

    def ratio(self, first: str, second: str, quantity: str = "trace_covariance") -> Estimate:
        """A quantity of the first rule over that of the second, paired like ``difference``; NaN over 0."""
        a, b = self._pair(first, second, quantity)
        if not b.value:
            return Estimate(math.nan, math.nan)
        value = a.value / b.value
        influence = (a.influence - value * b.influence) / b.value
        return estimate(self.total, Smooth(value, influence, positive=a.positive and b.positive))

    def _pair(self, first: str, second: str, quantity: str) -> tuple[Smooth, Smooth]:
        a, b = (smooth_quantities(self.total, self._index(name), self.gradient) for name in (first, second))
        if quantity not in a:
            needs = " (scale and along_gradient_variance need a gradient)" if quantity in QUANTITIES else ""
            raise ValueError(
                f"quantity={quantity!r} cannot be compared here: choose from {', '.join(a)}{needs}"
            )
        return a[quantity], b[quantity]

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(f"{name!r} was not measured: choose from {', '.join(self.names)}")
        return self.names.index(name)


def monte_carlo_moments(
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
    workers: int = 1,
) -> SampledMoments:
    """Mean, variance and centering of rules' gradient estimates under a policy, from one sample for all.

    Parameters
    ----------
    estimators
        A name, an ``Estimator`` or a callable ``(rewards (B, n), k) -> (B, n)`` on torch tensors
        (``on_numpy`` lifts one on NumPy arrays); a rule of batches, where ``batch`` is given; several; or a
        mapping from names of your own to them.
    sampler
        The policy: see ``samplers.Sampler``.
    n, k
        Group size and K, ``1 <= k <= n``; any ``k >= 1`` where no rule uses it.
    groups
        How many estimates to draw, at least 2, each of a group or of a batch of groups; or ``Until`` a
        quantity is known.
    seed
        Root of the random streams, a whole number from 0 on.
    device
        Where the sampler lives.
    gradient
        The exact gradient of the target, d numbers of any shape, in the order of the scores. Without it,
        what is measured against it is None.
    batch
        P: an estimate is then the batch gradient ``G = (1/P) sum_j g_j`` of P groups, whose prompts the
        sampler draws. A rule of batches sees these P groups and no others; it needs P, which is never chosen
        for it. None: an estimate is of one group.
    workers
        Threads that measure shards. The result is the same to the bit for every number.

    Returns
    -------
    SampledMoments

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a rule undefined at (n, k); a sampler or rule that breaks its contract; a rule that is
        random, remembers earlier calls or couples the groups of a batch, refused before anything is sampled.

    Notes
    -----
    Assumes i.i.d. groups. They are drawn in shards of some 10^5 rollouts, on a GPU 10^7, each from its own
    stream, and merged along a fixed tree, so that memory does not grow with ``groups``, and the bits depend
    on the arguments, the kind of device, the machine and the versions alone. Standard errors are those of
    means over groups, by the delta method: for variances from the fourth moments of the groups, not from
    batch means, which need many more groups for the same precision of the error itself.
    """
    settings = experiment(
        estimators, sampler, n=n, k=k, groups=groups, seed=seed, device=device, gradient=gradient, batch=batch
    )
    workers = whole_number(workers, "workers")
    if workers < 1:
        raise ValueError(f"workers={workers}: at least one thread must work, e.g. workers=1")
    cap = groups.at_most if isinstance(groups, Until) else int(groups)
    tree, done = ShardTree(), 0
    with devices.reproducible(sampler.device):
        for stop in _checks(settings, groups, cap):
            todo = [(shard, shard_size(settings, shard, cap)) for shard in range(done, stop)]
            for part in _measured(settings, todo, workers):
                tree.add(part)
            done = stop
            result = finish(tree.total(), settings.gradient)
            if isinstance(groups, Until) and _known(result, groups):
                break
    return result


def finish(total: Accumulator, gradient: npt.ArrayLike | None = None) -> SampledMoments:
    """The result from the merged shards, and the gradient that these were measured with.

    Raises ValueError where that is not so.
    """
    flat = None if gradient is None else flat_gradient(gradient, total.estimates.mean.shape[1])
    given = len(total.scalars.mean) > len(total.names) * 4
    if given != (flat is not None):
        with_or_without = "with" if given else "without"
        raise ValueError(f"gradient={gradient!r}: the shards were measured {with_or_without} one")
    return SampledMoments(total, flat)


def _checks(settings: Experiment, groups: int | Until, cap: int) -> Iterator[int]:
    """Numbers of shards after which to look, the last one being all."""
    last = -(-cap // settings.shard_groups)
    if isinstance(groups, Until):
        stop = 4
        while stop < last:
            yield stop
            stop = math.ceil(stop * _GROWTH)
    yield last


def _known(result: SampledMoments, until: Until) -> bool:
    found = [result[name] for name in result]
    estimates = [getattr(each, until.quantity) for each in found]
    small = (each.standard_error <= until.relative_error * abs(each.value) for each in estimates)
    return all(each.informative_groups >= INFORMATIVE for each in found) and all(small)


def _measured(settings: Experiment, todo: Iterable[tuple[int, int]], workers: int) -> Iterator[Accumulator]:
    """The shards' accumulators, in order of arrival; a few are under way at any time."""
    if workers == 1:
        yield from (measure_shard(settings, shard, size) for shard, size in todo)
        return
    queue = iter(todo)
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        running: set[Future[Accumulator]] = set()
        try:
            while True:
                for shard, size in islice(queue, 2 * workers - len(running)):
                    running.add(pool.submit(measure_shard, settings, shard, size))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in running:
                future.cancel()
