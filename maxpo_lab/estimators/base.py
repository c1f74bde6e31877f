"""Rules of a group: estimators, and those among them that are linear in the sorted rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from ..core.arguments import whole_number
from ..core.arrays import Array, Namespace
from ..core.coefficients import Coefficients, Vector
from ..core.rewards import as_rewards
from ..core.tracing import compiles, untraced
from ..kernels.engine import alone
from ..kernels.tables import new_number
from .entry import Entry, Kind
from .limits import held, unwarned


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimator(Entry):
    """A rule that turns the rewards of a group into advantages, whatever is beside it.

    Calling it, ``estimator(rewards, k)``, maps rewards (..., n) to advantages (..., n) of the same
    array type, dtype and device, for the mean convention ``g = (1/n) sum_i A_i s_i``.
    """

    kind: ClassVar[Kind] = "group"

    @abstractmethod
    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        """The rule on rewards known to be valid: no checks, and on an accelerator no wait for it.

        Parameters
        ----------
        xp
            Namespace of the rewards, ``array_api_compat.array_namespace(rewards)``.
        rewards
            Finite and of the rule's domain, (..., n), in a real floating dtype, off any graph.
        k
            An int at which ``why_not(n, k)`` is None.

        Returns
        -------
        array (..., n), what the call gives, to the bit. Anything else where the rewards are not valid.
        """

    def exact_advantages(self, n: int, k: int) -> tuple[Vector, Vector] | None:
        """What a success gets, and a failure in its place, (n,), by failures among the others, in rationals.

        None where the rule has no tables that say so. (n, k) is where it is defined; see ``Spectrum``.
        """
        return None

    @untraced
    def __call__(self, rewards: Any, k: int) -> Array:
        """Advantages (..., n) of rewards (..., n), constants: no gradient flows back to the rewards.

        Raises
        ------
        TypeError, ValueError
            See ``as_rewards`` and ``why_not``; ValueError also where the rule is not
            defined at this n and k, with the reason that ``why_not`` gives, and where rewards are so large
            that their type does not hold the advantages.
        """
        xp, rewards = as_rewards(rewards)
        if type(k) is not int:
            k = whole_number(k, "k")
        if reason := self.why_not(rewards.shape[-1], k) or self._outside_domain(xp, rewards):
            raise ValueError(reason)
        with unwarned():
            found = self.unchecked(xp, rewards, k)
            return held(self.name, xp, rewards, found, linear=isinstance(self, RankLinear))


def _defined(n: int, k: int) -> str | None:
    """No range of its own."""
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class RankLinear(Estimator):
    """A rule linear in the sorted rewards: two coefficient vectors and the gap-form engine.

    ``table(n, k, exact)`` gives the coefficients; ``undefined(n, k)`` the reason why it cannot. It is
    measured by its coefficients, often without being called: a class that answers otherwise is a TypeError.
    """

    table: Callable[[int, int, bool], Coefficients]
    undefined: Callable[[int, int], str | None] = _defined
    number: ClassVar[int]  # of each rule its own: not a part of what it is

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for method in ("__call__", "unchecked"):
            if getattr(cls, method) is not getattr(RankLinear, method):
                raise TypeError(
                    f"{cls.__name__} is a RankLinear with a {method} of its own: a RankLinear is its "
                    f"coefficients and nothing else; derive the class from Estimator"
                )

    def coefficients(self, n: int, k: int, *, exact: bool = False) -> Coefficients:
        """The rule at (n, k) as gap coefficients, in float64 or (``exact``) in Fractions. Cost O(n).

        Raises ValueError where the rule is undefined.
        """
        if reason := self.why_not(n, k):
            raise ValueError(reason)
        return self.table(n, k, exact)

    def exact_advantages(self, n: int, k: int) -> tuple[Vector, Vector] | None:
        made = self.coefficients(n, k, exact=True)
        start = np.array([Fraction(made.offset)], dtype=object)
        return np.concatenate([start, made.above]), np.concatenate([made.below, 0 * start])

    def _undefined(self, n: int, k: int) -> str | None:
        return super()._undefined(n, k) or self.undefined(n, k)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        made = super().__new__(cls)
        object.__setattr__(made, "number", new_number(made))
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state.items() if name != "number"})

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        """The coefficients, multiplied with the gaps of the sorted rewards. Cost O(n log n) per group."""
        if compiles(rewards):
            from ..kernels.traced import operator  # noqa: PLC0415 - torch is there

            return operator(rewards, self.number, k)
        return alone(xp, rewards, self, k)
