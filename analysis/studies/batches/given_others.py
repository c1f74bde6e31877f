"""Moments of shrunk baselines on 0/1 bandits: exact given the counts of the other prompts, which are drawn.

As ``batch_moments(method="conditional")``, and P times cheaper: what the other prompts say is a number or
two, so that one draw of a batch serves all its prompts at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from maxpo_lab.core.arrays import Float, Int

from .prompts import Space
from .shrinkage import Baselines, Shrinkage, keep

#: Draws in a block.
_BLOCK = 1 << 9


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenOthers:
    """A rule on a batch of P prompts with parameters of their own.

    Attributes
    ----------
    means
        ``E g_x`` along grad p_x given the other prompts, by draw and prompt, (draws, P).
    traces
        ``tr Cov(g_x)`` given the other prompts, (draws, P); the means add to it where they vary.
    gradients
        ``|grad J_x|``, (draws, P).
    """

    means: Float
    traces: Float
    gradients: Float

    @property
    def trace(self) -> float:
        """Trace of the covariance of the batch gradient."""
        return float(self._by_draw.mean())

    def ratio(self, reference: float | GivenOthers) -> tuple[float, float]:
        """The trace over another one's and its standard error; draws are paired where both are drawn."""
        if isinstance(reference, GivenOthers):
            found = self.trace / reference.trace
            return found, _error(self._by_draw - found * reference._by_draw) / reference.trace
        return self.trace / reference, _error(self._by_draw) / reference

    @property
    def _by_draw(self) -> Float:
        off = self.means - self.gradients
        return np.asarray((self.traces + (off - off.mean(axis=0)) ** 2).mean(axis=1) / off.shape[1])

    @property
    def relative_bias(self) -> tuple[float, float]:
        """``|E g - grad J| / |grad J|`` of the batch, and the root mean square error of the vector."""
        off = self.means - self.gradients
        size = float(np.linalg.norm(self.gradients[0]))
        errors = off.std(axis=0, ddof=1) / np.sqrt(len(off))
        return float(np.linalg.norm(off.mean(axis=0))) / size, float(np.linalg.norm(errors)) / size

    @property
    def weights(self) -> Float:
        """What each prompt's gradient is multiplied by, (P,)."""
        return np.asarray(self.means.mean(axis=0) / self.gradients[0])


def given_others(
    rules: Mapping[str, Shrinkage], success: Float, counts: Int, *, n: int, k: int, space: Space
) -> dict[str, GivenOthers]:
    """Moments of rules of ``shrinkage`` at these success rates and counts, (draws, P) each.

    Cost: some n+1 numbers for each rule, draw and prompt.
    """
    found: dict[str, list[tuple[Float, Float]]] = {name: [] for name in rules}
    fixed = bool((success == success[0]).all())
    for start in range(0, len(counts), _BLOCK):
        at = slice(start, start + _BLOCK)
        rates = success[:1] if fixed else success[at]
        law = np.asarray(binom.pmf(np.arange(n + 1), n, rates[..., None]))
        for name, rule in rules.items():
            found[name].append(_block(rule(counts[at], n), success[at], law, n=n, k=k, space=space))
    gradients = k * (1 - success) ** (k - 1) * success * (1 - success) * space.length
    return {
        name: GivenOthers(means=means, traces=traces, gradients=gradients)
        for name, blocks in found.items()
        for means, traces in [map(np.concatenate, zip(*blocks, strict=True))]
    }


def _block(
    baselines: Baselines, success: Float, law: Float, *, n: int, k: int, space: Space
) -> tuple[Float, Float]:
    """Mean and trace of the covariance of each prompt in each draw, whose counts have this law."""
    c = np.arange(n + 1)
    weight = keep(n, k)
    failure = -np.r_[weight, 0.0] * baselines.failure
    right = np.r_[0.0, weight] * (1 - baselines.success)
    p = success[..., None]
    along = (c * right * (1 - p) - (n - c) * failure * p) * space.length / n
    wrong_spread, right_spread = space.spread
    across = (c * right**2 * right_spread + (n - c) * failure**2 * wrong_spread) / n**2
    mean = np.sum(law * along, axis=2)
    return mean, np.sum(law * (along**2 + across), axis=2) - mean**2


def _error(draws: Float) -> float:
    return float(draws.std(ddof=1) / np.sqrt(len(draws)))
