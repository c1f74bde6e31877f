"""verl's own loss functions against the lab's, value and gradient, on tensors of any mask.

Runs in an environment of its own (``make test-integrations``), as verl pins an older transformers.
"""

from __future__ import annotations

from typing import Any

import pytest

import maxpo_lab as ml

pytestmark = pytest.mark.integration
core_algos = pytest.importorskip(
    "verl.trainer.ppo.core_algos", reason="verl is in .venv-verl alone: make test-integrations"
)
import torch  # noqa: E402 - torch comes with verl
from token_batches import SHAPE, assert_equal, ours, token_batch  # noqa: E402
from verl.trainer.config.algorithm import RolloutCorrectionConfig  # noqa: E402
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_weights  # noqa: E402
from verl.workers.config import ActorConfig, PolicyLossConfig  # noqa: E402

ROWS = SHAPE[0] * SHAPE[1]
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
SEEDS = range(4)


def config(*, empty: str = "count", **settings: Any) -> ActorConfig:
    """An actor's settings, verl's defaults but for those given, and what its trainers say of the batch."""
    made = ActorConfig(strategy="fsdp", rollout_n=SHAPE[1], ppo_micro_batch_size_per_gpu=ROWS, **settings)
    if empty == "count":
        made.global_batch_info["global_batch_size"] = ROWS
    if made.loss_scale_factor is not None:
        made.global_batch_info["loss_scale_factor"] = made.loss_scale_factor
    return made


