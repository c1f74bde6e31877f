"""Runs of TRL from one warm start, evaluated exactly; and the moments of every rule at a checkpoint."""

from __future__ import annotations

import copy
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

import maxpo_lab as ml
from envs import ChainSum
from maxpo_lab import RewardLevels

from .design import (
    BASE,
    DIGITS,
    GROUPS,
    HELD_OUT,
    REFERENCE,
    ROLLOUTS,
    RULES,
    SEED,
    SHARED,
    STARTS,
    WARM_UP,
    Cell,
    K,
    N,
    Training,
    Variance,
    Verifier,
)

if TYPE_CHECKING:
    import transformers

    from envs.questions import Questions

Float = npt.NDArray[np.float64]

#: Supervised steps between two evaluations, and at most.
_BETWEEN, _AT_MOST = 5, 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; ``kind`` says what it is.

    - ``curve``: held-out prompts after ``step`` steps of a run, exact: mean pass@1, mean pass@K, and the mean
      probability of the right chain with its answer.
    - ``sample``: the end of a run, exact, beside the unbiased estimate of pass@K from rollouts that TRL drew
      and its standard error.
    - ``prompt``: a training prompt at a checkpoint, exact: pass@1, the trace covariance of one group's
      gradient and its ratio to the reference rule's; ``prompt`` is its place in the task.
    - ``variance``: a checkpoint. ``trace_covariance`` is the mean of its prompts, and ``efficiency`` the
      floor's share of that, for rules without bias. ``total_trace`` is of a group whose prompt is drawn
      among them, beside which a sample is put; the ratio of two rules in it is paired. ``snr`` is the
      squared norm of such a group's mean gradient over its trace.
    """

    kind: Literal["curve", "sample", "prompt", "variance"]
    verifier: str
    rule: str
    k: int
    n: int
    learning_rate: float | None = None
    seed: int | None = None
    step: int | None = None
    pass_at_1: float | None = None
    pass_at_k: float | None = None
    right_chain: float | None = None
    sampled_pass_at_k: float | None = None
    sampled_pass_at_k_error: float | None = None
    checkpoint: str | None = None
    prompt: int | None = None
    prompts: int | None = None
    trace_covariance: float | None = None
    ratio: float | None = None
    scale: float | None = None
    direction_error: float | None = None
    efficiency: float | None = None
    snr: float | None = None
    groups: int | None = None
    total_trace: float | None = None
    sampled_trace: float | None = None
    sampled_trace_error: float | None = None
    total_ratio: float | None = None
    sampled_ratio: float | None = None
    sampled_ratio_error: float | None = None


def measure(cell: Cell) -> list[Row]:
    """The curve and the check of a run, or the moments at a checkpoint."""
    with _only_errors():
        return _run(cell) if isinstance(cell, Training) else _variances(cell)


@cache
def questions(verifier: Verifier) -> tuple[Questions, Questions]:
    """Prompts to train on, and the held-out ones: the same for both verifiers."""
    from envs.questions import Questions  # noqa: PLC0415 - transformers takes seconds to import

    return Questions.split(ChainSum(BASE, DIGITS, verifier=verifier), held_out=HELD_OUT)


def warm_start(verifier: Verifier) -> transformers.Qwen2ForCausalLM:
    """A copy of the model that all runs of a setting start from."""
    return copy.deepcopy(_warm_start(verifier))


@cache
def _warm_start(verifier: Verifier) -> transformers.Qwen2ForCausalLM:
    """A random model after supervised steps on right chains, up to the first evaluation above the start."""
    from envs.causal_lm import causal_lm  # noqa: PLC0415
    from envs.completions import success  # noqa: PLC0415
    from envs.supervised import supervise  # noqa: PLC0415

    train, held_out = questions(verifier)
    model = causal_lm(train.task)

    def reached(step: int) -> bool:
        if step > _AT_MOST:
            raise RuntimeError(f"pass@1 is below {STARTS[verifier]} after {_AT_MOST} supervised steps")
        return not step % _BETWEEN and float(success(model, held_out).mean()) > STARTS[verifier]

    supervise(model, train, until=reached)
    return model


def train(model: transformers.PreTrainedModel, cell: Training) -> tuple[list[Row], Any]:
    """Train a model in place; the rows of the curve, and TRL's trainer."""
    import datasets  # noqa: PLC0415
    import transformers  # noqa: PLC0415
    import trl  # noqa: PLC0415

    from envs.causal_lm import digit_tokenizer  # noqa: PLC0415
    from maxpo_lab.integrations.trl import MaxPOTrainer  # noqa: PLC0415

    asked, held_out = questions(cell.verifier)
    rows = [_evaluated(model, cell, 0)]
    points = evaluation_points(cell)

    class Evaluate(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
            if state.global_step in points:
                rows.append(_evaluated(model, cell, state.global_step))

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
            estimator=cell.rule,
            k=K,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return rows, trainer


def evaluation_points(cell: Training) -> tuple[int, ...]:
    """Steps that are evaluated, the start aside."""
    return tuple(round(cell.steps * (i + 1) / cell.evaluations) for i in range(cell.evaluations))


def pass_at(k: int, success: Float) -> Float:
    """``1 - (1 - p)^k``, without cancellation for small p."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(k * np.log1p(-np.minimum(success, 1.0))))


def _run(cell: Training) -> list[Row]:
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


def _evaluated(model: transformers.PreTrainedModel, cell: Training, step: int) -> Row:
    from envs.completions import success  # noqa: PLC0415

    found = success(model, questions(cell.verifier)[1])
    chain = found if cell.verifier == "chain" else success(model, questions("chain")[1])
    return Row(
        kind="curve",
        verifier=cell.verifier,
        rule=cell.rule,
        k=K,
        n=N,
        learning_rate=cell.learning_rate,
        seed=cell.seed,
        step=step,
        pass_at_1=float(found.mean()),
        pass_at_k=float(pass_at(K, found).mean()),
        right_chain=float(chain.mean()),
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


def _variances(cell: Variance) -> list[Row]:
    from envs.exact_lm import exact_policy  # noqa: PLC0415
    from envs.questions import Questions  # noqa: PLC0415

    model = warm_start(cell.verifier)
    if cell.checkpoint == "trained":
        train(model, Training(cell.verifier, "maxpo", SHARED, 0, cell.steps, 1))
    asked = questions(cell.verifier)[0]
    chosen = asked.chosen[np.linspace(0, len(asked.chosen) - 1, cell.prompts).round().astype(int)]
    policy = exact_policy(model, Questions(asked.task, chosen))
    levels = [policy.levels(policy.theta, prompt) for prompt in range(policy.prompts)]
    sampled = ml.monte_carlo_moments(
        RULES, policy.sampler(policy.theta), n=N, k=K, groups=cell.groups, seed=SEED
    )
    batches = {rule: ml.batch_moments(rule, levels, n=N, k=K, batch=1) for rule in RULES}
    floor = float(np.mean([ml.variance_floor(each, n=N, k=K).trace_covariance for each in levels]))
    reference = batches[REFERENCE]
    rows: list[Row] = []
    for rule, found in batches.items():
        rows += _by_prompt(cell, rule, chosen.tolist(), levels, batches)
        trace, ratio = sampled[rule].trace_covariance, sampled.ratio(rule, REFERENCE)
        rows.append(
            Row(
                kind="variance",
                verifier=cell.verifier,
                rule=rule,
                k=K,
                n=N,
                checkpoint=cell.checkpoint,
                prompts=cell.prompts,
                pass_at_1=float(np.mean([_success(each) for each in levels])),
                trace_covariance=found.within_prompt_trace,
                ratio=found.within_prompt_trace / reference.within_prompt_trace,
                scale=found.scale,
                direction_error=found.direction_error,
                efficiency=floor / found.within_prompt_trace
                if ml.get_estimator(rule).claims.unbiased
                else None,
                snr=float(found.mean @ found.mean) / found.trace_covariance,
                groups=cell.groups,
                total_trace=found.trace_covariance,
                sampled_trace=trace.value,
                sampled_trace_error=trace.standard_error,
                total_ratio=found.trace_covariance / reference.trace_covariance,
                sampled_ratio=None if math.isnan(ratio.value) else ratio.value,
                sampled_ratio_error=None if math.isnan(ratio.value) else ratio.standard_error,
            )
        )
    return rows


def _by_prompt(
    cell: Variance,
    rule: str,
    places: Sequence[int],
    levels: Sequence[RewardLevels],
    batches: dict[str, ml.BatchMoments],
) -> Iterator[Row]:
    parts = zip(places, levels, batches[rule].prompts, batches[REFERENCE].prompts, strict=True)
    for place, policy, own, other in parts:
        yield Row(
            kind="prompt",
            verifier=cell.verifier,
            rule=rule,
            k=K,
            n=N,
            checkpoint=cell.checkpoint,
            prompt=place,
            pass_at_1=_success(policy),
            trace_covariance=own.trace_covariance,
            ratio=own.trace_covariance / other.trace_covariance,
        )


def _success(levels: RewardLevels) -> float:
    return float(levels.probabilities @ levels.values)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Without the warnings about how TRL and transformers call each other, which no study can mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
