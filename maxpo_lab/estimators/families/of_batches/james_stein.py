"""Baselines shrunk from the group's mean towards that of the other prompts: James-Stein."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat

from ....core.arrays import Array, Namespace, widest
from ...batch import BatchEstimator
from ...claims import Claims, Laws
from ..standardised import deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class JamesStein(BatchEstimator):
    r"""The mean of the others of the group, shrunk towards the mean of the prompts.

    .. math:: A_i = R_i - \big[(1-\lambda)\, \bar R_{-i} + \lambda\, \mu\big], \qquad
              \lambda = \frac{V}{V + S + 10^{-6}},

    with V the mean over prompts of ``var1 / n``, mu that of the groups' means, and S that of their squared
    distances from mu: over the other prompts, or (``own_too``) over all, where the baseline sees R_i.
    """

    own_too: bool

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        n = rewards.shape[-1]
        values = xp.astype(rewards, widest(xp), copy=False)
        centered = deviations(xp, values)
        mean = xp.mean(values, axis=-1, keepdims=True)
        noise = xp.sum(centered * centered, axis=-1, keepdims=True) / ((n - 1) * n)
        if self.own_too:
            middle = xp.mean(mean, axis=-2, keepdims=True)
            noise = xp.mean(noise, axis=-2, keepdims=True)
            spread = xp.mean((mean - middle) ** 2, axis=-2, keepdims=True)
        else:
            noise, _ = _others(xp, noise)
            middle, spread = _others(xp, mean)
        share = noise / (noise + spread + _EPS)
        within = centered * (n / (n - 1))
        return xp.astype(within + share * (values - middle - within), rewards.dtype, copy=False)


_EPS = 1e-6


def _others(xp: Namespace, values: Array) -> tuple[Array, Array]:
    """Mean and variance (ddof 0) over all prompts but each, of values (..., P, 1).

    From the running moments of those before and those after it, of which no sum cancels.
    """
    size = values.shape[-2]
    mean_before, square_before = _before(xp, values)
    mean_after, square_after = (xp.flip(each, axis=-2) for each in _before(xp, xp.flip(values, axis=-2)))
    before = xp.astype(xp.arange(size, device=array_api_compat.device(values)), values.dtype)[:, None]
    after = size - 1 - before
    apart = (mean_before - mean_after) ** 2 * (before * after / (size - 1))
    mean = (before * mean_before + after * mean_after) / (size - 1)
    return mean, (square_before + square_after + apart) / (size - 1)


def _before(xp: Namespace, values: Array) -> tuple[Array, Array]:
    """Mean of the prompts before each, and the sum of their squared distances from it; 0 for the first."""
    count = xp.astype(
        xp.arange(1, values.shape[-2] + 1, device=array_api_compat.device(values)), values.dtype
    )
    mean = xp.cumulative_sum(values, axis=-2) / count[:, None]
    none = xp.zeros_like(values[..., :1, :])
    before = xp.concat([none, mean[..., :-1, :]], axis=-2)
    steps = (values - before) * (values - mean)
    steps = xp.concat([none, steps[..., 1:, :]], axis=-2)
    squares = xp.cumulative_sum(steps, axis=-2)
    return before, xp.concat([none, squares[..., :-1, :]], axis=-2)


JSPO = JamesStein(
    name="jspo",
    title="James-Stein baseline",
    equation=(
        "A_i = R_i - [(1 - lam) mean of the others + lam mu], lam = V/(V + S + 1e-6), V, S, mu of the "
        "other prompts"
    ),
    citation="arXiv 2511.03710 (JSPO)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=True, centered=False),
    laws=Laws(scale="none"),
    degenerate="a flat group gives what lam leaves of its distance from the other prompts",
    smallest_group=2,
    smallest_batch=2,
    own_too=False,
    dead_groups="both",
)

JSPO_PLUS_PLUS = JamesStein(
    name="jspo-plus-plus",
    title="James-Stein baseline with the prompt itself",
    equation="as jspo, with V, S and mu over all prompts, the rollout's own among them",
    citation="arXiv 2511.03710 (JSPO++)",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False),
    laws=Laws(scale="none"),
    degenerate="a flat group gives what lam leaves of its distance from the mean of the prompts",
    smallest_group=2,
    smallest_batch=2,
    own_too=True,
    dead_groups="both",
)

RULES = (JSPO, JSPO_PLUS_PLUS)
