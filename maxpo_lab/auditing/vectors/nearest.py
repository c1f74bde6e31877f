"""The rule of several rewards of the catalogue that is nearest, with its weights and the rule in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...core.arrays import Float
from ...core.precision import TYPES, finest
from ...estimators import VectorBatchEstimator, VectorEstimator, get_estimator, list_estimators
from ..decide.claims import groups_of as scalar_groups
from ..decide.nearest import Nearest, nearest
from ..worker import RaisedError
from .calls import RowRule
from .structure import Order, of_one_reward

Weights = tuple[float, ...]


def nearest_row_rule(
    rule: RowRule, groups: list[Float], k: int, order: Order, *, prefer: tuple[str, ...] = ()
) -> Nearest | None:
    """The vector rule that is nearest on some groups (B, n, c), up to a factor.

    At this K, or at another where only that is exact; at the weights that were said, or at equal or fitted
    ones where only these are. Of a rule that sees the sum, or each reward by itself, the rule of one reward
    in it is looked for among all of one reward, by ``nearest``. None where the rule gives 0 everywhere.
    """
    n = groups[0].shape[1]
    ours = [rule(each, k) for each in groups]
    if all((np.abs(a) <= rule.tolerance(each, a, k)).all() for each, a in zip(groups, ours, strict=True)):
        return None
    compare = Comparison(rule, groups, ours, k)
    names = tuple(dict.fromkeys([*prefer, *list_estimators("vector")]))
    found = list(compare.with_names(names, rule.weights))
    for weights in _other_weights(rule.weights, order):
        if not any(each.exact for each in found):
            found += compare.with_names(names, weights)
    if not any(each.exact for each in found):
        found += _by_the_rule_in_it(rule, compare, order, n, k)
    if not any(each.exact for each in found):
        using = [name for name in names if get_estimator(name).uses_k]
        others = (other for other in range(1, n + 1) if other != k)
        found += [
            each
            for other in others
            for each in compare.with_names(using, rule.weights, k=other)
            if each.exact
        ]
    return best_of(found)


def best_of(found: list[Nearest]) -> Nearest | None:
    """The nearest, and the others that have its numbers."""
    if not found:
        return None
    best = min(found, key=_by_nearness)
    alike = [
        each.name
        for each in found
        if best.exact
        and (each.precision, each.scale, each.k, each.reward_weights)
        == (best.precision, best.scale, best.k, best.reward_weights)
    ]
    return replace(best, alike=tuple(dict.fromkeys(name for name in alike if name != best.name)))


def _by_nearness(each: Nearest) -> tuple[int, float, bool, float]:
    """To the finest rounding, at the weights that were said, then at scale 1; else to two digits."""
    if each.exact:
        bits = next(made.bits for made in TYPES if made.name == each.precision)
        return -bits, 0.0, each.reward_weights is not None, float(each.scale != 1)
    off = round(abs(float(np.log(abs(each.scale)))), 3)
    return 0, float(f"{each.distance:.1e}"), each.reward_weights is not None, off


def _other_weights(stated: Weights, order: Order) -> Iterator[Weights]:
    ones = (1.0,) * len(stated)
    yield from dict.fromkeys(
        weights for weights in (ones, order.weights, stated[::-1]) if weights and weights != stated
    )


def _by_the_rule_in_it(rule: RowRule, compare: Comparison, order: Order, n: int, k: int) -> Iterator[Nearest]:
    """``summed:`` or ``per-reward:`` of the rule of one reward that it is where all rewards are alike."""
    if order.weights is None or (order.sees == "each" and not sum(order.weights)):
        return
    one = of_one_reward(rule, order)
    near = None
    for kind in ("graded", "binary"):
        try:
            near = nearest(one, scalar_groups(kind, n), k)
        except (RaisedError, ValueError, TypeError):
            continue
        break
    if near is None:
        return
    families = {"sum": ("summed",), "each": ("per-reward",)}.get(order.sees, ("summed", "per-reward"))
    names = [f"{family}:{name}" for family in families for name in (near.name, *near.alike)]
    yield from compare.with_names(names, order.weights, k=near.k)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a rule gives groups (B, n, c), or batches (B, P, n, c), of several kinds, next to what others do.

    ``ours`` are its answers; what a batch divides by rounds all of its groups alike, so that the size of
    advantages is that of the whole batch.
    """

    rule: RowRule
    groups: list[Float]
    ours: list[Float]
    k: int

    def with_names(
        self, names: Iterable[str], weights: Weights, *, k: int | None = None
    ) -> Iterator[Nearest]:
        """How near each comes at these weights, of those that are defined and not 0 on these groups."""
        told = None if weights == self.rule.weights else weights
        for name in dict.fromkeys(names):
            theirs = self._of(name, weights, k or self.k)
            square = 0.0 if theirs is None else sum(float(np.sum(each**2)) for each in theirs)
            if theirs is None or not square:
                continue
            met = sum(float(np.sum(a * b)) for a, b in zip(self.ours, theirs, strict=True))
            exact = self._exact(theirs, 1.0)
            scale = 1.0 if exact or not met else met / square
            exact = exact or self._exact(theirs, scale)
            length = np.sqrt(sum(float(np.sum(each**2)) for each in self.ours))
            off = np.sqrt(
                sum(float(np.sum((a - scale * b) ** 2)) for a, b in zip(self.ours, theirs, strict=True))
            )
            distance = 0.0 if exact else float(off / length)
            yield Nearest(name, k or self.k, scale, distance, exact is not None, exact, reward_weights=told)

    def _of(self, name: str, weights: Weights, k: int) -> list[Float] | None:
        """What the rule of this name gives; None where it is of another kind, or not defined."""
        named = get_estimator(name)
        if not isinstance(named, VectorEstimator | VectorBatchEstimator):
            return None
        if isinstance(named, VectorBatchEstimator) != (self.groups[0].ndim > 3):
            return None
        if named.takes_lengths and not self.rule.lengths:
            return None
        return called(named.weighted(weights), self.groups, k)

    def _exact(self, theirs: list[Float], scale: float) -> str | None:
        """The type whose rounding explains all differences; None where none does."""
        worst = []
        for rows, ours, other in zip(self.groups, self.ours, theirs, strict=True):
            n = ours.shape[-1]
            size = np.abs(ours).max(axis=tuple(range(1, ours.ndim)))
            size = np.repeat(np.maximum(size, np.finfo(np.float64).tiny), ours[0].size // n)
            off = (ours - scale * other).reshape(-1, n)
            found = finest(off, self.rule.precision, size, self.rule.unit(rows, self.k), n)
            if found is None:
                return None
            worst.append(found)
        return min(worst).name


def called(named: VectorEstimator | VectorBatchEstimator, groups: list[Float], k: int) -> list[Float] | None:
    """What a rule of the catalogue gives rows whose last column is a length where it takes one, or not."""
    d = len(named.reward_weights or ())
    found = []
    for rows in groups:
        try:
            lengths = rows[..., d] if named.takes_lengths else None
            found.append(np.asarray(named(rows[..., :d], k, lengths=lengths), dtype=np.float64))
        except ValueError:  # not defined at this n and k, or on these rewards
            return None
    return found
