"""TRL's own loss code against the lab's, value and gradient: real trainers, their model told what to say."""

from __future__ import annotations

import inspect
import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maxpo_lab as ml

# Warnings of this project stay errors; TRL gives some through how it calls what it depends on.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")]
trl = pytest.importorskip("trl", reason="TRL is not installed: make test-integrations")
import torch  # noqa: E402 - it comes with TRL
from tiny_trl import config, dataset, letter_tokenizer, tiny_model, tiny_trainer  # noqa: E402
from token_batches import SHAPE, assert_equal, token_batch  # noqa: E402

SEEDS = range(4)
ROWS = SHAPE[0] * SHAPE[1]
#: Settings that make a batch one step of one micro-batch.
ONE = {"per_device_train_batch_size": ROWS, "per_device_eval_batch_size": ROWS, "num_generations": SHAPE[1]}

#: The lab's name, and settings of TRL's config.
CASES: dict[str, dict[str, Any]] = {
    "trl:grpo": {"loss_type": "grpo"},
    "trl:bnpo": {"loss_type": "bnpo"},
    "trl:dr_grpo": {"loss_type": "dr_grpo", "max_completion_length": 512},
    "trl:dapo": {},
    "trl:luspo": {"loss_type": "luspo"},
    "trl:cispo": {"loss_type": "cispo"},
    "trl:sapo": {"loss_type": "sapo"},
    "trl:vespo": {"loss_type": "vespo"},
    "trl:dapo:epsilon=0.1": {"epsilon": 0.1},
    "trl:dapo:epsilon_high=0.28": {"epsilon_high": 0.28},
    "trl:grpo:delta=1.5": {"loss_type": "grpo", "delta": 1.5},
    "trl:grpo:delta=1.1": {"loss_type": "grpo", "delta": 1.1},
    "trl:grpo:importance_sampling_level=sequence,epsilon=0.0003,epsilon_high=0.0004": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
    "trl:grpo:importance_sampling_level=sequence": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
    },
    "trl:luspo:importance_sampling_level=sequence": {
        "loss_type": "luspo",
        "importance_sampling_level": "sequence",
    },
    "trl:cispo:epsilon_high=5": {"loss_type": "cispo", "epsilon_high": 5.0},
    "trl:dapo:beta=0.3": {"beta": 0.3},
    "trl:dapo:beta=0.3,use_bias_correction_kl=no": {"beta": 0.3, "use_bias_correction_kl": False},
    "trl:grpo:beta=0.3,importance_sampling_level=sequence": {
        "loss_type": "grpo",
        "beta": 0.3,
        "importance_sampling_level": "sequence",
    },
    "trl:cispo:beta=0.3": {"loss_type": "cispo", "beta": 0.3},
}


class Told:
    """In place of a trainer's pass through the model: the log-probabilities that it is told."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.log_probs = trainer, None
        trainer._get_per_token_logps_and_entropies = self._answer
        trainer.current_gradient_accumulation_steps = 1
        trainer.model.train()

    def _answer(self, *_: Any, **__: Any) -> tuple[Any, Any, None]:
        return self.log_probs, torch.zeros_like(self.log_probs), None

    def loss(self, batch: dict[str, Any], **inputs: Any) -> torch.Tensor:
        """``_compute_loss`` of the batch."""
        self.log_probs = batch["log_probs"].flatten(0, 1)
        mask = batch["mask"].flatten(0, 1).int()
        ids = torch.ones_like(mask, dtype=torch.long)
        return self.trainer._compute_loss(
            self.trainer.model,
            {
                "prompt_ids": ids[:, :1],
                "prompt_mask": torch.ones_like(mask[:, :1]),
                "completion_ids": ids,
                "completion_mask": mask,
                "advantages": batch["advantages"].flatten(),
                "old_per_token_logps": batch["old"].flatten(0, 1),
                "ref_per_token_logps": batch["reference"].flatten(0, 1),
                "num_items_in_batch": mask.sum(),
                **inputs,
            },
        )


def told(folder: Path, settings: dict[str, Any]) -> Told:
    """A trainer with these settings; a beta is set after the reference model would have been loaded."""
    beta = settings.get("beta", 0.0)
    made = tiny_trainer(trl.GRPOTrainer, folder, _no_reward, **ONE, **settings | {"beta": 0.0})
    made.beta = beta
    return Told(made)


def _no_reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    return [0.0 for _ in completion_ids]


def test_every_loss_type_is_compared(tmp_path: Path) -> None:
    compared = {name.rpartition(":")[0] if "=" in name else name for name in CASES}
    assert compared | {"trl:rloo"} == {name for name in ml.list_losses() if name.startswith("trl:")}
    default = config(tmp_path)
    assert default.loss_type == "dapo"
    assert trl.GRPOConfig.__dataclass_fields__["max_completion_length"].default == 512


@pytest.mark.parametrize("name", CASES)
def test_trls_loss_is_ours(name: str, tmp_path: Path) -> None:
    trainer = told(tmp_path, CASES[name])
    # torch.where makes float32 of SAPO's two temperatures, whatever the rest is: 1.05 is off by 2e-8.
    dtypes = (torch.float32,) if "sapo" in name else (torch.float32, torch.float64)
    for dtype, seed in itertools.product(dtypes, SEEDS):
        batch = token_batch(seed, dtype)
        assert_equal(ml.get_loss(name), batch, trainer.loss(batch))


def _engine_ratio() -> Callable[..., torch.Tensor]:
    """The lines of TRL that make the ratio to vLLM's log-probabilities, as they stand in its trainer."""
    source = inspect.getsource(trl.GRPOTrainer._generate_and_score_completions)
    start = source.index("                mask = completion_mask if tool_mask is None")
    end = source.index("            # Compute the per-token log probabilities for the reference model")
    lines = textwrap.dedent(source[start:end])

    def ratio(trainer: Any, batch: dict[str, Any]) -> torch.Tensor:
        names: dict[str, Any] = {
            **vars(inspect.getmodule(trl.GRPOTrainer)),
            "self": trainer,
            "tool_mask": None,
            "completion_mask": batch["mask"].flatten(0, 1).int(),
            "old_per_token_logps": batch["old"].flatten(0, 1),
            "sampling_per_token_logps": batch["behaviour"].flatten(0, 1),
        }
        exec(lines, names)  # the installed TRL's own lines
        return names["vllm_importance_sampling_ratio"]

    return ratio


