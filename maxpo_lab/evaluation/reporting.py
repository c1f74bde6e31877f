"""``pass_at_k``: unbiased pass@k, max@k and their relatives over prompts, with errors and intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isinf
from typing import Any, Literal

import numpy as np

from ..core import ragged
from ..core.arguments import as_k, check_choice, finite_number, real_number
from ..core.tracing import untraced
from .across_prompts.clusters import clusters_of
from .across_prompts.intervals import mean_interval
from .across_prompts.summary import summarise
from .compare import compared
from .notes import notes_on
from .per_prompt.estimates import PerPrompt, linear_estimates
from .per_prompt.majority import majority_estimates
from .per_prompt.measures import MAJORITY, get_measure, label_of
from .per_prompt.prompts import Prompts, by_prompt
from .result import PassAtK


@untraced
def pass_at_k(
    rewards: Any,
    ks: int | Sequence[int],
    *,
    measure: str = "pass@k",
    threshold: float | None = None,
    answers: Any = None,
    group_ids: Any = None,
    nan_policy: Literal["raise", "omit"] = "raise",
    small_groups: Literal["raise", "leave-out"] = "raise",
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
    clusters: Any = None,
    compare: Any = None,
) -> PassAtK:
    r"""Estimate pass@k over prompts, for all k at once, with standard errors and confidence intervals.

    Each prompt's estimate is the mean over all k-subsets of its rollouts, the only unbiased symmetric one:
    with ascending rewards ``sum_b R_(b) C(b-1, k-1) / C(n, k)``, which is ``1 - C(n-c, k) / C(n, k)`` where
    c of n rollouts succeed. It is J_k without bias from any n >= k rollouts; from fewer there is none.

    Parameters
    ----------
    rewards
        Shape (..., n), the rollouts of a prompt along the last axis, or (B,) with ``group_ids``. Any array
        library, dtype and device; computed in float64 on the host. 0 and 1 are failure and success; of
        graded rewards pass@k is max@k, the expected best of k.
    ks
        One k or several.
    measure
        ``"pass@k"``; ``"pass^k"``, all k succeed; ``"g-pass@k:0.5"``, at least that share of them do;
        ``"mg-pass@k"``, the mean of that over shares from 1/2 to 1; ``"majority@k"``, the most frequent of k
        answers is right. All but the first and the last take rewards of 0 and 1 alone.
    threshold
        A reward of at least this is a success, any other a failure; it is rounded to the rewards' type, as
        0.7 is less in float32. None: rewards are taken as they are.
    answers
        For ``"majority@k"``: one answer a reward, in the shape of the rewards; None is no answer.
    group_ids
        One id a row, as in ``advantages``: rows of equal id are a prompt's rollouts, of any number.
    nan_policy
        ``"raise"``: a NaN or masked reward is an error. ``"omit"``: it marks an unscorable rollout, which is
        left out. To count it as a failure, give it a failure's reward.
    small_groups
        What to do with a prompt that has fewer than k rollouts: an error that says how many there are, or
        ``"leave-out"``, for that k alone; ``left_out`` counts them.
    confidence
        Of the intervals.
    bounds
        The lowest and the highest reward there can be, which intervals rest on, rounded as a threshold, and
        not beside one. None: 0 and 1 where every
        reward is one of them, else the range of the rewards, which a note says.
    clusters
        Prompts that belong together (of one document, one template), as they are drawn together: one id a
        prompt, or one a row where there are ``group_ids``.
    compare
        A second model on the same prompts: its rewards in an array with a row for each of these prompts, or
        its own result of ``pass_at_k`` for these ks, paired by the prompts' ids.

    Returns
    -------
    PassAtK
        Arrays over the ks: ``.k .estimate .standard_error .low .high .fixed_prompts_error .prompts
        .left_out``; ``.comparison`` with the difference, this less the other; ``.per_prompt``; ``.notes``.

    Raises
    ------
    TypeError, ValueError
        What ``advantages`` refuses of rewards and ids; a k below 1 or above the rollouts of a prompt; an
        unknown measure; rewards other than 0 and 1 for a measure of successes; answers without majority@k
        and the reverse; rewards outside of bounds; a prompt in two clusters; prompts of one model that the
        other does not have.

    Notes
    -----
    Cost: less than three sorts of the rewards; memory beyond them: K numbers a prompt, the ids, and the
    rewards of prompts with more than 512 rollouts in float64.
    Intervals are measured to cover for 20 prompts and more. Sources: arXiv 2107.03374 (pass@k), arXiv
    2505.15201 (max@k); the intervals name theirs.
    """
    asked = _as_ks(ks)
    chosen = None if measure == MAJORITY else get_measure(measure)
    check_choice("nan_policy", nan_policy, ("raise", "omit"))
    check_choice("small_groups", small_groups, ("raise", "leave-out"))
    _check_answers(measure, answers)
    confidence = _as_confidence(confidence)
    threshold = None if threshold is None else finite_number(threshold, "threshold")
    if threshold is not None and bounds is not None:
        raise ValueError(
            f"bounds={bounds!r} changes nothing beside threshold, which makes every reward 0 or 1: give one "
            f"of the two"
        )
    prompts = by_prompt(rewards, group_ids, omit=nan_policy == "omit", threshold=threshold)
    _check_sizes(prompts, asked, measure, leave_out=small_groups == "leave-out")
    wanted = np.array(asked, dtype=np.intp)  # none is beyond the rollouts of a prompt
    groups = clusters_of(clusters, prompts, group_ids)
    if chosen is None:
        found = majority_estimates(prompts, wanted, answers)
    else:
        objectives = [chosen.objective(k) for k in asked]
        found = linear_estimates(prompts, objectives, by_successes=not chosen.graded)
        if not (chosen.graded or found.successes):
            raise ValueError(
                f"measure={measure!r} counts successes: rewards must be 0 or 1, these reach from "
                f"{found.lowest:g} to {found.highest:g}; threshold=... says what is a success"
            )
    limits = _limits(found, bounds, prompts.held)
    summary = summarise(found.values, groups)
    low, high = mean_interval(
        summary.mean, summary.error, summary.units, confidence=confidence, bounds=limits
    )
    if bounds is None and limits[0] == limits[1]:  # which says nothing of the rewards there can be
        low, high = np.full_like(low, np.nan), np.full_like(high, np.nan)
    with np.errstate(invalid="ignore"):  # an unbiased variance may be negative: NaN, which a note explains
        fixed = np.sqrt(found.within) / summary.prompts
    result = PassAtK(
        measure=measure,
        k=wanted,
        threshold=threshold,
        estimate=summary.mean,
        standard_error=summary.error,
        low=low,
        high=high,
        confidence=confidence,
        fixed_prompts_error=fixed,
        prompts=summary.prompts,
        left_out=len(prompts.sizes) - summary.prompts,
        clusters=None if groups is None else len(np.unique(groups)),
        units=summary.units,
        graded=not found.successes,
        bounds=limits,
        per_prompt=found.values.T,
        prompt_ids=prompts.ids,
        rollouts=prompts.sizes,
        products=found.products,
    )
    result = replace(result, notes=notes_on(result, found, given=bounds is not None))
    if compare is None:
        return result
    if not isinstance(compare, PassAtK):
        if group_ids is not None or measure == MAJORITY:
            raise TypeError(
                f"compare is a {type(compare).__name__}: prompts with group_ids, or with answers, are paired "
                f"with a result of the other model, compare=pass_at_k(other, ks, group_ids=...)"
            )
        try:
            compare = pass_at_k(
                compare,
                asked,
                measure=measure,
                threshold=threshold,
                nan_policy=nan_policy,
                small_groups=small_groups,
                confidence=confidence,
                bounds=bounds,
                clusters=clusters,
            )
        except (TypeError, ValueError) as error:
            raise type(error)(f"compare: {error}") from error
    return replace(result, comparison=compared(result, compare, groups))


def _as_ks(ks: Any) -> list[int]:
    several = hasattr(ks, "__iter__") and getattr(ks, "ndim", 1) > 0 and not isinstance(ks, str)
    given = list(ks) if several else [ks]
    wanted = [as_k(k) for k in given]
    if not wanted:
        raise ValueError("ks is empty: at least one k is needed, e.g. ks=(1, 8)")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"ks={wanted} names a k twice")
    return wanted


def _check_sizes(prompts: Prompts, ks: list[int], measure: str, *, leave_out: bool) -> None:
    """Refuse a k that prompts, or all of them, have too few rollouts for."""
    for k in ks:
        short = prompts.sizes < k
        if not short.any() or (leave_out and not short.all()):
            continue
        label, count = label_of(measure, k), int(short.sum())
        fewest, most = int(prompts.sizes.min()), int(prompts.sizes.max())
        if not most:
            raise ValueError(
                f"{label} needs k={k} rollouts of a prompt, and of the {count} none has a scored one: every "
                f"reward is missing"
            )
        if short.all():
            raise ValueError(
                f"{label} needs k={k} rollouts of a prompt, and none of the {count} has more than {most}: no "
                f"unbiased estimate exists; ask for k <= {most}"
            )
        first = ragged.shortened(str(prompts.ids[int(np.argmax(short))]))
        raise ValueError(
            f"{label} needs k={k} rollouts of each prompt: {count} of {len(short)} prompts have fewer (the "
            f"first is {first}, with {prompts.sizes[int(np.argmax(short))]}); small_groups='leave-out' drops "
            f"and counts them"
            + (f", k <= {fewest} keeps all" if fewest else ", as they have no scored rollout at all")
        )


def _check_answers(measure: str, answers: Any) -> None:
    if (answers is None) == (measure == MAJORITY):
        raise ValueError(
            "majority@k needs answers=..., one a reward"
            if answers is None
            else f"answers are for measure='majority@k', measure={measure!r} does not look at them"
        )


def _limits(found: PerPrompt, bounds: Any, held: Callable[[float], float]) -> tuple[float, float]:
    """The bounds of the rewards, given and checked, or found."""
    if bounds is None:
        return (0.0, 1.0) if found.successes else (found.lowest, found.highest)
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise TypeError(f"bounds={bounds!r}: they must be two numbers, e.g. bounds=(0, 1)") from None
    given = finite_number(low, "bounds[0]"), finite_number(high, "bounds[1]")
    low, high = (each if isinf(held(each)) else held(each) for each in given)
    if not low <= found.lowest <= found.highest <= high:
        raise ValueError(
            f"bounds=({low:g}, {high:g}): rewards reach from {found.lowest:g} to {found.highest:g}, which is "
            f"outside"
        )
    return low, high


def _as_confidence(value: Any) -> float:
    confidence = real_number(value, "confidence")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence={value!r}: it must be at least 0.5 and below 1, e.g. confidence=0.95")
    return confidence
