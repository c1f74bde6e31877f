"""K by phases of training, for any trainer that counts its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.arguments import as_k, whole_number


@dataclass(frozen=True)
class KSteps:
    """A piecewise constant k: ``KSteps({0: 8, 100: 1})`` is 8 up to step 99 and 1 from step 100 on.

    Equal by value; called with a step, it gives the k of that step.

    Parameters
    ----------
    starts
        The k from each step on, steps counted from 0 (in TRL optimizer steps, ``TrainerState.global_step``).

    Raises
    ------
    TypeError
        ``starts`` is not a mapping, or a step or a k is not an integer.
    ValueError
        No k for step 0, a negative step, or a k below 1.
    """

    starts: Mapping[int, int]

    def __post_init__(self) -> None:
        if not isinstance(self.starts, Mapping):
            raise TypeError(
                f"starts={self.starts!r} is a {type(self.starts).__name__}: it must map steps to k, "
                f"e.g. {{0: 8, 100: 1}}"
            )
        checked = {whole_number(step, "step"): as_k(k) for step, k in self.starts.items()}
        if min(checked, default=None) != 0:
            raise ValueError(f"starts={dict(self.starts)}: the first step must be 0, e.g. {{0: 8, 100: 1}}")
        object.__setattr__(self, "starts", dict(sorted(checked.items())))

    def __hash__(self) -> int:
        return hash(tuple(self.starts.items()))

    def __call__(self, step: int) -> int:
        """The k at this step."""
        return self.starts[max(start for start in self.starts if start <= step)]
