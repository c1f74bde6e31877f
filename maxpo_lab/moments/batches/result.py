"""``BatchMoments``: what is said of one rule on a batch of prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...core.arrays import Float
from ..result import Moments

#: How moments of a batch were found, see ``batch_moments``.
Method = Literal["independent", "product", "shared sum", "quadrature", "conditional"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StandardErrors:
    """Standard errors of what was estimated, for the fields of ``BatchMoments`` of these names.

    ``mean`` is the root mean square error of the whole vector; ``trace_covariance`` that of the trace.
    """

    mean: float
    scale: float
    weights: Float
    trace_covariance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchMoments:
    r"""Moments of the batch gradient ``G = (1/P) sum_j g_j``, a group of n rollouts for each of P prompts.

    Attributes
    ----------
    mean, gradient
        Expected batch gradient, and the exact gradient of the objective averaged over prompts, shape (d,).
    relative_bias, bias_resolution, scale, direction_error
        ``mean`` compared with ``gradient``, as in ``Moments``. Where the gradients of the prompts cancel, the
        resolution says so; where others were sampled, it holds four standard errors of the mean.
    within_prompt_trace
        Variance from the rollouts, ``(1/P) E_x tr Cov(g | x)``.
    between_prompt_trace
        Variance from which prompts were drawn, ``(1/P) tr Cov_x(E[g | x])``; 0 for listed prompts, each once.
    across_prompt_trace
        Covariance of the gradients of two prompts, which a rule that couples them makes:
        ``(1/P^2) sum over x != x' of tr Cov(g_x, g_x')``. It may be negative; 0 where nothing couples.
    dead_batch_probability
        Chance of a batch in which every advantage is 0.
    weights
        ``<E g_x, grad J_x> / |grad J_x|^2`` of each prompt in its batch, shape (P,): what the rule multiplies
        its gradient by. NaN where a prompt has no gradient.
    prompts
        The moments of each prompt in its batch; ``scale`` is its weight.
    method
        ``"independent"``: nothing couples the prompts. Else how their coupling was taken in: ``"product"`` of
        their count states, a ``"shared sum"`` or a ``"quadrature"`` over a shared scale, which are exact, or
        ``"conditional"``: the own counts enumerated, those of the others sampled.
    standard_errors
        Of the conditional method; None where all is exact.
    """

    mean: Float
    gradient: Float
    relative_bias: float
    bias_resolution: float
    scale: float
    direction_error: float
    within_prompt_trace: float
    between_prompt_trace: float
    across_prompt_trace: float
    dead_batch_probability: float
    prompts: tuple[Moments, ...]
    method: Method
    standard_errors: StandardErrors | None = None

    @property
    def weights(self) -> Float:
        """Each prompt's weight, (P,)."""
        return np.array([moments.scale for moments in self.prompts])

    @property
    def trace_covariance(self) -> float:
        """Trace of the covariance of the batch gradient."""
        return self.within_prompt_trace + self.between_prompt_trace + self.across_prompt_trace
