"""Rules of others that remember, for the mean: what each prompt's gradient is multiplied by, and the noise.

A batch of prompts of log-uniform difficulty, after ``VISITS`` visits of all of them by policies whose success
rate was fair, stale or adversarial. Histories are drawn; after each the groups of a prompt are all looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import maxpo_lab as ml
from envs.bandits.prompt_bandit import log_uniform_rates

from ...measure.success_tables import bandit
from .rows import RATES, SEED, SPACES, Cell, Row

HARDEST, EASIEST = 0.01, 0.9
VISITS = 16
#: Where the success rates of histories are held, as a softmax knows no certainty.
BETWEEN = (0.001, 0.999)
#: Rules with memory, and the first that have none, of groups and of single rollouts.
OF_GROUPS = ("rloo", "grpo", "rae", "dbb", "curverl", "ha-dw", "ebpo")
ALONE = ("reinforce", "rae", "spo", "spo:whiten=0")


def measure(cell: Cell) -> list[Row]:
    """Every rule for groups, or for single rollouts, prompt by prompt."""
    success = log_uniform_rates(cell.prompts, HARDEST, EASIEST)
    now = _prompts(cell, success)
    rates = np.clip([RATES[cell.history](float(p)) for p in success], *BETWEEN)
    past = [_prompts(cell, rates)] * cell.visits
    floors = [ml.variance_floor(levels, n=cell.n, k=1).trace_covariance for levels in now]
    rows = []
    for name in ALONE if cell.n == 1 else OF_GROUPS:
        rule = ml.get_estimator(name)
        seen: dict[str, Any] = (
            {"history": past, "draws": cell.points, "seed": SEED} if rule.kind == "memory" else {}
        )
        found = ml.batch_moments(name, now, n=cell.n, k=1, batch=None, target="mean", **seen)
        errors = found.standard_errors.weights if found.standard_errors else np.zeros(cell.prompts)
        for p, floor, own, error in zip(success, floors, found.prompts, errors, strict=True):
            where = (
                cell.part,
                cell.space,
                cell.n,
                1,
                cell.m,
                cell.history,
                float(p),
                cell.prompts,
                cell.visits,
            )
            efficiency = floor * own.scale**2 / own.trace_covariance if own.trace_covariance else np.nan
            row = Row(
                *where, name, float(efficiency), float(error), float(own.scale), float(rule.kind == "memory")
            )
            rows.append(row.of_batch(found.relative_bias, found.direction_error))
    return rows


def _prompts(cell: Cell, success: np.ndarray) -> Sequence[ml.RewardLevels]:
    """Bandits of these success rates side by side, each in the one direction that its gradients have."""
    return ml.side_by_side(_along(bandit(*SPACES[cell.space], float(p))) for p in success)


def _along(levels: ml.RewardLevels) -> ml.RewardLevels:
    """The policy with its scores in the coordinates of their means, across which they spread as before."""
    _, coordinates = levels.span()
    return ml.RewardLevels(
        levels.values, levels.probabilities, coordinates, levels.score_second_moments, None, None
    )
