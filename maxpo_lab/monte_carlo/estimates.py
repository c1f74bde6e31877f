"""What a sample says of a rule: every quantity with its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, gammainccinv, ndtri

from ..core.arrays import Float
from ..moments import DEAD
from ..moments.against_gradient import ROUNDING, AgainstGradient, against_gradient, angle
from .accumulators import Accumulator, at_most
from .shards import ALONG, COLUMNS

#: Informative groups from which on 95% intervals of scale and trace covariance held 93 to 97% in trials.
INFORMATIVE = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity from a sample.

    ``positive``: the quantity cannot be negative, and its interval is taken on its logarithm: samples that
    give too little of a variance give too little of its standard error as well.
    """

    value: float
    standard_error: float
    positive: bool = False

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval from the normal approximation, of this coverage.

        Raises ValueError for a level outside (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level}: must be between 0 and 1, e.g. level=0.95")
        reach = float(ndtri((1 + level) / 2)) * self.standard_error
        if self.positive and self.value > 0:
            factor = float(np.exp(reach / self.value))
            return self.value / factor, self.value * factor
        return self.value - reach, self.value + reach


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledGradient:
    """Moments of a gradient estimate g of one rule, from a sample.

    What is measured against the gradient is None where none was given, and NaN where the gradient is 0.

    Attributes
    ----------
    mean
        The mean of g, (d,).
    bias_squared
        ``|E g - grad J|^2``, without bias of its own: negative where noise has it so.
    bias, relative_bias
        Its root, 0 where the square is negative, and the same over ``|grad J|``. The standard error is
        what one of the square would add to the root.
    bias_p_value
        Chance of a sample mean at least as far from the gradient if the rule is unbiased. Where g varies
        along one direction alone (two arms), 5% are rather 9%: use ``scale`` there.
    bias_resolution
        The least relative bias that this sample tells from 0 (at 5%).
    scale
        ``c = <E g, grad J> / |grad J|^2``.
    direction_error
        Angle between E g and grad J in radians; 0, give or take its standard error, where the part of E g
        across the gradient is not resolved.
    trace_covariance
        Trace of Cov(g), without bias.
    along_gradient_variance
        Variance of g along grad J, without bias.
    snr
        ``|E g|^2 / tr Cov(g)``, its numerator without bias.
    """

    mean: Float
    bias_squared: Estimate | None
    bias: Estimate | None
    relative_bias: Estimate | None
    bias_p_value: float | None
    bias_resolution: float | None
    scale: Estimate | None
    direction_error: Estimate | None
    trace_covariance: Estimate
    along_gradient_variance: Estimate | None
    snr: Estimate


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleMoments(SampledGradient):
    """Moments of ``g = (1/n) sum_i A_i s_i`` of one rule, estimated from groups, and of its advantages.

    Attributes
    ----------
    advantage_sum_rms
        Root mean square of ``|sum_i A_i|``.
    advantage_sum_max
        The largest ``|sum_i A_i|`` that came up: no more than a lower bound of the maximum.
    advantage_rms
        Root mean square advantage. For a rule that divides by its group's spread it varies with the number of
        dead groups and with little else: where few came up, its standard error is too small.
    dead_group_probability
        Share of groups in which every advantage is 0: the root of the sum of their squares is, to 1e-9 of
        ``advantage_rms`` rounded down to a power of 2. The standard error is that of two dead and two live
        groups more: none in N is 0 +- 1.4/N.
    informative_groups
        Groups that were not dead. Trust intervals from ``INFORMATIVE`` of them on.
    """

    advantage_sum_rms: Estimate
    advantage_sum_max: float
    advantage_rms: Estimate
    dead_group_probability: Estimate
    informative_groups: int


@dataclass(frozen=True, eq=False)
class Smooth:
    """A quantity that is a smooth function of means over groups: its value and its influence function.

    ``influence`` (C,) are its derivatives by the mean of each column of ``Accumulator.scalars``; the
    standard error is ``sqrt(influence Cov influence / groups)``.
    """

    value: float
    influence: Float
    positive: bool = True


