"""What the tests of TRL share: a random tiny Qwen2 and its tokenizer, made here: nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # a trainer of TRL reports its use to the Hub; read at import
import tokenizers
import torch
import transformers
import trl
from datasets import Dataset

torch.set_num_threads(1)  # more would only wait for each other on a model of this size
LETTERS = "abcdefghijklmnop"
N = 8
GROUPS = 3

Rewards = list[float | None]


class Recording:
    """Of a trainer: the rewards it gathered, its advantages, and those its loss was given."""

    def __init__(self, **arguments: Any) -> None:
        self.rewards: list[torch.Tensor] = []
        self.advantages: list[torch.Tensor] = []
        self.trained_on: list[torch.Tensor] = []
        super().__init__(**arguments)

    def _calculate_rewards(self, *inputs: Any) -> torch.Tensor:
        rewards = super()._calculate_rewards(*inputs)
        self.rewards.append(rewards.clone())
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        outputs = super()._generate_and_score_completions(inputs)
        self.advantages.append(outputs["advantages"].clone())
        return outputs

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self.trained_on.append(inputs["advantages"].clone())
        return super()._compute_loss(model, inputs)


def tiny_model() -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(LETTERS) + 2,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return transformers.Qwen2ForCausalLM(config)


def letter_tokenizer() -> transformers.PreTrainedTokenizerBase:
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *LETTERS])}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<pad>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )


def prompts() -> list[str]:
    return [" ".join(LETTERS[i : i + 3]) for i in range(12)]


def dataset() -> Dataset:
    return Dataset.from_dict({"prompt": prompts()})


def config(folder: Path, **settings: Any) -> trl.GRPOConfig:
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": N * GROUPS,
        "per_device_eval_batch_size": N * GROUPS,
        "num_generations": N,
        "max_completion_length": 8,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
    }
    return trl.GRPOConfig(**(defaults | settings))


def tiny_trainer(
    trainer: type[trl.GRPOTrainer],
    folder: Path,
    *rules: Callable[..., Rewards],
    extra: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """A trainer of the tiny model: ``settings`` of the GRPOConfig, ``extra`` arguments of the class."""
    return trainer(
        model=tiny_model(),
        reward_funcs=list(rules),
        args=config(folder, **settings),
        train_dataset=dataset(),
        eval_dataset=dataset(),
        processing_class=letter_tokenizer(),
        **(extra or {}),
    )
