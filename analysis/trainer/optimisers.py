"""Optimisers of a stack of policies: each entry of the stack is stepped as if it were alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

#: Turns one gradient after the other into the directions that are walked, times the step size.
Direction = Callable[[torch.Tensor], torch.Tensor]


class Optimiser(Protocol):
    """How gradients become steps: ``theta + step_size * direction(gradient)``."""

    def begin(self) -> Direction:
        """A run's direction, with a memory of its own."""
        ...


@dataclass(frozen=True)
class SGD:
    """Plain gradient ascent."""

    def begin(self) -> Direction:
        """The gradient itself."""
        return lambda gradient: gradient


@dataclass(frozen=True, kw_only=True)
class Adam:
    r"""``m / (sqrt(v) + eps)`` with bias-corrected running means m of g and v of ``g^2``, entry by entry.

    Source: arXiv 1412.6980, algorithm 1, with torch's defaults.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def begin(self) -> Direction:
        """The running means start at 0."""
        step, mean, square = 0, torch.zeros(()), torch.zeros(())

        def direction(gradient: torch.Tensor) -> torch.Tensor:
            nonlocal step, mean, square
            step += 1
            mean = self.beta1 * mean + (1 - self.beta1) * gradient
            square = self.beta2 * square + (1 - self.beta2) * gradient**2
            size = (square / (1 - self.beta2**step)).sqrt() + self.eps
            return mean / (1 - self.beta1**step) / size

        return direction
