"""OpenRLHF: ``RemoteExperienceMaker.compute_advantages_and_returns``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import load

_CLIP = 10.0
_CLIPPED = "clipped to [-10, 10] (reward.clip_range), then KL per token"
_WHITENED = f"{_CLIPPED}, then less the batch's mean over its standard deviation, weighted by tokens"


def _maker(estimator: str) -> Callable[[Matrix], Matrix]:
    """The trainer's method on one experience of one token a rollout, no KL, at the settings of the CLI."""
    import torch  # noqa: PLC0415

    module = load(
        "openrlhf",
        "openrlhf.trainer.ppo_utils.experience_maker",
        bare=("openrlhf.models", "openrlhf.trainer", "openrlhf.utils", "openrlhf.trainer.ppo_utils"),
        absent=("openrlhf.trainer.ray", "ray", "deepspeed", "flash_attn", "transformers", "vllm", "peft"),
    )

    def advantages(rewards: Any, n: int) -> Any:
        algo = SimpleNamespace(
            advantage=SimpleNamespace(estimator=estimator, gamma=1.0, lambd=1.0, no_std_norm=False)
        )
        penalties = dict.fromkeys(
            ("overlong_buffer_len", "overlong_penalty_factor", "stop_properly_penalty_coef")
        )
        args = SimpleNamespace(
            algo=algo,
            rollout=SimpleNamespace(n_samples_per_prompt=n, max_new_tokens=1),
            reward=SimpleNamespace(clip_range=(-_CLIP, _CLIP), **penalties),
        )
        rows = len(rewards)
        ones = torch.ones(rows, 1)
        experience = SimpleNamespace(
            rewards=rewards,
            index=list(range(rows)),
            kl=torch.zeros(rows, 1),
            action_mask=ones.bool(),
            values=torch.zeros(rows, 1),
            info={},
        )
        maker = object.__new__(module.RemoteExperienceMaker)
        maker.strategy = SimpleNamespace(args=args)
        maker.kl_ctl = SimpleNamespace(value=0.0)
        maker.advantage_estimator = estimator
        (found,) = maker.compute_advantages_and_returns([experience])
        return found.advantages[:, 0]

    return of_flat(advantages)


def _rule(estimator: str, equals: str, afterwards: str, formula: str = "") -> ShippedRule:
    return ShippedRule(
        name=estimator, equals=equals, formula=formula, call=partial(_maker, estimator), afterwards=afterwards
    )


FRAMEWORK = Framework(
    name="OpenRLHF",
    package="openrlhf",
    version="0.11.2",
    environment="frameworks",
    reached="its module, Ray's launcher, DeepSpeed and flash-attn stood in for; one token a response",
    rules=(
        _rule("group_norm", "grpo:eps=1e-9", _CLIPPED),
        _rule("rloo", "rloo", _CLIPPED, "rloo, clipped at 10 on either side"),
        _rule("dr_grpo", "batch-mean", _CLIPPED, "batch-mean, clipped at 10 on either side"),
        _rule("reinforce_baseline", "openrlhf-reinforce-baseline", _WHITENED),
        _rule("reinforce", "openrlhf-reinforce", _WHITENED),
        _rule("flash_reinforce", "flash-reinforce", _CLIPPED),
    ),
    hook="none: a subclass with its own compute_advantages_and_returns; or MaxPO's advantages as rewards of "
    "dr_grpo, which hands them through up to its clip",
    adapter="maxpo_lab/integrations/adapters/openrlhf.py",
    loss="ppo:over=token-mean",
    loss_says="PPO's clip at 0.2, mean over the tokens of a batch",
    identity="the row number in the batch",
    lasting=False,
    metric_at_k="eval pass@k: a prompt counts as 1 if any of its k samples is right; pass1 their mean",
)
