"""What a loss makes of the outcomes of a policy: their contributions to an update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import array_api_compat
import numpy as np

from ...core.arrays import Bool, Float, Int
from ...losses import Loss
from ...policies.outcomes import Outcomes
from .contributions import Contributions

_NUMPY = array_api_compat.array_namespace(np.empty(0))


def contributions(loss: Loss, policy: Outcomes, n: int) -> Contributions:
    """``U^+``, ``U^-`` and ``W`` of every outcome, and the normaliser of a group of n. Cost O(M T d).

    Raises
    ------
    TypeError
        The policy has no reference where the loss has a penalty against one.
    ValueError
        A rollout of no tokens, or a group of none, where the loss divides by how many there are; a loss at
        the level of rollouts by their length, of a policy that has lengths but no tokens.
    """
    lengths = policy.counts
    logs = policy.log_ratios()
    if "reference_log_ratios" in loss.needs and "reference_log_ratios" not in logs:
        raise TypeError(
            f"{loss.name} has a KL penalty: the policy needs a reference, Outcomes(reference=...)"
        )
    if loss.ratio.level == "geometric" and policy.probabilities.ndim == 1 and (lengths != 1).any():
        raise ValueError(
            f"{loss.name} takes a root of a rollout's ratio by its length: give probabilities (M, T), "
            f"one a token"
        )
    mask, scores = policy.mask, policy.token_scores
    kept = {name: each for name, each in logs.items() if name in loss.needs} or {
        "log_ratios": logs["log_ratios"]
    }
    width = policy.mask.shape[1] if policy.probabilities.ndim == 2 else int(lengths.max())
    factors, normaliser, counted = normalised(loss, policy.drawn, lengths, width, n)
    pair = [np.broadcast_to(each, mask.shape) for each in loss.coefficients(_NUMPY, kept, mask)]
    positive, negative = (_total(each, mask, scores) for each in pair)
    constant = None
    if loss.penalty is not None:
        slopes = loss.penalty.slopes(_NUMPY, dict(logs), mask, loss.ratio.level)
        constant = -_total(slopes, mask, scores)
    there = mask & (policy.drawn > 0)[:, None]
    cancel = cancels([each[there] for each in pair], logs)
    return Contributions(positive, negative, constant, counted, factors, normaliser, cancel)


def cancels(coefficients: Sequence[Float], logs: Mapping[str, Float]) -> bool:
    """Whether all tokens weigh alike and the current policy draws them: then they average to 0."""
    ratios = (logs["log_ratios"], logs["behaviour_log_ratios"])
    alike = all((each == each.flat[0]).all() for each in coefficients if each.size)
    return alike and not any(each.any() for each in ratios)


def _total(weights: Float, mask: Bool, scores: Float) -> Float:
    """Weighted sums of the scores of tokens, (M, d)."""
    return np.asarray(np.einsum("ot,otd->od", np.where(mask, weights, 0.0), scores, optimize=True))


def normalised(
    loss: Loss, chances: Float, lengths: Int, width: int, n: int
) -> tuple[Float, Callable[[Int], Float], Int]:
    """Factors (M,) of outcomes by chance and length, a group's normaliser by its tokens, those it counts."""
    mean = loss.aggregation
    none = np.zeros(len(lengths), dtype=np.intp)
    drawn = chances > 0
    if mean.empty == "skip" and (lengths[drawn] == 0).any():
        raise ValueError(
            f"{loss.name} skips rollouts of no tokens: how many are left is random; give every "
            f"outcome a token, or sample with monte_carlo_updates"
        )
    if mean.kind in ("token-mean", "group-token-mean"):
        if not lengths[drawn].any():
            raise ValueError(f"{loss.name} divides by the tokens of a group: no outcome has one")
        return np.ones(len(lengths)), _one_over, np.where(drawn, lengths, 0)
    if mean.kind == "token-sum":
        return np.ones(len(lengths)), _constant(1.0), none
    given = np.where(drawn, lengths, max(1, width)).astype(np.float64)
    return mean.factors(_NUMPY, given, width=width), _constant(1.0 / n), none


def _one_over(tokens: Int) -> Float:
    return 1.0 / np.maximum(tokens, 1)


def _constant(value: float) -> Callable[[Int], Float]:
    def normaliser(tokens: Int) -> Float:
        return np.full(len(tokens), value)

    return normaliser
