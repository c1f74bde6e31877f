"""One shard of a sample: groups from a random stream of its own, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core import devices
from ..core.arrays import Float
from ..policies.samplers import Scores
from .accumulators import Accumulator, Average, Comoments, Scatter, exponents
from .experiments import Experiment

#: What a group and rule leave behind, g being the estimate and m its mean in the shard:
#: ``|g - m|^2``, ``<g, m>``, ``(sum A)^2`` and ``sum A^2``.
COLUMNS = ("deviation", "projection", "sum_square", "square_sum")
#: Beside them where a gradient is given: the component p of g along it, and ``(p - mean)^2``.
ALONG = ("along", "along_deviation")
_METHODS = ("weighted_sum", "squared_norm", "dot", "total")


def measure_shard(experiment: Experiment, shard: int, groups: int | None = None) -> Accumulator:
    """Sample shard number ``shard`` and measure all rules on it.

    Parameters
    ----------
    experiment
        What is measured.
    shard
        Its number, from 0: it decides the random stream.
    groups
        Groups to draw; None is a full shard.

    Raises
    ------
    TypeError, ValueError
        A sampler or a rule that breaks its contract.

    Notes
    -----
    Runs on one torch thread, so the bits depend on nothing but the arguments. Estimates enter as deviations
    from the shard's own mean, which is close enough to the final one: the standard error of a trace
    covariance is taken from the fourth moments of the groups, and using the shard's mean for the true one
    changes it by a share of about 2 over the groups of the shard.
    """
    size = experiment.shard_groups if groups is None else groups
    rules, sampler = experiment.rules, experiment.sampler
    with torch.no_grad(), devices.reproducible(sampler.device):
        generator = devices.stream(experiment.seed, shard, sampler.device)
        direction = _direction(experiment.gradient, sampler.device)
        batches = [_drawn(experiment, each, generator, direction) for each in _batches(size, experiment.batch)]
        _check_drawn(experiment, batches)
        sums = torch.stack([batch.total for batch in batches]) / rules.n
        mean = sums.sum(dim=0) / size
        rows = _rows(batches, mean, direction)
        spread, pull = _from_batches(sums, mean, direction, size, experiment.batch)
        columns = _comoments(rows.flatten(0, 1))
        sum_max = rows[COLUMNS.index("sum_square")].amax(dim=-1).sqrt()
        largest = exponents(torch.cat([batch.largest for batch in batches], dim=-1))
    _check_finite(columns, rules.names)
    return Accumulator(
        names=rules.names,
        n=rules.n,
        k=rules.k,
        seed=experiment.seed,
        start=shard,
        stop=shard + 1,
        estimates=Scatter(size, _numpy(mean), columns.mean[: len(rules.names)] * size),
        scalars=columns,
        pull=pull,
        spread=spread,
        largest=largest,
        sum_max=_numpy(sum_max),
    )


def _batches(groups: int, batch: int) -> Iterator[int]:
    while groups > 0:
        yield min(batch, groups)
        groups -= batch


def _direction(gradient: Float | None, device: torch.device) -> torch.Tensor | None:
    """The gradient's unit vector; 0 where it is 0."""
    if gradient is None:
        return None
    size = float(np.linalg.norm(gradient))
    return torch.tensor(gradient / size if size else gradient, device=device)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Groups of one call, and what does not need the shard's mean.

    Attributes
    ----------
    rewards, scores
        What the sampler gave.
    advantages
        Of all rules, (rules, groups, n).
    total
        Sums of all scores, (rules, d).
    norm, sums, squares
        ``|sum_i A_i s_i|^2``, ``sum A`` and ``sum A^2``, (rules, groups).
    along
        ``<sum_i A_i s_i, v>`` of the gradient's direction v, (rules, groups); None without one.
    largest
        The largest ``|A|``, (rules, groups).
    """

    rewards: torch.Tensor
    scores: Scores
    advantages: torch.Tensor
    total: torch.Tensor
    norm: torch.Tensor
    sums: torch.Tensor
    squares: torch.Tensor
    along: torch.Tensor | None
    largest: torch.Tensor


def _drawn(
    experiment: Experiment, groups: int, generator: torch.Generator, direction: torch.Tensor | None
) -> _Batch:
    """One batch, its types and shapes checked; numbers are looked at later, all at once."""
    n, sampler = experiment.rules.n, experiment.sampler
    drawn: object = sampler(groups, n, generator=generator)
    name = type(sampler).__name__
    if not isinstance(drawn, tuple) or len(drawn) != 2:
        raise TypeError(f"{name} returned a {type(drawn).__name__}: expected a pair, the rewards and scores")
    rewards, scores = drawn
    missing = [method for method in _METHODS if not callable(getattr(scores, method, None))]
    if missing:
        raise TypeError(
            f"{name} returned scores of type {type(scores).__name__} without {', '.join(missing)}: expected "
            f"a maxpo_lab.samplers.Scores, with {', '.join(_METHODS)}"
        )
    dtype = getattr(rewards, "dtype", type(rewards).__name__)
    if dtype != torch.float64:
        raise TypeError(f"{name} returned rewards of type {dtype}: they must be a float64 torch tensor")
    if rewards.shape != (groups, n):
        raise ValueError(f"{name} returned rewards of shape {tuple(rewards.shape)}: expected {(groups, n)}")
    if rewards.device != sampler.device:
        raise ValueError(f"{name} returned rewards on {rewards.device}: its device is {sampler.device}")
    advantages = experiment.rules(rewards)
    each = (len(advantages), groups)
    along = None
    if direction is not None:
        along = _checked(scores.dot(advantages, direction), each, scores, "dot")
    return _Batch(
        rewards=rewards,
        scores=scores,
        advantages=advantages,
        total=_checked(scores.total(advantages), (len(advantages), sampler.parameters), scores, "total"),
        norm=_checked(scores.squared_norm(advantages), each, scores, "squared_norm"),
        sums=advantages @ advantages.new_ones(n),
        squares=torch.linalg.vecdot(advantages, advantages),
        along=along,
        largest=advantages.abs().amax(dim=-1),
    )


def _check_drawn(experiment: Experiment, batches: Sequence[_Batch]) -> None:
    """Raise ValueError where a sampler's rewards or a rule's advantages are no good."""
    rewards = torch.cat([batch.rewards for batch in batches])
    finite = torch.isfinite(rewards)
    if not finite.all():
        group = rewards[~finite.all(dim=-1)][0].tolist()
        name = type(experiment.sampler).__name__
        raise ValueError(f"{name} returned the rewards {group}: every reward must be finite")
    experiment.rules.check_domains(rewards)
    if not torch.isfinite(torch.cat([batch.largest for batch in batches], dim=-1)).all():
        for batch in batches:
            experiment.rules.check_finite(batch.rewards, batch.advantages)


def _checked(found: torch.Tensor, expected: tuple[int, ...], scores: Scores, method: str) -> torch.Tensor:
    """What a method of the scores gave, in float64 and of the expected shape."""
    name = f"{type(scores).__name__}.{method}"
    dtype = getattr(found, "dtype", type(found).__name__)
    if dtype != torch.float64:
        raise TypeError(f"{name} gave type {dtype}: it must be a float64 torch tensor")
    if tuple(found.shape) != expected:
        last = "d, the sampler's parameters" if method == "total" else "the groups"
        raise ValueError(
            f"{name} gave shape {tuple(found.shape)}: expected {expected}, the last axis being {last}"
        )
    return found


def _rows(
    batches: Sequence[_Batch], mean: torch.Tensor, direction: torch.Tensor | None
) -> torch.Tensor:
    """``COLUMNS`` and, with a direction, ``ALONG`` of all groups: (4 or 6, rules, groups)."""
    n = batches[0].advantages.shape[-1]
    names = COLUMNS if direction is None else COLUMNS + ALONG
    groups = sum(batch.norm.shape[1] for batch in batches)
    rows = mean.new_empty(len(names), len(mean), groups)
    size = torch.linalg.vecdot(mean, mean)[:, None]
    start = 0
    for batch in batches:
        stop = start + batch.norm.shape[1]
        found = _checked(batch.scores.dot(batch.advantages, mean), tuple(batch.norm.shape), batch.scores, "dot")
        deviation, projection, sum_square, square_sum, *along = rows[..., start:stop]
        torch.div(found, n, out=projection)
        torch.add(batch.norm / n**2 + size, projection, alpha=-2, out=deviation)
        torch.square(batch.sums, out=sum_square)
        square_sum.copy_(batch.squares)
        if batch.along is not None:
            torch.div(batch.along, n, out=along[0])
        start = stop
    if direction is not None:
        rows[5] = (rows[4] - rows[4].mean(dim=-1, keepdim=True)).square()
    return rows


def _from_batches(
    sums: torch.Tensor, mean: torch.Tensor, direction: torch.Tensor | None, groups: int, batch: int
) -> tuple[Average, Average]:
    r"""``tr Sigma^2`` and Sigma's action on the mean and the gradient's direction, from full batches.

    With B i.i.d. means ``x_b`` and S their sample covariance, an unbiased estimate of ``tr Cov(x)^2`` is

    .. math:: \frac{B-1}{B(B-2)(B-3)} \Big( (B-1)(B-2) \operatorname{tr} S^2 + (\operatorname{tr} S)^2
              - \frac{B}{B-1} \sum_b |x_b - \bar x|^4 \Big)

    (Himeno and Yamada 2014, J. Multivariate Analysis 130, 27-38).
    """
    full = groups // batch
    rules, size = mean.shape
    if full < 4:
        none = np.zeros(rules)
        return Average(0, none), Average(0, np.zeros((rules, 2, size)))
    means = sums[:full].transpose(0, 1) / batch
    centered = means - means.mean(dim=1, keepdim=True)
    gram = centered @ centered.transpose(1, 2) / (full - 1)
    own = torch.diagonal(gram, dim1=1, dim2=2)
    bracket = (full - 1) * (full - 2) * (gram**2).sum(dim=(1, 2)) + own.sum(dim=1) ** 2
    bracket -= full * (full - 1) * (own**2).sum(dim=1)
    spread = batch**2 * (full - 1) / (full * (full - 2) * (full - 3)) * bracket
    other = torch.zeros_like(mean) if direction is None else direction.expand_as(mean)
    targets = torch.stack([mean, other], dim=1)
    pull = batch * (targets @ centered.transpose(1, 2)) @ centered / (full - 1)
    weight = full * batch
    return Average(weight, _numpy(spread)), Average(weight, _numpy(pull))


def _comoments(rows: torch.Tensor) -> Comoments:
    """Means and co-moments of the columns (C, groups), in two passes."""
    mean = rows.mean(dim=1, keepdim=True)
    centered = rows - mean
    return Comoments(rows.shape[1], _numpy(mean[:, 0]), _numpy(centered @ centered.T))


def _numpy(tensor: torch.Tensor) -> Float:
    return np.asarray(tensor.cpu().numpy())


def _check_finite(columns: Comoments, names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(columns.mean).reshape(-1, len(names)).all(axis=0)
    if bad.any():
        raise ValueError(
            f"the gradient estimates of {names[int(np.argmax(bad))]} are not finite: check the sampler's "
            f"scores for NaN and infinities"
        )
