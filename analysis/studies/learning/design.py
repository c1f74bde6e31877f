"""The design table: what is trained, by whom, with which step sizes, for how long and with how many seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from envs import ChainSum, CombinationLock, Maze, PromptBandit, SparseBandit
from envs.base.paths import TrainingPath
from envs.base.specimen import ExactSpecimen
from maxpo_lab.core.arrays import Float

from ...measure.specimens import noisy_start
from ...run.presets import Preset
from .contestants import LOOPS, Contestant

SEED = 260606080
#: Groups in a step, whatever their size; prompts are drawn, one per group.
GROUPS = 8
#: Rollouts in a group.
N = 16
#: Success of the sparse start.
SPARSE = 1e-3
#: A run has arrived at this share of the optimum.
TARGET = 0.9
#: Of step sizes as good as the best to within this area the smallest is taken.
ALIKE = 0.01

#: In the order of the figures.
RULES = (
    "maxpo",
    "replay",
    "centered-replay",
    "plug-in-floor",
    "predictive",
    "pkpo-loo1",
    "pkpo-s",
    "maxrl",
    "rloo",
    "grpo",
)
#: A network costs far more than a table of logits: its cell has fewer rules.
NETWORK_RULES = ("maxpo", "replay", "predictive", "pkpo-loo1", "pkpo-s", "maxrl", "rloo", "grpo")
#: Whose moments along training are looked at, where their rewards allow: those that climb max@K and others.
SIGNALS = ("maxpo", "pkpo-loo1", "maxrl", "rloo", "grpo")

Section = Literal["rules", "trade-off", "loops"]
#: How a step size is chosen: shared by all, by the area under max@K, or by that under pass@1.
Choice = Literal["shared", "best", "best for pass@1"]
CHOICES: Mapping[Section, tuple[Choice, ...]] = {
    "rules": ("shared", "best"),
    "trade-off": ("best", "best for pass@1"),
    "loops": ("best",),
}
#: K of max@K as it is evaluated.
EVALUATED: Mapping[Section, int] = {"rules": 4, "trade-off": 8, "loops": 4}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained.

    Attributes
    ----------
    make
        The specimen.
    noise
        Standard deviation of the Gaussian logits added to its initial parameters.
    start
        Success that is reached along the exact gradient of the mean reward before training starts; 0: the
        specimen's own parameters are the start.
    steps
        Batches of training.
    grid, shared
        Step sizes that a contestant chooses from, and the one that all rules are also shown at.
    spacing
        Of the parameters: far below a step, far above rounding.
    """

    make: Callable[[], ExactSpecimen]
    noise: float = 0.0
    start: float = SPARSE
    steps: int = 200
    grid: tuple[float, ...] = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
    shared: float = 16.0
    spacing: float = 2.0**-18


def _transformer() -> ExactSpecimen:
    import torch  # noqa: PLC0415 - heavy to import

    from envs.networks.architectures import Transformer, TransformerConfig  # noqa: PLC0415
    from envs.networks.sequence import SequencePolicy  # noqa: PLC0415

    task = ChainSum(base=4, digits=2, prompts=4, verifier="chain")
    config = TransformerConfig(vocabulary=4, positions=4, width=16, heads=2, layers=1)
    return SequencePolicy(task, Transformer(config, torch.Generator().manual_seed(0)))