@pytest.mark.parametrize(
    ("base", "settings"),
    [
        ("trl:dapo:", {}),
        ("trl:cispo:epsilon_high=5,", {"loss_type": "cispo", "epsilon_high": 5.0}),
        (
            "trl:grpo:importance_sampling_level=sequence,",
            {"loss_type": "grpo", "importance_sampling_level": "sequence"},
        ),
    ],
    ids=["dapo", "cispo", "grpo-sequence"],
)
def test_trls_correction_for_vllm_is_ours(base: str, settings: dict[str, Any], tmp_path: Path) -> None:
    trainer = told(tmp_path, settings)
    inner = trainer.trainer
    inner.use_vllm = True  # it would start an engine
    ratio = _engine_ratio()
    modes = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")
    for mode, (highest, lowest) in itertools.product(modes, [(3.0, None), (1.2, 0.8)]):
        inner.vllm_importance_sampling_mode = mode
        inner.vllm_importance_sampling_clip_max = highest
        inner.vllm_importance_sampling_clip_min = lowest
        loss = ml.get_loss(f"{base}vllm={mode},clip_max={highest},clip_min={lowest or 0}")
        for dtype, seed in itertools.product((torch.float32, torch.float64), SEEDS):
            batch = token_batch(seed, dtype)
            theirs = trainer.loss(batch, importance_sampling_ratio=ratio(inner, batch))
            assert_equal(loss, batch, theirs)


@pytest.mark.parametrize("epsilon_high", [None, 0.28])
def test_rloos_loss_is_ours(epsilon_high: float | None, tmp_path: Path) -> None:
    settings = {key: value for key, value in vars(config(tmp_path)).items() if key in {"use_cpu", "bf16"}}
    args = trl.RLOOConfig(
        str(tmp_path),
        report_to="none",
        beta=0.0,
        max_completion_length=8,
        epsilon_high=epsilon_high,
        **ONE,
        **settings,
    )
    trainer = Told(
        trl.RLOOTrainer(
            model=tiny_model(),
            reward_funcs=[_no_reward],
            args=args,
            train_dataset=dataset(),
            processing_class=letter_tokenizer(),
        )
    )
    assert trl.RLOOConfig.__dataclass_fields__["beta"].default == 0.05
    name = "trl:rloo" if epsilon_high is None else f"trl:rloo:epsilon_high={epsilon_high}"
    for dtype, seed in itertools.product((torch.float32, torch.float64), SEEDS):
        batch = token_batch(seed, dtype)
        old = (batch["old"] * batch["mask"]).sum(-1).flatten()
        assert_equal(ml.get_loss(name), batch, trainer.loss(batch, old_logps=old))


def test_on_policy_trls_cispo_takes_a_fifth_of_a_step(tmp_path: Path) -> None:
    """Its bound is epsilon_high itself, 0.2 where nothing is set: below every ratio of a fresh batch."""
    trainer = told(tmp_path, {"loss_type": "cispo"})
    batch = token_batch(0, torch.float32)
    batch["old"] = batch["log_probs"].detach()
    (gradient,) = torch.autograd.grad(trainer.loss(batch), batch["log_probs"])
    plain = -ml.get_loss("token-mean").weights(batch["advantages"], mask=batch["mask"]) / ROWS
    torch.testing.assert_close(gradient, 0.2 * plain)
