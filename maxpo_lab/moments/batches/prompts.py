"""Policies of several prompts in one parameter space."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from ...policies.levels import RewardLevels
from ...policies.vector_levels import VectorLevels


def side_by_side(prompts: Iterable[RewardLevels]) -> tuple[RewardLevels, ...]:
    """Policies with parameters of their own in one parameter space, one after the other.

    The score of a rollout of prompt x is 0 outside the parameters of x. Covariance matrices are dropped; the
    projected ones are kept. Raises TypeError where an entry is not a RewardLevels.
    """
    prompts = tuple(prompts)
    check_prompts(prompts)
    sizes = [levels.mean_scores.shape[1] for levels in prompts]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    placed = []
    for levels, start, stop in zip(prompts, starts, starts[1:], strict=False):
        scores = np.zeros((len(levels.values), starts[-1]))
        scores[:, start:stop] = levels.mean_scores
        second, projected = levels.score_second_moments, levels.projected_covariances
        placed.append(RewardLevels(levels.values, levels.probabilities, scores, second, None, projected))
    return tuple(placed)


def check_prompts(prompts: tuple[RewardLevels, ...]) -> None:
    """Raise TypeError, with its place, for a prompt that is no RewardLevels."""
    for index, levels in enumerate(prompts):
        if not isinstance(levels, RewardLevels):
            raise TypeError(f"prompts[{index}] is a {type(levels).__name__}: it must be a RewardLevels")


def of_rows(prompts: tuple[object, ...]) -> tuple[VectorLevels, ...]:
    """The prompts, all of them of rows; TypeError, with its place, for one that is not."""
    for index, levels in enumerate(prompts):
        if not isinstance(levels, VectorLevels):
            raise TypeError(
                f"prompts[{index}] is a {type(levels).__name__}: it must be a VectorLevels, as others are"
            )
    return cast("tuple[VectorLevels, ...]", prompts)
