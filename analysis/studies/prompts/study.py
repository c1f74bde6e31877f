"""Batches of prompts of unequal difficulty, with parameters of their own and with shared ones, exactly.

Of the first kind: the weight of a prompt, direction, variance split. Of the second: what an update does to
pass@1 of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from envs import PromptBandit
from maxpo_lab import batch_moments, max_at_k_gradient
from maxpo_lab.moments.against_gradient import against_gradient

from ...run.presets import Preset
from . import trained
from .shared import changes_of_pass_at_1, linked

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

#: Arrangements: parameters of their own; an easy prompt and a harder one; a batch of which the hardest are
#: opposed to the others; one whose sides have nothing to do with difficulty.
OWN, PAIR, AGAINST, MINGLED = "own parameters", "pair", "hard against easy", "sides at random"
#: A network on its way, and the K whose updates are asked of it.
TRAINED, TRAINED_K = "transformer", (2, 4, 8, 16)
#: Success rate of the easy prompt of a pair, and the group size of all that share parameters.
EASY, GROUP = 0.8, 16
#: Prompts of a batch that share parameters.
LINKED = 16
#: By K, the rules that are asked of these.
INTERFERING = {
    4: ("maxpo", "rloo", "grpo", "maxrl", "passk-training"),
    2: ("maxpo",),
    8: ("maxpo",),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """Number of prompts, group size and K."""

    prompts: int
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Linked:
    """Prompts that share parameters: success rates, the sides they are on, K.

    The similarity is taken in ``steps``, from -0.95 (opposed) to 0.95 (alike) for a pair, else from 0.
    """

    arrangement: str
    rates: tuple[float, ...]
    sides: tuple[int, ...]
    k: int
    steps: int

    @property
    def opposed(self) -> int:
        """Prompts that are not on the side of the easiest."""
        return self.sides.count(-self.sides[-1])


@dataclass(frozen=True, slots=True)
class Network:
    """A transformer of this seed, and how many policies on its way up pass@1 are looked at."""

    seed: int
    steps: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one prompt, with the batch's numbers repeated on every row of the rule.

    ``scale`` is the weight that the rule gives the prompt's gradient of pass@K (1 for an unbiased one).
    ``within`` and ``between`` are the traces of the batch covariance over ``|c grad J|^2``, c the batch's
    scale: noise to signal, which no step size changes; of prompts with parameters of their own alone.
    ``similarity``, ``opposed`` (prompts on the side of the hardest) and ``change`` are of ``shared``: the
    changes of all prompts sum to the cosine of the expected update and the gradient of mean pass@1. Of a
    network, they are as in ``trained``; ``path`` and ``step`` are its seed and place on the way.
    """

    arrangement: str
    path: int
    step: int
    similarity: float
    opposed: int
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
    change: float


