"""The design table: what is trained, under which conditions, with which step sizes and how many seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from envs import ChainSum, CombinationLock, Maze, PromptBandit, SparseBandit
from envs.base.paths import TrainingPath
from envs.base.specimen import ExactSpecimen
from maxpo_lab.core.arrays import Float
from maxpo_lab.integrations.schedules import KSteps

from ...measure.specimens import noisy_start
from ...run.presets import Preset
from ...trainer import SGD, Adam, Optimiser

SEED = 260606080
#: Groups in a step, whatever their size; prompts are drawn, one per group.
GROUPS = 8
#: Areas that differ by less are alike: where a policy is solved, rounding tells step sizes and rules apart.
ALIKE = 1e-9
#: Success of the sparse and of the moderate start.
SPARSE, MODERATE = 1e-3, 0.2

RULES = (
    "reinforce",
    "rloo",
    "grpo",
    "maxrl",
    "pkpo-s",
    "pkpo-loo",
    "pkpo-loo1",
    "maxpo",
    "predictive",
    "passk-training",
    "verl-grpo-passk",
    "pkpo-mean-centered",
    "rloo-reweighted",
)
#: A network costs far more than a table of logits: its cell has fewer rules.
NETWORK_RULES = ("rloo", "grpo", "maxrl", "pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo")
SMOKE_RULES = ("maxrl", "pkpo-s", "pkpo-loo1", "maxpo")
ANNEALED_RULES = ("pkpo-loo", "maxpo")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained.

    Attributes
    ----------
    make
        The specimen.
    noise
        Standard deviation of the Gaussian logits added to its initial parameters.
    walked
        Whether the start is reached along the exact gradient of the mean reward; else the specimen's own
        parameters are the sparse start.
    steps
        Steps of training.
    grid, shared
        Step sizes of SGD that a rule chooses from, and the one that all rules are also shown at.
    adam_grid
        Step sizes of Adam.
    rules
        Rules that are compared.
    """

    make: Callable[[], ExactSpecimen]
    noise: float = 0.0
    walked: bool = True
    steps: int = 200
    grid: tuple[float, ...] = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)
    shared: float = 16.0
    adam_grid: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    rules: tuple[str, ...] = RULES


def _transformer() -> ExactSpecimen:
    import torch  # noqa: PLC0415 - heavy to import

    from envs.networks.architectures import Transformer, TransformerConfig  # noqa: PLC0415
    from envs.networks.sequence import SequencePolicy  # noqa: PLC0415

    task = ChainSum(base=4, digits=2, prompts=4, verifier="chain")
    config = TransformerConfig(vocabulary=4, positions=4, width=16, heads=2, layers=1)
    return SequencePolicy(task, Transformer(config, torch.Generator().manual_seed(0)))


TASKS: Mapping[str, Task] = {
    "bandit, many correct": Task(make=lambda: SparseBandit(arms=100, good=10), steps=400),
    "bandit, one correct": Task(make=lambda: SparseBandit(arms=10, good=1), steps=400, shared=4.0),
    "prompts": Task(
        make=lambda: PromptBandit(prompts=16, arms=100, good=10, hardest=2e-4, easiest=5e-3),
        walked=False,
        steps=400,
        shared=64.0,
    ),
    "lock": Task(make=lambda: CombinationLock(length=4, choices=4), noise=0.5, shared=4.0),
    "maze, graded": Task(
        make=lambda: Maze("cross"),
        noise=0.5,
        grid=(1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0),
        shared=4.0,
        adam_grid=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    ),
    "chain": Task(
        make=lambda: ChainSum(base=5, digits=3, prompts=4, verifier="chain"),
        noise=0.5,
        grid=(4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0),
    ),
    "transformer": Task(
        make=_transformer, steps=150, grid=(0.03, 0.1, 0.3, 1.0, 3.0), shared=0.3, rules=NETWORK_RULES
    ),
}

