"""The moments of every rule at a checkpoint, exact and sampled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

import maxpo_lab as ml
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float

from .design import FLOOR, HISTORY, REFERENCE, REPLAY, RULES, SEED, SHARED, K, N, Training, Variance
from .rows import Row
from .start import questions, warm_start
from .training import train


def variances(cell: Variance) -> list[Row]:
    """Rows of a checkpoint and of each of its prompts: exact moments of every rule, next to sampled ones."""
    from envs.language_models.exact_lm import exact_policy  # noqa: PLC0415
    from envs.language_models.questions import Questions  # noqa: PLC0415

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
    for rule in (REPLAY, FLOOR):
        rows += _with_history(cell, rule, chosen.tolist(), levels, reference, floor=floor)
    return rows


def _with_history(
    cell: Variance,
    rule: str,
    places: Sequence[int],
    levels: Sequence[RewardLevels],
    reference: ml.BatchMoments,
    *,
    floor: float,
) -> Iterator[Row]:
    """Rows of a rule at a history of each prompt of the policy's own rate, as near as may be; exact alone."""
    traces = []
    for place, policy, other in zip(places, levels, reference.prompts, strict=True):
        y = np.tri(1, HISTORY, round(HISTORY * _success(policy)) - 1)

        def given(rewards: Float, k: int, y: Float = y) -> Float:
            found: Float = ml.advantages(rewards, k, estimator=rule, history=np.repeat(y, len(rewards), 0))
            return found

        own = ml.exact_moments(given, policy, n=N, k=K)
        traces.append(own.trace_covariance)
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
    within = float(np.mean(traces))
    yield Row(
        kind="history",
        verifier=cell.verifier,
        rule=rule,
        k=K,
        n=N,
        checkpoint=cell.checkpoint,
        prompts=cell.prompts,
        pass_at_1=float(np.mean([_success(each) for each in levels])),
        trace_covariance=within,
        ratio=within / reference.within_prompt_trace,
        efficiency=floor / within,
    )


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
