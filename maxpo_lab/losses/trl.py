"""What TRL 1.16 computes by ``loss_type``, with its defaults: ``GRPOTrainer._compute_loss``, and RLOO's.

One micro-batch is a step, as both trainers start out. Options have TRL's names and defaults; ``vllm`` is its
``vllm_importance_sampling_mode``, ``"none"`` where vLLM does not generate.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal, cast

from ..core.arguments import check_choice
from .aggregation import EQUATIONS, Aggregation, Kind
from .base import Loss
from .corrections import Correction, Span
from .kl import Penalty
from .ratios import Clipped, Level, Ratio, Truncated
from .soft import Gamma, Sigmoid

_MODES = ("none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask")


def _clipped(loss_type: str, kind: Kind, title: str) -> Callable[..., Loss]:
    """Maker of a loss with PPO's clip."""

    def make(
        *,
        epsilon: float = 0.2,
        epsilon_high: str = "epsilon",
        delta: float = inf,
        importance_sampling_level: str = "token",
        beta: float = 0.0,
        use_bias_correction_kl: str = "yes",
        vllm: str = "none",
        clip_max: float = 3.0,
        clip_min: float = 0.0,
    ) -> Loss:
        ceiling, floor, dual = _bounds(epsilon, epsilon_high, delta)
        level = _level(importance_sampling_level)
        return _loss(
            loss_type,
            title,
            f"A_i r within PPO's clip, {EQUATIONS[kind]}",
            Clipped(level=level, ceiling=ceiling, floor=floor, dual=dual),
            Aggregation(kind=kind, empty="count"),
            correction=_correction(vllm, clip_max, clip_min),
            penalty=_penalty(beta, use_bias_correction_kl),
        )

    return make


def _dr_grpo(
    *,
    epsilon: float = 0.2,
    epsilon_high: str = "epsilon",
    delta: float = inf,
    max_completion_length: int = 512,
    beta: float = 0.0,
    use_bias_correction_kl: str = "yes",
    vllm: str = "none",
    clip_max: float = 3.0,
    clip_min: float = 0.0,
) -> Loss:
    ceiling, floor, dual = _bounds(epsilon, epsilon_high, delta)
    return _loss(
        "dr_grpo",
        "Sum over tokens, over max_completion_length",
        f"A_i r within PPO's clip, {EQUATIONS['constant']}",
        Clipped(ceiling=ceiling, floor=floor, dual=dual),
        Aggregation(kind="constant", length=max_completion_length, empty="count"),
        correction=_correction(vllm, clip_max, clip_min),
        penalty=_penalty(beta, use_bias_correction_kl),
    )


def _cispo(
    *,
    epsilon_high: float = 0.2,
    beta: float = 0.0,
    use_bias_correction_kl: str = "yes",
    vllm: str = "none",
    clip_max: float = 3.0,
    clip_min: float = 0.0,
) -> Loss:
    return _loss(
        "cispo",
        "Bounded importance weights; the bound is epsilon_high itself, not 1 + epsilon_high",
        f"A_i min(r, epsilon_high), {EQUATIONS['token-mean']}",
        Truncated(ceiling=epsilon_high),
        Aggregation(kind="token-mean", empty="count"),
        correction=_correction(vllm, clip_max, clip_min),
        penalty=_penalty(beta, use_bias_correction_kl),
    )


def _sapo(
    *,
    sapo_temperature_pos: float = 1.0,
    sapo_temperature_neg: float = 1.05,
    beta: float = 0.0,
    use_bias_correction_kl: str = "yes",
    vllm: str = "none",
    clip_max: float = 3.0,
    clip_min: float = 0.0,
) -> Loss:
    return _loss(
        "sapo",
        "A soft gate in place of the clip",
        f"A_i 4 r sigma (1 - sigma), sigma = 1/(1 + exp(-tau (r - 1))), {EQUATIONS['sequence-mean']}",
        Sigmoid(positive=sapo_temperature_pos, negative=sapo_temperature_neg),
        Aggregation(kind="sequence-mean", empty="count"),
        correction=_correction(vllm, clip_max, clip_min),
        penalty=_penalty(beta, use_bias_correction_kl),
    )


