"""Runs of TRL from one warm start, evaluated exactly."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float

from .design import GROUPS, HELD_OUT, REPLAY, ROLLOUTS, WARM_UP, K, N, Training
from .rows import Row
from .start import Success, questions, start_success, success_of, warm_start

if TYPE_CHECKING:
    import transformers

    from envs.language_models.questions import Questions


def train(model: transformers.PreTrainedModel, cell: Training) -> tuple[list[Row], Any]:
    """Train a copy of the warm start in place; the rows of the curve, and TRL's trainer."""
    import datasets  # noqa: PLC0415
    import transformers  # noqa: PLC0415
    import trl  # noqa: PLC0415

    from envs.language_models.causal_lm import digit_tokenizer  # noqa: PLC0415
    from maxpo_lab.integrations.trl import MaxPOTrainer  # noqa: PLC0415

    _exempt_imports()
    asked, held_out = questions(cell.verifier)
    rows = [_evaluated(start_success(cell.verifier), cell, 0)]
    points = evaluation_points(cell)

    class Evaluate(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
            if state.global_step in points:
                rows.append(_evaluated(success_of(model, cell.verifier), cell, state.global_step))

    with tempfile.TemporaryDirectory() as folder:
        settings = trl.GRPOConfig(
            folder,
            max_steps=cell.steps,
            per_device_train_batch_size=N * GROUPS,
            per_device_eval_batch_size=N * GROUPS,
            num_generations=N,
            num_generations_eval=ROLLOUTS,
            max_completion_length=asked.length,
            learning_rate=cell.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=min(WARM_UP, cell.steps // 2),
            max_grad_norm=0.0,
            scale_rewards="none",
            loss_type="luspo",
            seed=cell.seed,
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        trainer = MaxPOTrainer(
            model,
            asked.reward,
            settings,
            train_dataset=datasets.Dataset.from_dict({"prompt": asked.texts}),
            eval_dataset=datasets.Dataset.from_dict({"prompt": held_out.texts}),
            processing_class=digit_tokenizer(asked.task),
            callbacks=[Evaluate()],
            k=K,
            **_estimator(cell.rule),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return rows, trainer


def _estimator(rule: str) -> dict[str, Any]:
    """The trainer's arguments for a rule: replay sees what was written."""
    return {"estimator": ml.Replay(K), "answer_of": str} if rule == REPLAY else {"estimator": rule}


@cache
def _exempt_imports() -> None:
    """Let garbage collections pass over what is imported, for good.

    Transformers collects at the start and the end of a run, and each time would walk over half a million
    objects of modules that stay.
    """
    gc.collect()
    gc.freeze()


def evaluation_points(cell: Training) -> tuple[int, ...]:
    """Steps that are evaluated, the start aside."""
    return tuple(round(cell.steps * (i + 1) / cell.evaluations) for i in range(cell.evaluations))


def pass_at(k: int, success: Float) -> Float:
    """``1 - (1 - p)^k``, without cancellation for small p."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(k * np.log1p(-np.minimum(success, 1.0))))


def run(cell: Training) -> list[Row]:
    """The curve of a run, and the check of its end."""
    model = warm_start(cell.verifier)
    rows, trainer = train(model, cell)
    estimate, error = _sampled(trainer, questions(cell.verifier)[1])
    last = rows[-1]
    checked = Row(
        kind="sample",
        verifier=cell.verifier,
        rule=cell.rule,
        k=K,
        n=N,
        learning_rate=cell.learning_rate,
        seed=cell.seed,
        step=cell.steps,
        pass_at_1=last.pass_at_1,
        pass_at_k=last.pass_at_k,
        sampled_pass_at_k=estimate,
        sampled_pass_at_k_error=error,
    )
    return [*rows, checked]


def _evaluated(success: Success, cell: Training, step: int) -> Row:
    return Row(
        kind="curve",
        verifier=cell.verifier,
        rule=cell.rule,
        k=K,
        n=N,
        learning_rate=cell.learning_rate,
        seed=cell.seed,
        step=step,
        pass_at_1=float(success.rewarded.mean()),
        pass_at_k=float(pass_at(K, success.rewarded).mean()),
        right_chain=float(success.chain.mean()),
    )


def _sampled(trainer: Any, held_out: Questions) -> tuple[float, float]:
    """pass@K of the held-out prompts and its standard error, from what TRL generates in evaluation.

    The rollouts of a prompt are two independent halves, whose difference says how far their mean is off.
    """
    rewards: dict[str, list[float]] = {text: [] for text in held_out.texts}

    def recorded(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
        found = held_out.reward(prompts, completions, **columns)
        for prompt, reward in zip(prompts, found, strict=True):
            rewards[prompt].append(reward)
        return found

    trainer.reward_funcs[0] = recorded
    trainer.evaluate()
    halves = ml.value_estimate(np.array(list(rewards.values())).reshape(HELD_OUT, 2, ROLLOUTS // 2), K)
    apart = halves[:, 0] - halves[:, 1]
    return float(halves.mean()), float(np.sqrt((apart**2).sum()) / 2 / HELD_OUT)
