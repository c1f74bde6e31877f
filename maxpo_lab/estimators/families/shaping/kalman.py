"""KRPO: a Kalman filter runs along the group, so that the order of its rollouts matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from ....core.arrays import Array, Namespace, widest
from ...base import Estimator
from ...claims import Claims, Laws
from ...paper import Paper
from ...rationals import Group, Signal, exact, root


@dataclass(frozen=True, kw_only=True, eq=False)
class Filtered(Estimator):
    r"""Each reward less what a filter makes of it and of those before it, over the filter's deviation.

    .. math:: P' = P + Q, \quad G = \frac{P'}{P' + R}, \quad x \leftarrow x + G (r_i - x), \quad
              P \leftarrow (1 - G) P', \qquad A_i = \frac{r_i - x}{\sqrt P + \epsilon},

    from x = 0 and P = 1, rollout by rollout. The gains do not look at the rewards: each advantage is linear
    in the rewards up to its own, by weights of its place, so that its mean is a multiple of the gradient of
    the mean reward under every policy, though the same group in another order gets other advantages.
    """

    process: float
    measurement: float
    eps: float

    def steps(self, n: int) -> Iterator[tuple[float, float]]:
        """``1 - G`` at each place, and what its advantage is divided by."""
        variance = 1.0
        for _ in range(n):
            predicted = variance + self.process
            left = self.measurement / (predicted + self.measurement)
            variance = left * predicted
            yield left, sqrt(variance) + self.eps

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        values = xp.astype(rewards, widest(xp))
        state = xp.zeros_like(values[..., 0])
        found = []
        for place, (left, scale) in enumerate(self.steps(rewards.shape[-1])):
            off = values[..., place] - state
            state = state + (1 - left) * off
            found.append(left / scale * off)
        return xp.astype(xp.stack(found, axis=-1), rewards.dtype)


KRPO = Filtered(
    name="krpo",
    title="KRPO",
    equation=(
        "A_i = (R_i - x_i) / (sqrt P_i + 1e-8), x_i and P_i of a Kalman filter along the group, "
        "Q = 1e-5, R = 0.01, from x = 0 and P = 1"
    ),
    citation="arXiv 2505.07527 (KRPO); billhhh/KRPO_LLMs_RL group_advantages",
    objective="mean",
    uses_k=False,
    claims=Claims(unbiased=False, centered=False, equivariant=False),
    laws=Laws(shift_invariant=False, equal_ties=False),
    degenerate="a flat group of 1 gives 0.0995, 0.0705, 0.0575, ... by place, what x still lacks; of 0: 0",
    dead_groups="all-correct",
    process=1e-5,
    measurement=1e-2,
    eps=1e-8,
)


def _krpo(rewards: Group, k: int) -> list[Fraction]:
    """The filter as a weighted mean of a prior of 0 and of the rewards so far, to 50 digits.

    In precisions: each step loses ``1 / (1/precision + Q)``, gains ``1/R``, and weighs by what it has.
    """
    noise, drift, eps = Fraction(1e-2), Fraction(1e-5), Fraction(1e-8)
    precision, state, advantages = Fraction(1), Fraction(0), []
    for r in exact(rewards):
        kept = 1 / (1 / precision + drift)
        precision = kept + 1 / noise
        state = (kept * state + r / noise) / precision
        advantages.append((r - state) / (root(1 / precision) + eps))
    return advantages


PAPERS = {
    "2505.07527": Paper(
        "Wang, Hu and Ma, Congbo and Reid, Ian and Yaqub, Mohammad",
        "Kalman Filter Enhanced GRPO for Reinforcement Learning-Based Language Model Reasoning",
    )
}
RULES = (KRPO,)
DEFINITIONS: dict[str, Signal] = {"krpo": _krpo}
