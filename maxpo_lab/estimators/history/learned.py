r"""How much of the history to believe: a lambda learned from other prompts, or from earlier steps.

With ``A0`` and ``D = A0 - HIST`` of a group, the variance of ``A0 - lam D`` is least near
``lam = <A0, D> / <D, D>``, where many different rollouts succeed. Both sums are taken over other groups than
the one that lambda is for, so that it does not see the group and changes no expectation:

.. math:: \lambda_x = \operatorname{clip}\Big( \frac{\sum_{x' \ne x} \langle A0, D \rangle_{x'}}
          {(1 + \frac2{P-1}) \sum_{x' \ne x} \langle D, D \rangle_{x'}},\; 0,\; \frac{W_x}{n-K+W_x} \Big)

over the other P-1 prompts of the batch, or the same ratio of moving averages over earlier steps, without the
ridge. The cap is ``replay.largest_share``. Nothing learned (no history anywhere) is 0: A0.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.arrays import Array, Namespace, widest
from .replay import parts

#: Weight of the past in a moving average, a step.
DECAY = 0.95


def sums(
    xp: Namespace, rewards: Array, k: int, y: Array, w: Array, *, history_sorted: bool = False
) -> tuple[Array, Array]:
    """``<A0, D>`` and ``<D, D>`` of each group, (...) in float64; 0 without history. As ``replay`` else."""
    return inner_products(xp, *parts(xp, rewards, k, y, w, history_sorted=history_sorted))


def inner_products(xp: Namespace, plain: Array, history: Array) -> tuple[Array, Array]:
    """The same from A0 and HIST, (..., n) each: what ``parts`` gives."""
    plain, history = (xp.astype(each, widest(xp), copy=False) for each in (plain, history))
    apart = plain - history
    return xp.sum(plain * apart, axis=-1), xp.sum(apart * apart, axis=-1)


def why_not(prompts: int) -> str | None:
    """Reason why a batch of this many prompts has no others to learn from, with a valid choice; else None."""
    if prompts >= 2:
        return None
    return (
        f"a lambda learned from the other prompts needs a batch of at least 2 (P={prompts}); "
        f"use the fair one, or a moving average over earlier steps"
    )


def leave_one_out(xp: Namespace, along: Array, apart: Array, largest: Array) -> Array:
    """Lambda (P,) of each prompt from the sums ``<A0, D>`` and ``<D, D>``, (P,) each, of the others, P >= 2.

    ``largest`` (P,) caps it; the ridge ``1 + 2/(P-1)`` is for how little few prompts tell. Sums run from
    both ends: the total less one's own cancels where a prompt outweighs the others.
    """
    others = along.shape[0] - 1
    top, bottom = _others(xp, along), _others(xp, apart)
    return clipped(xp, top, (1 + 2 / others) * bottom, largest)


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """Averages of ``<A0, D>`` and ``<D, D>`` over earlier steps, each step weighing ``decay`` of the next."""

    along: float = 0.0
    apart: float = 0.0

    def updated(self, along: float, apart: float, *, decay: float = DECAY) -> MovingAverage:
        """With the sums of a step over its groups; after lambda was taken for that step."""
        return MovingAverage(
            decay * self.along + (1 - decay) * along, decay * self.apart + (1 - decay) * apart
        )

    def lam(self, xp: Namespace, largest: Array) -> Array:
        """Lambda for groups whose caps are ``largest`` (...)."""
        ones = xp.ones_like(largest)
        return clipped(xp, self.along * ones, self.apart * ones, largest)


def _others(xp: Namespace, values: Array) -> Array:
    """The sum of all but each, (P,)."""
    none = xp.zeros_like(values[:1])
    before = xp.concat([none, xp.cumulative_sum(values[:-1], axis=0)], axis=0)
    after = xp.flip(xp.cumulative_sum(xp.flip(values[1:], axis=0), axis=0), axis=0)
    return before + xp.concat([after, none], axis=0)


def clipped(xp: Namespace, top: Array, bottom: Array, largest: Array) -> Array:
    """``top / bottom`` between 0 and largest; 0 where bottom is 0."""
    some = bottom > 0
    ratio = xp.where(some, top, xp.zeros_like(top)) / xp.where(some, bottom, xp.ones_like(bottom))
    return xp.minimum(xp.clip(ratio, 0.0, None), largest)
