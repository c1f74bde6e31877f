"""One run of TRL from the start of its setting, evaluated exactly."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float

from .design import REPLAY, ROLLOUTS, SETTINGS, WARM_UP, K, N, Verifier
from .start import Success, questions, success_of

if TYPE_CHECKING:
    import transformers

    from envs.language_models.questions import Questions


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a rule, a step size and a seed, evaluated ``evaluations`` times after the start."""

    verifier: Verifier
    rule: str
    learning_rate: float
    seed: int
    steps: int
    evaluations: int
    device: str = "cpu"

    @property
    def points(self) -> tuple[int, ...]:
        """Steps that are evaluated, the start aside."""
        return tuple(round(self.steps * (i + 1) / self.evaluations) for i in range(self.evaluations))


@dataclass(eq=False)
class Path:
    """What became of a run: its success at the start and each point, TRL's trainer, whether it broke."""

    points: list[int]
    curve: list[Success]
    trainer: Any = None
    diverged: bool = False
    pass_at_k: Float = field(default_factory=lambda: np.empty(0))

    @property
    def area(self) -> float:
        """pass@K, averaged over the points after the start."""
        return float(self.pass_at_k[1:].mean())


def train(model: transformers.PreTrainedModel, run: Run) -> Path:
    """Train a copy of the start, in place.

    Where parameters are not finite after a step the run ends there, and scores 0 from there on.
    """
    import datasets  # noqa: PLC0415
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415
    import trl  # noqa: PLC0415

    from envs.language_models.causal_lm import digit_tokenizer  # noqa: PLC0415
    from maxpo_lab.integrations.trl import MaxPOTrainer  # noqa: PLC0415

    _exempt_imports()
    setting = SETTINGS[run.verifier]
    asked, held_out = questions(run.verifier)
    curve_of = asked if setting.curve == "trained" else held_out
    path = Path([0, *run.points], [success_of(model, curve_of)])

    class Evaluate(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, control: Any, **_others: Any) -> None:
            if not all(bool(torch.isfinite(each).all()) for each in model.parameters()):
                path.diverged = control.should_training_stop = True
            elif state.global_step in run.points:
                path.curve.append(success_of(model, curve_of))

    with tempfile.TemporaryDirectory() as folder:
        settings = trl.GRPOConfig(
            folder,
            max_steps=run.steps,
            per_device_train_batch_size=N * setting.groups,
            per_device_eval_batch_size=N * 16,
            num_generations=N,
            num_generations_eval=ROLLOUTS,
            max_completion_length=asked.length,
            learning_rate=run.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=min(WARM_UP, run.steps // 2),
            max_grad_norm=0.0,
            scale_rewards="none",
            loss_type="luspo",
            seed=run.seed,
            gradient_checkpointing=False,
            use_cpu=run.device == "cpu",
            bf16=False,
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        path.trainer = MaxPOTrainer(
            model,
            asked.reward,
            settings,
            train_dataset=datasets.Dataset.from_dict({"prompt": asked.texts}),
            eval_dataset=datasets.Dataset.from_dict({"prompt": held_out.texts}),
            processing_class=digit_tokenizer(asked.task),
            callbacks=[Evaluate()],
            k=K,
            **_estimator(run.rule),
        )
        path.trainer.remove_callback(transformers.PrinterCallback)
        path.trainer.train()
    failed = Success(np.zeros(len(curve_of.chosen)), np.full(len(curve_of.chosen), np.nan))
    path.curve += [failed] * (len(path.points) - len(path.curve))
    path.pass_at_k = np.array([pass_at(K, each.rewarded).mean() for each in path.curve])
    return path


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


def pass_at(k: int, success: Float) -> Float:
    """``1 - (1 - p)^k``, without cancellation for small p."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(k * np.log1p(-np.minimum(success, 1.0))))


def rollouts_to_target(run: Run, path: Path) -> tuple[float, bool]:
    """Rollouts until pass@K first passes the target, and whether it does; between points on a line.

    All rollouts of the run where it does not.
    """
    target, a_step = SETTINGS[run.verifier].target, N * SETTINGS[run.verifier].groups
    if target is None:
        raise ValueError(f"verifier={run.verifier!r} has no target")
    above = np.flatnonzero(path.pass_at_k >= target)
    if not len(above):
        return float(run.steps * a_step), False
    last = int(above[0])
    if last == 0:
        return 0.0, True
    low, high = path.pass_at_k[last - 1 : last + 1]
    first, then = path.points[last - 1 : last + 1]
    return float(a_step * (first + (then - first) * (target - low) / (high - low))), True


def sampled(trainer: Any, held_out: Questions) -> tuple[float, float]:
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
    count = len(rewards)
    halves = ml.value_estimate(np.array(list(rewards.values())).reshape(count, 2, ROLLOUTS // 2), K)
    apart = halves[:, 0] - halves[:, 1]
    return float(halves.mean()), float(np.sqrt((apart**2).sum()) / 2 / count)
