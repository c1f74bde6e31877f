"""What must be said of pass@k numbers: what was left out, what does not exist, what was taken for granted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .per_prompt.estimates import PerPrompt
from .per_prompt.measures import MAJORITY, get_measure
from .result import PassAtK


def notes_on(result: PassAtK, found: PerPrompt, *, given: bool) -> tuple[str, ...]:
    """Sentences on a result; ``given`` tells whether bounds were."""
    notes: list[str] = []
    left = result.left_out > 0
    for k, count, prompts in zip(result.k[left], result.left_out[left], result.prompts[left], strict=True):
        notes.append(f"k={k}: {count} of {count + prompts} prompts have fewer rollouts and are left out")
    scored = result.rollouts[result.rollouts > 0]
    short = [k for k in result.k.tolist() if (scored[scored >= k] < 2 * k).any()]
    if result.measure == MAJORITY:
        notes.append("majority@k: the error with fixed prompts is not estimated")
    else:
        if short:
            notes.append(
                f"k={_listed(short)}: no error with fixed prompts, which needs 2k rollouts of every prompt"
            )
        negative = [k for k in result.k[np.isnan(result.fixed_prompts_error)].tolist() if k not in short]
        if negative:
            notes.append(
                f"k={_listed(negative)}: the unbiased estimate of the variance with fixed prompts is "
                f"negative and has no root"
            )
    units = "prompt" if result.clusters is None else "cluster"
    if alone := result.k[np.isnan(result.standard_error)].tolist():
        notes.append(f"k={_listed(alone)}: a single {units} tells no error over {units}s, nor an interval")
    graded = result.measure == MAJORITY or get_measure(result.measure).graded
    if graded and not found.successes and not given:
        low, high = result.bounds
        if low == high:
            notes.append(
                f"every reward is {low:g}: no interval, as bounds=... must say what others there can be"
            )
            return tuple(notes)
        notes.append(f"intervals take the range of the rewards, {low:g} to {high:g}, for their bounds")
    return tuple(notes)


def _listed(ks: Iterable[int]) -> str:
    return ", ".join(map(str, ks))
