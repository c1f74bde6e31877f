"""What an estimator is: a rule with a name, a citation, claims, and the range it is defined on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from ..core.arguments import as_group_size, whole_number
from ..core.arrays import Array, Namespace
from ..core.coefficients import Coefficients
from ..core.rewards import as_rewards
from ..core.tracing import compiles, untraced
from ..kernels.engine import alone
from ..kernels.tables import new_number
from .claims import Claims, Laws

#: Rewards a rule is defined on: any reals, numbers in [0, 1], or 0 and 1 alone.
Domain = Literal["real", "unit", "binary"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimator(ABC):
    """A rule that turns the rewards of a group into advantages.

    Calling it, ``estimator(rewards, k)``, maps rewards (..., n) to advantages (..., n) of the same
    array type, dtype and device, for the mean convention ``g = (1/n) sum_i A_i s_i``.

    Attributes
    ----------
    name, title
        The registry's name, and a short human one.
    equation
        The rule as one line of text, in the notation of docs/explain/conventions.md.
    citation
        Paper and equation, or repository and function.
    objective
        The objective whose gradient the rule is measured against: ``max@k``, ``mean``, ``max@n`` or an
        ``l-statistic:`` spec (see ``objectives.as_objective``). For a rule that climbs a
        mixture of its own, the nearest of these.
    uses_k
        Whether k changes anything. A rule that says no takes any ``k >= 1``, larger than n too.
    claims
        See ``Claims``.
    laws
        See ``Laws``.
    domain
        Rewards the rule is defined on.
    smallest_group
        The least n; a rule that compares a rollout with others needs 2.
    degenerate
        What it gives where there is nothing to compare: a flat group, no success, a tie at the top.
    """

    name: str
    title: str
    equation: str
    citation: str
    objective: str
    uses_k: bool
    claims: Claims
    laws: Laws = field(default_factory=Laws)
    domain: Domain = "real"
    degenerate: str = "a flat group gives 0"
    smallest_group: int = 1

    def why_not(self, n: int, k: int) -> str | None:
        """Reason why the rule is undefined at group size n and this k, with a valid choice; else None.

        Raises TypeError where n or k is not an integer.
        """
        n, k = as_group_size(n), whole_number(k, "k")
        if 1 <= k <= n or (k >= 1 and not self.uses_k):
            return self._undefined(n, k)
        if not self.uses_k:
            return f"k={k}: {self.name} does not use k, which must be 1 <= k; the nearest valid choice is k=1"
        by_distance = sorted(range(1, n + 1), key=lambda other: abs(other - k))
        nearest = next((other for other in by_distance if self._undefined(n, other) is None), None)
        if nearest is None:
            return self._undefined(n, by_distance[0])
        return f"k={k}: max@k needs 1 <= k <= n = {n}; the nearest valid choice is k={nearest}"

    def _undefined(self, n: int, k: int) -> str | None:
        """The rule's own range; n and k are already valid as such."""
        if n >= self.smallest_group:
            return None
        alternative = "reinforce or pkpo-s" if n == 1 else "rloo"
        return (
            f"{self.name} needs a group of at least {self.smallest_group} rollouts (n={n}); use "
            f"{alternative}, or a larger group"
        )

    def why_not_rewards(self, rewards: Any) -> str | None:
        """Reason why the rule is undefined on rewards of these values, with a valid choice; else None."""
        xp, rewards = as_rewards(rewards)
        return self._outside_domain(xp, rewards)

    def _outside_domain(self, xp: Namespace, rewards: Array) -> str | None:
        if self.domain == "real":
            return None
        if self.domain == "binary":
            inside, rule = (rewards == 0) | (rewards == 1), "0/1 rewards"
        else:
            inside, rule = (rewards >= 0) & (rewards <= 1), "rewards in [0, 1]"
        if bool(xp.all(inside)):
            return None
        first = int(xp.argmax(xp.astype(xp.reshape(~inside, (-1,)), xp.int8)))
        value = float(xp.reshape(rewards, (-1,))[first])
        return f"{self.name} is defined for {rule} alone, rewards hold {value:g}; use maxpo, defined for any"

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

    @untraced
    def __call__(self, rewards: Any, k: int) -> Array:
        """Advantages (..., n) of rewards (..., n), constants: no gradient flows back to the rewards.

        Raises
        ------
        TypeError, ValueError
            See ``as_rewards`` and ``why_not``; ValueError also where the rule is not
            defined at this n and k, with the reason that ``why_not`` gives.
        """
        xp, rewards = as_rewards(rewards)
        if type(k) is not int:
            k = whole_number(k, "k")
        if reason := self.why_not(rewards.shape[-1], k) or self._outside_domain(xp, rewards):
            raise ValueError(reason)
        return self.unchecked(xp, rewards, k)


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
