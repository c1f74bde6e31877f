"""Tinker's cookbook: rewards less their group's mean."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from ..calls import Matrix
from ..framework import Framework, ShippedRule
from ..loading import compiled


def _groups() -> Callable[[list[list[float]]], list[Matrix]]:
    import torch  # noqa: PLC0415

    function = compiled(
        "tinker-cookbook", "tinker_cookbook/rl/data_processing.py", "compute_advantages", {"torch": torch}
    )

    def advantages(groups: list[list[float]]) -> list[Matrix]:
        return [
            each.numpy()
            for each in function([SimpleNamespace(get_total_rewards=lambda g=g: g) for g in groups])
        ]

    return advantages


def _by_position() -> Callable[[Matrix], Matrix]:
    function = _groups()
    return lambda rewards: np.stack(function(rewards.tolist()))


def _by_id() -> Callable[[Matrix, Matrix], Matrix]:
    function = _groups()

    def advantages(rewards: Matrix, ids: Matrix) -> Matrix:
        rows = [np.flatnonzero(ids == each) for each in dict.fromkeys(ids.tolist())]
        found = np.zeros(len(rewards), dtype=np.float32)
        for each, values in zip(rows, function([rewards[each].tolist() for each in rows]), strict=True):
            found[each] = values
        return found

    return advantages


FRAMEWORK = Framework(
    name="tinker-cookbook",
    package="tinker-cookbook",
    version="0.6.1",
    environment="frameworks",
    reached="the function compiled from its file, which imports the client of a service",
    rules=(
        ShippedRule(
            name="compute_advantages",
            equals="batch-mean",
            call=_by_position,
            by_id=_by_id,
            afterwards="as they are; a group of integers alone is a RuntimeError: torch has no mean of them",
        ),
    ),
    hook="none: compute_group_rewards of an EnvGroupBuilder, whose result the mean is taken off",
    loss_says="stable_reinforce of the service",
    identity="the group builder, made anew for each batch",
    lasting=False,
    metric_at_k="pass_at_k of its benchmarks: 1 - C(n-c, k)/C(n, k); examples with n < k are left out",
)
