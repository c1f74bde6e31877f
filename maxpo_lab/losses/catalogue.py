"""The lab's own losses: one idea each, in today's sum over tokens unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import cast

from .aggregation import EQUATIONS, Aggregation, Kind
from .base import Loss
from .corrections import Correction, Span
from .kl import Kind as KL
from .kl import Penalty
from .ratios import Clipped, Level, Truncated

_PPO = "Schulman et al. (arXiv 1707.06347) eq. 7"


def identity() -> Loss:
    """REINFORCE: today's g."""
    return Loss(
        name="identity",
        title="Advantage times score (REINFORCE)",
        equation="w_it = A_i",
        citation="Williams (1992)",
    )


def _aggregated(name: str, title: str, citation: str, mean: Aggregation) -> Loss:
    return Loss(
        name=name,
        title=title,
        equation=f"w_it = f_i A_i, {EQUATIONS[mean.kind]}",
        citation=citation,
        aggregation=mean,
    )


def sequence_mean() -> Loss:
    """GRPO's mean over a rollout's tokens."""
    return _aggregated(
        "sequence-mean",
        "Mean of the means of rollouts",
        "GRPO (arXiv 2402.03300) eq. 3",
        Aggregation(kind="sequence-mean"),
    )


def group_token_mean() -> Loss:
    """DAPO's mean over the tokens of a group, as its equation has it."""
    return _aggregated(
        "group-token-mean",
        "Mean over the tokens of a group",
        "DAPO (arXiv 2503.14476) eq. 8",
        Aggregation(kind="group-token-mean"),
    )


def token_mean() -> Loss:
    """The mean over the tokens of a batch, as frameworks have it."""
    return _aggregated(
        "token-mean",
        "Mean over the tokens of a batch",
        "verl 0.9.1 agg_loss; TRL 1.16 loss_type='dapo'",
        Aggregation(kind="token-mean"),
    )


def constant(length: float = 1024.0) -> Loss:
    """Dr. GRPO's constant normaliser."""
    return _aggregated(
        "constant",
        "Sum over tokens, over a constant",
        "Dr. GRPO (arXiv 2503.20783) section 3",
        Aggregation(kind="constant", length=length),
    )


def importance(level: str = "token", over: str = "sequence-sum") -> Loss:
    """Importance sampling with no bound."""
    return Loss(
        name="importance",
        title="Importance sampling",
        equation="w_it = f_i A_i r, r = pi/pi_old of the token, the rollout, or its geometric mean",
        citation="Precup, Sutton and Singh (2000)",
        ratio=Clipped(level=cast("Level", level)),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def ppo(low: float = 0.2, high: float = 0.2, over: str = "sequence-sum") -> Loss:
    """PPO's clip, with a bound for each side."""
    return Loss(
        name="ppo",
        title="PPO's clip",
        equation="w_it = f_i A_i r 1(r <= 1+high) where A > 0, 1(r >= 1-low) where A < 0",
        citation=f"{_PPO}; two bounds: DAPO (arXiv 2503.14476)",
        ratio=Clipped(ceiling=1 + high, floor=1 - low),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def dual_clip(low: float = 0.2, high: float = 0.2, dual: float = 3.0, over: str = "sequence-sum") -> Loss:
    """PPO's clip with a bound on the ratios of negative advantages."""
    return Loss(
        name="dual-clip",
        title="PPO's clip with a third bound",
        equation="as ppo, and w_it = 0 where A < 0 and r > dual",
        citation="Ye et al. (arXiv 1912.09729) eq. 5",
        ratio=Clipped(ceiling=1 + high, floor=1 - low, dual=dual),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def gspo(low: float = 3e-4, high: float = 4e-4, over: str = "sequence-mean") -> Loss:
    """PPO's clip of the geometric mean of a rollout's ratios."""
    return Loss(
        name="gspo",
        title="PPO's clip of rollouts",
        equation="as ppo with r = exp(mean_t log r_t)",
        citation="GSPO (arXiv 2507.18071) eq. 5",
        ratio=Clipped(level="geometric", ceiling=1 + high, floor=1 - low),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def cispo(ceiling: float = 5.0, floor: float = 0.0, over: str = "token-mean") -> Loss:
    """Ratios held at a bound, no token lost."""
    return Loss(
        name="cispo",
        title="Bounded importance weights",
        equation="w_it = f_i A_i min(max(r, floor), ceiling)",
        citation="MiniMax-M1 (arXiv 2506.13585) eq. 4; its ceiling: ScaleRL (arXiv 2510.13786)",
        ratio=Truncated(ceiling=ceiling, floor=floor),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def tis(highest: float = 2.0, level: str = "token", over: str = "sequence-sum") -> Loss:
    """Truncated importance sampling from the policy that drew the tokens."""
    return Loss(
        name="tis",
        title="Truncated importance sampling",
        equation="w_it = f_i A_i min(pi_old/pi_behaviour, highest)",
        citation="Ionides (2008); Espeholt et al. (arXiv 1802.01561) eq. 1",
        correction=Correction(level=cast("Span", level), highest=highest),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def decoupled(low: float = 0.2, high: float = 0.2, highest: float = inf, over: str = "sequence-sum") -> Loss:
    """PPO's clip around a proximal policy, corrected for the behaviour policy."""
    return Loss(
        name="decoupled",
        title="Decoupled PPO",
        equation="as ppo, times min(pi_proximal/pi_behaviour, highest); r = pi/pi_proximal",
        citation="Hilton, Cobbe and Schulman (arXiv 2110.00641) eq. 2; AReaL (arXiv 2505.24298) eq. 5",
        ratio=Clipped(ceiling=1 + high, floor=1 - low),
        correction=Correction(highest=highest),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


def kl_loss(beta: float = 0.001, kind: str = "k3", over: str = "sequence-sum") -> Loss:
    """Today's g with a KL penalty in the loss."""
    return Loss(
        name="kl",
        title="A KL penalty in the loss",
        equation="w_it = f_i (A_i - beta k'(x_it)), x = log pi - log pi_ref; k' = 1, x or 1 - exp(-x)",
        citation="Schulman (2020); GRPO (arXiv 2402.03300) eq. 4",
        penalty=Penalty(kind=cast("KL", kind), beta=beta),
        aggregation=Aggregation(kind=cast("Kind", over)),
    )


#: By name; each called without arguments makes the loss of that name.
OWN: dict[str, Callable[..., Loss]] = {
    "identity": identity,
    "sequence-mean": sequence_mean,
    "group-token-mean": group_token_mean,
    "token-mean": token_mean,
    "constant": constant,
    "importance": importance,
    "ppo": ppo,
    "dual-clip": dual_clip,
    "gspo": gspo,
    "cispo": cispo,
    "tis": tis,
    "decoupled": decoupled,
    "kl": kl_loss,
}
