"""What is trained and measured: two verifiers of one task, five rules, and how much of it in a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...run.presets import Preset

SEED = 260606080
BASE, DIGITS = 5, 4
#: Prompts that no model is trained on, of 625; the start is chosen and every curve evaluated on them.
HELD_OUT = 48
K, N = 4, 16
#: Prompts per step, one group each.
GROUPS = 16
#: Rollouts of a held-out prompt that check the last evaluation.
ROLLOUTS = 32

#: TRL's own advantages, as a rule of the catalogue.
GRPO = "grpo:eps=1e-4,ddof=1"
REFERENCE = "pkpo-loo1"
RULES = (GRPO, REFERENCE, "predictive", "maxpo")
#: Rules with a memory of prompts: measured at a checkpoint with a fair history of ``HISTORY`` rewards. In
#: training replay gets the completions as answers: where the right ones agree it takes plug-in-floor's part.
REPLAY, FLOOR, HISTORY = "replay", "plug-in-floor", 64
TRAINED = (*RULES, REPLAY)
#: The step size of Adam that all rules are compared at, and those tried besides.
SHARED, OTHERS = 3e-4, (1e-4, 1e-3)
#: Steps over which the step size rises from 0: Adam's first ones have nothing to average.
WARM_UP = 10

Verifier = Literal["chain", "answer"]
Checkpoint = Literal["warm start", "trained"]

#: The supervised steps end at the first evaluation with this mean pass@1, under the setting's verifier.
STARTS: Mapping[Verifier, float] = {"chain": 0.05, "answer": 0.35}
#: What a setting is called in figures.
TITLES: Mapping[str, str] = {
    "chain": "one right completion",
    "answer": "only the answer counts",
}


@dataclass(frozen=True, slots=True)
class Training:
    """One run: a rule, a step size and a seed, evaluated ``evaluations`` times after the start."""

    verifier: Verifier
    rule: str
    learning_rate: float
    seed: int
    steps: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class Variance:
    """One checkpoint: exact moments on ``prompts`` training prompts, and a sample of ``groups`` as a check.

    The trained checkpoint is the end of MaxPO's first run of ``steps`` steps.
    """

    verifier: Verifier
    checkpoint: Checkpoint
    prompts: int
    groups: int
    steps: int


Cell = Training | Variance


def cells(preset: Preset) -> list[Cell]:
    """Variances first, which take longest; then all runs at the shared step size, then the others."""
    if preset == "smoke":
        runs = [Training("chain", rule, SHARED, 0, 4, 2) for rule in (REFERENCE, "maxpo", REPLAY)]
        return [Variance("chain", "warm start", 1, 40, 0), *runs]
    steps, evaluations, seeds = {"standard": (32, 4, 3), "paper": (160, 10, 5)}[preset]
    prompts, groups = {"standard": (2, 100), "paper": (10, 600)}[preset]
    checkpoints: tuple[Checkpoint, ...] = ("trained", "warm start") if preset == "paper" else ("warm start",)
    measured = [Variance(v, at, prompts, groups, steps) for at in checkpoints for v in STARTS]
    plan = [(SHARED, seed) for seed in range(seeds)]
    if preset == "paper":
        plan += [(size, 0) for size in OTHERS]
    runs = [
        Training(verifier, rule, size, seed, steps, evaluations)
        for size, seed in plan
        for verifier in STARTS
        for rule in TRAINED
    ]
    return [*measured, *runs]
