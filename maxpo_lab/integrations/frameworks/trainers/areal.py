"""AReaL: ``PPOActor._compute_advantages`` with its ``Normalization`` of rewards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from ..calls import Matrix, of_flat
from ..framework import Framework, ShippedRule
from ..loading import compiled, load

_AFTER = "none: adv_norm is None by default; before the rule, (R + bias) scaling is clipped to [-20, 20]"


#: What its module of data imports, and the functions here do not use.
_ABSENT = (
    *("aiohttp", "httpx", "hydra", "einops", "torchdata"),
    *("areal.infra", "areal.api", "areal.utils.logging", "areal.utils.seqpack"),
)


def _actor(
    mean: str | None,
    std: str | None,
    *,
    leave1out: bool = False,
    normalised: bool = True,
    whitened: bool = False,
) -> Callable[[Matrix], Matrix]:
    """The actor's method on a prompt of one token and a response of one, no KL, no value network."""
    import torch  # noqa: PLC0415

    module = load(
        "areal",
        "areal.utils.data",
        bare=("areal", "areal.utils"),
        absent=_ABSENT,
    )
    compute = compiled(
        "areal", "areal/trainer/ppo/actor.py", "PPOActor._compute_advantages", {"torch": torch}
    )

    def advantages(rewards: Any, n: int) -> Any:
        def normalisation(mean: str | None, std: str | None, leave1out: bool = False) -> Any:
            config = SimpleNamespace(
                mean_level=mean,
                std_level=std,
                mean_leave1out=leave1out,
                std_unbiased=True,
                eps=1e-5,
                group_size=n,
            )
            return module.Normalization(config)

        actor = SimpleNamespace(
            config=SimpleNamespace(
                overlong_reward_penalty=False, use_decoupled_loss=False, recompute_logprob=False
            ),
            reward_bias=0.0,
            reward_scaling=1.0,
            reward_clip=20.0,
            reward_norm=normalisation(mean, std, leave1out) if normalised else None,
            adv_norm=normalisation("batch", "batch") if whitened else None,
            kl_ctl=0.0,
            kl_estimator=lambda new, _: torch.zeros_like(new),
            mask_no_eos_with_zero=False,
            discount=1.0,
            gae_lambda=1.0,
        )
        rows = len(rewards)
        shape = (rows, 3)  # a prompt of one token, a response of two, of which the first is the score's place
        data = {
            "input_ids": torch.zeros(shape, dtype=torch.long),
            "attention_mask": torch.ones(shape, dtype=torch.long),
            "loss_mask": torch.tensor([[0, 1, 1]] * rows),
            "logprobs": torch.zeros(shape),
            "rewards": rewards,
        }
        return compute(actor, data)["advantages"][:, 0]

    return of_flat(advantages)


def _rule(name: str, equals: str, formula: str = "", **settings: Any) -> ShippedRule:
    return ShippedRule(
        name=name, equals=equals, formula=formula, call=partial(_actor, **settings), afterwards=_AFTER
    )


FRAMEWORK = Framework(
    name="AReaL",
    package="areal",
    version="1.0.4",
    environment="frameworks",
    reached="Normalization from its own module, PPOActor's method compiled from its file",
    rules=(
        _rule(
            "reward_norm=None",
            "reinforce",
            "R_i, clipped at 20 on either side",
            mean=None,
            std=None,
            normalised=False,
        ),
        _rule("mean group, std group", "grpo:eps=1e-5", mean="group", std="group"),
        _rule(
            "mean group leave1out, std group",
            "grpo:eps=1e-5",
            "(R_i - mean) / (std1 + 1e-5 (n-1)/n): the deviation is about the means of the others",
            mean="group",
            std="group",
            leave1out=True,
        ),
        _rule("mean group, std None", "batch-mean", mean="group", std=None),
        _rule("mean group leave1out, std None", "rloo", mean="group", std=None, leave1out=True),
        _rule("mean batch, std batch", "areal-norm", mean="batch", std="batch"),
        _rule("mean group, std batch", "areal-norm:mean=group", mean="group", std="batch"),
    ),
    hook="none: a RolloutWorkflow around a whole group may write rewards, which reach the loss with "
    "reward_norm = adv_norm = None, clipped at 20",
    adapter="maxpo_lab/integrations/adapters/areal.py",
    loss="ppo:over=token-mean",
    loss_says="PPO's clip at 0.2, mean over the tokens of a batch",
    identity="position",
    lasting=False,
    metric_at_k="none",
)
