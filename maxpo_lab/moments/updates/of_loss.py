"""What a loss makes of the outcomes of a policy: their contributions to an update."""

from __future__ import annotations

import array_api_compat
import numpy as np

from ...core.arrays import Float, Int
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
        A rollout of no tokens, or a group of none, where the loss divides by how many there are; a loss at the
        level of rollouts by their length, of a policy that has lengths but no tokens.
    """
    lengths = policy.lengths
    assert lengths is not None
    logs = policy.log_ratios()
    if "reference_log_ratios" in loss.needs and "reference_log_ratios" not in logs:
        raise TypeError(f"{loss.name} has a KL penalty: the policy needs a reference, Outcomes(reference=...)")
    if loss.ratio.level == "geometric" and policy.probabilities.ndim == 1 and (lengths != 1).any():
        raise ValueError(
            f"{loss.name} takes a root of a rollout's ratio by its length: give probabilities (M, T), one a token"
        )
    mask, scores = policy.mask, policy.token_scores
    kept = {name: each for name, each in logs.items() if name in loss.needs} or {
        "log_ratios": logs["log_ratios"]
    }
    factors, normaliser, counted = _normalised(loss, policy, lengths, n)
    positive, negative = (
        factors[:, None] * _total(each, mask, scores) for each in loss.coefficients(_NUMPY, kept, mask)
    )
    constant = None
    if loss.penalty is not None:
        slopes = loss.penalty_slopes(_NUMPY, logs, mask)
        constant = -factors[:, None] * _total(slopes, mask, scores)
    return Contributions(positive, negative, constant, counted, normaliser)
