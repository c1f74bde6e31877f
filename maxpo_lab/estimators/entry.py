"""What the catalogue says of every rule: a name, a citation, claims, and the range it is defined on."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ..core.arguments import as_group_size, whole_number
from ..core.arrays import Array, Namespace
from ..core.rewards import as_rewards
from .claims import Claims, Laws

#: Rewards a rule is defined on: any reals, numbers in [0, 1], or 0 and 1 alone.
Domain = Literal["real", "unit", "binary"]
#: What a rule's advantages depend on: the group alone, the other groups of its batch, or earlier steps too;
#: and what a rollout is to it: a reward, or (of a group, and of a batch) a row of rewards and a length.
Kind = Literal["group", "batch", "memory", "vector", "vector-batch"]
KINDS: tuple[Kind, ...] = ("group", "batch", "memory", "vector", "vector-batch")
#: Which groups of 0/1 rewards that are all alike get advantages other than 0: none, those that all succeed,
#: those that all fail, or both. Where it is not none, a trainer that drops dead groups changes what the rule
#: climbs.
DeadGroups = Literal["none", "all-correct", "all-fail", "both"]


def group_size(n: int) -> int:
    """No subset has more rollouts than the group."""
    return n


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry(ABC):
    """An entry of the catalogue: what is known of a rule, whatever its kind.

    Attributes
    ----------
    kind
        See ``Kind``; of the class.
    name, title
        The registry's name, and a short human one.
    equation
        The rule as one line of text, in the notation of docs/explain/conventions.md.
    citation
        Paper and equation, or repository and function.
    objective
        The objective whose gradient the rule is measured against: ``max@k``, ``mean``, ``max@n``, an
        ``l-statistic:`` spec, or a weighted sum of these (see ``objectives.as_objective``). For a rule that
        climbs a mixture that nobody named, the nearest of these.
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
    largest_k
        The largest k at a group size, n unless told. A rule that goes beyond n says itself what takes more.
    degenerate
        What it gives where there is nothing to compare: a flat group, no success, a tie at the top.
    dead_groups
        See ``DeadGroups``: whether that is other than 0 on 0/1 rewards.
    """

    kind: ClassVar[Kind]

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
    dead_groups: DeadGroups = "none"
    smallest_group: int = 1
    largest_k: Callable[[int], int] = group_size

    def why_not(self, n: int, k: int) -> str | None:
        """Reason why the rule is undefined at group size n and this k, with a valid choice; else None.

        Raises TypeError where n or k is not an integer.
        """
        n, k = as_group_size(n), whole_number(k, "k")
        largest = self.largest_k(n)
        if 1 <= k <= largest or k > largest > n or (k >= 1 and not self.uses_k):
            return self._undefined(n, k)
        if not self.uses_k:
            return f"k={k}: {self.name} does not use k, which must be 1 <= k; the nearest valid choice is k=1"
        by_distance = sorted(range(1, largest + 1), key=lambda other: abs(other - k))
        nearest = next((other for other in by_distance if self._undefined(n, other) is None), None)
        if nearest is None:
            return self._undefined(n, by_distance[0])
        allowed = f"n = {n}" if largest == n else f"{largest} (n={n})"
        return f"k={k}: max@k needs 1 <= k <= {allowed}; the nearest valid choice is k={nearest}"

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
