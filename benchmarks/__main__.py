"""``python -m benchmarks``: what the fast paths cost, beside what they are built on or replace.

Absolute times depend on the machine and are shown for orientation; the ratio, the median over
rounds in which both sides ran in turn, is the result.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import maxpo_lab as ml
from envs import Maze, SparseBandit, from_gymnasium
from maxpo_lab.estimators import definitions
from maxpo_lab.estimators.families.maxpo import maxpo_quadratic

ROUNDS = 7
THREADS = 2
#: 10^8 rollouts, drawn and measured in a process of their own.
MANY = """
import maxpo_lab as ml
from envs import SparseBandit

bandit = SparseBandit(arms=100, good=10)
ml.monte_carlo_moments(
    ["maxpo", "pkpo-loo1"], bandit.sampler(bandit.theta), n=16, k=4, groups=6_250_000, seed=0, workers=2
)
"""
Call = Callable[[], Any]


def side_by_side(call: Call, other: Call) -> tuple[float, float, float]:
    """Median seconds of each call, and the median ratio of the first to the second."""
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS + 1):
        pair = []
        for each in (call, other):
            start = time.perf_counter()
            each()
            pair.append(time.perf_counter() - start)
        times.append((pair[0], pair[1]))
    warm = times[1:]
    mine, theirs = (statistics.median(column) for column in zip(*warm, strict=True))
    return mine, theirs, statistics.median(a / b for a, b in warm)


def comparisons() -> list[tuple[str, Call, str, Call]]:
    """What is compared with what: label and call, twice."""
    rng = np.random.default_rng(0)
    batch = rng.random((20_000, 16))
    tensor = torch.tensor(batch)
    square = rng.random((64, 256))
    small = rng.random(10)
    bandit = SparseBandit(arms=1000, good=100, success=0.1)
    levels = bandit.levels(bandit.theta)
    graded = SparseBandit(arms=100, good=12, success=0.1, grades=(0.25, 0.5, 0.75, 1.0))
    five = graded.levels(graded.theta)
    sampler = bandit.sampler(bandit.theta)
    few = SparseBandit(arms=100, good=10, success=0.05)
    hundred = few.sampler(few.theta)
    maze = Maze(size=8, loops=10, horizon=32)
    episodes = maze.sampler(maze.theta)
    cliff = from_gymnasium("CliffWalking-v1", horizon=30)
    returns = cliff.levels(cliff.theta, covariances=None)
    eight = [
        "maxpo",
        "pkpo-loo1",
        "pkpo-s",
        "rloo",
        "canonical",
        "batch-mean",
        "max-minus-second",
        "pkpo-loo",
    ]
    maxpo = ml.get_estimator("maxpo")
    sizes = rng.permutation(np.repeat(np.arange(7, 27), 500))
    ids = rng.permutation(np.repeat(np.arange(10_000), sizes))
    ragged = rng.random(len(ids))
    dense = ragged[: len(ids) // 16 * 16].reshape(-1, 16)
    million = rng.random((1_000_000, 16))
    solved = (million < 0.2) * 1.0
    ks = (1, 2, 4, 8, 16)

    def drawn(sampler: Any, groups: int) -> Any:
        return sampler(groups, 16, generator=torch.Generator().manual_seed(0))

    def sampled() -> torch.Tensor:
        rewards, scores = drawn(sampler, 20_000)
        return scores.squared_norm(maxpo(rewards, 4)).mean()

    return [
        ("maxpo, 20,000 groups of 16, NumPy", lambda: maxpo(batch, 4), "sort", lambda: np.sort(batch)),
        ("maxpo, 20,000 groups of 16, torch", lambda: maxpo(tensor, 4), "sort", tensor.sort),
        ("maxpo", lambda: maxpo(batch, 4), "rloo", lambda: ml.advantages(batch, 4, estimator="rloo")),
        (
            "maxpo, 10,000 groups of 7 to 26 by id",
            lambda: ml.advantages(ragged, 4, group_ids=ids),
            "as many rewards in groups of 16",
            lambda: ml.advantages(dense, 4),
        ),
        (
            "pass_at_k, 1,000,000 prompts x 16, graded, 5 k's with intervals",
            lambda: ml.pass_at_k(million, ks),
            "sort",
            lambda: np.sort(million),
        ),
        (
            "pass_at_k, the same, 0/1 rewards",
            lambda: ml.pass_at_k(solved, ks),
            "sort",
            lambda: np.sort(solved),
        ),
        (
            "maxpo, 64 groups of 256",
            lambda: maxpo(square, 8),
            "quadratic form",
            lambda: maxpo_quadratic(square, 8),
        ),
        ("maxpo, n=10, K=4", lambda: maxpo(small, 4), "enumeration", lambda: definitions.maxpo(small, 4)),
        (
            "exact moments, n=16, 0/1",
            lambda: ml.exact_moments("maxpo", levels, n=16, k=4),
            "20,000 sampled groups",
            sampled,
        ),
        (
            "exact moments, n=1024, 0/1",
            lambda: ml.exact_moments("maxpo", levels, n=1024, k=4),
            "the rule alone on its groups",
            lambda: maxpo(np.tri(1025, 1024, -1), 4),
        ),
        (
            "exact moments, n=16, 5 levels",
            lambda: ml.exact_moments("maxpo", five, n=16, k=4),
            "the rule alone on as many groups",
            lambda: maxpo(batch[:4845], 4),
        ),
        (
            f"exact moments, n=64, {len(returns.values)} levels, closed form",
            lambda: ml.exact_moments("maxpo", returns, n=64, k=4),
            "20,000 sampled groups",
            sampled,
        ),
        (
            "1,000,000 bandit rollouts of 100 arms",
            lambda: drawn(hundred, 62_500),
            "as many random numbers",
            lambda: torch.rand(1_000_000, dtype=torch.float64),
        ),
        (
            "100,000 maze episodes of at most 32 steps",
            lambda: drawn(episodes, 6_250),
            "32 random numbers for each",
            lambda: torch.rand(3_200_000, dtype=torch.float64),
        ),
        (
            "moments of 8 rules on 16,384 sampled groups of 16",
            lambda: ml.monte_carlo_moments(eight, hundred, n=16, k=4, groups=16_384, seed=0, workers=THREADS),
            "sampling and sorting them",
            lambda: drawn(hundred, 16_384)[0].sort(dim=-1),
        ),
    ]


def peak_memory() -> tuple[float, float]:
    """Peak memory in GB and seconds of measuring 10^8 sampled rollouts."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", MANY], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6, time.perf_counter() - start


def main() -> None:
    """Print the table, then the memory of a long run."""
    torch.set_num_threads(THREADS)
    table = Table("measured", "ms", "beside", "ms", "ratio", box=None, pad_edge=False)
    for label, call, other_label, other in comparisons():
        mine, theirs, ratio = side_by_side(call, other)
        table.add_row(label, f"{1e3 * mine:.3g}", other_label, f"{1e3 * theirs:.3g}", f"{ratio:.3g}")
    console = Console()
    console.print(table)
    memory, seconds = peak_memory()
    console.print(f"100,000,000 sampled rollouts, 2 rules: peak memory {memory:.2f} GB, {seconds:.0f} s")


if __name__ == "__main__":
    main()
