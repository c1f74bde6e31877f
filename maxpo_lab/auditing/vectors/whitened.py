"""The rule of several rewards and of a batch that is nearest, whitened ones with their options fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from ...core.arrays import Float
from ...estimators import VectorBatchEstimator, get_estimator, list_estimators
from ..batches.companies import drawn
from ..decide.nearest import Nearest
from .calls import RowRule
from .coupled import of_row_batches
from .nearest import Comparison, best_of
from .rows import RowSetting, free_groups
from .structure import answer

#: Prompts of the batches that rules are compared on, and units of the rewards, the smaller for an epsilon.
_COMPARED, _UNITS = (2, 3, 8), (1.0, 1e-3)
#: Options of a whitened rule, epsilons that frameworks ship, and how many of the nearest get others.
_SCALES, _MEANS, _EPSILONS, _KEPT = ("rms", "std0", "std1"), (0, 1), (0.0, 1e-4, 1e-5, 1e-6, 1e-8, 1e-9), 4


def nearest_row_batch_rule(
    rule: RowRule, setting: RowSetting, *, prefer: tuple[str, ...] = ()
) -> Nearest | None:
    """The vector-batch rule that is nearest, up to a factor; whitened ones with their options fitted.

    At the weights that were said, or at equal ones. None where the rule gives 0 everywhere.
    """
    n, k = setting.n, setting.k
    batches = list(_compared(rule, setting))
    ours = [of_row_batches(rule, each, k) for each in batches]
    if not any(each.any() for each in ours):
        return None
    compare = Comparison(rule, batches, ours, k)
    names = tuple(dict.fromkeys([*prefer, *list_estimators("vector-batch")]))
    found = list(compare.with_names(names, rule.weights))
    ones = (1.0,) * rule.rewards
    for weights in dict.fromkeys([rule.weights, ones]):
        if any(each.exact for each in found):
            break
        first = [_whitened(own, scale=scale, mean=mean) for own, scale, mean in _whitened_of(n, k)]
        rough = list(compare.with_names([*names, *first], weights))
        found += rough
        found += compare.with_names(_with_epsilons(_inner(rough)), weights)
    return best_of(found)


def _compared(rule: RowRule, setting: RowSetting) -> Iterator[Float]:
    """Batches of rows (B, P, n, c) of the grid and of free rewards, where the rule takes these."""
    table, n, d = setting.table, setting.n, rule.rewards
    for unit, size in product(_UNITS, _COMPARED):
        grid = table[drawn(np.arange(float(len(table))), n, size, 4).astype(int)]
        free = free_groups(d, n, lengths=rule.lengths, groups=4 * size).reshape(4, size, n, -1)
        for batches in (grid, free):
            scaled = batches.copy()
            scaled[..., :d] *= unit
            if answer(rule, scaled[0], setting.k) is not None:
                yield scaled


def _whitened_of(n: int, k: int) -> Iterator[tuple[str, str, int]]:
    """Rules of several rewards that are whitened, and how: GRPO with the epsilons of others too.

    Those of a rule of one reward first: of equals they say most.
    """
    listed = list_estimators("vector")
    inner = [
        *(name for name in listed if ":" in name),
        *("per-reward:nemo-grpo", "per-reward:rloo", "summed:rloo"),
        *(f"{family}:grpo:eps={eps:g}" for family in ("per-reward", "summed") for eps in _EPSILONS[1:]),
        *(f"per-reward:grpo:eps={eps:g},ddof=0" for eps in _EPSILONS[1:]),
        *(name for name in listed if ":" not in name),
    ]
    usable = [name for name in inner if not get_estimator(name).why_not(n, k)]
    yield from product(usable, _SCALES, _MEANS)


def _inner(rough: Iterable[Nearest]) -> list[str]:
    """The rules that are whitened in the nearest, to two digits of the distance; of equals the first."""
    order = sorted(rough, key=lambda each: float(f"{each.distance:.1e}"))
    rules = (get_estimator(each.name) for each in order)
    own = (rule.own.name for rule in rules if isinstance(rule, VectorBatchEstimator))
    return [*dict.fromkeys(own)][:_KEPT]


def _with_epsilons(inner: Iterable[str]) -> Iterator[str]:
    """These rules, scaled and centered in every way, with every epsilon inside or outside the root."""
    for own, scale, mean, eps, add in product(inner, _SCALES, _MEANS, _EPSILONS, _EPSILONS):
        if not (eps and add):
            yield _whitened(own, scale=scale, mean=mean, eps=eps, add=add)


def _whitened(own: str, **options: str | float) -> str:
    told = ",".join(f"{key}={value}" for key, value in options.items())
    return get_estimator(f"whitened:{told}:{own}").name
