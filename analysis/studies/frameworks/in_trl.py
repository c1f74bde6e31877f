"""The advantages of TRL's own ``GRPOTrainer``: its code, given groups of rewards in place of generations."""

from __future__ import annotations

import logging
import tempfile
import warnings
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from envs import ChainSum


def advantages(rewards: npt.NDArray[Any], scale_rewards: str) -> npt.NDArray[np.float32]:
    """What the trainer trains on, (B, n), for groups of rewards (B, n), with a setting of ``scale_rewards``.

    The trainer rewards, groups, weighs and scales; only what it would have generated, which no advantage
    depends on, is the same token in every rollout. In evaluation mode, in which a group may have any size.
    """
    groups, n = rewards.shape
    trainer = _trainer(scale_rewards)
    trainer.num_generations_eval = n
    trainer.given = rewards.reshape(-1).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how TRL calls what it depends on
        outputs = trainer._generate_and_score_completions([{"prompt": "0"}] * (groups * n))
    trainer._metrics["eval"].clear()
    return np.asarray(outputs["advantages"].reshape(groups, n))


@cache
def _trainer(scale_rewards: str) -> Any:
    from datasets import Dataset  # noqa: PLC0415 - heavy to import
    from trl import GRPOConfig, GRPOTrainer  # noqa: PLC0415

    from envs.language_models.causal_lm import causal_lm, digit_tokenizer  # noqa: PLC0415

    task = ChainSum(base=2, digits=1)

    class Given(GRPOTrainer):  # type: ignore[misc]
        """Rewards that are given, for completions of one token that nothing looks at."""

        given: list[float]

        def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
            one = [[0]] * len(prompts)
            return one, one, None, ["0"] * len(prompts), None, {}, None, None

    def reward(**_: Any) -> list[float]:
        return trainer.given

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how TRL calls what it depends on
        trainer = Given(
            model=causal_lm(task),
            reward_funcs=[reward],
            args=GRPOConfig(
                output_dir=tempfile.gettempdir(),
                per_device_train_batch_size=2,
                num_generations=2,
                scale_rewards=scale_rewards,
                use_cpu=True,
                bf16=False,
                report_to="none",
                save_strategy="no",
            ),
            train_dataset=Dataset.from_dict({"prompt": ["0"] * 2}),
            processing_class=digit_tokenizer(task),
        )
    trainer.model.eval()
    # That a rollout is unscorable is what some groups are there for.
    logging.getLogger(GRPOTrainer.__module__).setLevel(logging.ERROR)
    return trainer
