"""A batch of prompts: groups that are independent, or that share one count of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...core.arrays import Float, Int
from .contributions import ByLevel
from .draws import DeadGroupPolicy
from .group_sums import AtRoots, Draws, at_roots
from .totals import Complex, Roots


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt's contributions, the same seen along the gradient, the normaliser, and the groups it draws."""

    parts: ByLevel
    seen: ByLevel
    normaliser: Callable[[Int], Float]
    draws: Sequence[Draws]

    @cached_property
    def alive(self) -> float:
        """Chance that a group's rewards are not all alike."""
        return float(sum(each.chance @ each.alive for each in self.draws))

    def at(self, roots: Roots) -> AtRoots:
        """Its moments at the roots; kept, as prompts of a batch may be alike."""
        if roots not in self._kept:
            self._kept[roots] = at_roots(self.draws, self.parts, (self.seen,), roots)
        return self._kept[roots]

    @cached_property
    def _kept(self) -> dict[Roots, AtRoots]:
        return {}


@dataclass(frozen=True, eq=False)
class Update:
    """``E u`` (d,), and ``E|u|^2`` and ``E <u, direction>^2`` (2,)."""

    mean: Float
    second: Float

    def times(self, factor: float) -> Update:
        """Of an update so many times as long."""
        return Update(factor * self.mean, factor**2 * self.second)


def of_independent(
    prompts: Sequence[Prompt], direction: Float, *, n: int, dead_groups: DeadGroupPolicy
) -> Update:
    """The mean over prompts of updates that know nothing of each other."""
    means, seconds = [], []
    for prompt in prompts:
        parts = prompt.parts
        h = prompt.normaliser(n * parts.least + parts.unit * np.arange(n * int(parts.spare[-1]) + 1))
        roots = Roots.beyond(len(h) - 1)
        here = prompt.at(roots)
        means.append(here.mean(roots.weights(h), parts, roots))
        seconds.append((roots.weights(h**2) @ here.second).real)
    kept = _kept(prompts, dead_groups)
    mean, second = np.stack(means), np.stack(seconds)
    if dead_groups == "redraw":
        mean, second = mean / kept[:, None], second / kept[:, None]
    if dead_groups == "replace":  # every group is one of a mixture
        mean = np.broadcast_to(mean.sum(axis=0) / kept.sum(), mean.shape)
        second = np.broadcast_to(second.sum(axis=0) / kept.sum(), second.shape)
    total = np.stack([np.sum(mean**2, axis=1), (mean @ direction) ** 2], axis=1)
    together = mean.sum(axis=0)
    whole = np.array([together @ together, (together @ direction) ** 2])
    return Update(together, np.sum(second - total, axis=0) + whole).times(1 / len(prompts))


def of_coupled(
    prompts: Sequence[Prompt], direction: Float, *, n: int, dead_groups: DeadGroupPolicy
) -> Update:
    """The update of a batch that is divided by all its tokens.

    Prompt by prompt, with ``a_0``, ``a_1`` and ``a_2`` the averages of ``x^T`` times 1, the update, and the
    inner product of two prompts' updates; and b that of a prompt's own second moments.
    """
    size = len(prompts)
    least = n * sum(prompt.parts.least for prompt in prompts)
    most = n * (sum if dead_groups != "replace" else _largest)([int(p.parts.spare[-1]) for p in prompts])
    h = prompts[0].normaliser(np.arange(least, least + most + 1))
    roots = Roots.beyond(len(h) - 1)
    kept = _kept(prompts, dead_groups)
    found = [prompt.at(roots) for prompt in prompts]
    vectors = [each.vectors(prompt.parts, roots) for prompt, each in zip(prompts, found, strict=True)]
    rows = [(each.mass, vector, each.second) for each, vector in zip(found, vectors, strict=True)]
    if dead_groups == "replace":  # every group is one of a mixture
        mass, vector, second = (np.sum([row[part] for row in rows], axis=0) for part in range(3))
        rows = [(mass, vector, second)] * size
        kept = np.full(size, kept.sum())
    rows = [tuple(part / share for part in row) for row, share in zip(rows, kept, strict=True)]
    none = np.ones(len(roots), dtype=complex)
    first: Complex = np.zeros_like(rows[0][1])
    both, own = np.zeros((len(roots), 2), dtype=complex), np.zeros((len(roots), 2), dtype=complex)
    for mass, vector, second in rows:
        across = np.stack(
            [np.sum(first * vector, axis=1), (first @ direction) * (vector @ direction)], axis=1
        )
        both = both * mass[:, None] + across
        own = own * mass[:, None] + none[:, None] * second
        first = first * mass[:, None] + none[:, None] * vector
        none = none * mass
    mean = (roots.weights(h) @ first).real
    return Update(mean, (roots.weights(h**2) @ (own + 2 * both)).real)


def _kept(prompts: Sequence[Prompt], dead_groups: DeadGroupPolicy) -> Float:
    """What the moments of each prompt are divided by: the share of its draws that are kept, or 1."""
    if dead_groups not in ("redraw", "replace"):
        return np.ones(len(prompts))
    kept = np.array([prompt.alive for prompt in prompts])
    lifeless = kept <= 0
    if lifeless.any() if dead_groups == "redraw" else lifeless.all():
        raise ValueError(
            f"dead_groups={dead_groups!r}: prompt {int(lifeless.argmax())} has no group of unequal "
            f"rewards, so "
            f"none is ever found; use 'keep' or 'drop'"
        )
    return kept


def _largest(values: Sequence[int]) -> int:
    return len(values) * max(values)
