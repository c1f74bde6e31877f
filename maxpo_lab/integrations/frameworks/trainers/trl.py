"""TRL: the advantages of its own trainers, given groups of rewards in place of generations."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..calls import Matrix
from ..framework import Framework, ShippedRule
from ..loading import compiled

_AFTER = "as they are"
#: The word that ends and pads.
_END = "<end>"
#: Rollouts whose log-probabilities RLOO computes at a time, though no advantage depends on them.
_AT_ONCE = 1 << 12


@cache
def _trainer(kind: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    """A trainer of a random Qwen2 of two words that generates the first of them and is told its rewards."""
    import tokenizers  # noqa: PLC0415
    import transformers  # noqa: PLC0415
    import trl  # noqa: PLC0415
    from datasets import Dataset  # noqa: PLC0415

    base, config = getattr(trl, f"{kind}Trainer"), getattr(trl, f"{kind}Config")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"0": 0, _END: 1}, unk_token=_END))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=_END,
        eos_token=_END,
        padding_side="left",
    )
    sizes = {"hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(vocab_size=2, num_key_value_heads=1, max_position_embeddings=4, **sizes)
    )

    class Given(base):  # type: ignore[misc, valid-type]
        """Rewards that are given, for completions of one token that nothing looks at."""

        given: list[float | None]

        def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
            one = [[0]] * len(prompts)
            texts = ["0"] * len(prompts)
            return (one, one, texts) if kind == "RLOO" else (one, one, None, texts, None, {}, None, None)

    def reward(**_: Any) -> Any:
        return trainer.given

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how TRL calls what it depends on
        trainer: Any = Given(
            model=model,
            reward_funcs=[reward],
            args=config(
                output_dir=tempfile.gettempdir(),
                per_device_train_batch_size=2,
                per_device_eval_batch_size=_AT_ONCE,
                num_generations=2,
                use_cpu=True,
                bf16=False,
                report_to="none",
                save_strategy="no",
                beta=0.0,
                **dict(settings),
            ),
            train_dataset=Dataset.from_dict({"prompt": ["0"] * 2}),
            processing_class=tokenizer,
        )
    trainer.model.eval()
    # That a rollout is unscorable is what some groups are there for.
    logging.getLogger(base.__module__).setLevel(logging.ERROR)
    return trainer


def _call(kind: str, settings: tuple[tuple[str, Any], ...]) -> Callable[[Matrix], Matrix]:
    """What a trainer trains on: it rewards, groups, weighs and scales.

    In evaluation mode, in which a group may have any size.
    """
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    trainer = _trainer(kind, settings)

    def advantages(rewards: Matrix) -> Matrix:
        groups, n = rewards.shape
        trainer.num_generations_eval = n
        trainer.given = [None if np.isnan(each) else float(each) for each in rewards.reshape(-1)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = trainer._generate_and_score_completions([{"prompt": "0"}] * (groups * n))
        trainer._metrics["eval"].clear()
        return np.asarray(outputs["advantages"].reshape(groups, n).numpy())

    return advantages


def _asynchronous() -> Callable[[Matrix], Matrix]:
    """``_score_group`` of the rollout worker of AsyncGRPO, whose samples' advantages are read."""

    def sample(**kept: Any) -> SimpleNamespace:
        return SimpleNamespace(**kept)

    names = {
        "asyncio": asyncio,
        "np": np,
        "logger": logging.getLogger("trl.unheard"),
        "is_async_callable": asyncio.iscoroutinefunction,
        "RolloutSample": sample,
    }
    score = compiled(
        "trl", "trl/experimental/async_grpo/async_rollout_worker.py", "_AsyncRolloutLoop._score_group", names
    )

    def group(rewards: list[float]) -> list[float]:
        n = len(rewards)
        own = [None if np.isnan(each) else each for each in rewards]
        worker = SimpleNamespace(
            reward_funcs=[lambda **_: own],
            reward_func_names=["given"],
            _env_reward_types=[],
            _provides_rollout_reward=False,
        )
        row = SimpleNamespace(input_ids=[0], completion_mask=[1], old_log_probs=[0.0])
        given = SimpleNamespace(
            completions=["0"] * n,
            prompts=["0"] * n,
            completions_ids=[[0]] * n,
            reward_kwargs={},
            env_rewards=[None] * n,
            tool_call_counts=[0] * n,
            tool_failure_counts=[0] * n,
            completions_sequences=[[row]] * n,
            model_version=0,
            group_id=0,
        )
        return [each.advantage for each in asyncio.run(score(worker, given))]

    return lambda rewards: np.array([group(row) for row in rewards.tolist()])


def _rule(name: str, equals: str, kind: str, formula: str = "", **settings: Any) -> ShippedRule:
    return ShippedRule(
        name=name,
        equals=equals,
        formula=formula,
        call=partial(_call, kind, tuple(settings.items())),
        afterwards=_AFTER,
    )


FRAMEWORK = Framework(
    name="TRL",
    package="trl",
    version="1.16.0",
    environment="own",
    reached="its trainers, with generation replaced by one token; AsyncGRPO's method compiled from its file",
    rules=(
        _rule("GRPO, scale_rewards=group", "grpo:eps=1e-4", "GRPO", scale_rewards="group"),
        _rule("GRPO, scale_rewards=none", "batch-mean", "GRPO", scale_rewards="none"),
        _rule("GRPO, scale_rewards=batch", "trl-batch", "GRPO", scale_rewards="batch"),
        _rule(
            "GRPO, normalize_then_sum",
            "gdpo-single-reward:eps=1e-4,add=1e-4",
            "GRPO",
            "gdpo, of one reward",
            multi_objective_aggregation="normalize_then_sum",
        ),
        _rule("RLOO", "rloo", "RLOO"),
        _rule("RLOO, normalize_advantages", "trl-rloo-normalised", "RLOO", normalize_advantages=True),
        ShippedRule(name="AsyncGRPO", equals="grpo:eps=1e-8,ddof=0", call=_asynchronous, afterwards=_AFTER),
    ),
    hook="none: a subclass, maxpo_lab.integrations.trl.MaxPOTrainer",
    adapter="maxpo_lab/integrations/trl.py",
    loss="trl:dapo",
    loss_says="loss_type dapo: PPO's clip at 0.2, mean over the tokens of a batch",
    identity="position; columns of the dataset reach _generate_and_score_completions",
    lasting=False,
    metric_at_k="none",
)
