"""What verl 0.9.1 computes by ``loss_agg_mode`` and ``loss_mode``, with its defaults: ``core_algos``.

Options have verl's names and defaults. ``empty`` is about rollouts that are masked as a whole: its trainers
give the size of the batch, so that these count; ``agg_loss`` on its own skips them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal, cast

from ..core.arguments import check_choice
from .aggregation import EQUATIONS, Aggregation, Kind
from .base import Loss
from .corrections import Correction, Span
from .kl import Kind as Estimate
from .kl import Penalty
from .ratios import Clipped, Plain, Ratio, Truncated
from .soft import GeometricMean, Sigmoid

_Empty = Literal["count", "skip"]

_KINDS: dict[str, Kind] = {
    "token-mean": "token-mean",
    "token-sum": "token-sum",
    "seq-mean-token-sum": "sequence-sum",
    "seq-mean-token-sum-norm": "padded",
    "seq-mean-token-mean": "sequence-mean",
}
_TITLES = {
    "token-mean": "Mean over the tokens of a batch (verl's default)",
    "token-sum": "Sum over the tokens of a batch",
    "seq-mean-token-sum": "Sum over the tokens of rollouts",
    "seq-mean-token-sum-norm": "Sum over tokens, over the width of the padded batch",
    "seq-mean-token-mean": "Mean of the means of rollouts",
}
_ESTIMATES: dict[str, Estimate] = {
    "kl": "k1",
    "k1": "k1",
    "mse": "k2",
    "k2": "k2",
    "low_var_kl": "k3",
    "k3": "k3",
}
#: verl holds log-ratios in these before it exponentiates them.
_BOUNDS = (-20.0, 20.0)


def _vanilla(mode: str) -> Callable[..., Loss]:
    """Maker of PPO's clip under an aggregation."""

    def make(
        *,
        clip_ratio_low: float = 0.2,
        clip_ratio_high: float = 0.2,
        clip_ratio_c: float = 3.0,
        rollout_is: str = "none",
        rollout_is_threshold: str = "2.0",
        kl_loss_coef: float = 0.0,
        kl_loss_type: str = "low_var_kl",
        empty: str = "count",
    ) -> Loss:
        return _loss(
            mode,
            _TITLES[mode],
            f"A_i r within PPO's clip and r <= clip_ratio_c where A < 0, {EQUATIONS[_KINDS[mode]]}",
            Clipped(
                ceiling=1 + clip_ratio_high, floor=1 - clip_ratio_low, dual=clip_ratio_c, log_bounds=_BOUNDS
            ),
            _aggregation(mode, empty),
            function=f"compute_policy_loss_vanilla, loss_agg_mode={mode!r}",
            correction=_correction(rollout_is, rollout_is_threshold),
            penalty=_penalty(kl_loss_coef, kl_loss_type),
        )

    return make


def _gspo(
    *,
    clip_ratio_low: float = 0.2,
    clip_ratio_high: float = 0.2,
    loss_agg_mode: str = "token-mean",
    rollout_is: str = "none",
    rollout_is_threshold: str = "2.0",
    empty: str = "count",
) -> Loss:
    aggregation = _aggregation(loss_agg_mode, empty)
    return _loss(
        "gspo",
        "PPO's clip of the geometric mean of a rollout's ratios",
        f"A_i r within PPO's clip, r = exp(mean_t log r_t), {aggregation.equation}",
        Clipped(
            level="geometric",
            ceiling=1 + clip_ratio_high,
            floor=1 - clip_ratio_low,
            log_bounds=(-inf, 10.0),
            straight_through=True,
        ),
        aggregation,
        function="compute_policy_loss_gspo",
        correction=_correction(rollout_is, rollout_is_threshold),
    )


def _cispo(
    *,
    clip_ratio_low: float = 0.2,
    clip_ratio_high: float = 0.2,
    loss_agg_mode: str = "token-mean",
    rollout_is: str = "none",
    rollout_is_threshold: str = "2.0",
    empty: str = "count",
) -> Loss:
    aggregation = _aggregation(loss_agg_mode, empty)
    return _loss(
        "cispo",
        "Bounded importance weights, from below too",
        f"A_i min(max(r, 1-low), 1+high), {aggregation.equation}",
        Truncated(ceiling=1 + clip_ratio_high, floor=1 - clip_ratio_low, log_bounds=_BOUNDS),
        aggregation,
        function="compute_policy_loss_cispo",
        correction=_correction(rollout_is, rollout_is_threshold),
    )


