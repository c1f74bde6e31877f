"""Exact moments of a gradient estimate, with no sampling, for any rule that looks at rewards only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import rules, states
from .count_sums import CountSums
from .estimators import RankLinear
from .floor import VarianceFloor
from .groups import as_group_size, as_k
from .levels import RewardLevels
from .objective import gradient_coefficients
from .order_statistics import looks_at_k, objective_weights, same_objective
from .threshold_sums import ThresholdSums
from .weights import Vector

Float = npt.NDArray[np.float64]

#: A group is dead when no advantage exceeds this share of the rule's root mean square advantage.
DEAD = 1e-9
#: States evaluated at most unless told otherwise: about a minute for a fast rule at n = 16.
MAX_STATES = 2_000_000
#: Entries (states x n, or x levels where these are more) beyond which a rank-linear rule is summed in closed
#: form: half a second of them.
MAX_ENTRIES = 1 << 21

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    r"""Moments of ``g = (1/n) sum_i A_i s_i`` and how they relate to the exact gradient of the target.

    Attributes
    ----------
    n, k, target
        What was measured.
    mean
        E[g], shape (d,).
    gradient
        The exact gradient of the target, shape (d,).
    bias, relative_bias
        ``|E g - grad J|``, and the same over ``|grad J|`` (NaN where the gradient is 0).
    bias_resolution
        The least relative bias that rounding lets one tell from 0: ``64 eps K max|R| max_l |G_l| /
        |grad J|``. A relative bias below it is unresolved.
    scale
        ``c = <E g, grad J> / |grad J|^2``.
    direction_error
        Angle between E g and grad J in radians; NaN where either is 0 to rounding.
    trace_covariance
        Trace of Cov(g), ``within_trace + between_trace``.
    covariance
        Cov(g), shape (d, d), where asked for, else None.
    along_gradient_variance
        Variance of g along grad J; None where the levels hold no covariances, NaN where grad J = 0.
    within_trace, between_trace
        The part of the variance from which rollouts came up given the counts of the levels, and the part
        from the counts themselves.
    advantage_sum_rms, advantage_sum_max
        Root mean square and maximum over groups of ``|sum_i A_i|``; both 0 for a centered rule.
    advantage_rms
        Root mean square advantage.
    dead_group_probability
        Chance of a group in which every advantage is 0 (to 1e-9 of ``advantage_rms``). NaN for a rule summed
        in closed form whose equal advantages may cancel, see ``dead_groups``; none of the catalogue is.
    snr
        ``|E g|^2 / tr Cov(g)``: does not reward a rule for shrinking.
    states
        Groups that the rule was evaluated on; 0 where its moments were summed in closed form.
    """

    n: int
    k: int
    target: str
    mean: Float
    gradient: Float
    bias: float
    relative_bias: float
    bias_resolution: float
    scale: float
    direction_error: float
    trace_covariance: float
    covariance: Float | None
    along_gradient_variance: float | None
    within_trace: float
    between_trace: float
    advantage_sum_rms: float
    advantage_sum_max: float
    advantage_rms: float
    dead_group_probability: float
    snr: float
    states: int

    def efficiency(self, floor: VarianceFloor | float) -> float:
        """``floor / (tr Cov / c^2)``: how near the rule comes to the variance floor of its policy.

        ``floor`` may also be any reference trace covariance. Defined for rules of exact direction (any scale
        c); NaN for the others, where the direction is not defined, where there is no variance, and on
        degenerate policies, whose floor is 0. Raises ValueError for a floor of another n or objective
        (max@n is max@k at K = n, the mean reward at K = 1) and for a reference that is negative or not
        finite, TypeError for one that is no number.
        """
        if isinstance(floor, VarianceFloor):
            own = objective_weights(self.target, self.n, self.k)
            fitting = (size for size in range(1, self.n + 1) if same_objective(own, _max_at(size), self.n))
            if floor.n != self.n or not same_objective(own, _max_at(floor.k), self.n):
                size = next(fitting, None)
                raise ValueError(
                    f"floor is of max@k at n={floor.n}, k={floor.k}, these moments are of {self.target} "
                    f"at n={self.n}, k={self.k}: "
                    + (
                        f"compute variance_floor(levels, n={self.n}, k={size})"
                        if size
                        else "no max@k is that objective; measure with target='max@k', or pass a number"
                    )
                )
            floor = float("nan") if floor.degenerate else floor.trace_covariance
        else:
            floor = _reference(floor)
        if not self.direction_error <= max(1e-6, self.bias_resolution):
            return float("nan")
        if not self.trace_covariance:
            return float("nan")
        return floor * self.scale**2 / self.trace_covariance


def exact_moments(
    estimator: str | rules.Rule,
    levels: RewardLevels,
    *,
    n: int,
    k: int,
    target: str = "max@k",
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
    summed in closed form. Hundreds of levels take seconds.

    Parameters
    ----------
    estimator
        A name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)`` on NumPy float64.
    levels
        The policy.
    n, k
        Group size and K, ``1 <= k <= n``; any ``k >= 1`` where neither the rule nor the target uses k.
    target
        The objective whose gradient the bias is measured against: ``"max@k"``, ``"mean"``, ``"max@n"`` or
        an L-statistic such as ``"l-statistic:TopM:2"``.
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
        advantage a rollout, or whose rows influence each other; more than ``max_states`` states of a rule
        that is not rank-linear.

    Notes
    -----
    Assumes i.i.d. rollouts. A rule must be permutation-equivariant up to ties for the sum over counts
    to hold; this is checked on permuted groups, and a rule that fails is evaluated on all ``L^n``
    arrangements instead, or refused where they exceed ``max_states``. Memory of the evaluation is
    bounded (blocks of 2^17 rewards), time is states x n; in closed form O(L^2 n^2) time and O(L^2 + L n)
    memory.
    """
    n = as_group_size(n)
    k = as_k(k, n=n if looks_at_k(target) else None)
    if not isinstance(levels, RewardLevels):
        raise TypeError(f"levels is a {type(levels).__name__}: it must be a RewardLevels")
    alpha = target_weights(target, n, k)
    if covariance and levels.score_covariances is None:
        raise ValueError(
            "covariance=True needs levels with score_covariances: build them with covariances='full'"
        )
    rule = rules.resolve(estimator, n, k)
    size = len(levels.values)
    number = states.number_of_counts(n, size)
    sums: CountSums | ThresholdSums
    if isinstance(rule, RankLinear) and (number > max_states or number * max(n, size) > MAX_ENTRIES):
        sums = _in_closed_form(rule, levels, n, k)
    else:
        sums = _by_states(rule, levels, n, k, max_states)
    return _report(sums, levels, alpha, n=n, k=k, target=target, covariance=covariance)


