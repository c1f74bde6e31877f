"""Exact moments of a gradient estimate, with no sampling, for any rule that looks at rewards only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import rules
from ..core.arguments import as_group_size, as_k
from ..estimators import RankLinear
from ..objectives import Objective, VectorObjective, as_objective, looks_at_k
from ..policies.levels import RewardLevels
from ..policies.vector_levels import VectorLevels
from . import states
from .by_states import over_states
from .closed_form.by_thresholds import in_closed_form
from .from_sums import from_sums
from .result import Moments
from .sums import Sums

#: States evaluated at most unless told otherwise.
MAX_STATES = 2_000_000
#: Entries (states x n, or x levels where these are more) beyond which a rank-linear rule is summed in closed
#: form.
MAX_ENTRIES = 1 << 21


def exact_moments(
    estimator: str | rules.Rule | rules.OfVectors,
    levels: RewardLevels | VectorLevels,
    *,
    n: int,
    k: int,
    target: str | Objective | VectorObjective = "max@k",
    covariance: bool = False,
    max_states: int = MAX_STATES,
) -> Moments:
    r"""Mean, variance and centering of a rule's gradient estimate under a policy, exactly.

    A group is summarised by its counts ``c`` of the reward levels. With ``T_l`` and ``Q_l`` the sums of A
    and A^2 over the members of level l,

    .. math:: E[g \mid c] = \tfrac1n \sum_l T_l G_l, \qquad
              E[|g|^2 \mid c] = \tfrac1{n^2} \Big(\sum_l Q_l (S_l - |G_l|^2)
              + \big|\sum_l T_l G_l\big|^2\Big),

    and the multinomial average is finite: ``C(n+L-1, L-1)`` evaluations of the rule, n+1 for 0/1
    rewards, whatever the number of outcomes. Nothing of the rule is used but its output.

    A rank-linear rule is a sum over the thresholds between levels, so its second moments need two thresholds
    at a time, and no groups: beyond ``max_states`` states, or 2^21 entries in them, its coefficients are
    summed in closed form.

    Parameters
    ----------
    estimator
        A name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)`` on NumPy float64; under
        ``VectorLevels`` a rule of rows, by name, ``VectorEstimator`` or what ``vector_rule`` makes.
    levels
        The policy: of one reward a rollout, or of rows.
    n, k
        Group size and K, ``1 <= k <= n``; any ``k >= 1`` where neither the rule nor the target uses k.
    target
        The objective whose gradient the bias is measured against: ``"max@k"``, ``"mean"``, ``"max@n"``, an
        L-statistic such as ``"l-statistic:TopM:2"``, or an ``Objective``. Of rows, each name is of the sum of
        the rewards with the rule's weights, and ``"per-reward:max@k"`` is the weighted sum of max@k of each.
    covariance
        Also return Cov(g), (d, d); the levels must hold ``score_covariances``.
    max_states
        Refuse a rule that is not a ``RankLinear`` beyond this many groups.

    Returns
    -------
    Moments

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a rule that is undefined at (n, k), random, returns anything but one finite real
        advantage per rollout, or whose rows influence each other; more than ``max_states`` states of a rule
        that is not rank-linear.

    Notes
    -----
    Assumes i.i.d. rollouts. A rule must be permutation-equivariant up to ties for the sum over counts
    to hold; this is checked on permuted groups, and a rule that fails is evaluated on all ``L^n``
    arrangements instead, or refused where they exceed ``max_states``. Memory of the evaluation is
    bounded (blocks of 2^17 rewards), time is states x n; in closed form O(L^2 n^2) time and O(L^2 + L n)
    memory.
    """
    if isinstance(levels, VectorLevels):
        estimator, (levels,), target = rules.by_number(estimator, [levels], n=n, k=k, target=target)
    (found,) = moments_under(
        [levels], estimator, n=n, k=k, target=target, covariance=covariance, max_states=max_states
    )
    return found


def moments_under(
    policies: Sequence[RewardLevels],
    estimator: str | rules.Rule,
    *,
    n: int,
    k: int,
    target: str | Objective | VectorObjective = "max@k",
    covariance: bool = False,
    max_states: int = MAX_STATES,
) -> tuple[Moments, ...]:
    """Exact moments of a rule under policies that have their reward levels in common, in their order.

    To the bit as ``exact_moments`` of each: the groups are the same and only their chances differ, so the
    rule is looked at, and evaluated on them, once for all. Raises as ``exact_moments``, and ValueError for
    other reward levels.
    """
    n = as_group_size(n)
    k = as_k(k, n=rules.k_at_most(estimator, n) if looks_at_k(target) else None)
    for levels in policies:
        if not isinstance(levels, RewardLevels):
            raise TypeError(f"levels is a {type(levels).__name__}: it must be a RewardLevels")
        if not np.array_equal(levels.values, policies[0].values):
            raise ValueError(
                f"policies have reward levels {policies[0].values.tolist()} and {levels.values.tolist()}: "
                f"they must have the same; take those of other levels in a call of their own"
            )
    objective = (
        target if isinstance(target, VectorObjective) else as_objective(target, n, k, argument="target")
    )
    if covariance and any(levels.score_covariances is None for levels in policies):
        raise ValueError(
            "covariance=True needs levels with score_covariances: build them with covariances='full'"
        )
    rule = rules.resolve(estimator, n, k)
    size = len(policies[0].values)
    number = states.number_of_counts(n, size)
    sums: Sequence[Sums]
    if isinstance(rule, RankLinear) and (number > max_states or number * max(n, size) > MAX_ENTRIES):
        sums = [in_closed_form(rule, levels, n, k) for levels in policies]
    else:
        sums = over_states(rule, policies, n, k, max_states)
    return tuple(
        from_sums(each, levels, n=n, k=k, objective=objective, covariance=covariance)
        for each, levels in zip(sums, policies, strict=True)
    )
