"""Regimes, policies of the step size, cells: chosen from exact moments so that the seeds can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...run.presets import Preset
from ...trainer import SGD, Adam
from .predicted import Run
from .subjects import AGAIN, LOOPS, PLANTED
from .worlds import GRADED, LINEAR, NETWORK, SPARSE

SEED = 260606080
#: How a step size goes on and by whom it is walked.
Policy = Literal["constant", "decaying", "Adam"]
OPTIMISERS: Mapping[str, SGD | Adam] = {"constant": SGD(), "decaying": SGD(), "Adam": Adam()}
#: Noise over signal of the best step's loss from which a regime is called variance-limited.
LIMIT = 10.0
#: How many times the reference's variance the planted rule has at the start.
RATIO = 1.25
#: Rules that climb something else: where they end is told, and no ratio.
ELSEWHERE = ("grpo", "rloo", "maxrl")
UNBIASED = ("maxpo", PLANTED, AGAIN, "pkpo-loo1", "predictive", "pkpo-s")
WITH_HISTORY = ("replay", "centered-replay", "plug-in-floor")


@dataclass(frozen=True, kw_only=True)
class Regime:
    """A world, the budget of a step, and the J that is to be reached.

    Attributes
    ----------
    world, n, k, groups
        The world by name; group size, K of the objective, and groups a step.
    target
        The J_K to reach.
    flow, flow_steps
        Step size and steps of the exact path, which ends where the best policy is near.
    reference
        The rule that others are compared with.
    rules
        The rules that are compared.
    own_k
        K of the rules that cannot have the objective's.
    bowl
        Whether the path ends in an optimum inside, see ``predicted.Run``.
    steps
        Steps of the runs; None: as the forecast asks for.
    policies, seeds
        How the step size goes on, and seeds of a run of each size.
    """

    world: str
    n: int = 8
    k: int = 4
    groups: int = 8
    target: float
    flow: float
    flow_steps: int
    reference: str = "maxpo"
    rules: tuple[str, ...] = (*UNBIASED, *WITH_HISTORY)
    own_k: Mapping[str, int] | None = None
    bowl: bool = True
    steps: int | None = None
    policies: tuple[Policy, ...] = ("constant",)
    seeds: int = 64

    def run(self, policy: str, decay: float = 0.0) -> Run:
        """What a forecast is asked."""
        optimiser = OPTIMISERS[policy]
        return Run(groups=self.groups, target=self.target, decay=decay, bowl=self.bowl, optimiser=optimiser)

    def k_of(self, rule: str) -> int:
        """The K that a rule is given."""
        return (self.own_k or {}).get(self.reference if rule in (PLANTED, AGAIN) else rule, self.k)


_ALL: tuple[Policy, ...] = ("constant", "decaying", "Adam")
#: plug-in-floor is for 0/1 rewards, and pkpo-s takes some twenty times as long there as the others.
_GRADED = ("maxpo", PLANTED, AGAIN, "pkpo-loo1", "predictive", "replay", "centered-replay")
#: Without a history centered-replay is undefined at K = n, and no prompt has one at first.
_AT_N = ("pkpo-loo1", PLANTED, AGAIN, "replay", "plug-in-floor")
REGIMES: Mapping[str, Regime] = {
    "many correct, P = 16": Regime(
        world=LINEAR, groups=16, target=0.89, flow=2.0, flow_steps=60, policies=_ALL, seeds=384
    ),
    "many correct, P = 64": Regime(world=LINEAR, groups=64, target=0.87, flow=2.0, flow_steps=60, seeds=192),
    "K = n, P = 16": Regime(
        world=LINEAR,
        k=8,
        groups=16,
        target=0.97,
        flow=2.0,
        flow_steps=60,
        reference="pkpo-loo1",
        rules=_AT_N,
        policies=_ALL,
        seeds=384,
    ),
    "graded, P = 16": Regime(
        world=GRADED,
        groups=16,
        target=0.55,
        flow=2.0,
        flow_steps=100,
        rules=_GRADED,
        policies=("constant", "Adam"),
        seeds=256,
    ),
    "network, P = 8": Regime(
        world=NETWORK,
        target=0.6,
        flow=1.0,
        flow_steps=100,
        rules=("maxpo", PLANTED, AGAIN, "pkpo-loo1", "replay"),
        bowl=False,
        steps=60,
        seeds=32,
    ),
    "K = 12 of n = 8": Regime(
        world=LINEAR,
        k=12,
        groups=16,
        target=0.99,
        flow=2.0,
        flow_steps=60,
        reference="pkpo-loo1",
        rules=("pkpo-loo1", PLANTED, AGAIN, "chebyshev", "replay"),
        own_k={"pkpo-loo1": 8, "replay": 8},
        seeds=256,
    ),
    "sparse start": Regime(
        world=SPARSE,
        n=16,
        target=0.9,
        flow=20.0,
        flow_steps=2000,
        rules=("maxpo", PLANTED, AGAIN, "pkpo-loo1", "predictive", "pkpo-s", "replay"),
        bowl=False,
        steps=120,
    ),
}
STATIONARY = "stationary"
MAIN = "many correct, P = 16"
#: What the standard preset runs of the paper's cells.
STANDARD = (("many correct, P = 64", "constant"), (STATIONARY, "one parameter"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A regime under a policy of the step size; ``loops`` are run beside the rules."""

    regime: str
    policy: str
    rules: tuple[str, ...]
    loops: tuple[str, ...]
    seeds: int


def cells(preset: Preset) -> Sequence[Cell]:
    """Every regime under every policy that it has; the costly ones first."""
    if preset == "smoke":
        few = Cell("many correct, P = 64", "constant", ("maxpo", PLANTED, AGAIN), (), 8)
        return [few, Cell(STATIONARY, "one parameter", (), (), 16)]
    found = []
    for name, regime in REGIMES.items():
        for policy in regime.policies:
            # The slowest rule takes some forty times as long as the others: under one policy is enough.
            rules = tuple(rule for rule in regime.rules if policy == "constant" or rule != "pkpo-s")
            loops = tuple(LOOPS) if (name, policy) == (MAIN, "constant") else ()
            found.append(Cell(name, policy, rules, loops, regime.seeds))
    found += [Cell(STATIONARY, name, (), (), 96) for name in ("one parameter", "three parameters")]
    if preset == "standard":
        return [each for each in found if (each.regime, each.policy) in STANDARD]
    return found
