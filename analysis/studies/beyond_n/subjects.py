"""What can be done for K > n: the rules, as tables on 0/1 rewards, and the chances of what they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators import group_estimator
from maxpo_lab.estimators.history.pooled import pooled

from ...measure.success_tables import SuccessTable, chances, group_table, success_table

#: What the history of ``pooled`` comes from; it holds as many groups as this.
RATES: Mapping[str, Callable[[float], float]] = {
    "pooled, fair": lambda p: p,
    "pooled, x 0.7": lambda p: 0.7 * p,
    "pooled, x 2": lambda p: min(2 * p, 1.0),
}
TIMES = 4
CHEBYSHEV, CLIPPED, LARGER = "chebyshev", "clipped to K = n", "group of K"
BY_GROUP, BY_OTHERS = "plug-in, group's rate", "plug-in, others' rate"


@dataclass(frozen=True, eq=False)
class Subject:
    """A rule's table, one row a history, and the chances of the histories at a success rate."""

    name: str
    table: SuccessTable
    chances: Callable[[float], Float]


def subjects(n: int, k: int) -> Iterator[Subject]:
    """All that are defined for pass@K in groups of n; ``LARGER`` alone has groups of K."""
    whole = group_estimator("pkpo-loo1")
    yield _alone(LARGER, group_table(whole, n=k, k=k))
    rule = group_estimator(CHEBYSHEV)
    if rule.why_not(n, k) is None:
        yield _alone(CHEBYSHEV, group_table(rule, n=n, k=k))
    yield _alone(CLIPPED, group_table(lambda rewards, _: whole(rewards, n), n=n, k=k))
    yield _alone(BY_GROUP, group_table(plug_in_group, n=n, k=k))
    yield _alone(BY_OTHERS, group_table(plug_in_others, n=n, k=k))
    m = TIMES * n
    table = success_table(pooled, n=n, k=k, m=m)
    for name, rate in RATES.items():
        yield Subject(name, table, lambda p, rate=rate: chances(m, rate(p)))  # type: ignore[misc]


def plug_in_group(rewards: Float, k: int) -> Float:
    """``K (1 - r)^(K-1) n/(n-1) (R_i - r)``, r the group's own success rate: RLOO times the weight at r."""
    n, rate = rewards.shape[-1], rewards.mean(axis=-1, keepdims=True)
    return np.asarray(k * (1 - rate) ** (k - 1) * n / (n - 1) * (rewards - rate))


def plug_in_others(rewards: Float, k: int) -> Float:
    """``K (1 - r_i)^(K-1) (R_i - r_i)``, r_i the success rate of the others: rloo-reweighted, for any K."""
    rate = (rewards.sum(axis=-1, keepdims=True) - rewards) / (rewards.shape[-1] - 1)
    return np.asarray(k * (1 - rate) ** (k - 1) * (rewards - rate))


def _alone(name: str, table: SuccessTable) -> Subject:
    return Subject(name, table, lambda _: np.ones(1))
