"""Baselines shrunk from the group's mean towards that of the other prompts: James-Stein."""

from __future__ import annotations

from dataclasses import dataclass

from ....core.arrays import Array, Namespace, widest
from ...batch import BatchEstimator
from ...claims import Claims
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
        n, prompts = rewards.shape[-1], rewards.shape[-2]
        values = xp.astype(rewards, widest(xp), copy=False)
        values = values - values[..., :1, :1]
        centered = deviations(xp, values)
        mean = xp.mean(values, axis=-1, keepdims=True)
        noise = xp.sum(centered * centered, axis=-1, keepdims=True) / ((n - 1) * n)
        middle = xp.mean(mean, axis=-2, keepdims=True)
        off = mean - middle
        if self.own_too:
            noise = xp.mean(noise, axis=-2, keepdims=True)
            spread = xp.mean(off * off, axis=-2, keepdims=True)
        else:
            others = prompts - 1
            noise = (xp.sum(noise, axis=-2, keepdims=True) - noise) / others
            shift = -off / others  # from the mean of all to that of the others
            spread = (xp.sum(off * off, axis=-2, keepdims=True) - off * off) / others - shift * shift
            spread, middle = xp.clip(spread, 0.0, None), middle + shift
        share = noise / (noise + spread + _EPS)
        within = centered * (n / (n - 1))
        return xp.astype(within + share * (values - middle - within), rewards.dtype, copy=False)


_EPS = 1e-6

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
    degenerate="a flat group gives what lam leaves of its distance from the mean of the prompts",
    smallest_group=2,
    smallest_batch=2,
    own_too=True,
    dead_groups="both",
)

RULES = (JSPO, JSPO_PLUS_PLUS)
