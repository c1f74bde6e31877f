"""Rules of several rewards against the objectives that they claim, and the others; all of it exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maxpo_lab import batch_moments, exact_moments, get_estimator, max_at_k, variance_floor

from ...run.presets import Preset
from .policies import ANSWERS, answers, first_logits, independent, long_answers

RULES = (
    *("summed:rloo", "summed:grpo", "per-reward:grpo"),
    *("summed:maxpo", "per-reward:maxpo", "multi-axis-maxk"),
)
#: The objectives, of rewards that weigh 1 each.
OBJECTIVES = ("mean", "max@k", "per-reward:max@k")
#: Success rate of the first of two independent verdicts, and what the second is worth.
FIRST, WORTH = 0.5, (1.0, 10.0)
#: How frameworks whiten GDPO's sum over the batch.
WHITENED = {
    "verl": "gdpo",
    "TRL": "whitened:scale=std1,mean=1,add=1e-4:per-reward:grpo:eps=1e-4",
    "ms-swift": "whitened:scale=std1,mean=1,add=1e-8:per-reward:grpo:eps=1e-8",
    "NeMo-RL": "whitened:scale=std1,mean=1,eps=0:per-reward:nemo-grpo",
}
#: All states of a batch of three prompts.
_PRODUCT: dict[str, Any] = {"method": "product", "max_states": 50_000}
#: Length of a step of a path, in logits.
STEP = 0.1


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the study at one group size and K, and the points or steps of its curves."""

    part: str
    n: int
    k: int
    points: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one rule.

    ``part`` and what it holds: ``objective`` (``angle`` and ``scale`` against the objective ``of``,
    ``efficiency``), ``weight`` (of the second verdict's gradient over that of the first, at its rate ``at``
    where it is worth ``of``, and ``outside``, the share of E g that is neither), ``path`` (the chance of an
    answer ``of`` after ``at`` steps, and the objectives), ``length`` (opo's ``angle`` and ``scale`` where a
    right answer is ``at`` times as long) and ``batch`` (``angle`` and ``scale`` of GDPO as whitened ``of`` a
    framework against the mean of ``at`` prompts). Angles are in degrees.
    """

    part: str
    rule: str
    n: int
    k: int
    of: str
    quantity: str
    at: float
    value: float


def cells(preset: Preset) -> Sequence[Cell]:
    """K = 4 of 8 rollouts; more sizes and points at the fuller presets."""
    points, steps = {"smoke": (7, 10), "standard": (33, 120), "paper": (65, 300)}[preset]
    sizes = {"smoke": [(8, 4)], "standard": [(8, 4), (8, 2)]}.get(preset, [(8, 4), (8, 2), (16, 4), (16, 8)])
    return [
        *(Cell("objective", n, k) for n, k in sizes),
        *(Cell("weight", n, k, points) for n, k in sizes),
        Cell("path", 8, 4, steps),
        *(Cell("length", n, 1, points) for n in (4, 8, 16)),
        *(Cell("batch", 4, 1, prompts) for prompts in ((1, 2, 3) if preset == "paper" else (1, 2))),
    ]


def measure(cell: Cell) -> list[Row]:
    """The rows of a part."""
    parts = {
        "objective": _objectives,
        "weight": _weights,
        "path": _paths,
        "length": _lengths,
        "batch": _batches,
    }
    return [
        Row(cell.part, rule, cell.n, cell.k, of, quantity, float(at), float(value))
        for rule, of, quantity, at, value in parts[cell.part](cell)
    ]


#: (rule, of, quantity, at, value)
Found = Iterator[tuple[str, str, str, float, float]]


def _objectives(cell: Cell) -> Found:
    """Each rule against every objective, on the four answers."""
    levels = answers()
    floors = {target: variance_floor(levels, n=cell.n, k=cell.k, target=target) for target in OBJECTIVES[1:]}
    for name in RULES:
        for target in OBJECTIVES:
            found = exact_moments(name, levels, n=cell.n, k=cell.k, target=target)
            yield name, target, "angle", 0, np.degrees(found.direction_error)
            yield name, target, "scale", 0, found.scale
            if target in floors:
                yield name, target, "efficiency", 0, found.efficiency(floors[target])


def _weights(cell: Cell) -> Found:
    """What two verdicts that are independent weigh, by the rate of the second."""
    for rate in 1 / (1 + np.exp(-np.linspace(np.log(1e-3 / (1 - 1e-3)), 4, cell.points))):
        for worth in WORTH:
            levels, gradients = independent(FIRST, float(rate), worth)
            for name in RULES:
                mean = exact_moments(name, levels, n=cell.n, k=cell.k).mean
                (first, second), *_ = np.linalg.lstsq(gradients, mean, rcond=None)
                outside = np.linalg.norm(mean - gradients @ [first, second]) / np.linalg.norm(mean)
                yield name, f"{worth:g}", "weight", rate, second / first
                yield name, f"{worth:g}", "outside", rate, float(outside)


def _paths(cell: Cell) -> Found:
    """Steps of one length along the expected update, from the first chances on."""
    for name in RULES:
        theta = first_logits()
        for step in range(cell.points + 1):
            levels = answers(theta)
            chances = np.exp(theta - theta.max())
            chances /= chances.sum()
            for answer, chance in zip(ANSWERS, chances, strict=True):
                yield name, answer, "chance", step, chance
            yield name, "mean", "value", step, max_at_k(levels.of_reward((1, 1)), 1)
            yield name, "max@k", "value", step, max_at_k(levels.of_reward((1, 1)), cell.k)
            each = sum(max_at_k(levels.of_reward(axis), cell.k) for axis in np.eye(2))
            yield name, "per-reward:max@k", "value", step, each
            update = exact_moments(name, levels, n=cell.n, k=cell.k).mean
            theta = theta + STEP * update / np.linalg.norm(update)


def _lengths(cell: Cell) -> Found:
    for ratio in np.geomspace(1 / 16, 16, cell.points):
        found = exact_moments("opo", long_answers(float(ratio)), n=cell.n, k=cell.k, target="mean")
        yield "opo", "mean", "angle", ratio, np.degrees(found.direction_error)
        yield "opo", "mean", "scale", ratio, found.scale


def _batches(cell: Cell) -> Found:
    """GDPO over a batch of prompts from hard to easy for both verdicts, parameters shared."""
    rates = [0.2] if cell.points == 1 else np.geomspace(0.05, 0.8, cell.points)
    prompts = [independent(float(rate), float(rate), 1.0)[0] for rate in rates]
    for framework, name in {"group part": "per-reward:grpo", **WHITENED}.items():
        if get_estimator(name).why_not(cell.n, cell.k):
            continue
        whitened = {} if name == "per-reward:grpo" else _PRODUCT
        found = batch_moments(name, prompts, n=cell.n, k=cell.k, batch=None, target="mean", **whitened)
        yield name, framework, "angle", cell.points, np.degrees(found.direction_error)
        yield name, framework, "scale", cell.points, found.scale
