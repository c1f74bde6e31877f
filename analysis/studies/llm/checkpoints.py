"""The moments of every rule at a checkpoint, exact and sampled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

import maxpo_lab as ml
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float

from .design import (
    FLOOR,
    HISTORY,
    PILOT_SEEDS,
    REFERENCE,
    REPLAY,
    RULES,
    SEED,
    SETTINGS,
    UNBIASED,
    K,
    N,
    Variance,
    Verifier,
)
from .rows import Row
from .start import questions, spread, warm_start
from .training import Run, train


def variances(cell: Variance) -> list[Row]:
    """Rows of a checkpoint and of each of its prompts: exact moments of every rule, next to sampled ones."""
    from envs.language_models.exact_lm import exact_policy  # noqa: PLC0415

    setting, model = SETTINGS[cell.verifier], warm_start(cell.verifier)
    if cell.checkpoint != "warm start":
        steps = setting.steps if cell.checkpoint == "trained" else setting.steps // 2
        train(model, Run(cell.verifier, "maxpo", setting.sizes[1], PILOT_SEEDS[0], steps, 1))
    asked = spread(questions(cell.verifier)[0], cell.prompts)
    chosen = asked.chosen
    policy = exact_policy(model, asked)
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
    rows += [_scores(cell, place, each) for place, each in zip(chosen.tolist(), levels, strict=True)]
    parts: dict[str, Sequence[ml.Moments]] = {rule: found.prompts for rule, found in batches.items()}
    for rule in (REPLAY, FLOOR):
        parts[rule] = _at_a_fair_history(rule, levels)
        rows += _with_history(
            cell, rule, chosen.tolist(), levels, parts[rule], reference=reference, floor=floor
        )
    return [*rows, *_predictions(cell, {rule: parts[rule] for rule in UNBIASED})]


def _scores(cell: Variance, place: int, policy: RewardLevels) -> Row:
    """Whether successes are different: their mean score, and their scores' size beside that of failures."""
    failure, success = policy.score_second_moments
    mean = policy.mean_scores[-1]
    return Row(
        kind="scores",
        verifier=cell.verifier,
        rule=REFERENCE,
        k=K,
        n=N,
        checkpoint=cell.checkpoint,
        prompt=place,
        pass_at_1=_success(policy),
        failure_share=float(failure / success),
        shared=float(mean @ mean / success),
    )


def _predictions(cell: Variance, parts: dict[str, Sequence[ml.Moments]]) -> Iterator[Row]:
    """What a step of each rule is worth beside one of the reference rule, by exact second moments.

    A step of size eta along g, of mean m and second moment M = E |g|^2, gains at best ``|m|^4 / (2 h M)``
    where the loss curves by h in every direction: rules of one mean need rollouts in proportion to M
    (McCandlish et al., arXiv 1812.06162, section 2.2). Adam divides by the root of M itself: at one step size
    that all rules share it needs rollouts in proportion to the root.
    """
    every = SETTINGS[cell.verifier].prompts or len(questions(cell.verifier)[0].chosen)
    moments = {rule: second_moment(found, cell.verifier, every) for rule, found in parts.items()}
    for rule, found in moments.items():
        ratio = found / moments[REFERENCE]
        yield Row(
            kind="prediction",
            verifier=cell.verifier,
            rule=rule,
            k=K,
            n=N,
            checkpoint=cell.checkpoint,
            prompts=cell.prompts,
            second_moment=found,
            predicted=ratio,
            predicted_adam=math.sqrt(ratio),
        )


def second_moment(prompts: Sequence[ml.Moments], verifier: Verifier, every: int) -> float:
    """``E |g|^2`` of a step, g the mean over G groups, of as many of the ``every`` prompts, drawn at once.

    ``|m|^2 + (T + S^2 (1 - G / every)) / G`` with T the mean trace covariance given the prompt and S^2 the
    spread of the prompts' means. From some of the prompts it is estimated without bias.
    """
    groups, count = SETTINGS[verifier].groups, len(prompts)
    means = np.stack([each.mean for each in prompts])
    center = means.mean(axis=0)
    spread = float(((means - center) ** 2).sum()) / max(count - 1, 1)
    square = float(center @ center) - spread * (1 / count - 1 / every)
    within = float(np.mean([each.trace_covariance for each in prompts]))
    return square + (within + spread * (1 - groups / every)) / groups


def _at_a_fair_history(rule: str, levels: Sequence[RewardLevels]) -> list[ml.Moments]:
    """Moments of a rule with a memory, a prompt's history having its own rate, as near as may be."""
    found = []
    for policy in levels:
        y = np.tri(1, HISTORY, round(HISTORY * _success(policy)) - 1)

        def given(rewards: Float, k: int, y: Float = y) -> Float:
            used: Float = ml.advantages(rewards, k, estimator=rule, history=np.repeat(y, len(rewards), 0))
            return used

        found.append(ml.exact_moments(given, policy, n=N, k=K))
    return found


def _with_history(
    cell: Variance,
    rule: str,
    places: Sequence[int],
    levels: Sequence[RewardLevels],
    found: Sequence[ml.Moments],
    *,
    reference: ml.BatchMoments,
    floor: float,
) -> Iterator[Row]:
    """Rows of a rule at a fair history of each prompt; exact alone."""
    traces = []
    for place, policy, own, other in zip(places, levels, found, reference.prompts, strict=True):
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
