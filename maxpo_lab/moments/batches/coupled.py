"""What a way of taking in the coupling leaves behind: the sums of each prompt, and of pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.arrays import Float
from ...policies.levels import RewardLevels
from .result import Method


@dataclass(kw_only=True, eq=False)
class PromptSums:
    """``Sums`` of one prompt in its batch: averages over its own counts and those of the others.

    ``by_level`` is ``E T_l``, of which ``mean`` is made, (L,).
    """

    basis: Float
    coordinates: Float
    mean: Float
    comoment: Float
    by_level: Float
    squares: Float
    sum_square: float
    sum_max: float
    states: int
    dead: Callable[[float], float]

    def between_counts(self) -> float:
        """Trace of the covariance of E[x | counts of the batch]."""
        return float(np.trace(self.comoment))

    def dead_probability(self, threshold: float) -> float:
        """Chance of a group whose largest |A| is at most the threshold."""
        return self.dead(threshold)


@dataclass(frozen=True, kw_only=True, eq=False)
class Errors:
    """What sampling leaves uncertain.

    Attributes
    ----------
    means
        ``E[x | draw]`` of each prompt, (draws, prompts, r), in the common basis, x being n times the
        gradient.
    traces
        ``E[|n P G|^2 | draw]``, (draws,), the scores' own variance included.
    """

    means: Float
    traces: Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Coupled:
    """The sums of each prompt, in their order, of ``x = n g``.

    Attributes
    ----------
    across
        ``sum over places j != j' of (E <x_j, x_j'> - <E x_j, E x_j'>)``.
    dead
        Chance of a batch in which every advantage is 0.
    """

    sums: tuple[PromptSums, ...]
    across: float
    dead: float
    method: Method
    errors: Errors | None = None


def prompt_sums(
    levels: RewardLevels, chance: Float, sums: Float, squares: Float, largest: Float
) -> PromptSums:
    """From weighted states: their chance (B,), sums of A and A^2 by level (B, L), and max |A|, (B,)."""
    basis, coordinates = levels.span()
    x = sums @ coordinates
    mean = chance @ x
    deviation = x - mean
    total = sums.sum(axis=1)
    return PromptSums(
        basis=basis,
        coordinates=coordinates,
        mean=mean,
        comoment=(chance[:, None] * deviation).T @ deviation,
        by_level=chance @ sums,
        squares=chance @ squares,
        sum_square=float(chance @ total**2),
        sum_max=float(np.abs(total[chance > 0]).max()),
        states=len(chance),
        dead=lambda threshold: float(chance[largest <= threshold].sum()),
    )


def mixed(sums: Sequence[PromptSums], weights: Float) -> PromptSums:
    """Those of a prompt that is in one of several situations, by their chances."""
    seen = [(each, float(weight)) for each, weight in zip(sums, weights, strict=True) if weight > 0]
    mean = np.sum([weight * each.mean for each, weight in seen], axis=0)
    comoment = np.zeros_like(seen[0][0].comoment)
    for each, weight in seen:
        off = each.mean - mean
        comoment += weight * (each.comoment + np.outer(off, off))
    return PromptSums(
        basis=seen[0][0].basis,
        coordinates=seen[0][0].coordinates,
        mean=mean,
        comoment=comoment,
        by_level=np.sum([weight * each.by_level for each, weight in seen], axis=0),
        squares=np.sum([weight * each.squares for each, weight in seen], axis=0),
        sum_square=sum(weight * each.sum_square for each, weight in seen),
        sum_max=max(each.sum_max for each, _ in seen),
        states=sum(each.states for each, _ in seen),
        dead=lambda threshold: sum(weight * each.dead(threshold) for each, weight in seen),
    )
