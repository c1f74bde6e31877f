"""Batches of prompts with log-uniform difficulty: weight of a prompt, direction, variance split, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envs import PromptBandit
from maxpo_lab import batch_moments

from ...run.presets import Preset

RULES = (
    "maxpo",
    "predictive",
    "pkpo-loo1",
    "pkpo-loo",
    "rloo",
    "grpo",
    "maxrl",
    "passk-training",
    "maxrl-pkpo",
    "verl-grpo-passk",
)
ARMS, GOOD = 100, 10
HARDEST, EASIEST = 1e-3, 0.9
BATCH = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """Number of prompts, group size and K."""

    prompts: int
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one prompt, with the batch's numbers repeated on every row of the rule.

    ``scale`` is the weight that the rule gives the prompt's gradient of pass@K (1 for an unbiased one).
    ``within`` and ``between`` are the traces of the batch covariance over ``|c grad J|^2``, c the batch's
    scale: noise to signal, which no step size changes.
    """

    prompts: int
    n: int
    k: int
    estimator: str
    success: float
    scale: float
    batch_scale: float
    direction_error: float
    within: float
    between: float


def cells(preset: Preset) -> Sequence[Cell]:
    """K = 4 of 16 rollouts; other K and n at the fuller presets."""
    prompts = 6 if preset == "smoke" else 16
    settings = {"smoke": [(16, 4)], "standard": [(16, 4), (8, 4)]}
    chosen = settings.get(preset, [(16, 4), (8, 4), (32, 4), (16, 2), (16, 8)])
    return [Cell(prompts, n, k) for n, k in chosen]


def measure(cell: Cell) -> list[Row]:
    """Every rule on the same prompts, each with parameters of its own (a tabular policy)."""
    bandit = PromptBandit(cell.prompts, ARMS, GOOD, HARDEST, EASIEST)
    prompts = [bandit.levels(bandit.theta, prompt) for prompt in range(bandit.prompts)]
    rows = []
    for name in RULES:
        found = batch_moments(name, prompts, n=cell.n, k=cell.k, batch=BATCH)
        signal = float(found.scale**2 * (found.gradient @ found.gradient))
        rows += [
            Row(
                cell.prompts,
                cell.n,
                cell.k,
                name,
                float(p),
                moments.scale,
                found.scale,
                found.direction_error,
                found.within_prompt_trace / signal,
                found.between_prompt_trace / signal,
            )
            for p, moments in zip(bandit.success_rates, found.prompts, strict=True)
        ]
    return rows
