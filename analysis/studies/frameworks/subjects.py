"""What is audited: rules of public frameworks, from the package where it can be installed, else as coded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from maxpo_lab.estimators import Estimator, get_estimator

from .defects import EASYR1_ISSUE_585

#: Where the numbers come from: the package itself, or this project's rule made after its code.
Origin = Literal["verl", "TRL", "as coded"]
_VERL = "verl.trainer.ppo.core_algos:compute_"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A rule of a framework.

    Attributes
    ----------
    framework, name
        Whose it is, and what it is called there.
    origin
        See ``Origin``.
    rule
        A path to import for ``verl``, a value of ``scale_rewards`` for ``TRL``, a name of this project for
        the rest.
    target
        The objective that it is meant for.
    k
        None: the study's.
    settings
        What the framework's configuration holds.
    """

    framework: str
    name: str
    origin: Origin
    rule: str
    target: str
    k: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def _verl(name: str, function: str, target: str, **settings: Any) -> Subject:
    return Subject(
        framework="verl", name=name, origin="verl", rule=_VERL + function, target=target, settings=settings
    )


def _trl(scale: str) -> Subject:
    return Subject(
        framework="TRL", name=f"GRPO, scale_rewards={scale}", origin="TRL", rule=scale, target="mean"
    )


def _coded(framework: str, name: str, rule: str, target: str, k: int | None = None) -> Subject:
    return Subject(framework=framework, name=name, origin="as coded", rule=rule, target=target, k=k)


FROM_VERL = (
    _verl("grpo", "grpo_outcome_advantage", "mean"),
    _verl("grpo, no std", "grpo_outcome_advantage", "mean", norm_adv_by_std_in_grpo=False),
    _verl("grpo_vectorized", "grpo_vectorized_outcome_advantage", "mean"),
    _verl("rloo", "rloo_outcome_advantage", "mean"),
    _verl("rloo_vectorized", "rloo_vectorized_outcome_advantage", "mean"),
    _verl("opo", "opo_outcome_advantage", "mean"),
    _verl("grpo_passk", "grpo_passk_outcome_advantage", "max@n"),
    _verl("grpo_passk, no std", "grpo_passk_outcome_advantage", "max@n", norm_adv_by_std_in_grpo=False),
    _verl("gpg", "gpg_outcome_advantage", "mean"),
    _verl("reinforce_plus_plus_baseline", "reinforce_plus_plus_baseline_outcome_advantage", "mean"),
    _verl("reinforce_plus_plus", "reinforce_plus_plus_outcome_advantage", "mean", gamma=1.0),
)
FROM_TRL = (_trl("group"), _trl("none"), _trl("batch"))
AS_CODED = (
    _coded("SkyRL", "grpo", "grpo", "mean"),
    _coded("OpenRLHF", "group_norm", "grpo:eps=1e-9", "mean"),
    _coded("rllm", "grpo", "grpo:ddof=0", "mean"),
    _coded("NeMo-RL", "grpo", "nemo-grpo", "mean"),
    _coded("prime-rl", "default", "batch-mean", "mean"),
    _coded("prime-rl", "maxrl", "maxrl", "mean"),
    _coded("SkyRL", "maxrl", "maxrl:eps=1e-6", "mean"),
    _coded("tajwarfahim/maxrl", "vr_cond", "maxrl-keep-failures", "mean"),
    _coded("tajwarfahim/maxrl", "pkpo", "maxrl-pkpo", "max@k"),
    _coded("rllm", "pull request 743", "pkpo-mean-centered", "max@k"),
    _coded("rllm", "pull request 743, K = n", "pkpo-mean-centered", "max@k", k=0),
    _coded("PKPO", "s_loo-1", "pkpo-loo1", "max@k"),
    _coded("PKPO", "s_loo-1 in a mean-type loss", "pkpo-sum-scale", "max@k"),
    _coded("MaxPO", "Leave-Two-Out", "maxpo", "max@k"),
    _coded("OrderGrad", 'lstat_advantage("ReMax")', "canonical / K", "max@k"),
    _coded("Passk_Training", "analytical", "passk-training", "max@k"),
    _coded("Passk_Training", "analytical, K = n", "passk-training", "max@k", k=0),
    _coded("EasyR1", "grpo_passk", "verl-grpo-passk", "max@n"),
    _coded("EasyR1", "issue 585", "easyr1-issue-585", "max@n"),
    _coded("TTT-Discover", "entropic", "entropic", "max@n"),
    _coded("Leader Reward", "leader", "leader", "max@n"),
    _coded("TailRL", "tailrl", "tailrl", "mean"),
    _coded("OpenRLHF", "reinforce_baseline", "whitened:scale=std0,mean=1,eps=0:batch-mean", "mean"),
    _coded("OpenRLHF", "reinforce", "whitened:scale=std0,mean=1,eps=0:reinforce", "mean"),
    _coded("OpenRLHF", "flash_reinforce", "flash-reinforce", "mean"),
    _coded("ms-swift", "grpo, scale_rewards=batch", "trl-batch", "mean"),
    _coded("ms-swift", "reinforce_plus_plus", "whitened:scale=std1,eps=0,add=0.0001:batch-mean", "mean"),
    _coded("rllm", "prpo", "whitened:scale=std0,mean=1,eps=0:reinforce", "mean"),
    _coded("JSPO", "jspo", "jspo", "mean"),
    _coded("JSPO", "jspo++", "jspo-plus-plus", "mean"),
    _coded("MaxPO", "whitened over the batch", "whitened:maxpo", "max@k"),
)


def coded_rule(name: str) -> Any:
    """A rule made after a framework's code."""
    if name == EASYR1_ISSUE_585.name:
        return EASYR1_ISSUE_585
    base, over_k, _ = name.partition(" / K")
    rule = get_estimator(base)
    if not (over_k and isinstance(rule, Estimator)):
        return rule

    def per_subset(rewards: Any, k: int) -> Any:
        return rule(rewards, k) / k

    per_subset.__name__ = name
    return per_subset