def _vespo(
    *,
    vespo_k_pos: float = 2.0,
    vespo_lambda_pos: float = 3.0,
    vespo_k_neg: float = 3.0,
    vespo_lambda_neg: float = 2.0,
    beta: float = 0.0,
    use_bias_correction_kl: str = "yes",
) -> Loss:
    return _loss(
        "vespo",
        "A Gamma-shaped weight of the ratio of rollouts",
        f"A_i e^lambda w^k e^(-lambda w), w = prod_t r_t, {EQUATIONS['token-mean']}",
        Gamma(power=(vespo_k_pos, vespo_k_neg), decay=(vespo_lambda_pos, vespo_lambda_neg)),
        Aggregation(kind="token-mean", empty="count"),
        penalty=_penalty(beta, use_bias_correction_kl),
    )


def _rloo(epsilon: float = 0.2, epsilon_high: str = "epsilon") -> Loss:
    ceiling, floor, dual = _bounds(epsilon, epsilon_high, inf)
    return Loss(
        name="trl:rloo",
        title="PPO's clip of the ratio of rollouts",
        equation="w_it = A_i r within PPO's clip, r = prod_t r_t",
        citation="TRL 1.16, RLOOTrainer (its KL is in the reward: penalised_rewards, beta=0.05)",
        ratio=Clipped(level="sequence", ceiling=ceiling, floor=floor, dual=dual),
        aggregation=Aggregation(empty="count"),
    )


def _loss(
    loss_type: str,
    title: str,
    equation: str,
    ratio: Ratio,
    aggregation: Aggregation,
    *,
    correction: Correction | None = None,
    penalty: Penalty | None = None,
) -> Loss:
    return Loss(
        name=f"trl:{loss_type}",
        title=title,
        equation=f"w_it = f_i {equation}",
        citation=f"TRL 1.16, GRPOTrainer, loss_type={loss_type!r}",
        ratio=ratio,
        aggregation=aggregation,
        correction=correction,
        penalty=penalty,
    )


def _bounds(epsilon: float, epsilon_high: str, delta: float) -> tuple[float, float, float]:
    """Bounds for A > 0 from above, and for A < 0 from below and above.

    TRL holds the ratio at ``delta`` before it takes the minimum: below 1 + epsilon_high, delta binds A > 0,
    and A < 0 is held at 1 + epsilon_high.
    """
    try:
        high = 1 + (epsilon if epsilon_high == "epsilon" else float(epsilon_high))
    except ValueError:
        raise ValueError(f"epsilon_high={epsilon_high!r}: must be a number, or 'epsilon'") from None
    return min(high, delta), 1 - epsilon, max(high, delta)


def _level(importance_sampling_level: str) -> Level:
    check_choice("importance_sampling_level", importance_sampling_level, ("token", "sequence"))
    return "token" if importance_sampling_level == "token" else "geometric"


def _penalty(beta: float, use_bias_correction_kl: str) -> Penalty | None:
    check_choice("use_bias_correction_kl", use_bias_correction_kl, ("yes", "no"))
    return Penalty(kind="k3", beta=beta, weighted=use_bias_correction_kl == "yes") if beta else None


def _correction(vllm: str, clip_max: float, clip_min: float) -> Correction | None:
    check_choice("vllm", vllm, _MODES)
    if vllm == "none":
        return None
    level, _, what = vllm.partition("_")
    mode: Literal["mask", "truncate"] = "mask" if what == "mask" else "truncate"
    return Correction(level=cast("Span", level), mode=mode, lowest=clip_min, highest=clip_max)


#: By name.
OF_TRL: dict[str, Callable[..., Loss]] = {
    "trl:grpo": _clipped("grpo", "sequence-mean", "Mean of the means of rollouts"),
    "trl:bnpo": _clipped("bnpo", "token-mean", "Mean over the tokens of a micro-batch"),
    "trl:dr_grpo": _dr_grpo,
    "trl:dapo": _clipped("dapo", "token-mean", "Mean over the tokens of a batch (TRL's default)"),
    "trl:luspo": _clipped("luspo", "sequence-sum", "Sum over the tokens of rollouts"),
    "trl:cispo": _cispo,
    "trl:sapo": _sapo,
    "trl:vespo": _vespo,
    "trl:rloo": _rloo,
}