def flat(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The arguments of verl's functions: (bs, T) each."""
    return {
        "old_log_prob": batch["old"].flatten(0, 1),
        "log_prob": batch["log_probs"].flatten(0, 1),
        "advantages": batch["advantages"].flatten()[:, None].expand(-1, SHAPE[2]),
        "response_mask": batch["mask"].flatten(0, 1),
    }


#: The lab's name, verl's loss_mode, settings of the actor.
CASES = {
    "verl:token-mean": ("vanilla", {}),
    "verl:token-sum": ("vanilla", {"loss_agg_mode": "token-sum"}),
    "verl:seq-mean-token-sum": ("vanilla", {"loss_agg_mode": "seq-mean-token-sum"}),
    "verl:seq-mean-token-sum-norm": ("vanilla", {"loss_agg_mode": "seq-mean-token-sum-norm"}),
    "verl:seq-mean-token-mean": ("vanilla", {"loss_agg_mode": "seq-mean-token-mean"}),
    "verl:token-mean:clip_ratio_low=0.1,clip_ratio_high=0.28,clip_ratio_c=1.5": (
        "vanilla",
        {"clip_ratio_low": 0.1, "clip_ratio_high": 0.28, "clip_ratio_c": 1.5},
    ),
    "verl:gspo": ("gspo", {}),
    "verl:gspo:clip_ratio_low=0.0003,clip_ratio_high=0.0004,loss_agg_mode=seq-mean-token-mean": (
        "gspo",
        {"clip_ratio_low": 3e-4, "clip_ratio_high": 4e-4, "loss_agg_mode": "seq-mean-token-mean"},
    ),
    "verl:cispo": ("cispo", {}),
    "verl:cispo:clip_ratio_high=4,clip_ratio_low=1": ("cispo", {"clip_ratio_high": 4, "clip_ratio_low": 1}),
    "verl:sapo": ("sapo", {}),
    "verl:sapo:tau_pos=2,tau_neg=3": (
        "sapo",
        {"tau_pos": 2.0, "tau_neg": 3.0, "loss_agg_mode": "token-mean"},
    ),
    "verl:gpg": ("gpg", {}),
    "verl:geo_mean": ("geo_mean", {}),
    "verl:geo_mean:clip_ratio_low=0.4,clip_ratio_high=0.1": (
        "geo_mean",
        {"clip_ratio_low": 0.4, "clip_ratio_high": 0.1},
    ),
}


def test_every_loss_of_verl_here_is_compared() -> None:
    compared = {name.rpartition(":")[0] if "=" in name else name for name in CASES}
    assert compared | {"verl:reinforce"} == {name for name in ml.list_losses() if name.startswith("verl:")}


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_verls_loss_is_ours(name: str, dtype: torch.dtype) -> None:
    mode, settings = CASES[name]
    actor = config(**settings)
    for seed in SEEDS:
        batch = token_batch(seed, dtype)
        theirs, _ = core_algos.get_policy_loss_fn(mode)(
            **flat(batch), loss_agg_mode=actor.loss_agg_mode, config=actor
        )
        assert_equal(ml.get_loss(name), batch, theirs)


@DTYPES
@pytest.mark.parametrize("mode", ["seq-mean-token-sum", "seq-mean-token-sum-norm", "seq-mean-token-mean"])
def test_on_its_own_it_skips_rollouts_without_tokens(mode: str, dtype: torch.dtype) -> None:
    """``agg_loss`` leaves them out where nobody says how many rollouts there are; the trainers do say."""
    for seed in SEEDS:
        batch = token_batch(seed, dtype)
        actor = config(empty="skip")
        theirs, _ = core_algos.compute_policy_loss_vanilla(**flat(batch), loss_agg_mode=mode, config=actor)
        assert_equal(ml.get_loss(f"verl:{mode}:empty=skip"), batch, theirs)
        counted, _ = ours(ml.get_loss(f"verl:{mode}"), batch)
        assert abs(float(counted) - float(theirs.detach())) > 1e-4 * abs(float(counted))


@DTYPES
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("threshold", ["2.0", "1.1", "0.7_1.3"])
@pytest.mark.parametrize("name", ["verl:token-mean", "verl:seq-mean-token-mean", "verl:gspo", "verl:cispo"])
def test_verls_rollout_correction_is_ours(name: str, threshold: str, level: str, dtype: torch.dtype) -> None:
    mode = name.removeprefix("verl:")
    function = core_algos.get_policy_loss_fn(mode if mode in {"gspo", "cispo"} else "vanilla")
    loss = ml.get_loss(f"{name}:rollout_is={level},rollout_is_threshold={threshold}")
    for seed in SEEDS:
        batch = token_batch(seed, dtype)
        arguments = flat(batch)
        weights, _ = compute_rollout_correction_weights(
            arguments["old_log_prob"] - batch["behaviour"].flatten(0, 1),
            arguments["response_mask"],
            rollout_is=level,
            rollout_is_threshold=threshold,
        )
        theirs, _ = function(
            **arguments,
            loss_agg_mode="token-mean" if function is not core_algos.compute_policy_loss_vanilla else mode,
            config=config(),
            rollout_is_weights=weights,
        )
        assert_equal(loss, batch, theirs)


@DTYPES
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_verls_bypass_mode_is_ours(level: str, dtype: torch.dtype) -> None:
    correction = RolloutCorrectionConfig(loss_type="reinforce", rollout_is=level, bypass_mode=True)
    actor = config(policy_loss=PolicyLossConfig(loss_mode="bypass_mode", rollout_correction=correction))
    for seed in SEEDS:
        batch = token_batch(seed, dtype)
        theirs, _ = core_algos.get_policy_loss_fn("bypass_mode")(**flat(batch), config=actor)
        assert_equal(ml.get_loss(f"verl:reinforce:rollout_is={level}"), batch, theirs)


@DTYPES
@pytest.mark.parametrize("kind", ["k1", "kl", "k2", "mse", "k3", "low_var_kl", "k1+", "k3+"])
def test_verls_kl_penalty_is_ours(kind: str, dtype: torch.dtype) -> None:
    """The penalty is a term of its own there: the difference of two losses here."""
    with_it = ml.get_loss(f"verl:token-mean:kl_loss_coef=0.5,kl_loss_type={kind}")
    for seed in SEEDS:
        batch = token_batch(seed, dtype)
        batch["reference"] = batch["log_probs"].detach() + 3 * (
            batch["reference"] - batch["log_probs"].detach()
        )
        theirs, _ = core_algos.compute_policy_loss_vanilla(**flat(batch), config=config())
        estimate = core_algos.kl_penalty(batch["log_probs"], batch["reference"], kind)
        theirs = theirs + 0.5 * core_algos.agg_loss(
            estimate.flatten(0, 1), batch["mask"].flatten(0, 1), "token-mean"
        )
        assert_equal(with_it, batch, theirs)


def test_the_defaults_are_those_of_the_actor() -> None:
    actor = config()
    assert (actor.loss_agg_mode, actor.policy_loss.loss_mode) == ("token-mean", "vanilla")
    ratio = ml.get_loss("verl:token-mean").ratio
    assert (ratio.ceiling, ratio.floor, ratio.dual) == (
        1 + actor.clip_ratio_high,
        1 - actor.clip_ratio_low,
        actor.clip_ratio_c,
    )
    soft = ml.get_loss("verl:sapo").ratio
    assert (soft.positive, soft.negative) == (actor.tau_pos, actor.tau_neg)
    correction = RolloutCorrectionConfig()
    assert (correction.rollout_is, correction.rollout_is_threshold) == ("sequence", 2.0)
