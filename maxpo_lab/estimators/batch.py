"""Rules of a batch: what a group gets depends on the other groups too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ..core.arguments import whole_number
from ..core.arrays import Array, Int, Namespace, widest
from ..core.rewards import as_rewards
from ..core.tracing import untraced
from .base import Estimator
from .entry import Entry, Kind
from .limits import held, unwarned

if TYPE_CHECKING:
    from ..core import ragged

#: How the prompts of a batch meet, where it is in one number: the sum of all rewards (on two reward levels:
#: how
#: many rollouts have the higher), or the sum of the squares of what a group rule gives them.
Statistic = Literal["reward_sum", "advantage_rms"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchEstimator(Entry):
    """A rule that turns the rewards of a batch into advantages, its groups coupled.

    Calling it, ``estimator(rewards, k)``, maps rewards (..., P, n), batches of P prompts with n rollouts
    each, to advantages (..., P, n); batches are independent. It does not depend on the order of the prompts.

    Attributes
    ----------
    statistic
        See ``Statistic``; None: prompts meet in another way.
    smallest_batch
        The least P; a rule that compares a prompt with others needs 2.
    """

    kind: ClassVar[Kind] = "batch"

    statistic: Statistic | None = None
    smallest_batch: int = 1

    def why_not_batch(self, prompts: int) -> str | None:
        """Reason why the rule is undefined on a batch of so many prompts, with a valid choice; else None."""
        if whole_number(prompts, "prompts") >= self.smallest_batch:
            return None
        return (
            f"{self.name} needs a batch of at least {self.smallest_batch} prompts (P={prompts}); add "
            f"prompts, or use rloo, which needs none beside it"
        )

    @abstractmethod
    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        """The rule on batches (..., P, n) known to be valid, as ``Estimator.unchecked``."""

    @untraced
    def __call__(self, rewards: Any, k: int) -> Array:
        """Advantages (..., P, n) of rewards (..., P, n), constants: no gradient flows back to the rewards.

        Raises
        ------
        TypeError, ValueError
            As an ``Estimator``; ValueError also for a group without its batch, and for one of fewer prompts
            than the rule needs.
        """
        xp, rewards = as_rewards(rewards)
        k = whole_number(k, "k")
        shape = tuple(rewards.shape)
        if len(shape) < 2:
            raise ValueError(
                f"rewards have shape {shape}: {self.name} is a batch rule and needs (..., P, n), "
                f"the n rewards of "
                f"each of P prompts; pass rewards[None] for a batch of one prompt"
            )
        reason = self.why_not(shape[-1], k) or self.why_not_batch(shape[-2])
        if reason := reason or self._outside_domain(xp, rewards):
            raise ValueError(reason)
        with unwarned():
            return held(self.name, xp, rewards, self.unchecked(xp, rewards, k))

    def of_groups(self, xp: Namespace, flat: Array, groups: ragged.Groups, k: int) -> Array:
        """Advantages (B,) of one batch of rollouts (B,) in groups that may differ in size.

        Rollouts of no group get 0. Raises ValueError where the rule needs groups of one size and these are
        not, or is not defined on them.
        """
        reason = self.why_not_batch(len(groups.sizes)) or next(
            (why for size in set(groups.sizes.tolist()) if (why := self.why_not(size, k))), None
        )
        from ..core import ragged  # noqa: PLC0415 - a loop with dense groups needs none of it

        rewards = ragged.of_rows(xp, flat, groups.order)
        if reason := reason or self._outside_domain(xp, rewards):
            raise ValueError(reason)
        with unwarned():
            found = held(self.name, xp, rewards, self._of_groups(xp, rewards, groups.sizes, k))
        return ragged.to_rows(xp, found, groups.order, flat.shape[0])

    def _of_groups(self, xp: Namespace, rewards: Array, sizes: Int, k: int) -> Array:
        """The rule on groups of these sizes, one after the other."""
        if len(found := set(sizes.tolist())) > 1:
            raise ValueError(
                f"groups have {sorted(found)} scored rollouts: {self.name} takes groups of one size; drop "
                f"rollouts until they are equal, or use a rule that takes any, e.g. whitened:rloo"
            )
        dense = xp.reshape(rewards, (len(sizes), int(sizes[0])))
        return xp.reshape(self.unchecked(xp, dense, k), (-1,))


#: What becomes of advantages where groups meet: (xp, what groups gave (..., N), rewards (..., N)) -> (...,
#: N).
Couple = Callable[[Namespace, Array, Array], Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled(BatchEstimator):
    """A rule of two steps: a group rule, then all rollouts of the batch together, whatever their group.

    Groups may so differ in size. Sums are in float64, rounded once at the end.
    """

    own: Estimator
    couple: Couple

    def why_not(self, n: int, k: int) -> str | None:
        """As the group rule."""
        return self.own.why_not(n, k)

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        wide = xp.astype(rewards, widest(xp), copy=False)
        pooled = (*rewards.shape[:-2], rewards.shape[-2] * rewards.shape[-1])
        found = self.couple(xp, xp.reshape(self.own.unchecked(xp, wide, k), pooled), xp.reshape(wide, pooled))
        return xp.astype(xp.reshape(found, rewards.shape), rewards.dtype, copy=False)

    def _of_groups(self, xp: Namespace, rewards: Array, sizes: Int, k: int) -> Array:
        from ..core import ragged  # noqa: PLC0415 - as above

        wide = xp.astype(rewards, widest(xp), copy=False)
        each = ragged.Groups(np.arange(len(sizes)), sizes, np.arange(int(sizes.sum())))
        own = ragged.map_buckets(xp, wide, each, lambda dense: self.own.unchecked(xp, dense, k))
        return xp.astype(self.couple(xp, own, wide), rewards.dtype, copy=False)
