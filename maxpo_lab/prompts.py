"""Batches over several prompts: exact moments when every prompt has a policy of its own difficulty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .groups import as_group_size, as_k, whole_number
from .levels import RewardLevels
from .moments import MAX_STATES, Moments, exact_moments, target_weights
from .order_statistics import looks_at_k
from .refusals import RuleError
from .rules import Rule, resolve

Float = npt.NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchMoments:
    r"""Moments of the batch gradient ``(1/m) sum_j g_j``, a group of n rollouts for each of m prompts.

    Attributes
    ----------
    mean, gradient
        Expected batch gradient, and the exact gradient of the objective averaged over prompts, shape (d,).
    relative_bias, bias_resolution, scale, direction_error
        Of ``mean`` against ``gradient``, as in ``Moments``. Where the gradients of the prompts cancel, the
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
    target: str = "max@k",
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
    Cost: ``exact_moments`` once a prompt.
    """
    batch = whole_number(batch, "batch")
    if batch < 1:
        raise ValueError(f"batch={batch}: a batch needs at least one prompt")
    prompts = tuple(prompts)
    _check_levels(prompts)
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
    drawn = len(target_weights(target, n, k))
    rule = resolve(estimator, n, k)
    each = tuple(
        _of_prompt(index, rule, levels, n=n, k=k, target=target, max_states=max_states)
        for index, levels in enumerate(prompts)
    )
    means = np.stack([moments.mean for moments in each])
    gradient = np.mean([moments.gradient for moments in each], axis=0)
    mean = means.mean(axis=0)
    size = float(np.linalg.norm(gradient))
    nothing = 64 * _EPS * np.mean([_largest(moments, x) for moments, x in zip(each, prompts, strict=True)])
    noise = [64 * _EPS * drawn * float(np.abs(x.values).max()) * _largest_score(x) for x in prompts]
    along = float(mean @ gradient) / size if size else float("nan")
    across = float(np.linalg.norm(mean - along * gradient / size)) if size else float("nan")
    return BatchMoments(
        mean=mean,
        gradient=gradient,
        relative_bias=float(np.linalg.norm(mean - gradient)) / size if size else float("nan"),
        bias_resolution=float(np.mean(noise)) / size if size else float("nan"),
        scale=along / size if size else float("nan"),
        direction_error=float(np.arctan2(across, along)) if np.linalg.norm(mean) > nothing else float("nan"),
        within_prompt_trace=float(np.mean([moments.trace_covariance for moments in each])) / batch,
        between_prompt_trace=float(np.mean(np.sum((means - mean) ** 2, axis=1))) / batch,
        prompts=each,
    )


def _check_levels(prompts: tuple[RewardLevels, ...]) -> None:
    for index, levels in enumerate(prompts):
        if not isinstance(levels, RewardLevels):
            raise TypeError(f"prompts[{index}] is a {type(levels).__name__}: it must be a RewardLevels")


def _of_prompt(
    index: int, rule: Rule, levels: RewardLevels, *, n: int, k: int, target: str, max_states: int
) -> Moments:
    """Moments of one prompt; what is wrong on it is said with its place."""
    try:
        return exact_moments(rule, levels, n=n, k=k, target=target, max_states=max_states)
    except RuleError as error:
        raise type(error)(f"prompts[{index}]: {error}") from error
    except ValueError as error:
        raise ValueError(f"prompts[{index}]: {error}") from error
    except TypeError as error:
        raise TypeError(f"prompts[{index}]: {error}") from error


def _largest(moments: Moments, levels: RewardLevels) -> float:
    """Size of what adds up to a prompt's mean gradient."""
    return moments.advantage_rms * _largest_score(levels)


def _largest_score(levels: RewardLevels) -> float:
    return float(np.linalg.norm(levels.mean_scores, axis=1).max())


def side_by_side(prompts: Iterable[RewardLevels]) -> tuple[RewardLevels, ...]:
    """Policies with parameters of their own in one parameter space, one after the other.

    The score of a rollout of prompt x is 0 outside the parameters of x. Covariance matrices are dropped; the
    projected ones are kept. Raises TypeError where an entry is not a RewardLevels.
    """
    prompts = tuple(prompts)
    _check_levels(prompts)
    sizes = [levels.mean_scores.shape[1] for levels in prompts]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    placed = []
    for levels, start, stop in zip(prompts, starts, starts[1:], strict=False):
        scores = np.zeros((len(levels.values), starts[-1]))
        scores[:, start:stop] = levels.mean_scores
        second, projected = levels.score_second_moments, levels.projected_covariances
        placed.append(RewardLevels(levels.values, levels.probabilities, scores, second, None, projected))
    return tuple(placed)
