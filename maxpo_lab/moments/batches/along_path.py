"""A rule with memory along a given path of policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import rules
from ...objectives import Objective
from ...policies.levels import RewardLevels
from .over_prompts import batch_moments
from .result import BatchMoments


def path_moments(
    estimator: str | rules.WithMemory,
    path: Iterable[Iterable[RewardLevels]],
    *,
    n: int,
    k: int,
    target: str | Objective = "max@k",
    draws: int = 512,
    seed: int = 0,
    state: Any = None,
) -> tuple[BatchMoments, ...]:
    """Moments of a rule with memory at each step of a given path of policies.

    Parameters
    ----------
    estimator
        A name, a ``MemoryEstimator``, or what ``memory_rule`` makes.
    path
        The policies of the same prompts at one step after the other, each as ``prompts`` of
        ``batch_moments``.
    n, k, target, draws, seed, state
        As in ``batch_moments``.

    Returns
    -------
    tuple of BatchMoments
        Of each step, averaged over the histories that the policies of the steps before it make.

    Raises
    ------
    TypeError, ValueError
        As ``batch_moments``; an empty path.

    Notes
    -----
    Cost: ``batch_moments`` for each step, whose history is as long as the path before it.
    """
    steps = [tuple(prompts) for prompts in path]
    if not steps:
        raise ValueError("path is empty: at least one step is needed")
    return tuple(
        batch_moments(
            estimator,
            prompts,
            n=n,
            k=k,
            batch=None,
            target=target,
            draws=draws,
            seed=seed,
            state=state,
            history=steps[:index],
        )
        for index, prompts in enumerate(steps)
    )
