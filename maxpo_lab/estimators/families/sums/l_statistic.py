"""L-statistics of OrderGrad (arXiv 2606.06096): the canonical advantage of any rank-weighted objective."""

from __future__ import annotations

from functools import partial

from ....core.coefficients import Coefficients, gap_positions
from ....objectives import PREFIX, as_objective, drawn_below
from ....objectives.l_statistics import own_weights
from ...base import RankLinear
from ...claims import Claims

#: What ``list_estimators`` shows of this family; any argument can be asked for by name.
LISTED = ("TopM:2", "BotM:2", "LowerTailMean:0.25", "Median", "TrimM:1", "ReMin")


def l_statistic(preset: str) -> RankLinear:
    """The unbiased, centered rule ``K (q_i - v_i)`` of an L-statistic, e.g. ``"TopM:2"``.

    Weights of one's own, ``"weights=[-1,0,1]"``, are of as many rewards, whatever the k of a call. Raises
    ValueError where the preset is unknown or its argument malformed.
    """
    name = f"{PREFIX}{preset}"
    own = own_weights(preset)
    _check_preset(name)
    return RankLinear(
        name=name,
        title=f"L-statistic {preset}",
        equation=f"A_i = K (q_i(K) - v_i(K)) with the {preset} of a K-subset in place of its max",
        citation="arXiv 2606.06096 (OrderGrad) lstat_advantage, times K",
        objective=name,
        uses_k=own is None,
        claims=Claims(unbiased=True, centered=True),
        smallest_group=2,
        table=partial(_inclusion_minus_exclusion, name),
        undefined=partial(_why_not, name) if own is None else partial(_too_small, name, len(own)),
    )


def _check_preset(name: str) -> None:
    """Refuse a preset that fits no K at all; one that fits only some is a matter of ``why_not``."""
    reasons = []
    for k in (3, 2, 1, 1 << 10):
        try:
            as_objective(name, k, k)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return
    raise ValueError(reasons[-1])


def _why_not(name: str, n: int, k: int) -> str | None:
    if (reason := _misfit(name, n, k)) is None:
        return None
    by_distance = sorted(range(1, n), key=lambda size: abs(size - k))
    nearest = next((size for size in by_distance if _misfit(name, n, size) is None), None)
    if nearest is None:
        return f"{reason}; no k fits n={n}: use a larger group, or reinforce"
    return f"{reason}; the nearest valid choice is k={nearest}"


def _too_small(name: str, size: int, n: int, _: int) -> str | None:
    if size <= n - 1:
        return None
    return (
        f"{name} has {size} weights and needs n >= {size + 1} (n={n}): its baseline looks at as many of the "
        f"others; use a larger group, or rloo"
    )


def _misfit(name: str, n: int, k: int) -> str | None:
    if k > n - 1:
        return f"{name} needs k <= n-1 (n={n}, k={k}): its baseline looks at k of the other n-1 rollouts"
    try:
        as_objective(name, n, k)
    except ValueError as error:
        return str(error)
    return None


def _inclusion_minus_exclusion(name: str, n: int, k: int, exact: bool) -> Coefficients:
    alpha = as_objective(name, n, k).vector(exact=exact)
    k = len(alpha)
    below = drawn_below(n, k - 1, exact=exact)
    m = gap_positions(n, exact=exact)
    b = gap_positions(k + 1, exact=exact) - 1
    # q - v, coupled: the K-th drawn other takes the place of i. It stands below gap m, or above it,
    # with these chances, so nothing is subtracted.
    falls = (m[:, None] - b) / (n - k)
    stays = (n - m[:, None] - k + 1 + b) / (n - k)
    return Coefficients(
        offset=0,
        above=k * ((below[1:] * falls) @ alpha),
        below=-k * ((below[:-1] * stays) @ alpha),
    )


RULES = tuple(map(l_statistic, LISTED))
MAKERS = {PREFIX.rstrip(":"): l_statistic}
