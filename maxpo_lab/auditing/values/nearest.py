"""The registered value rule that is nearest to a rule, and where they differ most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...evaluation import get_value_rule, list_value_rules
from .states import evaluated


@dataclass(frozen=True, slots=True)
class NearestValueRule:
    """How near a rule is to a registered one at ``k``.

    ``difference`` is the largest between their values, that of the group ``rewards``, which get ``value`` and
    ``theirs``. ``exact``: by rounding alone, that of the type ``precision``. ``alike``: other names with the
    same numbers here.
    """

    name: str
    k: int
    difference: float
    exact: bool
    rewards: tuple[float, ...]
    value: float
    theirs: float
    precision: str | None = None
    alike: tuple[str, ...] = ()


def nearest_value_rule(
    rule: rules.Rule, groups: Float, k: int, *, prefer: tuple[str, ...] = ()
) -> NearestValueRule | None:
    """The registered rule whose largest difference on some groups (B, n) is the least.

    At this K, or at another where only that is exact: a K that is off by one is told so. Of equals a
    preferred one. None where no registered rule takes the groups.
    """
    ours = evaluated(rule, groups, k)
    names = tuple(dict.fromkeys([*prefer, *list_value_rules()]))
    found = _compared(rule, groups, ours, names, k)
    if not any(each.exact for each in found):
        others = (other for other in range(1, groups.shape[1] + 1) if other != k)
        found += [
            each for other in others for each in _compared(rule, groups, ours, names, other) if each.exact
        ]
    if not found:
        return None
    best = min(found, key=lambda each: (not each.exact, float(f"{each.difference:.1e}")))
    if not best.exact:
        return best
    first = next(each for each in found if each.exact)
    alike = tuple(each.name for each in found if each.exact and each.k == first.k and each is not first)
    return replace(first, alike=alike)


def _compared(
    rule: rules.Rule, groups: Float, ours: Float, names: tuple[str, ...], k: int
) -> list[NearestValueRule]:
    found = []
    for name in names:
        other = get_value_rule(name)
        try:
            theirs = np.asarray(other(groups, k), dtype=np.float64)
        except ValueError:  # not defined at this k, or on such rewards
            continue
        off = np.abs(ours - theirs)
        same = rules.finest(rule, groups, theirs[:, None], 1, off[:, None])
        row = int(np.argmax(off))
        found.append(
            NearestValueRule(
                name,
                k,
                float(off[row]),
                same is not None,
                tuple(groups[row].tolist()),
                float(ours[row]),
                float(theirs[row]),
                same.name if same else None,
            )
        )
    return found
