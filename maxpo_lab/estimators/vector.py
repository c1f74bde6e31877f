"""Rules of rollouts that carry several numbers: some rewards, and perhaps a length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from ..core.arguments import finite_number, whole_number
from ..core.arrays import Array, Namespace
from ..core.rows import as_rows
from ..core.tracing import untraced
from .batch import Couple
from .entry import Entry, Kind
from .limits import held, unwarned


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighing(Entry):
    """What rules of several rewards have in common: the weights of these, and what a row holds.

    Attributes
    ----------
    reward_weights
        ``w_1..w_d``, or None for 1 each. See ``weighted``.
    takes_lengths
        Whether a rollout's row ends with its length.
    """

    reward_weights: tuple[float, ...] | None = None
    takes_lengths: bool = False

    def weighted(self, reward_weights: Sequence[float] | None) -> Self:
        """The rule with these weights, one a reward; None for 1 each. Raises as ``as_weights``."""
        return replace(self, reward_weights=as_weights(reward_weights))

    def weights(self, rewards: int) -> tuple[float, ...]:
        """The weights of so many rewards; ValueError where there are others."""
        given = self.reward_weights
        if given is None:
            return (1.0,) * rewards
        if len(given) != rewards:
            raise ValueError(
                f"reward_weights={given} are {len(given)}, of {rewards} rewards: one for each is needed"
            )
        return given

    def of_rewards(self, rewards: Any, lengths: Any, *, ids: bool = False, allow_nan: bool = False) -> Any:
        """``as_rows`` of what this rule takes; ValueError for lengths it does not take, or lacks."""
        check_lengths(self.name, lengths, takes=self.takes_lengths)
        given = as_rows(rewards, lengths, name=self.name, ids=ids, allow_nan=allow_nan)
        self.weights(given[2].shape[-1] - self.takes_lengths)
        return given


def as_weights(reward_weights: Any) -> tuple[float, ...] | None:
    """Weights of rewards as finite floats, None for 1 each. TypeError, ValueError: anything else."""
    if reward_weights is None:
        return None
    try:
        given = list(reward_weights)
    except TypeError:
        raise TypeError(
            f"reward_weights={reward_weights!r} is a {type(reward_weights).__name__}: one number a reward is "
            f"needed, e.g. reward_weights=(1.0, 0.5)"
        ) from None
    return tuple(finite_number(_number(each), f"reward_weights[{i}]") for i, each in enumerate(given))


def _number(value: Any) -> Any:
    """An entry of an array or a tensor as Python's number."""
    return value.item() if hasattr(value, "item") else value


def check_lengths(name: str, lengths: Any, *, takes: bool) -> None:
    """Refuse lengths of a rule that takes none, and a rule that takes them without."""
    if takes and lengths is None:
        raise ValueError(f"{name} weighs rollouts by their lengths: pass lengths=, one a rollout")
    if lengths is not None and not takes:
        raise ValueError(f"lengths with estimator {name!r}, which takes none; leave them out, or use opo")


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorEstimator(Weighing):
    r"""A rule of a group whose rollouts carry rows of numbers, as a weighted sum over its *parts*.

    .. math:: A_i = \sum_p w_p\, \text{rule}(\text{part } p \text{ of the rows})_i

    A part is what the rule itself looks at: one reward, the weighted sum of all, or that and the length.
    Calling it, ``estimator(rewards, k)``, maps rewards (..., n, d) to advantages (..., n) of the same array
    type, dtype and device, for the mean convention; ``estimator(rewards, k, lengths=...)`` takes lengths
    (..., n), and rewards of that shape where there is one.
    """

    kind: ClassVar[Kind] = "vector"

    @abstractmethod
    def parts(self, xp: Namespace, rows: Array) -> list[tuple[float, Array]]:
        """The weight of each part, and the part: rows (..., c') of the rows (..., c).

        A NaN is a reward that the rollout does not have; a part of rewards it lacks is NaN too.
        """

    @abstractmethod
    def of_part(self, xp: Namespace, part: Array, k: int) -> Array:
        """Advantages (..., n) of a part (..., n, c') without a NaN."""

    def unchecked(self, xp: Namespace, rows: Array, k: int) -> Array:
        """The rule on rows (..., n, c) known to be valid, in the widest type."""
        return sum(weight * self.of_part(xp, part, k) for weight, part in self.parts(xp, rows))

    @untraced
    def __call__(self, rewards: Any, k: int, *, lengths: Any = None) -> Array:
        """Advantages (..., n), constants: no gradient flows back to the rewards.

        Raises
        ------
        TypeError, ValueError
            See ``as_rows``; where the rule is not defined at this n and k, or on these rewards; another
            number of ``reward_weights`` than of rewards.
        """
        xp, given, rows = self.of_rewards(rewards, lengths)
        k = whole_number(k, "k")
        if reason := self.why_not(rows.shape[-2], k) or self.why_not_rows(xp, rows):
            raise ValueError(reason)
        with unwarned():
            found = xp.astype(self.unchecked(xp, rows, k), given.dtype, copy=False)
            return held(self.name, xp, given, found)

    def why_not_rows(self, xp: Namespace, rows: Array) -> str | None:
        """Reason why the rule is undefined on a part of the rows, with a valid choice; else None."""
        if self.domain == "real":
            return None
        return next(filter(None, (self.outside(xp, part) for _, part in self.parts(xp, rows))), None)

    def outside(self, xp: Namespace, part: Array) -> str | None:
        """As ``why_not_rows``, of one part."""
        return self._outside_domain(xp, part)


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorBatchEstimator(Weighing):
    """A rule of several rewards whose groups are coupled: a vector rule, then all rollouts of the batch.

    Calling it, ``estimator(rewards, k)``, maps rewards (..., P, n, d), batches of P prompts, to advantages
    (..., P, n); batches are independent.
    """

    kind: ClassVar[Kind] = "vector-batch"

    own: VectorEstimator
    couple: Couple

    def weighted(self, reward_weights: Sequence[float] | None) -> Self:
        """As ``VectorEstimator.weighted``."""
        weights = as_weights(reward_weights)
        return replace(self, reward_weights=weights, own=self.own.weighted(weights))

    def why_not(self, n: int, k: int) -> str | None:
        """As the rule of a group."""
        return self.own.why_not(n, k)

    def unchecked(self, xp: Namespace, rows: Array, k: int) -> Array:
        """The rule on batches of rows (..., P, n, c) known to be valid, in the widest type."""
        own = self.own.unchecked(xp, rows, k)
        return xp.reshape(self.coupled(xp, xp.reshape(own, (*own.shape[:-2], -1))), own.shape)

    def coupled(self, xp: Namespace, own: Array) -> Array:
        """What becomes of advantages (..., N) of all rollouts of a batch."""
        return self.couple(xp, own, own)

    @untraced
    def __call__(self, rewards: Any, k: int, *, lengths: Any = None) -> Array:
        """Advantages (..., P, n). Raises as a ``VectorEstimator``; ValueError without an axis of prompts."""
        xp, given, rows = self.of_rewards(rewards, lengths)
        k = whole_number(k, "k")
        if rows.ndim < 3:
            raise ValueError(
                f"rewards have shape {tuple(given.shape)}: {self.name} couples the groups of a batch and "
                f"needs (..., P, n, d); pass rewards[None] for a batch of one prompt"
            )
        if reason := self.why_not(rows.shape[-2], k) or self.own.why_not_rows(xp, rows):
            raise ValueError(reason)
        with unwarned():
            found = xp.astype(self.unchecked(xp, rows, k), given.dtype, copy=False)
            return held(self.name, xp, given, found)