def cells(preset: Preset) -> Sequence[Cell | Linked | Network]:
    """K = 4 of 16 rollouts; other K and n at the fuller presets."""
    prompts = 6 if preset == "smoke" else 16
    settings = {"smoke": [(16, 4)], "standard": [(16, 4), (8, 4)]}
    chosen = settings.get(preset, [(16, 4), (8, 4), (32, 4), (16, 2), (16, 8)])
    few = preset == "smoke"
    points, steps = {"smoke": (5, 5), "standard": (13, 11), "paper": (25, 21)}[preset]
    hard = [float(f"{p:.6g}") for p in np.geomspace(HARDEST, EASY, points)]
    batch = tuple(float(p) for p in np.geomspace(HARDEST, EASIEST, LINKED))
    split = [tuple(-1 if place < opposed else 1 for place in range(LINKED)) for opposed in range(LINKED)]
    return [
        *(Cell(prompts, n, k) for n, k in chosen),
        *(Linked(PAIR, (p, EASY), (1, 1), k, steps) for k in INTERFERING for p in hard),
        *(
            Linked(AGAINST, batch, sides, k, steps)
            for k in INTERFERING
            for sides in split[:: 5 if few else 1]
        ),
        *(Linked(MINGLED, batch, (1, -1, -1, 1) * (LINKED // 4), k, steps) for k in INTERFERING),
        *(Network(seed, 31) for seed in range({"smoke": 0, "standard": 2, "paper": 8}[preset])),
    ]


def measure(cell: Cell | Linked | Network) -> list[Row]:
    """Every rule on the same prompts."""
    if isinstance(cell, Network):
        return _trained(cell)
    return _linked(cell) if isinstance(cell, Linked) else _apart(cell)


def _apart(cell: Cell) -> list[Row]:
    """Each prompt with parameters of its own (a tabular policy)."""
    bandit = PromptBandit(cell.prompts, ARMS, GOOD, HARDEST, EASIEST)
    prompts = [bandit.levels(bandit.theta, prompt) for prompt in range(bandit.prompts)]
    rows = []
    for name in RULES:
        found = batch_moments(name, prompts, n=cell.n, k=cell.k, batch=BATCH)
        signal = float(found.scale**2 * (found.gradient @ found.gradient))
        rows += [
            Row(
                arrangement=OWN,
                path=0,
                step=0,
                similarity=0.0,
                opposed=0,
                prompts=cell.prompts,
                n=cell.n,
                k=cell.k,
                estimator=name,
                success=float(p),
                scale=moments.scale,
                batch_scale=found.scale,
                direction_error=found.direction_error,
                within=found.within_prompt_trace / signal,
                between=found.between_prompt_trace / signal,
                change=float(change),
            )
            for p, moments, change in zip(
                bandit.success_rates, found.prompts, changes_of_pass_at_1(found.mean, prompts), strict=True
            )
        ]
    return rows


def _linked(cell: Linked) -> list[Row]:
    """Each similarity of the prompts: on 0/1 rewards a group rule's weight of a prompt is the same at all."""
    apart = linked(cell.rates, cell.sides, 0.0)
    scales = {
        name: batch_moments(name, apart, n=GROUP, k=cell.k, batch=None, target="max@k").weights
        for name in INTERFERING[cell.k]
    }
    rows = []
    for similarity in np.linspace(-0.95 if cell.arrangement == PAIR else 0, 0.95, cell.steps):
        sides = (-1, 1) if similarity < 0 else cell.sides
        prompts = linked(cell.rates, sides, abs(float(similarity)))
        gradients = np.stack([max_at_k_gradient(levels, cell.k) for levels in prompts])
        for name, weights in scales.items():
            update = weights @ gradients / len(prompts)
            against = against_gradient(update, gradients.mean(axis=0))
            rows += [
                Row(
                    arrangement=cell.arrangement,
                    path=0,
                    step=0,
                    similarity=float(similarity),
                    opposed=cell.opposed,
                    prompts=len(prompts),
                    n=GROUP,
                    k=cell.k,
                    estimator=name,
                    success=p,
                    scale=float(scale),
                    batch_scale=against.scale,
                    direction_error=against.angle,
                    within=nan,
                    between=nan,
                    change=float(change),
                )
                for p, scale, change in zip(
                    cell.rates, weights, changes_of_pass_at_1(update, prompts), strict=True
                )
            ]
    return rows


def _trained(cell: Network) -> list[Row]:
    """The expected update of maxpo, as of every unbiased rule, is the gradient of pass@K."""
    rows = []
    for stage in trained.path(cell.seed, cell.steps):
        for k in TRAINED_K:
            found = batch_moments("maxpo", stage.prompts, n=2 * GROUP, k=k, batch=None)
            changes = changes_of_pass_at_1(found.mean, stage.prompts)
            rows += [
                Row(
                    arrangement=TRAINED,
                    path=cell.seed,
                    step=stage.step,
                    similarity=stage.similarity,
                    opposed=stage.opposed,
                    prompts=len(stage.prompts),
                    n=2 * GROUP,
                    k=k,
                    estimator="maxpo",
                    success=float(levels.probabilities[-1]),
                    scale=float(scale),
                    batch_scale=found.scale,
                    direction_error=found.direction_error,
                    within=nan,
                    between=nan,
                    change=float(change),
                )
                for levels, scale, change in zip(stage.prompts, found.weights, changes, strict=True)
            ]
    return rows
