"""Which objective of several rewards a rule climbs: of the sum or of each, at which weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...objectives import AT_WEIGHTS, PER_REWARD, VectorObjective
from ..decide.objective import PRESETS, Ascent, among
from .rows import RowSetting
from .steps import RowSteps

#: Digits to which weights that were found are told, and how near they must come to be tried.
_DIGITS, _NEAR = 6, 0.01


def climbs(steps: RowSteps, setting: RowSetting) -> Ascent:
    """The target; or another objective, at the stated, at equal or swapped weights, or at fitted ones."""
    return among(
        steps,
        None,
        k=setting.k,
        target=setting.objective,
        others=_others(steps, setting),
        rewards=setting.rewards,
    )


def _others(steps: RowSteps, setting: RowSetting) -> Iterator[VectorObjective]:
    """Other objectives than the target, each under the name that a report gives it."""
    target, weights = setting.objective, setting.reward_weights
    ones = (1.0,) * len(weights)
    tried = [weights, *([ones] if ones != weights else [])]
    if weights[::-1] not in tried:
        tried.append(weights[::-1])
    for each in tried:
        for name in _names(setting):
            found = setting.named(name, each)
            if found != target:
                yield found if each == weights else _at(found, each)
    for name in (f"{PER_REWARD}mean", *_names(setting)):
        if name.startswith(PER_REWARD) and (fitted := _fitted(steps, setting, name)):
            yield _at(setting.named(name, fitted), fitted)


def _names(setting: RowSetting) -> Iterator[str]:
    sizes = {setting.k: "max@k"} | {
        size: f"max@{size}" for size in range(2, setting.n + 1) if size != setting.k
    }
    yield "mean"
    for name in sizes.values():
        yield from (name, f"{PER_REWARD}{name}")
    for preset in PRESETS:
        try:
            setting.named(f"l-statistic:{preset}")
        except ValueError:  # the preset does not fit this K
            continue
        yield from (f"l-statistic:{preset}", f"{PER_REWARD}l-statistic:{preset}")


def _at(objective: VectorObjective, weights: tuple[float, ...]) -> VectorObjective:
    told = ", ".join(f"{weight:.{_DIGITS}g}" for weight in weights)
    return replace(objective, name=f"{objective.name}{AT_WEIGHTS}({told})")


def _fitted(steps: RowSteps, setting: RowSetting, name: str) -> tuple[float, ...] | None:
    """The weights of each reward's objective that come nearest; None where none is at all near."""
    size = len(setting.reward_weights)
    parts = np.column_stack([steps.due(setting.named(name, tuple(axis))) for axis in np.eye(size).tolist()])
    found, *_ = np.linalg.lstsq(parts, steps.earned, rcond=None)
    if not found.any() or np.linalg.norm(parts @ found - steps.earned) > _NEAR * np.linalg.norm(steps.earned):
        return None
    return tuple(map(float, found))
