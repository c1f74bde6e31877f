"""One shard of a sample: groups from a random stream of its own, and what they leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
_METHODS = ("weighted_sum", "squared_norm", "dot", "total", "reordered", "batched")


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
    members = rules.n * rules.prompts
    with torch.no_grad(), devices.reproducible(sampler.device):
        generator = devices.stream(experiment.seed, shard, sampler.device)
        direction = _direction(experiment.gradient, sampler.device)
        names = COLUMNS if direction is None else COLUMNS + ALONG
        rows = torch.zeros(len(names), len(rules.names), size, dtype=torch.float64, device=sampler.device)
        parts = _calls(size, experiment.batch, experiment.call)
        calls = [_drawn(experiment, generator, direction, rows[..., part]) for part in parts]
        sums = torch.cat([call.totals for call in calls]) / members
        mean = sums.sum(dim=0) / size
        for part, call in zip(parts, calls, strict=True):
            _project(call, mean, rows[1, :, part])
        _finish(rows, mean, members)
        spread, pull = from_batches(sums, mean, direction, size, experiment.batch)
        sum_max = _numpy(rows[COLUMNS.index("sum_square")].amax(dim=-1).sqrt())
        sizes = exponents(rows[COLUMNS.index("square_sum")].sqrt())
        columns = comoments(rows.flatten(0, 1))
        _check(experiment, calls, columns)
    return Accumulator(
        names=rules.names,
        n=rules.n,
        k=rules.k,
        prompts=rules.prompts,
        seed=experiment.seed,
        start=shard,
        stop=shard + 1,
        estimates=Scatter(size, _numpy(mean), columns.mean[: len(rules.names)] * size),
        scalars=columns,
        pull=pull,
        spread=spread,
        sizes=sizes,
        sum_max=sum_max,
    )


def _calls(groups: int, batch: int, call: int) -> list[slice]:
    """The groups of a shard, call by call: some whole batches each; one that is not whole comes by itself."""
    whole = groups - groups % batch
    stops = [*range(call, whole, call), whole, groups]
    return [slice(start, stop) for start, stop in pairwise([0, *stops]) if start < stop]


def _direction(gradient: Float | None, device: torch.device) -> torch.Tensor | None:
    """The gradient's unit vector; 0 where it is 0."""
    if gradient is None:
        return None
    size = float(np.linalg.norm(gradient))
    return torch.tensor(gradient / size if size else gradient, device=device)


@dataclass(frozen=True, eq=False)
class _Call:
    """Groups of one call, for a second look; those without advantages may be missing.

    Attributes
    ----------
    rewards, scores
        What the sampler gave, groups and members in the order of the advantages.
    advantages
        Of all rules, (rules, groups, n).
    totals
        Sums of all scores of each batch, (batches, rules, d).
    """

    rewards: torch.Tensor
    scores: Scores
    advantages: torch.Tensor
    totals: torch.Tensor