def smooth_quantities(total: Accumulator, rule: int, gradient: Float | None) -> dict[str, Smooth]:
    """The quantities of rule number ``rule`` that have an influence function, by name."""
    groups, size = total.groups, len(total.names)
    mean = total.estimates.mean[rule]
    at = {name: position * size + rule for position, name in enumerate(_columns(gradient))}
    averages = {name: float(total.scalars.mean[index]) for name, index in at.items()}

    def weights(**columns: float) -> Float:
        row = np.zeros(len(total.scalars.mean))
        for name, weight in columns.items():
            row[at[name]] = weight
        return row

    trace = float(total.estimates.scatter[rule]) / (groups - 1)
    power = float(mean @ mean) - trace / groups
    sum_rms = float(np.sqrt(averages["sum_square"]))
    rms = float(np.sqrt(averages["square_sum"] / (total.n * total.prompts)))
    snr, by_mean, by_trace = np.array([power, 2.0, -power / (trace or np.nan)]) / (trace or np.nan)
    found = {
        "trace_covariance": Smooth(trace, weights(deviation=1.0)),
        "advantage_sum_rms": Smooth(sum_rms, weights(sum_square=0.5 / sum_rms if sum_rms else 0.0)),
        "advantage_rms": Smooth(
            rms, weights(square_sum=0.5 / (total.n * total.prompts * rms) if rms else 0.0)
        ),
        "snr": Smooth(float(snr), weights(projection=by_mean, deviation=by_trace), positive=False),
    }
    if gradient is not None:
        against = _against(total, rule, gradient)
        # With a gradient that is 0 the column is 0 throughout: there is no direction to vary along.
        per_length, defined = against.relative(1.0), against.relative(against.length)
        variance = float(total.scalars.comoment[at["along"], at["along"]]) / (groups - 1)
        found["scale"] = Smooth(against.scale, weights(along=per_length), positive=False)
        found["along_gradient_variance"] = Smooth(variance * defined, weights(along_deviation=defined))
    return found


def _against(total: Accumulator, rule: int, gradient: Float) -> AgainstGradient:
    """The sample mean against the gradient; along it as the column has it."""
    column = len(COLUMNS) * len(total.names) + rule
    return against_gradient(total.estimates.mean[rule], gradient, along=float(total.scalars.mean[column]))


def estimate(total: Accumulator, quantity: Smooth) -> Estimate:
    """A quantity with its standard error."""
    variance = float(quantity.influence @ total.scalars.covariance() @ quantity.influence) / total.groups
    # A quadratic form in a covariance matrix is negative by rounding alone.
    return Estimate(quantity.value, float(np.sqrt(np.maximum(variance, 0.0))), quantity.positive)


def rule_moments(total: Accumulator, rule: int, gradient: Float | None) -> RuleMoments:
    """All quantities of rule number ``rule``."""
    smooth = smooth_quantities(total, rule, gradient)
    found = {name: estimate(total, quantity) for name, quantity in smooth.items()}
    found["snr"] = _snr(total, rule, smooth["snr"], found["trace_covariance"].value)
    threshold = np.full(len(total.names), DEAD * found["advantage_rms"].value)
    dead = int(at_most(total.sizes, threshold)[rule])
    share = (dead + 2) / (total.groups + 4)
    dead_error = float(np.sqrt(share * (1 - share) / (total.groups + 4)))
    bias = _bias(total, rule, gradient, found)
    return RuleMoments(
        mean=total.estimates.mean[rule],
        bias_squared=bias.squared,
        bias=bias.root,
        relative_bias=bias.relative,
        bias_p_value=bias.p_value,
        bias_resolution=bias.resolution,
        direction_error=bias.direction,
        scale=found.get("scale"),
        trace_covariance=found["trace_covariance"],
        along_gradient_variance=found.get("along_gradient_variance"),
        advantage_sum_rms=found["advantage_sum_rms"],
        advantage_sum_max=float(total.sum_max[rule]),
        advantage_rms=found["advantage_rms"],
        dead_group_probability=Estimate(dead / total.groups, dead_error),
        snr=found["snr"],
        informative_groups=total.groups - dead,
    )


def _columns(gradient: Float | None) -> tuple[str, ...]:
    return COLUMNS if gradient is None else COLUMNS + ALONG


def _spread(total: Accumulator, rule: int) -> float:
    """``tr Sigma^2``; NaN where there were too few batches."""
    return float(total.spread.value[rule]) if total.spread.weight else float("nan")


def _quadratic(pulled: Float, vector: Float, total: Accumulator, rule: int) -> float:
    """``v^T Sigma v`` from ``Sigma v`` and v, less what the noise in both adds; not below 0."""
    return float(np.maximum(0.0, pulled @ vector - _spread(total, rule) / total.groups))


