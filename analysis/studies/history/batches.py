"""Batches of prompts of log-uniform difficulty: how far lambda is right, learned or fixed.

A learned lambda does not see the group it is for, nor its history. So the variance of a prompt is exactly
``E V(lam)``, with ``V(lam) = tr Cov`` a quadratic whose coefficients are exact sums over histories and
prompts: only two moments of lambda, one number a batch, are sampled.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators.history.learned import MovingAverage, inner_products, leave_one_out
from maxpo_lab.estimators.history.replay import replay

from ...measure.success_tables import NUMPY, SuccessTable, bandit, chances, success_table
from .quadratic import Quadratic
from .rows import RATES, SEED, SPACES, Cell, Row

HARDEST, EASIEST = 1e-3, 0.9
#: Nodes of the average over difficulty: 1e-8 of the efficiencies from twice as many.
NODES = 24
#: Batches drawn for the leave-one-out lambda; runs and their steps for the moving average (.95^150 = 5e-4).
BATCHES, RUNS, STEPS = 1500, 300, 150


def measure(cell: Cell) -> list[Row]:
    """MaxPO, replay with the fair lambda, and with lambda learned in both ways."""
    n, k, m = cell.n, cell.k, cell.m
    tables = {lam: success_table(partial(replay, lam=lam), n=n, k=k, m=m) for lam in (0.0, 0.5, 1.0)}
    floor, signal = _over_prompts(cell)
    variance = Quadratic(*(_second_moment(cell, each) - signal for each in tables.values()))
    cap = m / (n - k + m)
    rng = np.random.default_rng(
        np.random.SeedSequence(SEED, spawn_key=(n, k, m, cell.prompts, list(RATES).index(cell.history)))
    )
    along, apart = _sums(tables[0.0], tables[1.0])
    draw = partial(_drawn, rng, cell, along, apart)
    without = "maxpo" if k < n else "pkpo-loo1"
    shares = {
        without: np.zeros((1, 1)),
        "replay": np.full((1, 1), cap),
        "leave-one-out": _leave_one_out(*draw(shape=(BATCHES, cell.prompts)), cap),
        "moving average": _moving_average(*draw(shape=(RUNS, STEPS, cell.prompts)), cap),
    }
    rows = []
    for rule, lam in shares.items():
        spent = variance(lam)
        mean, batches = (
            float(spent.mean()),
            spent.mean(axis=1),
        )  # a batch's prompts share what they learn from
        error = float(batches.std(ddof=1) / np.sqrt(len(batches))) if len(batches) > 1 else 0.0
        where = (cell.part, cell.space, n, k, m, cell.history, 0.0, cell.prompts, 0)
        rows.append(Row(*where, rule, floor / mean, error * floor / mean**2, 1.0, float(lam.mean())))
    return rows


def _nodes() -> tuple[list[float], list[float]]:
    """Success rates and weights of the mean over log-uniform difficulty."""
    at, weight = np.polynomial.legendre.leggauss(NODES)
    return (HARDEST * (EASIEST / HARDEST) ** ((1 + at) / 2)).tolist(), (weight / 2).tolist()


def _over_prompts(cell: Cell) -> tuple[float, float]:
    """Means over prompts of the floor and of ``|grad J|^2``."""
    floor = signal = 0.0
    for p, weight in zip(*_nodes(), strict=True):
        levels = bandit(*SPACES[cell.space], p)
        floor += weight * ml.variance_floor(levels, n=cell.n, k=cell.k).trace_covariance
        signal += weight * float(np.sum(ml.max_at_k_gradient(levels, cell.k) ** 2))
    return floor, signal


def _second_moment(cell: Cell, table: SuccessTable) -> float:
    """Mean over prompts and their histories of ``E|g|^2``."""
    total = 0.0
    for p, weight in zip(*_nodes(), strict=True):
        chance = chances(cell.m, RATES[cell.history](p))
        total += weight * float(chance @ table.second_moment(bandit(*SPACES[cell.space], p)))
    return total


def _sums(plain: SuccessTable, past: SuccessTable) -> tuple[Float, Float]:
    """``<A0, D>`` and ``<D, D>`` by successes in the history and in the group, (m+1, n+1) each."""
    c = np.arange(plain.n + 1)
    groups = [
        np.where(np.arange(plain.n) < c[:, None], each.won[..., None], each.lost[..., None])
        for each in (plain, past)
    ]
    along, apart = inner_products(NUMPY, *groups)
    return along, apart


def _drawn(
    rng: np.random.Generator, cell: Cell, along: Float, apart: Float, shape: tuple[int, ...]
) -> tuple[Float, Float]:
    """Both sums of prompts that are drawn with their groups and histories, of this shape each."""
    p = np.exp(rng.uniform(np.log(HARDEST), np.log(EASIEST), shape))
    rate = np.vectorize(RATES[cell.history])(p)
    where = rng.binomial(cell.m, rate), rng.binomial(cell.n, p)
    return along[where], apart[where]


def _leave_one_out(along: Float, apart: Float, cap: float) -> Float:
    """Lambda of each prompt of each batch, (batches, P)."""
    largest = np.full(along.shape[1], cap)
    return np.stack([leave_one_out(NUMPY, *each, largest) for each in zip(along, apart, strict=True)])


def _moving_average(along: Float, apart: Float, cap: float) -> Float:
    """Lambda of the step after each run, (runs, 1)."""
    largest, found = np.full(1, cap), []
    for steps in zip(along.sum(axis=-1).tolist(), apart.sum(axis=-1).tolist(), strict=True):
        state = MovingAverage()
        for step in zip(*steps, strict=True):
            state = state.updated(*step)
        found.append(state.lam(NUMPY, largest))
    return np.stack(found)
