"""Weighted sums of group rules, and rules at a K of their own: ``0.7*maxpo+0.3*rloo``, ``maxpo@8``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from ....core import weighted_sums
from ....core.arrays import Array, Namespace, widest
from ....core.coefficients import Coefficients, weighted_sum
from ....objectives import at_own_k
from ...base import Estimator, RankLinear
from ...claims import Claims, Laws
from ...entry import Domain, group_size

Term = tuple[Fraction, Estimator]


@dataclass(frozen=True, kw_only=True, eq=False)
class AtOwnK(Estimator):
    """A rule that is called with ``own_k``, whatever the k of the call; ``at_k`` makes it."""

    rule: Estimator
    own_k: int

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        return self.rule.unchecked(xp, rewards, self.own_k)

    def _undefined(self, n: int, k: int) -> str | None:
        return super()._undefined(n, k) or _undefined_at(self.rule, self.own_k, n, k)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture(Estimator):
    """A weighted sum of rules not all of which are linear in the sorted rewards; ``mixture`` makes it.

    Those that are make one term, so that the group is sorted once for them.
    """

    terms: tuple[Term, ...]
    factors: tuple[float, ...]  # the weights as floats, which a compiled graph can hold

    def unchecked(self, xp: Namespace, rewards: Array, k: int) -> Array:
        # Summed in the widest float, so that the terms' float32 results are not rounded one by one.
        values = xp.astype(rewards, widest(xp))
        pairs = zip(self.factors, self.terms, strict=True)
        total = sum(factor * rule.unchecked(xp, values, k) for factor, (_, rule) in pairs)
        return xp.astype(total, rewards.dtype)

    def _undefined(self, n: int, k: int) -> str | None:
        return super()._undefined(n, k) or _undefined_in(self.name, self.terms, n, k)


def at_k(rule: Estimator, k: int) -> Estimator:
    """A rule at a K of its own, ``maxpo@8``: a call's k changes nothing.

    Raises ValueError for a rule that uses no k, and for k < 1.
    """
    name = f"{rule.name}@{k}"
    if not rule.uses_k:
        raise ValueError(f"{name}: {rule.name} does not use k, so that it has no K of its own; drop the @{k}")
    if k < 1:
        raise ValueError(f"{name}: K must be at least 1, e.g. {rule.name}@1")
    facts: dict[str, Any] = {
        "name": name,
        "title": f"{rule.title} at K = {k}",
        "equation": f"{rule.equation}, K = {k}",
        "objective": at_own_k(rule.objective, k),
        "uses_k": False,
    }
    if isinstance(rule, RankLinear):
        return replace(
            rule,
            **facts,
            table=partial(_at, rule, k),
            undefined=partial(_undefined_at, rule, k),
            largest_k=group_size,
        )
    return AtOwnK(rule=rule, own_k=k, **_shared([(Fraction(1), rule)]) | facts)


def mixture(terms: Sequence[Term]) -> Estimator:
    r"""The rule ``A = sum_t w_t A^(t)``: rank-linear where all terms are, their coefficients added up.

    Objective, claims and laws follow from the terms': a sum of rules that are unbiased each for its objective
    is unbiased for the sum of these; of centered ones it is centered. Cost: of the terms that are not
    rank-linear, and of one rule for all that are.

    Raises ValueError where no term is left, or one of weight 0.
    """
    by_name = {rule.name: rule for _, rule in terms}
    told = weighted_sums.together((weight, rule.name) for weight, rule in terms)
    told = tuple(sorted(told, key=lambda term: (-term[0], term[1])))  # however it is spelled, one name
    if gone := [name for weight, name in told if not weight]:
        raise ValueError(f"the weight of {gone[0]} is 0: leave it out")
    terms = tuple((weight, by_name[name]) for weight, name in told)
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]
    linear = tuple((weight, rule) for weight, rule in terms if isinstance(rule, RankLinear))
    facts = _shared(terms) | {"name": weighted_sums.spell(told), "title": _title(told)}
    if len(linear) == len(terms):
        return RankLinear(
            **facts,
            table=partial(_added, linear),
            undefined=partial(_undefined_in, facts["name"], terms),
        )
    others = tuple((weight, rule) for weight, rule in terms if not isinstance(rule, RankLinear))
    sorted_once = ((Fraction(1), mixture(linear)),) if len(linear) > 1 else linear
    terms = (*sorted_once, *others)
    return Mixture(**facts, terms=terms, factors=tuple(float(weight) for weight, _ in terms))


def _title(told: weighted_sums.Terms) -> str:
    return f"Mixture of {len(told)} rules" if len(told) > 1 else f"{told[0][1]}, scaled"


def _added(terms: Sequence[tuple[Fraction, RankLinear]], n: int, k: int, exact: bool) -> Coefficients:
    parts = [rule.coefficients(n, k, exact=exact) for _, rule in terms]
    return weighted_sum([weight for weight, _ in terms], parts, exact=exact)


def _at(rule: RankLinear, own: int, n: int, _: int, exact: bool) -> Coefficients:
    return rule.coefficients(n, own, exact=exact)


def _shared(terms: Sequence[Term]) -> dict[str, Any]:
    """What the catalogue says of a sum, from what it says of its terms."""
    rules = [rule for _, rule in terms]
    users = [rule for rule in rules if rule.uses_k]
    domain: Domain = max((rule.domain for rule in rules), key=("real", "unit", "binary").index)
    scales = {rule.laws.scale for rule in rules}
    laws = (
        Laws(
            shift_invariant=all(rule.laws.shift_invariant for rule in rules),
            scale=scales.pop() if len(scales) == 1 else "none",
        )
        if domain == "real"
        else Laws(shift_invariant=False, scale="none")
    )
    dead = {rule.dead_groups for rule in rules} - {"none"}
    objective = weighted_sums.together((weight, rule.objective) for weight, rule in terms)
    return {
        "equation": f"A_i = {_equation(terms)}",
        "citation": "; ".join(dict.fromkeys(rule.citation for rule in rules)),
        "objective": weighted_sums.spell(objective),
        "uses_k": bool(users),
        "claims": Claims(
            unbiased=all(rule.claims.unbiased for rule in rules),
            centered=all(rule.claims.centered for rule in rules),
            equivariant=all(rule.claims.equivariant for rule in rules),
        ),
        "laws": laws,
        "domain": domain,
        "degenerate": "; ".join(dict.fromkeys(f"{rule.name}: {rule.degenerate}" for rule in rules))
        if len({rule.degenerate for rule in rules}) > 1
        else rules[0].degenerate,
        "dead_groups": "none" if not dead else dead.pop() if len(dead) == 1 else "both",
        "smallest_group": max(rule.smallest_group for rule in rules),
        "largest_k": partial(_largest, users)
        if any(rule.largest_k is not group_size for rule in users)
        else group_size,
    }


def _equation(terms: Sequence[Term]) -> str:
    """``0.7 A_i(maxpo) - 0.3 A_i(rloo)``."""
    text = ""
    for weight, rule in terms:
        size = "" if abs(weight) == 1 else f"{weighted_sums.number(abs(weight))} "
        sign = ("-" if weight < 0 else "") if not text else " - " if weight < 0 else " + "
        text += f"{sign}{size}A_i({rule.name})"
    return text


def _largest(users: Sequence[Estimator], n: int) -> int:
    return min((rule.largest_k(n) for rule in users), default=n)


def _undefined_at(rule: Estimator, own: int, n: int, _: int) -> str | None:
    if (reason := rule.why_not(n, own)) is None:
        return None
    return f"{rule.name}@{own} at n={n}: {_cause(reason)}; {_nearest(rule, own, n)}"


def _undefined_in(name: str, terms: Sequence[Term], n: int, k: int) -> str | None:
    # n and k are checked already, and on a small group asking takes as long as the kernel.
    if all(rule._undefined(n, k) is None for _, rule in terms):
        return None
    bad = next(((rule, reason) for _, rule in terms if (reason := rule.why_not(n, k))), None)
    if bad is None:
        return None
    rule, reason = bad
    if not rule.uses_k:
        return f"{name}: {reason}"
    users = [rule for _, rule in terms if rule.uses_k]
    fits = next((other for other in _by_distance(k, n) if not any(r.why_not(n, other) for r in users)), None)
    way_out = "use a larger group" if fits is None else f"the nearest valid choice is k={fits}"
    return f"{name}: {_cause(reason)}; {way_out}"


def _nearest(rule: Estimator, own: int, n: int) -> str:
    fits = next((other for other in _by_distance(own, n) if rule.why_not(n, other) is None), None)
    return "use a larger group" if fits is None else f"the nearest valid choice is {rule.name}@{fits}"


def _by_distance(k: int, n: int) -> list[int]:
    return sorted(range(1, n + 1), key=lambda other: abs(other - k))


def _cause(reason: str) -> str:
    """A reason without the way out, which stands after a semicolon and is of the rule alone."""
    return reason.partition(";")[0]