def _in_closed_form(rule: RankLinear, levels: RewardLevels, n: int, k: int) -> ThresholdSums:
    if reason := rule.why_not_rewards(levels.values):
        raise ValueError(reason)
    return ThresholdSums(levels, rule.coefficients(n, k))


def _by_states(rule: rules.Rule, levels: RewardLevels, n: int, k: int, max_states: int) -> CountSums:
    size = len(levels.values)
    count_states = states.number_of_counts(n, size)
    if count_states > max_states:
        raise ValueError(
            f"{count_states:,} count states for n={n} and {size} reward levels, more than "
            f"max_states={max_states:,}: use a smaller group, merge reward levels, raise max_states, "
            f"sample, or write the rule as a RankLinear, which has no such limit"
        )
    batch = min(count_states, max(1, states.BLOCK_ENTRIES // n))
    rules.admit(rule, n, k, values=levels.values, batch=batch)
    level = states.sample_groups(n, size)
    behaviour = rules.equivariance(rule, levels.values[level], level, k)
    if behaviour.counterexample is None:
        blocks = states.count_blocks(n, levels.probabilities)
    else:
        if size**n > max_states:
            group, permuted = behaviour.counterexample
            raise ValueError(
                f"{rules.describe(rule)} is not permutation-equivariant ({group} and {permuted} get "
                f"different advantages, ties aside), so it must be evaluated on all {size}^{n} = {size**n:,} "
                f"arrangements, more than max_states={max_states:,}: use a smaller group, raise max_states, "
                f"or sample"
            )
        blocks = states.arrangement_blocks(n, levels.probabilities)
    sums = CountSums(levels, n, by_counts=not behaviour.equivariant)
    for block in blocks:
        sums.add(block, rules.evaluate(rule, levels.values[block.level], k))
    return sums


def _max_at(size: int) -> Vector:
    """Weights of max@K at this K."""
    return objective_weights("max@k", size, size)


def _reference(value: float) -> float:
    """A reference trace covariance, checked."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(
            f"floor={value!r} is a {type(value).__name__}: it must be a VarianceFloor, or a trace covariance"
        )
    if not 0 <= value < np.inf:
        raise ValueError(f"floor={value!r}: a reference trace covariance must be finite and at least 0")
    return float(value)


def target_weights(target: str, n: int, k: int) -> Vector:
    """Weights of the objective that a bias is measured against. Errors name the argument ``target``."""
    try:
        return objective_weights(target, n, k)
    except TypeError as error:
        raise TypeError(f"target={target!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"target={target!r}: {error}") from error


def _report(
    sums: CountSums | ThresholdSums,
    levels: RewardLevels,
    alpha: Vector,
    *,
    n: int,
    k: int,
    target: str,
    covariance: bool,
) -> Moments:
    weights = gradient_coefficients(levels, alpha)
    gradient = weights @ sums.coordinates
    mean = sums.mean / n
    size = float(np.linalg.norm(gradient))
    direction = gradient / size if size else np.full_like(gradient, np.nan)
    largest_score = float(np.linalg.norm(levels.mean_scores, axis=1).max())
    rms = float(np.sqrt(sums.squares.sum() / n))

    between = sums.between_counts() / n**2
    # Nothing is left over where every state is a count; the order of the rollouts varies otherwise.
    arranged = float(np.trace(sums.comoment)) / n**2 - between
    within = float(sums.squares @ levels.score_variances) / n**2 + max(0.0, arranged)
    trace = within + between
    along = None
    if levels.projected_covariances is not None:
        inside = levels.projected_covariances @ weights @ weights
        within_along = float(sums.squares @ inside) / size**2 if size else np.nan
        along = (within_along + float(direction @ sums.comoment @ direction)) / n**2
    full = None
    if covariance and levels.score_covariances is not None:
        full = np.einsum("l,lij->ij", sums.squares, levels.score_covariances)
        full = (full + sums.basis @ sums.comoment @ sums.basis.T) / n**2

    bias = float(np.linalg.norm(mean - gradient))
    parallel = float(mean @ direction)
    across = float(np.linalg.norm(mean - parallel * direction))
    vanishing = np.linalg.norm(mean) <= 64 * _EPS * rms * largest_score
    power_of_mean = float(mean @ mean)
    rounding = 64 * _EPS * len(alpha) * float(np.abs(levels.values).max()) * largest_score
    with np.errstate(divide="ignore", invalid="ignore"):
        relative, resolution, snr = np.array([bias, rounding, power_of_mean]) / [size or np.nan, size, trace]
    return Moments(
        n=n,
        k=k,
        target=target,
        mean=sums.basis @ mean,
        gradient=weights @ levels.mean_scores,
        bias=bias,
        relative_bias=float(relative),
        bias_resolution=float(resolution),
        scale=parallel / size if size else float("nan"),
        direction_error=float("nan") if vanishing or not size else float(np.arctan2(across, parallel)),
        trace_covariance=trace,
        covariance=full,
        along_gradient_variance=along,
        within_trace=within,
        between_trace=between,
        advantage_sum_rms=float(np.sqrt(sums.sum_square)),
        advantage_sum_max=sums.sum_max,
        advantage_rms=rms,
        dead_group_probability=sums.dead_probability(DEAD * rms),
        snr=float(snr),
        states=sums.states,
    )
