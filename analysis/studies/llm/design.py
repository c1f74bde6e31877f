"""What is trained and measured: three verifiers, five rules, and the units of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SEED = 260606080
K, N = 4, 16
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
UNBIASED = (REFERENCE, "predictive", "maxpo", REPLAY)
#: Steps over which the step size rises from 0: Adam's first ones have nothing to average.
WARM_UP = 10
#: Seeds of the reported runs are 0, 1, ...; those of tuning and of the pilot are not among them.
TUNING_SEEDS, PILOT_SEEDS = (1000, 1001, 1002, 1003, 1004, 1005), (2000, 2001, 2002, 2003, 2004)

Verifier = Literal["chain", "answer", "order"]
Checkpoint = Literal["warm start", "half way", "trained"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A task and how it is trained on.

    Attributes
    ----------
    title
        What it is called in figures.
    base, digits
        Of the prompts.
    start
        Supervised steps end at the first evaluation with this mean pass@1 of the held-out prompts; None: the
        random model is the start.
    held_out
        Prompts that no model is trained on.
    prompts
        How many of the others are trained on; None: all.
    curve
        The prompts on which curves are evaluated.
    groups
        Prompts a step, one group each.
    steps, evaluations
        Of a run of the presets standard and paper.
    sizes
        Step sizes of Adam that every rule is tried at.
    target
        pass@K at which the rollouts of a run are counted; None: what many runs do not reach.
    """

    title: str
    base: int
    digits: int
    start: float | None
    held_out: int
    prompts: int | None
    curve: Literal["held-out", "trained"]
    groups: int
    steps: int
    evaluations: int
    sizes: tuple[float, float, float]
    target: float | None


_SUMS = {"base": 5, "digits": 4, "held_out": 48, "prompts": None, "curve": "held-out", "groups": 8}
_SEARCH = {"steps": 64, "evaluations": 4, "sizes": (1e-4, 3e-4, 1e-3), "target": None}
SETTINGS: Mapping[Verifier, Setting] = {
    "order": Setting(
        title="30 right derivations",
        base=3,
        digits=5,
        start=None,
        held_out=24,
        prompts=24,
        curve="trained",
        groups=4,
        steps=96,
        evaluations=12,
        sizes=(2e-4, 1e-3, 5e-3),
        target=0.6,
    ),
    "chain": Setting(title="one right completion", start=0.05, **_SUMS, **_SEARCH),  # type: ignore[arg-type]
    "answer": Setting(title="only the answer counts", start=0.35, **_SUMS, **_SEARCH),  # type: ignore[arg-type]
}


@dataclass(frozen=True, slots=True)
class Variance:
    """One checkpoint: exact moments on ``prompts`` training prompts, and a sample of ``groups`` as a check.

    The trained checkpoint is the end of a run of MaxPO, of the first pilot seed at the middle step size, and
    half way is after half of its steps.
    """

    verifier: Verifier
    checkpoint: Checkpoint
    prompts: int
    groups: int


@dataclass(frozen=True, slots=True)
class Pilot:
    """``runs`` of the reference rule at the middle step size: what ``seeds`` reported runs could see."""

    verifier: Verifier
    seeds: int
    runs: int = len(PILOT_SEEDS)


@dataclass(frozen=True, slots=True)
class Contest:
    """A rule in a setting: a step size from ``tuning`` seeds, and reported runs of ``seeds`` others at it.

    The reported ones are ``first`` and those after it. ``size`` multiplies the parameters of the model;
    ``device`` is where it is trained.
    """

    verifier: Verifier
    rule: str
    seeds: int
    steps: int
    evaluations: int
    tuning: int
    first: int = 0
    size: int = 1
    device: str = "cpu"


Cell = Variance | Pilot | Contest
