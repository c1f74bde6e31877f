"""verl: the estimators of ``core_algos``, called as its trainer calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from ..calls import Matrix, by_position, with_ids
from ..framework import Framework, ShippedRule

_WHITENED = "whitened over the tokens of the batch, by the rule itself"
#: Probability of the token and sum of squares that stand for a policy where the optimal token baseline asks.
_HALF = 0.5


def _function(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module("verl.trainer.ppo.core_algos"), f"compute_{name}")
    return function


def _by_id(name: str, settings: dict[str, Any]) -> Callable[[Matrix, Matrix], Matrix]:
    return with_ids(_function(name), **settings)


def _token_baseline(name: str) -> Callable[[Matrix, Matrix], Matrix]:
    """On responses of one token of the same probability: all that tells them apart is the reward."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    function = _function(name)

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        tokens = torch.from_numpy(np.asarray(rewards, dtype=np.float32))[:, None]
        half = torch.full(tokens.shape, _HALF)
        found, _ = function(
            token_level_rewards=tokens.clone(),
            response_mask=torch.ones_like(tokens),
            index=np.array([str(each) for each in ids], dtype=object),
            old_log_probs=half.log(),
            sum_pi_squared=half,
        )
        return np.asarray(found[:, 0].numpy())

    return advantages


def _remax() -> Callable[[Matrix, Matrix], Matrix]:
    """With a greedy response's reward of 0, which the function is given; it knows of no groups."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    function = _function("remax_outcome_advantage")

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        del ids
        tokens = torch.from_numpy(np.asarray(rewards, dtype=np.float32))[:, None]
        found, _ = function(tokens.clone(), torch.zeros(len(tokens)), torch.ones_like(tokens))
        return np.asarray(found[:, 0].numpy())

    return advantages


def _rule(
    name: str,
    equals: str,
    *,
    of: str | None = None,
    target: str = "mean",
    formula: str = "",
    of_tokens: str | None = None,
    **settings: Any,
) -> ShippedRule:
    function = of or f"{name}_outcome_advantage"
    return ShippedRule(
        name=name + (", no std" if settings.get("norm_adv_by_std_in_grpo") is False else ""),
        equals=equals,
        formula=formula,
        equals_of_tokens=of_tokens,
        target=target,
        call=partial(_function, function),
        signature="verl",
        settings=tuple(settings.items()),
        by_id=partial(_by_id, function, settings),
        afterwards=_WHITENED if of_tokens else "as they are",
    )


def _of_tokens(name: str, function: str, formula: str) -> ShippedRule:
    return ShippedRule(
        name=name,
        equals="batch-mean",
        formula=formula,
        call=partial(by_position, partial(_token_baseline, function)),
        by_id=partial(_token_baseline, function),
        afterwards="as they are",
    )


_OTB = "G_t - sum_j W_jt G_jt / sum_j W_jt per token, W_t the sum to t of 1 - 2 pi + sum pi^2"

FRAMEWORK = Framework(
    name="verl",
    package="verl",
    version="0.9.1",
    environment="verl",
    reached="plain import, in the environment of its own pins",
    rules=(
        _rule("grpo", "grpo"),
        _rule("grpo", "batch-mean", norm_adv_by_std_in_grpo=False),
        _rule("grpo_vectorized", "grpo"),
        _rule("rloo", "rloo"),
        _rule("rloo_vectorized", "rloo"),
        _rule("opo", "batch-mean", formula="R_i - sum_j l_j R_j / sum_j l_j, l the lengths"),
        _rule("grpo_passk", "verl-grpo-passk", target="max@n"),
        _rule("grpo_passk", "verl-grpo-passk-nostd", target="max@n", norm_adv_by_std_in_grpo=False),
        _rule("gpg", "verl-gpg"),
        _rule(
            "reinforce_plus_plus",
            "verl-reinforce-plus-plus",
            of_tokens="verl-reinforce-plus-plus:tokens=2",
            gamma=1.0,
        ),
        _rule(
            "reinforce_plus_plus_baseline",
            "verl-reinforce-plus-plus-baseline",
            of_tokens="verl-reinforce-plus-plus-baseline:tokens=2",
        ),
        _rule(
            "gdpo",
            "gdpo-single-reward",
            formula="gdpo, of one reward",
            of_tokens="whitened:scale=std1,mean=1,tokens=2:grpo",
        ),
        _of_tokens("optimal_token_baseline", "optimal_token_baseline_advantage", _OTB),
        _of_tokens(
            "tir_optimal_token_baseline", "multi_turn_optimal_token_baseline_advantage", f"{_OTB}, by turns"
        ),
        ShippedRule(
            name="remax",
            equals="reinforce",
            formula="R_i less the reward of a greedy response, here 0",
            call=partial(by_position, _remax),
            by_id=_remax,
            afterwards="as they are",
        ),
    ),
    hook="core_algos.register_adv_est(name), VERL_USE_EXTERNAL_MODULES; its default trainer hands over no "
    "reward_baselines, sum_pi_squared or several rewards (read)",
    adapter="maxpo_lab/integrations/verl.py",
    loss="verl:token-mean",
    loss_says="PPO's clip at 0.2 and dual clip at 3, mean over the tokens of a batch",
    identity="uid, a fresh uuid4 each step; the dataset's index does not reach the estimator",
    lasting=False,
    metric_at_k="validation best@k and maj@k: the mean over bootstrap draws of k of n with replacement",
)
