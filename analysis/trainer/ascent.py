"""The update of every arm at a step: sampled and weighted by a loss, or exact."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from maxpo_lab.losses import Loss, get_loss
from maxpo_lab.memory.replay import Replay

from .arms import EXACT, Arm, ArmRules
from .memories import Memories
from .protocol import Rollouts, Uniforms, World, objective
from .spending import Spent


@dataclass(frozen=True, slots=True)
class Batches:
    """When rollouts are drawn: for ``epochs`` steps at a time, by the policy of ``lag`` steps before."""

    epochs: int = 1
    lag: int = 0

    @property
    def fresh(self) -> bool:
        """Whether every step has rollouts of its own policy."""
        return (self.epochs, self.lag) == (1, 0)


class Ascent:
    """Updates of all arms, step after step from 0."""

    def __init__(
        self,
        world: World,
        arms: tuple[Arm, ...],
        uniforms: Uniforms,
        *,
        n: int,
        groups: int,
        batches: Batches,
        budget: float = float("inf"),
    ) -> None:
        arms = tuple(
            replace(arm, rule=Memories(arm.rule)) if isinstance(arm.rule, Replay) else arm for arm in arms
        )
        self.world, self.arms, self.n, self.groups, self.uniforms = world, arms, n, groups, uniforms
        self.exact = [i for i, arm in enumerate(arms) if arm.rule == EXACT]
        self.sampled = [i for i, arm in enumerate(arms) if arm.rule != EXACT]
        self.batches = batches
        # The rules of all phases, before the first step: one is refused before anything is trained.
        starts = {first for arm in arms for first in arm.schedule.starts}
        values, size = world.values.numpy(), uniforms.seeds
        self._rules = {
            ks: ArmRules.of([arms[i] for i in self.sampled], ks, n, values=values, groups=groups, seeds=size)
            for ks in {self._ks(step) for step in starts}
        }
        losses = [get_loss(arm.loss) if isinstance(arm.loss, str) else arm.loss for arm in arms]
        self._losses = [losses[i] for i in self.sampled]
        self._plain = batches.fresh and all(not loss.needs and _is_sum(loss) for loss in self._losses)
        self._draws = [arms[i].draws for i in self.sampled]
        self.spent, self._budget = Spent(world, len(arms), uniforms.seeds), budget
        #: Runs that have drawn what they may, and stay where they are, (arms, seeds).
        self.over = torch.zeros(len(arms), uniforms.seeds, dtype=torch.bool)
        self._past: deque[torch.Tensor] = deque(maxlen=batches.lag + 1)
        self._batch: tuple[Rollouts, torch.Tensor, torch.Tensor, torch.Tensor]  # from step 0 on

    def gradient(self, theta: torch.Tensor, step: int) -> torch.Tensor:
        """One update per policy, (arms, seeds, d)."""
        gradient = torch.empty_like(theta)
        if self.sampled:
            whole = len(self.sampled) == len(self.arms)
            own = theta if whole else theta[self.sampled]
            found = self._of_rollouts(own, step) if self._plain else self._of_losses(own, step)
            if whole:
                return found
            gradient[self.sampled] = found
        ks = [self.arms[i].schedule(step) for i in self.exact]
        for k in sorted(set(ks)):
            places = [i for i, own in zip(self.exact, ks, strict=True) if own == k]
            leaf = theta[places].requires_grad_()
            value = objective(self.world.values, self.world.masses(leaf), k).sum()
            gradient[places] = torch.autograd.grad(value, leaf)[0]
        return gradient

    def _of_rollouts(self, theta: torch.Tensor, step: int) -> torch.Tensor:
        """The sum over tokens with the advantages as they are, of fresh rollouts."""
        rollouts = self._drawn(theta, step)
        return rollouts.gradient(self._rules[self._ks(step)](rollouts.rewards, rollouts.prompts))

    def _drawn(self, theta: torch.Tensor, step: int) -> Rollouts:
        """Fresh rollouts, counted; dead groups of the arms that draw them again have made way for others."""
        rollouts = self.world.rollouts(theta, self.groups, self.n, self.uniforms)
        self.over = self.spent.rollouts >= self._budget
        going = ~self.over[self.sampled][..., None].expand(rollouts.rewards.shape[:-1])
        self.spent.add(self.sampled, rollouts, going)
        for attempt in range(1, max(self._draws)):
            places = [i for i, draws in enumerate(self._draws) if draws > attempt]
            own = rollouts.rewards[places]
            dead = going[places] & (own.amax(dim=-1) == own.amin(dim=-1))
            if not dead.any():
                break
            others = self.world.rollouts(
                theta[places], self.groups, self.n, self.uniforms.beside(step, attempt)
            )
            self.spent.add([self.sampled[i] for i in places], others, dead)
            rollouts = rollouts.replaced(others, places, dead)
        return rollouts

    def _of_losses(self, theta: torch.Tensor, step: int) -> torch.Tensor:
        self._past.append(theta)
        if step % self.batches.epochs == 0:
            behaviour = self._past[0]
            drawn = self._drawn(behaviour, step)
            # Once: a rule that remembers must not see them again.
            advantages = self._rules[self._ks(step)](drawn.rewards, drawn.prompts)
            self._batch = drawn, advantages, drawn.tokens(behaviour).logs, drawn.mask
        rollouts, advantages, before, mask = self._batch
        now = rollouts.tokens(theta)
        logs = {"log_ratios": now.logs.detach() - before}
        if any("reference_log_ratios" in loss.needs for loss in self._losses):
            start = self.world.start.expand_as(theta)
            logs["reference_log_ratios"] = now.logs.detach() - rollouts.tokens(start).logs
        if any("behaviour_log_ratios" in loss.needs for loss in self._losses):
            logs["behaviour_log_ratios"] = torch.zeros_like(before)  # the one that draws is the proximal one
        weights = torch.stack(
            [
                _weights(loss, advantages[i], mask[i], {name: each[i] for name, each in logs.items()})
                for i, loss in enumerate(self._losses)
            ]
        )
        return now.gradient(weights / (self.groups * self.n))

    def _ks(self, step: int) -> tuple[int, ...]:
        """K of every sampled arm."""
        return tuple(self.arms[i].schedule(step) for i in self.sampled)


def _is_sum(loss: Loss) -> bool:
    """Whether an update is the sum over tokens of the advantages, whatever the lengths."""
    return loss.aggregation.kind == "sequence-sum" and loss.aggregation.empty != "skip"


def _weights(
    loss: Loss, advantages: torch.Tensor, mask: torch.Tensor, logs: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Weights of an arm's tokens, (seeds, groups, n, T): a seed is a batch of its own."""
    given = {name: each for name, each in logs.items() if name in loss.needs}

    def of(seeds: Sequence[int] | slice) -> torch.Tensor:
        found: torch.Tensor = loss.weights(
            advantages[seeds], mask=mask[seeds], **{name: each[seeds] for name, each in given.items()}
        )
        return found

    if loss.aggregation.couples != "batch":
        return of(slice(None))
    return torch.cat([of([seed]) for seed in range(len(advantages))])
