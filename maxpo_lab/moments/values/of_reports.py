"""Exact errors of what evaluation tools print, for prompts of mixed difficulty and unequal n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np

from ...core.arguments import as_group_size, as_k
from ...core.arrays import Float
from ...evaluation import ValueRule
from ...evaluation.as_reported import Report, get_report
from ...objectives import as_objective
from ...policies.levels import RewardLevels
from ...policies.objective import objective_value
from ..exact import MAX_STATES
from .of_groups import value_moments


@dataclass(frozen=True, kw_only=True)
class ReportedMoments:
    """Errors of a number that a tool prints for some prompts.

    Attributes
    ----------
    report
        Its name.
    k
        The K that it is printed for.
    value
        Mean over all prompts of the exact J_K, which a reader takes the number for.
    mean, variance
        Of the number, over other rollouts of these prompts.
    weights
        What each prompt weighs in it, (P,): 0 for one that is left out.
    """

    report: str
    k: int
    value: float
    mean: float
    variance: float
    weights: tuple[float, ...]

    @property
    def bias(self) -> float:
        """``mean - value``."""
        return self.mean - self.value

    @property
    def relative_bias(self) -> float:
        """``bias / |value|``; NaN where the value is 0."""
        return self.bias / abs(self.value) if self.value else nan

    @property
    def standard_deviation(self) -> float:
        """What other rollouts of the same prompts would change."""
        return sqrt(self.variance)


def reported_moments(
    report: str | Report,
    prompts: Sequence[RewardLevels],
    *,
    n: int | Sequence[int],
    k: int,
    max_states: int = MAX_STATES,
) -> ReportedMoments:
    r"""Bias and variance of what a tool prints for a set of prompts, exactly.

    With v_i the tool's value of prompt i from its n_i rollouts and w_i what the prompt weighs there,

    .. math:: E = \sum_i w_i E[v_i], \qquad \mathrm{Var} = \sum_i w_i^2 \mathrm{Var}[v_i], \qquad
              \text{bias} = E - \frac{1}{P} \sum_i J_K^{(i)} ,

    so that prompts that a tool leaves out, or weighs by their numbers of rollouts, are part of its bias.

    Parameters
    ----------
    report
        A name (``evaluation.as_reported.list_reports``), or a ``Report``.
    prompts
        The policy on each of P prompts.
    n
        Rollouts of each prompt: one number, or P.
    k
        The K that is reported.
    max_states
        Of ``value_moments``, for each prompt.

    Raises
    ------
    TypeError, ValueError
        Bad arguments; a K that the tool refuses, or prints nothing for; what ``value_moments`` refuses.

    Notes
    -----
    Assumes i.i.d. rollouts, independent prompts, and a verdict for each rollout. Cost: that of
    ``value_moments``, once for each pair of levels and n.
    """
    report = get_report(report) if isinstance(report, str) else report
    k = as_k(k)
    if not isinstance(report, Report):
        raise TypeError(f"report is a {type(report).__name__}: pass a name, or a Report")
    levels = list(prompts)
    if not levels or not all(isinstance(each, RewardLevels) for each in levels):
        raise TypeError("prompts must be one RewardLevels a prompt, and one at least")
    asked = [n] * len(levels) if np.ndim(n) == 0 else list(n)  # type: ignore[arg-type]
    if len(asked) != len(levels):
        raise ValueError(
            f"n has {len(asked)} numbers for {len(levels)} prompts: give one number, or one each"
        )
    rollouts = [as_group_size(each) for each in asked]
    counted = report.sizes(rollouts)
    weights = report.weights(counted, k)
    if weights is None:
        raise ValueError(
            f"k={k}: {report.name} prints nothing for prompts of {min(rollouts)} to {max(rollouts)} rollouts"
        )
    known: dict[tuple[int, int, int], tuple[float, float]] = {}
    mean = variance = 0.0
    for weight, each, size, fitted in zip(weights, levels, rollouts, counted, strict=True):
        if not weight:
            continue
        key = (id(each), size, fitted)
        if key not in known:
            found = value_moments(_of(report, fitted), each, n=size, k=k, max_states=max_states)
            known[key] = (found.mean, found.variance)
        mean += weight * known[key][0]
        variance += weight**2 * known[key][1]
    objective = as_objective("max@k", max(rollouts), k)
    value = float(np.mean([objective_value(each, objective) for each in levels]))
    return ReportedMoments(
        report=report.name,
        k=k,
        value=value,
        mean=float(mean),
        variance=float(variance),
        weights=tuple(weights.tolist()),
    )


def _of(report: Report, fitted: int) -> ValueRule | Callable[[Float, int], Any]:
    """The rule of a prompt, on rewards as the tool takes them."""
    if not report.frozen:
        return report.rule

    def on_fitted(rewards: Float, k: int) -> Any:
        return report.rule(report.fitted(rewards, fitted), k)

    return on_fitted