def _second_order(total: Accumulator, rule: int, quadratic: float) -> float:
    """Variance ``4 v^T Sigma v/N + 2 tr Sigma^2/N^2`` of the unbiased estimate of ``|v|^2``."""
    spread = np.maximum(0.0, _spread(total, rule))
    return float(4 * quadratic / total.groups + 2 * spread / total.groups**2)


def _snr(total: Accumulator, rule: int, quantity: Smooth, trace: float) -> Estimate:
    """The signal-to-noise ratio; its numerator's variance to second order, which is all where it is noise."""
    rough = estimate(total, quantity)
    if not total.spread.weight or not trace:
        return rough
    # Each shard projects on its own mean, whose noise adds tr Sigma^2 over the shard's groups.
    least = _second_order(total, rule, 0.0) / trace**2
    noise = 2 * (total.stop - total.start) * least
    return Estimate(rough.value, float(np.sqrt(np.maximum(rough.standard_error**2 - noise + least, least))))


def _root(square: float, error: float) -> tuple[float, float]:
    """Root of an estimated square, and what its standard error adds to it."""
    root = float(np.sqrt(np.maximum(0.0, square)))
    return root, float(np.sqrt(np.maximum(0.0, square) + error)) - root


@dataclass(frozen=True, slots=True)
class _Bias:
    """What is said of E g - grad J as a vector; nothing where no gradient was given."""

    squared: Estimate | None = None
    root: Estimate | None = None
    relative: Estimate | None = None
    p_value: float | None = None
    resolution: float | None = None
    direction: Estimate | None = None


def _bias(total: Accumulator, rule: int, gradient: Float | None, found: dict[str, Estimate]) -> _Bias:
    if gradient is None:
        return _Bias()
    groups, against = total.groups, _against(total, rule, gradient)
    trace, off = found["trace_covariance"].value, against.off
    pulled = total.pull.value[rule, 0] - against.length * total.pull.value[rule, 1]
    square = float(off @ off) - trace / groups
    error = float(np.sqrt(_second_order(total, rule, _quadratic(pulled, off, total, rule))))
    root, root_error = _root(square, error)
    p_value, resolved = _test(total, rule, trace, float(off @ off))
    return _Bias(
        Estimate(square, error),
        Estimate(root, root_error),
        Estimate(against.relative(root), against.relative(root_error)),
        p_value,
        against.relative(resolved),
        _direction_error(total, rule, against, found),
    )


def _test(total: Accumulator, rule: int, trace: float, square: float) -> tuple[float, float]:
    r"""P-value of ``|mean - grad|^2`` if there is no bias, and the least bias with one of 5%.

    ``N |mean - grad|^2`` is a weighted sum of squares of normals with mean ``tr Sigma`` and variance
    ``2 tr Sigma^2``: compared with ``tr Sigma / nu`` times a chi-square of ``nu = (tr Sigma)^2 / tr Sigma^2``
    degrees of freedom (Satterthwaite), nu between 1 and d as it must be.
    """
    spread = _spread(total, rule)
    if np.isnan(spread):
        return float("nan"), float("nan")
    if not trace > 0:
        # No variance: what is left is rounding, or a bias that one group shows.
        return float(square <= ROUNDING**2 * float(np.max(total.estimates.mean[rule] ** 2))), 0.0
    size = total.estimates.mean.shape[1]
    freedom = float(np.clip(trace**2 / spread, 1.0, size)) if spread > 0 else float(size)
    p_value = float(gammaincc(freedom / 2, freedom / 2 * total.groups * square / trace))
    critical = float(gammainccinv(freedom / 2, 0.05)) * 2 / freedom
    return p_value, float(np.sqrt(max(0.0, critical - 1) * trace / total.groups))


def _direction_error(
    total: Accumulator, rule: int, against: AgainstGradient, found: dict[str, Estimate]
) -> Estimate:
    across, along = against.across, against.along
    within = found["trace_covariance"].value - found["along_gradient_variance"].value
    square = float(across @ across) - within / total.groups
    pulled = total.pull.value[rule, 0] - along * total.pull.value[rule, 1]
    error = float(np.sqrt(_second_order(total, rule, _quadratic(pulled, across, total, rule))))
    root, more = _root(square, error)
    direction = angle(root, along)
    if np.isnan(direction):
        return Estimate(float("nan"), float("nan"))
    by_across = angle(root + more, along) - direction
    by_along = root * found["scale"].standard_error * against.length / (along**2 + root**2)
    return Estimate(direction, float(np.hypot(by_across, by_along)))
