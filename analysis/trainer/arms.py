"""Arms of a comparison: a rule, its step size and its schedule of K; and the rules of all arms at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from maxpo_lab import get_estimator, rules
from maxpo_lab.core.arguments import whole_number
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.precision import as_numpy
from maxpo_lab.estimators import BatchEstimator
from maxpo_lab.integrations.schedules import KSteps
from maxpo_lab.losses import Loss, get_loss
from maxpo_lab.memory.replay import Replay

from .memories import Memories

#: In place of a rule: the exact gradient of J_K, without sampling.
EXACT: Final = "exact"
#: Rewards that a rule of batches is tried on where nobody says which it will meet.
_ANY = np.array([0.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes
    ----------
    rule
        A name of the catalogue, an estimator, or any callable from rewards (B, n) and k to advantages
        (B, n), in torch; a rule of batches, whose batch is the groups of a step; a ``Replay``, of whose kind
        every seed has a memory of its own; ``EXACT`` for the exact gradient.
    step_size
        Positive and finite.
    schedule
        K by phases; ``KSteps({0: k})`` for one K.
    loss
        What turns advantages into an update: a name of ``maxpo_lab.list_losses()``, or a ``Loss``. A KL
        penalty is taken against the start.
    draws
        How many times a group is drawn at most: while its rewards are all alike, it makes way for one whose
        prompt is drawn anew (DAPO's dynamic sampling, as ``update_moments(dead_groups="replace")`` has it
        without a bound). The last one is kept as it is. A rule that pays groups of equal rewards is biased
        by it.
    decay
        Step t, from 0, has the size ``step_size / (1 + decay step_size t)``; 0 for a constant one.

    Raises
    ------
    ValueError
        A step size that is not positive and finite; a decay below 0 or not finite; an unknown loss; less than
        one draw, or several of the exact gradient, which draws nothing.
    """

    rule: str | rules.Rule | rules.OfBatches | Replay | Memories
    step_size: float
    schedule: KSteps
    loss: str | Loss = "identity"
    draws: int = 1
    decay: float = 0.0

    def __post_init__(self) -> None:
        if whole_number(self.draws, "draws") < 1:
            raise ValueError(f"draws={self.draws}: a group is drawn once at least, e.g. draws=1")
        if self.draws > 1 and self.rule == EXACT:
            raise ValueError(f"draws={self.draws} of {EXACT!r}, which draws nothing: leave it out")
        if isinstance(self.loss, str):
            get_loss(self.loss)  # raises for an unknown one
        if not 0 < self.step_size < float("inf"):
            raise ValueError(f"step_size={self.step_size}: must be positive and finite, e.g. step_size=1.0")
        if not 0 <= self.decay < float("inf"):
            raise ValueError(f"decay={self.decay}: must be 0 or more and finite, e.g. decay=0.0")


@dataclass(frozen=True, eq=False)
class ArmRules:
    """The rules of several arms, each with its K, on rewards of their own."""

    _by_rule: tuple[tuple[rules.Rule | rules.OfBatches | Memories, int, list[int]], ...]

    @classmethod
    def of(
        cls,
        arms: Sequence[Arm],
        ks: Sequence[int],
        n: int,
        *,
        values: Float | None = None,
        groups: int = 1,
        seeds: int = 1,
    ) -> ArmRules:
        """The arms' rules at these K, admitted.

        ``values`` are the rewards that they will meet, None for any; ``groups`` those of a step, of which
        there is one for each seed. Raises as ``maxpo_lab.rules.admit``: a rule that couples the groups of a
        call would couple the seeds, and the arms that share it; one that says so gets the groups of a step by
        themselves.
        """
        found = tuple(
            _admitted(arm.rule, n, k, values=values, groups=groups, calls=seeds * len(arms))
            for arm, k in zip(arms, ks, strict=True)
        )
        by_rule: dict[tuple[int, int], list[int]] = {}
        for i, rule in enumerate(found):
            by_rule.setdefault((id(rule), ks[i]), []).append(i)
        return cls(tuple((found[places[0]], k, places) for (_, k), places in by_rule.items()))

    def __call__(self, rewards: torch.Tensor, prompts: torch.Tensor | None = None) -> torch.Tensor:
        """Advantages of rewards, both (arms, ..., groups, n): arms of one rule and K together.

        ``prompts`` (arms, seeds, groups), or those of all arms, are for arms that remember these. No rule
        sees two arms or two seeds at once but one of groups, whose rows are its own, and one with memories,
        one for each seed. Raises ValueError for a rule that gives another shape.
        """
        n = rewards.shape[-1]
        advantages = torch.empty_like(rewards)
        for rule, k, places in self._by_rule:
            given = rewards[places]
            if isinstance(rule, Memories):
                if prompts is None:
                    raise ValueError("prompts are missing: an arm with a memory needs each group's")
                own = prompts.expand(rewards.shape[:-1])
                for place in places:
                    advantages[place] = rule(rewards[place], own[place], k)
            elif isinstance(rule, BatchEstimator):
                advantages[places] = rule(given, k)
            elif rules.couples(rule):
                steps = given.reshape(-1, *rewards.shape[-2:])
                found = torch.stack([_evaluate(rule, step, k) for step in steps])
                advantages[places] = found.reshape(given.shape)
            else:
                advantages[places] = _evaluate(rule, given.reshape(-1, n), k).reshape(given.shape)
        return advantages


def _admitted(
    estimator: str | rules.Rule | rules.OfBatches | Replay | Memories,
    n: int,
    k: int,
    *,
    values: Float | None,
    groups: int,
    calls: int,
) -> rules.Rule | rules.OfBatches | Memories:
    """The rule meant, admitted: one of batches of as many prompts as a step has groups."""
    if isinstance(estimator, Memories):
        estimator.check(n, k, values)
        return estimator
    if isinstance(estimator, Replay):
        raise TypeError("a Replay remembers from step to step: give its Memories, one for each arm")
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if not rules.couples(rule):
        return rules.admit(rule, n, k, values=values, batch=groups * calls, lift=_lifted)
    met = _ANY if values is None else values
    lifted = rule if isinstance(rule, BatchEstimator) else replace(rule, function=_lifted(rule))
    rules.admit_batch(lifted, n, k, prompts=groups, values=met)
    return rule


def _evaluate(rule: rules.Rule, rewards: torch.Tensor, k: int) -> torch.Tensor:
    """Advantages of rewards (B, n), in their type and off any graph; ValueError for another shape."""
    answer = rule(rewards, k)
    found = answer.detach() if isinstance(answer, torch.Tensor) else torch.as_tensor(as_numpy(answer))
    if found.shape != rewards.shape:
        raise ValueError(
            f"{rules.describe(rule)} returned shape {tuple(found.shape)} for rewards of shape "
            f"{tuple(rewards.shape)}: a rule maps (B, n) to (B, n)"
        )
    return found.to(rewards.dtype)


def _lifted(rule: rules.Rule) -> rules.Rule:
    """A rule as arms call it, on NumPy arrays."""

    def lifted(rewards: Float, k: int) -> Float:
        return as_numpy(_evaluate(rule, torch.tensor(rewards), k))

    lifted.__name__ = rules.describe(rule)
    return lifted