def _sapo(
    *,
    tau_pos: float = 1.0,
    tau_neg: float = 1.05,
    rollout_is: str = "none",
    rollout_is_threshold: str = "2.0",
    empty: str = "count",
) -> Loss:
    return _loss(
        "sapo",
        "A soft gate in place of the clip",
        f"A_i 4 r sigma (1 - sigma), sigma = 1/(1 + exp(-tau (r - 1))), {EQUATIONS['sequence-mean']}",
        Sigmoid(positive=tau_pos, negative=tau_neg, log_bounds=_BOUNDS),
        _aggregation("seq-mean-token-mean", empty),
        function="compute_policy_loss_sapo (whatever loss_agg_mode is set)",
        correction=_correction(rollout_is, rollout_is_threshold),
    )


def _gpg(
    *,
    loss_agg_mode: str = "token-mean",
    rollout_is: str = "none",
    rollout_is_threshold: str = "2.0",
    empty: str = "count",
) -> Loss:
    aggregation = _aggregation(loss_agg_mode, empty)
    return _loss(
        "gpg",
        "Advantage times score, no ratio",
        f"A_i, {aggregation.equation}",
        Plain(),
        aggregation,
        function="compute_policy_loss_gpg",
        correction=_correction(rollout_is, rollout_is_threshold),
    )


def _geo_mean(clip_ratio_low: float = 0.2, clip_ratio_high: float = 0.2) -> Loss:
    return _loss(
        "geo_mean",
        "The geometric mean of clipped ratios (GMPO)",
        "A_i exp(mean_t x_t), x the log-ratios, clipped, where the clip leaves the token, f_i = 1/|o_i|",
        GeometricMean(low=clip_ratio_low, high=clip_ratio_high),
        Aggregation(kind="sequence-mean", empty="count"),
        function="compute_policy_loss_geo_mean",
    )


def _reinforce(
    *,
    rollout_is: str = "sequence",
    rollout_is_threshold: float = 2.0,
    loss_agg_mode: str = "token-mean",
    empty: str = "count",
) -> Loss:
    check_choice("rollout_is", rollout_is, ("token", "sequence"))
    aggregation = _aggregation(loss_agg_mode, empty)
    return _loss(
        "reinforce",
        "Truncated importance sampling from the rollout policy",
        f"A_i min(pi/pi_rollout, threshold), {aggregation.equation}",
        Truncated(level=cast("Span", rollout_is), ceiling=rollout_is_threshold, log_bounds=_BOUNDS),
        aggregation,
        function="compute_policy_loss_bypass_mode, loss_type='reinforce'",
    )


def _loss(
    mode: str,
    title: str,
    equation: str,
    ratio: Ratio,
    aggregation: Aggregation,
    *,
    function: str,
    correction: Correction | None = None,
    penalty: Penalty | None = None,
) -> Loss:
    return Loss(
        name=f"verl:{mode}",
        title=title,
        equation=f"w_it = f_i {equation}",
        citation=f"verl 0.9.1, {function}",
        ratio=ratio,
        aggregation=aggregation,
        correction=correction,
        penalty=penalty,
    )


def _aggregation(mode: str, empty: str) -> Aggregation:
    check_choice("loss_agg_mode", mode, tuple(_KINDS))
    check_choice("empty", empty, ("count", "skip"))
    return Aggregation(kind=_KINDS[mode], empty=cast("_Empty", empty))


def _correction(rollout_is: str, threshold: str) -> Correction | None:
    check_choice("rollout_is", rollout_is, ("none", "token", "sequence"))
    if rollout_is == "none":
        return None
    lower, bounded, upper = threshold.rpartition("_")  # "0.5_2.0" masks beyond both (IcePop)
    try:
        lowest, highest = float(lower or 0), float(upper)
    except ValueError:
        raise ValueError(
            f"rollout_is_threshold={threshold!r}: must be a number, or two as '0.5_2.0'"
        ) from None
    mode: Literal["truncate", "mask"] = "mask" if bounded else "truncate"
    return Correction(level=cast("Span", rollout_is), mode=mode, lowest=lowest, highest=highest)


def _penalty(beta: float, kind: str) -> Penalty | None:
    base = kind.removesuffix("+")
    check_choice("kl_loss_type", base, tuple(_ESTIMATES))
    if not beta:
        return None
    estimate = _ESTIMATES[base]
    return Penalty(
        kind=estimate,
        beta=beta,
        gradient="k2" if kind.endswith("+") else None,
        log_bound=20.0 if estimate == "k3" else inf,
        bound=10.0 if estimate == "k3" else inf,
    )


#: By name: the aggregations of verl's default loss, then its other losses.
OF_VERL: dict[str, Callable[..., Loss]] = {f"verl:{mode}": _vanilla(mode) for mode in _KINDS} | {
    "verl:gspo": _gspo,
    "verl:cispo": _cispo,
    "verl:sapo": _sapo,
    "verl:gpg": _gpg,
    "verl:geo_mean": _geo_mean,
    "verl:reinforce": _reinforce,
}