#: The two specimens on which one factor at a time is varied.
VARIED = ("bandit, many correct", "maze, graded")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """K, group size, optimiser, start and schedules of K; the defaults are the base design."""

    k: int = 4
    n: int = 16
    optimiser: Literal["sgd", "adam"] = "sgd"
    start: Literal["sparse", "moderate"] = "sparse"
    annealed: bool = False

    def schedules(self, steps: int) -> dict[str, KSteps]:
        """The schedules of K by their names."""
        if not self.annealed:
            return {f"K = {self.k}": KSteps({0: self.k})}
        return {
            f"K = {self.k}": KSteps({0: self.k}),
            f"K = {self.k}, then 1": KSteps({0: self.k, steps // 2: 1}),
            "K = 1": KSteps({0: 1}),
        }


BASE = "base"
CONDITIONS: Mapping[str, Condition] = {
    BASE: Condition(),
    "moderate start": Condition(start="moderate"),
    "K = 8": Condition(k=8),
    "Adam": Condition(optimiser="adam"),
    "annealing": Condition(k=8, annealed=True),
    "n = 32": Condition(n=32),
    "K = 2": Condition(k=2),
    "n = 8": Condition(n=8),
}
ANNEALING = "annealing"
ADAM_SHARED = 0.1


@dataclass(frozen=True, slots=True)
class Cell:
    """A specimen under a condition.

    ``tuning_seeds`` choose the step sizes, ``seeds`` are what is reported, and the exact signal is taken on
    the first ``signal_seeds`` of these.
    """

    specimen: str
    condition: str
    rules: tuple[str, ...]
    steps: int
    tuning_seeds: int
    seeds: int
    signal_seeds: int


def cells(preset: Preset) -> list[Cell]:
    """The base design on every specimen, then one factor at a time on two of them; the costly ones first.

    The last three conditions are for the preset ``paper`` alone.
    """
    if preset == "smoke":
        plan = [("maze, graded", BASE), ("chain", BASE), ("bandit, many correct", "Adam")]
        plan.append(("bandit, many correct", ANNEALING))
        return [Cell(name, condition, SMOKE_RULES, 12, 2, 4, 1) for name, condition in plan]
    conditions = list(CONDITIONS) if preset == "paper" else list(CONDITIONS)[:-3]
    made = []
    for name in ("transformer", "maze, graded", "prompts", *TASKS):
        task = TASKS[name]
        tuning, seeds = {"standard": (8, 10), "paper": (16, 30)}[preset]
        if preset == "standard" and name == "transformer":
            tuning = 2
        for condition in conditions if name in VARIED else [BASE]:
            rules = ANNEALED_RULES if condition == ANNEALING else task.rules
            signals = (3 if preset == "paper" else 1) if condition == BASE else 0
            made.append(Cell(name, condition, rules, task.steps, tuning, seeds, signals))
    return list(dict.fromkeys(made))


def starting_point(name: str, condition: Condition) -> tuple[ExactSpecimen, Float]:
    """A specimen, and the parameters that training starts from."""
    task = TASKS[name]
    specimen = task.make()
    theta = noisy_start(specimen, task.noise, list(TASKS).index(name))
    if not task.walked and condition.start == "sparse":
        return specimen, theta
    return specimen, TrainingPath(specimen, theta).at(SPARSE if condition.start == "sparse" else MODERATE)


def step_sizes(name: str, condition: Condition) -> tuple[tuple[float, ...], float]:
    """The grid of step sizes, and the shared one, which is in it."""
    if condition.optimiser == "adam":
        return TASKS[name].adam_grid, ADAM_SHARED
    return TASKS[name].grid, TASKS[name].shared


def optimiser_of(condition: Condition) -> Optimiser:
    """The optimiser of a condition."""
    return Adam() if condition.optimiser == "adam" else SGD()


def evaluation_points(steps: int, count: int = 20) -> tuple[int, ...]:
    """Steps that are evaluated, from 0 to all of them, closer together at the start."""
    return tuple(sorted({round(steps * (i / count) ** 2) for i in range(count + 1)}))
