"""The members of families with a parameter that come nearest to some advantages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...core.arrays import Float
from ...estimators import Estimator
from ...estimators.families.shaping.risk import opmd, rs_grpo
from ...estimators.families.shaping.signs import asymre, w_reinforce
from ...estimators.families.winner import entropic, leader

#: Families of one number, as their members are spelled before it: of a positive one, looked for by its
#: logarithm, and of any.
_POSITIVE: dict[str, Callable[[float], Estimator]] = {
    "rs-grpo:beta=": rs_grpo,
    "opmd:tau=": opmd,
    "entropic:beta=": entropic,
    "w-reinforce:weight=": w_reinforce,
}
_ANY: dict[str, Callable[[float], Estimator]] = {"asymre:shift=": asymre, "leader:alpha=": leader}
#: Members that differ from the rule of their family by a switch, as shipped.
_SWITCHED = ("riskpo:std=0", "w-reinforce:weight=0", "maxrl:eps=1e-6")
#: Between which numbers, or decimal logarithms, and to how many digits it is told.
_BOUNDS, _DIGITS = (-2.0, 2.0), 6


def members(ours: Float, groups: Float, k: int) -> Iterator[str]:
    """Names of members that advantages of groups (B, n) may be of, the nearest one where there is a number.

    Cost: some 40 calls of each family that is defined on the groups.
    """
    yield from (f"pods:keep={keep}" for keep in range(2, groups.shape[1] + 1))
    yield from _SWITCHED
    for spelled, make in _POSITIVE.items():
        if make(1.0).why_not_rewards(groups) is None:
            exponent = _nearest(lambda x, make=make: make(10.0**x), ours, groups, k)  # type: ignore[misc]
            yield f"{spelled}{10.0**exponent:.{_DIGITS}g}"
    for spelled, make in _ANY.items():
        yield f"{spelled}{_nearest(make, ours, groups, k):.{_DIGITS}g}"


def _nearest(make: Callable[[float], Estimator], ours: Float, groups: Float, k: int) -> float:
    """The number at which a family is nearest."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and few rules are fitted

    def distance(x: float) -> float:
        return float(np.linalg.norm(ours - np.asarray(make(x)(groups, k))))

    return float(minimize_scalar(distance, bounds=_BOUNDS, options={"xatol": 1e-10}).x)
