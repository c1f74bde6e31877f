"""``advantages``: the front door for a training loop."""

from __future__ import annotations

from typing import Any, Literal

import array_api_compat
import numpy as np

from . import ragged
from .estimators import Estimator, get_estimator
from .groups import Array, as_k, as_rewards


def advantages(
    rewards: Any,
    k: int,
    *,
    estimator: str | Estimator = "maxpo",
    group_ids: Any = None,
    nan_policy: Literal["raise", "omit"] = "raise",
    small_groups: Literal["raise", "zero"] = "raise",
) -> Array:
    """Advantages of groups of rewards.

    Parameters
    ----------
    rewards
        Shape (..., n): one group of n i.i.d. rollouts of one prompt along the last axis; or (B,) with
        ``group_ids``. NumPy, torch, any other Array API library, or nested sequences of numbers.
    k
        The K of max@K, ``1 <= k <= n``; a rule for the mean reward takes it and does not use it.
    estimator
        A name such as ``"maxpo"`` or ``"grpo:eps=1e-4"`` (see ``get_estimator``), or an ``Estimator``.
    group_ids
        One id a row (integers or strings): rows of equal id are a group, in any order, of any size.
    nan_policy
        ``"raise"``: a NaN reward is an error. ``"omit"``: a NaN marks an unscorable rollout, which is left
        out of its group and gets advantage 0.
    small_groups
        What to do with a group that the rule is not defined on at this k: raise, naming it, or give its
        members 0.

    Returns
    -------
    array of the shape of ``rewards``
        Same array type, dtype and device, for the mean convention: the gradient estimate is
        ``(1/n) sum_i A_i s_i``, as a loss averaged over rollouts computes it.

    Raises
    ------
    TypeError, ValueError
        Rewards that are not finite real numbers, a bad k, id or policy, an unknown name, or a group on
        which the rule is not defined; the message names a valid choice.

    Notes
    -----
    Cost O(n log n) a group. Groups of different sizes are evaluated size by size, in one call each.
    """
    rule = estimator if isinstance(estimator, Estimator) else get_estimator(estimator)
    _check_choice("nan_policy", nan_policy, ("raise", "omit"))
    _check_choice("small_groups", small_groups, ("raise", "zero"))
    if group_ids is None and (nan_policy, small_groups) == ("raise", "raise"):
        return rule(rewards, k)

    k = as_k(k)
    xp, values = as_rewards(rewards, allow_nan=nan_policy == "omit")
    flat = xp.reshape(values, (-1,))
    scored = None
    if nan_policy == "omit":
        missing = xp.isnan(flat)
        scored = ~np.asarray(missing.cpu() if array_api_compat.is_torch_array(missing) else missing)
    if group_ids is None:
        ids = np.repeat(np.arange(flat.shape[0] // values.shape[-1]), values.shape[-1])
    elif values.ndim == 1:
        ids = group_ids
    else:
        raise ValueError(
            f"rewards have shape {tuple(values.shape)}: with group_ids they must have shape (B,), one row a "
            f"rollout"
        )
    groups = ragged.by_id(ids, flat.shape[0], scored)
    groups = _without_small(groups, rule, k, drop=small_groups == "zero")
    result = ragged.map_buckets(xp, flat, groups, lambda dense: rule(dense, k))
    return xp.reshape(result, values.shape)


def _without_small(groups: ragged.Groups, rule: Estimator, k: int, *, drop: bool) -> ragged.Groups:
    """Groups on which the rule is defined; an error that names the first other one, unless dropped."""
    reasons = {int(size): rule.why_not(int(size), k) for size in np.unique(groups.sizes)}
    too_small = [size for size, reason in reasons.items() if reason]
    if not too_small:
        return groups
    defined = ~np.isin(groups.sizes, too_small)
    if not drop:
        first = int(np.argmin(defined))
        raise ValueError(
            f"group {groups.names[first]} has {groups.sizes[first]} scored rollouts: "
            f"{reasons[int(groups.sizes[first])]}; small_groups='zero' gives such groups advantage 0"
        )
    return ragged.Groups(
        groups.names[defined], groups.sizes[defined], groups.order[np.repeat(defined, groups.sizes)]
    )


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: must be {' or '.join(map(repr, choices))}")
