"""``python -m benchmarks.coverage``: how often intervals of pass@k hold what they are for.

Every cell is a policy over prompts (difficulties of a beta distribution, or graded rewards), a number of
prompts, of rollouts and of k, sampled many times with a fixed seed; its true pass@k is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import betabinom, hypergeom, t

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.evaluation.across_prompts.intervals import difference_interval, mean_interval

DIFFICULTIES = ((0.5, 2.0), (0.2, 4.0), (4.0, 0.2), (2.0, 2.0))
PROMPTS = (20, 60, 500, 2000)
ROLLOUTS = (4, 16, 64)
REPEATS = 10_000
#: Of a cell whose rewards are sampled one by one.
FEWER = 400
#: Prompts, and whether each interval held.
Cell = tuple[int, dict[str, float]]


@cache
def by_successes(n: int, k: int) -> Float:
    """pass@k from c = 0..n successes of n."""
    return np.asarray(1.0 - hypergeom.pmf(0, n, np.arange(n + 1), k))


def covered(low: Float, high: Float, truth: float) -> float:
    """Share of intervals that hold the truth."""
    return float(np.mean((low - 1e-12 <= truth) & (truth <= high + 1e-12)))


def successes(rng: np.random.Generator) -> Iterator[Cell]:
    """One model, 0/1 rewards."""
    for difficulty in DIFFICULTIES:
        for prompts in PROMPTS:
            for n in ROLLOUTS:
                chances = betabinom.pmf(np.arange(n + 1), n, *difficulty)
                chances /= chances.sum()
                drawn = rng.multinomial(prompts, chances, size=REPEATS)
                for k in sorted({1, 4, n}):
                    values = by_successes(n, k)
                    mean = drawn @ values / prompts
                    error = np.sqrt(np.maximum(drawn @ values**2 / prompts - mean**2, 0) / (prompts - 1))
                    count, truth = np.full_like(mean, prompts), float(chances @ values)
                    low, high = mean_interval(mean, error, count, confidence=0.95, bounds=(0, 1))
                    half = t.ppf(0.975, prompts - 1) * error
                    yield (
                        prompts,
                        {
                            "interval": covered(low, high, truth),
                            "Student's": covered(mean - half, mean + half, truth),
                        },
                    )


def differences(rng: np.random.Generator) -> Iterator[Cell]:
    """Two models: the same one twice, independent ones, and one that has learnt 3% of the prompts."""
    for difficulty in DIFFICULTIES:
        a, b = difficulty
        for prompts in PROMPTS[:3]:
            for n in ROLLOUTS:
                p = rng.beta(a, b, size=(2 * FEWER, prompts))
                kinds = {
                    "same": p,
                    "independent": rng.beta(a, b, size=p.shape),
                    "few gains": np.where(rng.random(p.shape) < 0.03, 1.0, p),
                }
                for kind, q in kinds.items():
                    one, two = rng.binomial(n, q), rng.binomial(n, p)
                    for k in sorted({1, 4, n}):
                        failing = float(np.prod([(b + i) / (a + b + i) for i in range(k)]))
                        truth = 0.03 * failing if kind == "few gains" else 0.0
                        d = by_successes(n, k)[one] - by_successes(n, k)[two]
                        mean, error = d.mean(axis=1), d.std(axis=1, ddof=1) / np.sqrt(prompts)
                        count = np.full_like(mean, prompts)
                        low, high = difference_interval(mean, error, count, confidence=0.95, width=1.0)
                        half = t.ppf(0.975, prompts - 1) * error
                        held = covered(low, high, truth), covered(mean - half, mean + half, truth)
                        yield prompts, dict(zip(("interval", "Student's"), held, strict=True))


def sampled(
    rng: np.random.Generator,
    draw: Callable[[np.random.Generator, int], Float],
    clusters: int | None = None,
    **options: object,
) -> Iterator[Cell]:
    """Rewards drawn prompt by prompt, ``draw(rng, prompts)`` of 16 rollouts each; truth by many prompts."""
    ks = (1, 4, 16)
    truth = ml.pass_at_k(draw(rng, 400_000), ks).estimate
    for prompts in PROMPTS[:3]:
        held = np.zeros(len(ks))
        for _ in range(FEWER):
            labels = {} if clusters is None else {"clusters": np.arange(prompts) // clusters}
            found = ml.pass_at_k(draw(rng, prompts), ks, **options, **labels)  # type: ignore[arg-type]
            held += (found.low <= truth) & (truth <= found.high)
        yield from ((prompts, {"interval": share}) for share in held / FEWER)


def graded(rng: np.random.Generator, prompts: int) -> Float:
    """Rewards between 0 and 1, around a mean of the prompt."""
    centre = rng.beta(0.7, 2.0, size=(prompts, 1))
    return rng.beta(4 * centre + 1e-3, 4 * (1 - centre) + 1e-3, size=(prompts, 16))


def heavy(rng: np.random.Generator, prompts: int) -> Float:
    """Rewards without an upper bound: log-normal over prompts and rollouts."""
    return np.exp(rng.normal(size=(prompts, 1)) + rng.normal(size=(prompts, 16)))


def in_clusters(rng: np.random.Generator, prompts: int) -> Float:
    """0/1 rewards, chances shared by four prompts in a row."""
    p = np.repeat(rng.beta(0.5, 2.0, size=-(-prompts // 4)), 4)[:prompts]
    return (rng.random((prompts, 16)) < p[:, None]) * 1.0


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    groups = {
        "pass@k, 0/1 rewards": successes(rng),
        "differences of two models": differences(rng),
        "max@k, graded, bounds given": sampled(rng, graded, bounds=(0, 1)),
        "max@k, graded, no bounds given": sampled(rng, graded),
        "max@k, log-normal, no bounds": sampled(rng, heavy),
        "pass@k, clusters of four prompts": sampled(rng, in_clusters, clusters=4),
        "the same, clusters not told": sampled(rng, in_clusters),
    }
    table = Table(box=None, pad_edge=False)
    table.add_column("coverage at 95%", no_wrap=True)
    for heading in ("prompts", "interval", "lowest", "Student's", "lowest"):
        table.add_column(heading, justify="right")
    for name, cells in groups.items():
        found = list(cells)
        for prompts in sorted({each for each, _ in found}):
            here = [held for each, held in found if each == prompts]
            row = [name, f"{prompts:,}"]
            for kind in ("interval", "Student's"):
                held = [each[kind] for each in here if kind in each]
                row += [f"{np.mean(held):.3f}", f"{min(held):.3f}"] if held else ["", ""]
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
