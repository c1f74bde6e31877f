"""What ``pass_at_k`` gives: numbers for every k, what they rest on, and what must be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from ..core.arrays import Float, Int
from .per_prompt.measures import label_of
from .per_prompt.products import Products


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Differences of two models on the same prompts, the first less the second, in arrays over the k's.

    Attributes
    ----------
    difference, standard_error
        Mean over prompts, and its error: prompts, or clusters of them, as a sample, both models on each.
    low, high
        Confidence interval, see ``intervals.difference_interval``.
    prompts, units
        Prompts on which both have k rollouts, and independent ones among them, as in ``PassAtK``.
    other
        The second model by itself.
    """

    difference: Float
    standard_error: Float
    low: Float
    high: Float
    prompts: Int
    units: Float
    other: PassAtK = field(repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class PassAtK:
    """Estimates of pass@k, max@k or another measure, in arrays over the k's.

    Attributes
    ----------
    measure, k, threshold
        What was estimated, and what a success was, None where rewards were taken as they are.
    estimate
        Mean over prompts of the unbiased estimate of each.
    standard_error
        Its error with the prompts as a sample of all there could be, unbiased for any n >= k; NaN for a
        single prompt or cluster.
    low, high, confidence
        Interval for the mean over all prompts there could be, see ``intervals.mean_interval``.
    fixed_prompts_error
        Error with these very prompts: what other rollouts would change. NaN where a prompt has fewer than 2k
        rollouts, as no unbiased estimate exists then; ``notes`` say so.
    prompts, left_out
        Prompts that the number is about, and those with too few rollouts.
    clusters, units
        Clusters of the prompts, None where prompts stand for themselves; and the prompts that are
        independent, by k: all, or as many as there would be clusters if these were equally large.
    graded
        Whether there are other rewards than 0 and 1.
    bounds
        The lowest and the highest reward that there can be, given or taken from the rewards.
    per_prompt
        The estimate of each prompt, (P, K); NaN where it is left out.
    prompt_ids, rollouts
        Id and scored rollouts of each prompt, (P,).
    products
        Sums of products of rewards, by group size, from which plans are made; empty for other measures than
        pass@k.
    comparison
        The difference to a second model, where one was given.
    notes
        What must be known of the numbers: what is left out, what does not exist and why.
    """

    measure: str
    k: Int
    threshold: float | None
    estimate: Float
    standard_error: Float
    low: Float
    high: Float
    confidence: float
    fixed_prompts_error: Float
    prompts: Int
    left_out: Int
    clusters: int | None
    units: Float
    graded: bool
    bounds: tuple[float, float]
    per_prompt: Float = field(repr=False)
    prompt_ids: npt.NDArray[Any] = field(repr=False)
    rollouts: Int = field(repr=False)
    products: Mapping[int, Products] = field(repr=False)
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()

    def label(self, k: int | str = "k") -> str:
        """``"pass@4"``, of graded rewards ``"max@4"``."""
        return label_of(self.measure, k).replace("pass@", "max@" if self._of_graded else "pass@")

    @property
    def _of_graded(self) -> bool:
        return self.graded and self.measure == "pass@k"

    def __str__(self) -> str:
        """One line a k: estimate, error, interval and prompts; the notes; the same of a comparison."""
        columns = (self.estimate, self.standard_error, self.low, self.high, self.prompts)
        lines = self._lines(columns, "")
        if self.comparison is not None:
            compared = self.comparison
            limits = (compared.low, compared.high)
            columns = (compared.difference, compared.standard_error, *limits, compared.prompts)
            return "\n".join([*lines, *self.notes, "less the other model", *self._lines(columns, "+")])
        return "\n".join([*lines, *self.notes])

    def _lines(self, columns: tuple[npt.NDArray[Any], ...], sign: str) -> list[str]:
        labels = [self.label(k) for k in self.k.tolist()]
        width, form = max(map(len, labels)), f"{sign}.4f"
        return [
            f"{label:<{width}}  {mean:{form}} +- {error:.4f}  [{low:{form}}, {top:{form}}]  {used} prompts"
            for label, mean, error, low, top, used in zip(labels, *columns, strict=True)
        ]
