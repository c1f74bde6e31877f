"""Intervals that tools print, as coded, for success counts (R, P) of P prompts with n rollouts each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float, Int
from maxpo_lab.evaluation.as_reported.counting import by_count

#: Low and high ends (R,) for counts (R, P) at (n, K).
Ends = tuple[Float, Float]
Form = Callable[[Int, int, int, np.random.Generator], Ends]
_NORMAL = 1.96


@dataclass(frozen=True)
class Interval:
    """An interval: who prints it and how it is made; ``only_k`` where it is of one K alone."""

    name: str
    made: str
    form: Form
    only_k: int | None = None


def standard_error(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """Mean and 1.96 standard errors over prompts."""
    values = by_count(n, k)[counts]
    mean = values.mean(axis=1)
    error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return mean - _NORMAL * error, mean + _NORMAL * error


def pooled(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """pass@1 and 1.96 standard errors of all rollouts, as if none shared a prompt."""
    rate = counts.mean(axis=1) / n
    error = np.sqrt(rate * (1 - rate) / (counts.shape[1] * n - 1))
    return rate - _NORMAL * error, rate + _NORMAL * error


def within_prompts(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """pass@1 and the binomial error of each prompt, unbiased: what other rollouts of them would change."""
    rate = counts / n
    mean, prompts = rate.mean(axis=1), counts.shape[1]
    error = np.sqrt((rate * (1 - rate) / (n - 1)).sum(axis=1)) / prompts
    reach = stats.norm.ppf(0.975) * error
    return mean - reach, mean + reach


def percentile_bootstrap(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:
    """Prompts redrawn 10,000 times: their numbers of each value are multinomial."""
    table, redraws = by_count(n, k), 10_000
    found = []
    for row in counts:
        shares = np.bincount(row, minlength=n + 1) / len(row)
        means = rng.multinomial(len(row), shares, size=redraws) @ table / len(row)
        found.append(np.percentile(means, (2.5, 97.5)))
    low, high = np.array(found).T
    return low, high


def hierarchical_bootstrap(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:
    """Prompts redrawn 2,000 times, and the rollouts of each with replacement."""
    table, redraws = by_count(n, k), 2000
    places = np.arange(n + 1)
    moved = stats.binom.pmf(places[None, :], n, places[:, None] / n)  # count of a redrawn prompt, by its own
    found = []
    for row in counts:
        shares = np.bincount(row, minlength=n + 1) / len(row) @ moved
        means = rng.multinomial(len(row), shares / shares.sum(), size=redraws) @ table / len(row)
        found.append(np.quantile(means, (0.025, 0.975)))
    low, high = np.array(found).T
    return low, high


def credible(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """Normal, from the posterior of each prompt's ``1 - (1-p)^K`` under a uniform prior, within 0 and 1."""
    right, wrong = 1 + counts, 1 + n - counts

    def failing(power: int) -> Float:
        """``E[(1-p)^power]``."""
        steps = np.arange(power)
        return np.asarray(np.prod((wrong[..., None] + steps) / (n + 2 + steps), axis=-1))

    mean = 1 - failing(k)
    variance = failing(2 * k) - failing(k) ** 2
    centre, error = mean.mean(axis=1), np.sqrt(variance.sum(axis=1)) / right.shape[1]
    reach = stats.norm.ppf(0.975) * error
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


def simultaneous_band(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """The band over K = 1..n at this K, by 4,000 Gaussian multipliers from seed 0 over prompts."""
    tables = np.stack([by_count(n, each) for each in range(1, n + 1)], axis=1)
    multipliers = np.random.default_rng(0).standard_normal((4000, counts.shape[1]))
    found = []
    for row in counts:
        rows = tables[row]
        mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
        scaled = (rows - mean) / (len(rows) * np.maximum(error, 1e-12))
        critical = np.quantile(np.abs(multipliers @ scaled).max(axis=1), 0.95)
        found.append((mean[k - 1] - critical * error[k - 1], mean[k - 1] + critical * error[k - 1]))
    low, high = np.array(found).T
    return low, high


def of_this_library(counts: Int, n: int, k: int, rng: np.random.Generator) -> Ends:  # noqa: ARG001
    """``ml.pass_at_k``."""
    found = [ml.pass_at_k((np.arange(n) < row[:, None]) * 1.0, k) for row in counts]
    return np.array([each.low[0] for each in found]), np.array([each.high[0] for each in found])


INTERVALS: Mapping[str, Interval] = {
    each.name: each
    for each in (
        Interval(
            "agentrel", "bootstrap of prompts, and of rollouts with replacement", hierarchical_bootstrap
        ),
        Interval("scorio", "posterior under a uniform prior, normal", credible),
        Interval("passk-inference", "band over all K, Gaussian multipliers over prompts", simultaneous_band),
        Interval("inspect-ai, lm-eval, lighteval", "1.96 standard errors over prompts", standard_error),
        Interval("nemo-evaluator", "percentile bootstrap of prompts", percentile_bootstrap),
        Interval("nemo-evaluator, pass@1", "binomial errors within prompts", within_prompts, only_k=1),
        Interval("bigcode-eval, pass@1", "all rollouts as independent", pooled, only_k=1),
        Interval("maxpo-lab", "Gaffke's bound, beta", of_this_library),
    )
}
