"""What a value rule is: an estimate of J_K from one group, with a name, a citation and claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import array_api_compat

from ..core.arguments import as_group_size, whole_number
from ..core.arrays import Array
from ..core.rewards import as_rewards
from ..core.tracing import untraced


@dataclass(frozen=True, kw_only=True)
class ValueClaims:
    """What a value rule promises of rewards in [0, 1], at every n and k at which it is defined.

    Attributes
    ----------
    unbiased
        Its mean is J_K, under every policy.
    order_free
        The order of the rollouts changes nothing.
    monotone
        Raising a reward never lowers the value.
    bounded
        The value lies between the lowest and the highest reward of the group.
    """

    unbiased: bool
    order_free: bool = True
    monotone: bool = True
    bounded: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueRule:
    """An estimate of J_K from the rewards of one group.

    Calling it, ``rule(rewards, k)``, maps rewards (..., n) to values (...) of the same array type, dtype and
    device.

    Attributes
    ----------
    name, title
        The registry's name, and a short human one.
    equation
        The rule as one line of text: ``R_(1) <= .. <= R_(n)``, ``gap_m = R_(m+1) - R_(m)``, c successes.
    citation
        Paper and equation, or package, version and function.
    function
        The rule itself, on checked n and k. One that is not defined on some rewards raises ValueError.
    claims
        See ``ValueClaims``.
    beyond_n
        Whether it gives numbers for k > n, where no unbiased estimate exists.
    domain
        ``"real"``, or ``"binary"`` where rewards other than 0 and 1 are refused.
    """

    name: str
    title: str
    equation: str
    citation: str
    function: Callable[[Any, int], Array]
    claims: ValueClaims
    beyond_n: bool
    domain: Literal["real", "binary"] = "real"

    def why_not(self, n: int, k: int) -> str | None:
        """Reason why the rule is undefined at group size n and this k, with a valid choice; else None.

        Raises TypeError where n or k is not an integer.
        """
        n, k = as_group_size(n), whole_number(k, "k")
        if k < 1:
            return f"k={k}: max@k needs k >= 1; the nearest valid choice is k=1"
        if k > n and not self.beyond_n:
            return (
                f"k={k}: {self.name} needs 1 <= k <= n = {n}; the nearest valid choice is k={n} (plug-in "
                f"takes any k >= 1, with a bias)"
            )
        return None

    @untraced
    def __call__(self, rewards: Any, k: int) -> Array:
        """Values (...) of rewards (..., n).

        Raises TypeError and ValueError for rewards that are not finite real numbers, and as ``why_not`` says.
        """
        _, rewards = as_rewards(rewards)
        if reason := self.why_not(rewards.shape[-1], k):
            raise ValueError(reason)
        if self.domain == "binary":
            self._check_binary(rewards)
        return self.function(rewards, k)

    def _check_binary(self, rewards: Array) -> None:
        xp = array_api_compat.array_namespace(rewards)
        if not bool(xp.all((rewards == 0) | (rewards == 1))):
            low, high = float(xp.min(rewards)), float(xp.max(rewards))
            raise ValueError(
                f"rewards from {low:g} to {high:g}: {self.name} counts successes, so they must be 0 or 1, "
                f"e.g. rewards >= {high:g}"
            )