#: Their places number their random streams: new ones go last.
TASKS: Mapping[str, Task] = {
    "bandit, many correct": Task(make=lambda: SparseBandit(arms=100, good=10), steps=400),
    "bandit, one correct": Task(make=lambda: SparseBandit(arms=10, good=1), steps=400, shared=4.0),
    "prompts": Task(
        make=lambda: PromptBandit(prompts=16, arms=100, good=10, hardest=2e-4, easiest=5e-3),
        start=0.0,
        steps=400,
        shared=64.0,
    ),
    "lock": Task(make=lambda: CombinationLock(length=4, choices=4), noise=0.5, shared=4.0),
    "maze, graded": Task(
        make=lambda: Maze("cross"),
        noise=0.5,
        grid=(1.0, 4.0, 16.0, 64.0, 256.0, 1024.0),
        shared=4.0,
    ),
    "chain": Task(make=lambda: ChainSum(base=5, digits=3, prompts=4, verifier="chain"), noise=0.5),
    "transformer": Task(
        make=_transformer, steps=150, grid=(0.03, 0.1, 0.3, 1.0, 3.0), shared=0.3, spacing=2.0**-24
    ),
    "bandit, 100 of 1,000": Task(
        make=lambda: SparseBandit(arms=1000, good=100),
        start=0.05,
        grid=(1.0, 4.0, 16.0, 64.0, 256.0),
        shared=4.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A section's contestants on a specimen.

    ``tuning_seeds`` choose the step sizes, ``seeds`` are what is reported, and the exact signal is taken on
    the first ``signal_seeds`` of these.
    """

    section: Section
    specimen: str
    contestants: tuple[Contestant, ...]
    steps: int
    tuning_seeds: int
    seeds: int
    signal_seeds: int = 0


#: Who trades pass@1 for max@8: every K up to the double of n, by the rule that is defined there, and the
#: recipe of PKPO (arXiv 2505.15201).
FRONT = (
    Contestant("rloo", 1),
    Contestant("maxpo", 2),
    Contestant("maxpo", 4),
    Contestant("maxpo", 8),
    Contestant("pkpo-loo1", 16),
    Contestant("chebyshev", 32),
    Contestant("maxpo", 8, annealed=True),
    Contestant("maxrl", 8),
    Contestant("grpo", 8),
)
#: The defaults of trainers, by rule.
IN_LOOPS = tuple(Contestant(rule, 4, loop) for rule in ("maxpo", "grpo") for loop in LOOPS)
_PLAN: tuple[tuple[Section, tuple[str, ...]], ...] = (
    ("rules", ("transformer", "prompts", "bandit, 100 of 1,000", *TASKS)),
    ("trade-off", ("maze, graded", "chain")),
    ("loops", ("maze, graded", "chain")),
)
#: Cells of the preset ``standard``.
_STANDARD = (("rules", "lock"), ("trade-off", "chain"), ("loops", "chain"))


def cells(preset: Preset) -> list[Cell]:
    """Every section on its specimens, the costly ones first; the standard preset has some of these cells."""
    if preset == "smoke":
        return _smoke()
    return [
        _cell(section, name)
        for section, names in _PLAN
        for name in dict.fromkeys(names)
        if preset == "paper" or (section, name) in _STANDARD
    ]


def _cell(section: Section, name: str) -> Cell:
    network = name == "transformer"
    tuning, seeds = (4, 30) if network else (8 if section == "loops" else 16, 60)
    if section == "rules":
        rules = NETWORK_RULES if network else RULES
        contestants = tuple(Contestant(rule, EVALUATED[section]) for rule in rules)
        return Cell(section, name, contestants, TASKS[name].steps, tuning, seeds, 3)
    return Cell(
        section, name, FRONT if section == "trade-off" else IN_LOOPS, TASKS[name].steps, tuning, seeds
    )


def _smoke() -> list[Cell]:
    few = tuple(Contestant(rule, 4) for rule in ("maxpo", "replay", "pkpo-loo1", "pkpo-s", "grpo", "maxrl"))
    return [
        Cell("rules", "maze, graded", few, 12, 2, 4, 1),
        Cell("rules", "chain", few, 12, 2, 4, 1),
        Cell("rules", "bandit, 100 of 1,000", few[:4], 12, 2, 4, 0),
        Cell("trade-off", "chain", (FRONT[0], *FRONT[3:7]), 12, 2, 4),
        Cell("loops", "chain", IN_LOOPS, 12, 2, 4),
    ]


def starting_point(name: str) -> tuple[ExactSpecimen, Float]:
    """A specimen, and the parameters that training starts from."""
    task = TASKS[name]
    specimen = task.make()
    theta = noisy_start(specimen, task.noise, list(TASKS).index(name))
    return specimen, TrainingPath(specimen, theta).at(task.start) if task.start else theta


def evaluation_points(steps: int, count: int = 60) -> tuple[int, ...]:
    """Batches after which policies are evaluated, from 0 to all of them, closer together at the start."""
    return tuple(sorted({round(steps * (i / count) ** 2) for i in range(count + 1)}))