def _drawn(
    experiment: Experiment,
    generator: torch.Generator,
    direction: torch.Tensor | None,
    rows: torch.Tensor,
) -> _Call:
    """One call, its types and shapes checked; numbers are looked at later, those of all calls at once.

    What does not need the shard's mean is written into ``rows`` (4 or 6, rules, groups) of zeros, as sums
    still: ``|sum_i A_i s_i|^2``, nothing, ``sum A``, ``sum A^2`` and ``<sum_i A_i s_i, v>``. Groups that have
    no advantages, and are left out, come last.
    """
    size, n, prompts = rows.shape[-1], experiment.rules.n, experiment.rules.prompts
    groups, sampler = size * prompts, experiment.sampler
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
    batches = -(-size // experiment.batch)
    advantages, rewards, order = experiment.rules(rewards, batches)
    if order is not None:
        scores = scores.reordered(order)
    if prompts > 1:
        scores, advantages = scores.batched(prompts), advantages.reshape(len(advantages), size, prompts * n)
    totals = _totals(scores, advantages, batches, sampler.parameters)
    each = tuple(advantages.shape[:2])
    norm, _, sums, squares, *along = rows[..., : each[1]]
    norm.copy_(_checked(scores.squared_norm(advantages), each, scores, "squared_norm"))
    if direction is not None:
        along[0].copy_(_checked(scores.dot(advantages, direction), each, scores, "dot"))
    one = advantages.new_ones(n * prompts)
    sums.copy_(advantages @ one)
    if advantages.device.type == "cpu":
        np.vecdot(advantages.numpy(), advantages.numpy(), out=squares.numpy())
    else:
        squares.copy_(advantages.square() @ one)
    return _Call(rewards, scores, advantages, totals)


def _totals(scores: Scores, advantages: torch.Tensor, batches: int, parameters: int) -> torch.Tensor:
    """Sums of all scores of as many batches, one after the other and of one size: (batches, rules, d)."""
    rules, groups, _ = advantages.shape
    if batches == 1:
        return _checked(scores.total(advantages), (rules, parameters), scores, "total")[None]
    together = advantages.reshape(rules, batches, -1)
    sums = scores.batched(groups // batches).weighted_sum(together)
    return _checked(sums, (rules, batches, parameters), scores, "weighted_sum").transpose(0, 1)


def _project(call: _Call, mean: torch.Tensor, projection: torch.Tensor) -> None:
    """Write ``<sum_i A_i s_i, m>`` of a call (rules, groups), for the shard's mean (rules, d)."""
    found, each = call.scores.dot(call.advantages, mean), tuple(call.advantages.shape[:2])
    projection[:, : each[1]].copy_(_checked(found, each, call.scores, "dot"))


def _finish(rows: torch.Tensor, mean: torch.Tensor, n: int) -> None:
    """Make ``COLUMNS`` and ``ALONG`` of the sums of a shard (4 or 6, rules, groups), in place."""
    deviation, projection, sum_square, _, *along = rows
    projection /= n
    deviation.div_(n**2).sub_(projection, alpha=2).add_(torch.linalg.vecdot(mean, mean)[:, None])
    sum_square.square_()
    if along:
        along[0].div_(n)
        torch.square(along[0] - along[0].mean(dim=-1, keepdim=True), out=along[1])


def _check(experiment: Experiment, calls: Sequence[_Call], columns: Comoments) -> None:
    """Raise ValueError where numbers of the sampler, of a rule or of the scores are no good."""
    total = torch.stack([call.rewards.sum() for call in calls])
    rules, finite = experiment.rules, np.isfinite(columns.mean).reshape(-1, len(experiment.rules.names))
    if not (finite.all() and torch.isfinite(total).all()):
        for call in calls:
            _check_rewards(call.rewards, type(experiment.sampler).__name__)
    rules.check_domains([call.rewards for call in calls])
    if not finite.all():
        for call in calls:
            rules.check_finite(call.rewards, call.advantages.reshape(-1, *call.rewards.shape))
        raise ValueError(
            f"the gradient estimates of {rules.names[int(np.argmin(finite.all(axis=0)))]} are not finite: "
            f"check the sampler's scores for NaN and infinities"
        )


def _check_rewards(rewards: torch.Tensor, name: str) -> None:
    finite = torch.isfinite(rewards)
    if not finite.all():
        group = rewards[~finite.all(dim=-1)][0].tolist()
        raise ValueError(f"{name} returned the rewards {group}: every reward must be finite")


def _checked(found: torch.Tensor, expected: tuple[int, ...], scores: Scores, method: str) -> torch.Tensor:
    """What a method of the scores gave, in float64 and of the expected shape."""
    name = f"{type(scores).__name__}.{method}"
    dtype = getattr(found, "dtype", type(found).__name__)
    if dtype != torch.float64:
        raise TypeError(f"{name} gave type {dtype}: it must be a float64 torch tensor")
    if tuple(found.shape) != expected:
        last = "the groups" if method in ("squared_norm", "dot") else "d, the sampler's parameters"
        raise ValueError(
            f"{name} gave shape {tuple(found.shape)}: expected {expected}, the last axis being {last}"
        )
    return found


def from_batches(
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


def comoments(rows: torch.Tensor) -> Comoments:
    """Means and co-moments of the columns (C, groups), in two passes; the columns are centered in place."""
    mean = rows.mean(dim=1, keepdim=True)
    rows -= mean
    host = rows.device.type == "cpu"  # where NumPy computes half of what is symmetric
    products = rows.numpy() @ rows.numpy().T if host else _numpy(rows @ rows.T)
    return Comoments(rows.shape[1], _numpy(mean[:, 0]), products)


def _numpy(tensor: torch.Tensor) -> Float:
    return np.asarray(tensor.cpu().numpy())
