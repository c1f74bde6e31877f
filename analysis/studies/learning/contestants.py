"""What is compared: a rule at a K, in a training loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maxpo_lab import Replay, get_estimator
from maxpo_lab.core.arrays import Float
from maxpo_lab.integrations.schedules import KSteps
from maxpo_lab.memory.replay import RULES as WITH_HISTORY

from ...trainer import EXACT, Arm

ON_POLICY: Final = "on-policy"
#: How often DAPO's loop draws a group at most.
DRAWS = 8


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What a trainer does around its rule: as the arguments of an ``Arm`` and of ``train``.

    ``whitened`` advantages are divided by their deviation over the batch of a step.
    """

    loss: str = "identity"
    epochs: int = 1
    lag: int = 0
    draws: int = 1
    whitened: bool = False


LOOPS: Mapping[str, Loop] = {
    ON_POLICY: Loop(),
    "clip, 4 epochs": Loop(loss="ppo", epochs=4),
    "clip, lag 4": Loop(loss="ppo", lag=4),
    "redraw": Loop(draws=DRAWS),
    "whitened": Loop(whitened=True),
    # Clip-higher, a mean over the batch's tokens, redrawn groups, and inner epochs.
    "DAPO": Loop(loss="ppo:low=0.2,high=0.28,over=token-mean", epochs=4, draws=DRAWS),
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A rule that climbs max@``k``, for the first half of the steps and then 1 if ``annealed``, in a loop."""

    rule: str
    k: int
    loop: str = ON_POLICY
    annealed: bool = False

    def arm(self, step_size: float, steps: int) -> Arm:
        """The contestant at a step size, for so many batches."""
        loop = LOOPS[self.loop]
        rule: str | Replay = f"whitened:{self.rule}" if loop.whitened else self.rule
        if self.rule in WITH_HISTORY:
            rule = Replay(self.k, estimator=self.rule)
        phases = {0: self.k, steps // 2 * loop.epochs: 1} if self.annealed else {0: self.k}
        return Arm(rule=rule, step_size=step_size, schedule=KSteps(phases), loss=loop.loss, draws=loop.draws)

    def why_not(self, n: int, rewards: Float) -> str | None:
        """Why the rule is not defined for groups of n, or on these rewards."""
        if self.rule == EXACT:
            return None
        rule = get_estimator(self.rule)
        return rule.why_not(n, self.k) or rule.why_not_rewards(rewards)
