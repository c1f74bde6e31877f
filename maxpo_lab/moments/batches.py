"""Batches over several prompts: exact moments when every prompt has a policy of its own difficulty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.arguments import as_group_size, as_k, whole_number
from ..core.arrays import Float
from ..objectives import Objective, as_objective, looks_at_k
from ..policies.levels import RewardLevels
from ..rules.calling import Rule, resolve
from ..rules.errors import RuleError
from .against_gradient import against_gradient, gradient_rounding, mean_rounding
from .exact import MAX_STATES, moments_under
from .prompts import check_prompts
from .result import Moments


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchMoments:
    r"""Moments of the batch gradient ``(1/m) sum_j g_j``, a group of n rollouts for each of m prompts.

    Attributes
    ----------
    mean, gradient
        Expected batch gradient, and the exact gradient of the objective averaged over prompts, shape (d,).
    relative_bias, bias_resolution, scale, direction_error
        ``mean`` compared with ``gradient``, as in ``Moments``. Where the gradients of the prompts cancel, the
        resolution says so.
    within_prompt_trace
        Variance from the rollouts, ``(1/m) E_x tr Cov(g | x)``.
    between_prompt_trace
        Variance from which prompts were drawn, ``(1/m) tr Cov_x(E[g | x])``.
    prompts
        The moments of each prompt alone: their ``scale`` is the weight that the rule gives its gradient.
    """

    mean: Float
    gradient: Float
    relative_bias: float
    bias_resolution: float
    scale: float
    direction_error: float
    within_prompt_trace: float
    between_prompt_trace: float
    prompts: tuple[Moments, ...]

    @property
    def trace_covariance(self) -> float:
        """Trace of the covariance of the batch gradient."""
        return self.within_prompt_trace + self.between_prompt_trace


def batch_moments(
    estimator: str | Rule,
    prompts: Iterable[RewardLevels],
    *,
    n: int,
    k: int,
    batch: int,
    target: str | Objective = "max@k",
    max_states: int = MAX_STATES,
) -> BatchMoments:
    r"""Exact moments of a rule's gradient over a batch of prompts.

    Prompts are drawn uniformly with replacement, each gets one group of n rollouts; the objective is the mean
    over prompts of max@K. With x a random prompt,

    .. math:: \mathrm{tr\,Cov}(G) = \frac1m \big( E_x \mathrm{tr\,Cov}(g \mid x)
              + \mathrm{tr\,Cov}_x(E[g \mid x]) \big).

    Parameters
    ----------
    estimator, n, k, target, max_states
        As in ``exact_moments``, the states of each prompt.
    prompts
        The policy on each prompt, with scores in one shared parameter space R^d (``side_by_side`` makes that
        of a tabular policy).
    batch
        m, prompts in a batch.

    Raises
    ------
    TypeError, ValueError
        As ``exact_moments``, with the prompt it is about; no prompts, prompts of different d, or
        ``batch < 1``.

    Notes
    -----
    Cost: the rule on the groups of all prompts that have their reward levels in common, once, and sums over
    these groups for each prompt.
    """
    batch = whole_number(batch, "batch")
    if batch < 1:
        raise ValueError(f"batch={batch}: a batch needs at least one prompt")
    prompts = tuple(prompts)
    check_prompts(prompts)
    if not prompts:
        raise ValueError("prompts are empty: at least one is needed")
    sizes = {levels.mean_scores.shape[1] for levels in prompts}
    if len(sizes) > 1:
        raise ValueError(
            f"prompts have scores of {sorted(sizes)} parameters: they must share one parameter space; "
            f"side_by_side puts separate ones next to each other"
        )
    n = as_group_size(n)
    k = as_k(k, n=n if looks_at_k(target) else None)
    objective = as_objective(target, n, k, argument="target")
    rule = resolve(estimator, n, k)
    alike: dict[bytes, list[int]] = {}
    for index, levels in enumerate(prompts):
        alike.setdefault(levels.values.tobytes(), []).append(index)
    found: dict[int, Moments] = {}
    for places in alike.values():
        own = [prompts[index] for index in places]
        of_own = _of_prompts(places[0], own, rule, n=n, k=k, target=objective, max_states=max_states)
        found |= zip(places, of_own, strict=True)
    each = tuple(found[index] for index in range(len(prompts)))
    means = np.stack([moments.mean for moments in each])
    gradient = np.mean([moments.gradient for moments in each], axis=0)
    mean = means.mean(axis=0)
    rms_of = [moments.advantage_rms for moments in each]
    against = against_gradient(
        mean,
        gradient,
        # By the length last, and not by the direction: the last bit of stored numbers depends on it.
        along=float(mean @ gradient) / (float(np.linalg.norm(gradient)) or float("nan")),
        rounding=float(np.mean([gradient_rounding(x, objective.size) for x in prompts])),
        vanishing=float(np.mean([mean_rounding(x, rms) for x, rms in zip(prompts, rms_of, strict=True)])),
    )
    return BatchMoments(
        mean=mean,
        gradient=gradient,
        relative_bias=against.relative(against.bias),
        bias_resolution=against.resolution,
        scale=against.scale,
        direction_error=against.angle,
        within_prompt_trace=float(np.mean([moments.trace_covariance for moments in each])) / batch,
        between_prompt_trace=float(np.mean(np.sum((means - mean) ** 2, axis=1))) / batch,
        prompts=each,
    )


def _of_prompts(
    index: int,
    alike: Sequence[RewardLevels],
    rule: Rule,
    *,
    n: int,
    k: int,
    target: Objective,
    max_states: int,
) -> tuple[Moments, ...]:
    """Moments of prompts of the same reward levels; what is wrong is said with the place of the first."""
    try:
        return moments_under(alike, rule, n=n, k=k, target=target, max_states=max_states)
    except RuleError as error:
        raise type(error)(f"prompts[{index}]: {error}") from error
    except ValueError as error:
        raise ValueError(f"prompts[{index}]: {error}") from error
    except TypeError as error:
        raise TypeError(f"prompts[{index}]: {error}") from error
