"""A million prompts with 64 rewards each: how much memory, and what a step costs beside maxpo."""

from __future__ import annotations

import tracemalloc
from statistics import median
from time import process_time

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.memory.batches import Batch
from maxpo_lab.memory.recall import Past, remember
from maxpo_lab.memory.replay import Replay

pytestmark = pytest.mark.integration


def test_a_million_prompts_fit_into_a_gigabyte() -> None:
    """All that Python and NumPy hold at the worst moment of a loop that fills the memory.

    Not the peak of a process of its own: on Linux a program that is started anew is given that of the process
    that started it.
    """
    rng, memory = np.random.default_rng(0), ml.Replay(4)
    orders = np.array_split(rng.permutation(1_000_000), 250)
    tracemalloc.start()
    try:
        for prompts in orders:
            memory.advantages((rng.random((4000, 64)) < 0.2) * 1.0, prompts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert memory.metrics["prompts"] == 1_000_000
    assert 64 * 1_000_000 < peak < 1e9


def test_look_up_and_update_cost_less_than_six_times_maxpo() -> None:
    """Of 4,096 prompts among a million, other ones each time; the median of paired ratios of CPU time."""
    rng, memory, maxpo = np.random.default_rng(0), Replay(4), ml.get_estimator("maxpo")
    for prompts in np.array_split(rng.permutation(1_000_000), 125):
        memory.advantages((rng.random((8000, 64)) < 0.2) * 1.0, prompts)
    rewards, ratios = rng.random((4096, 16)), []
    for _ in range(31):
        prompts = rng.permutation(1_000_000)[:4096]
        start = process_time()
        maxpo(rewards, 4)
        middle = process_time()
        batch = Batch.of(rewards, prompts, allow_nan=False)
        past = Past.of(memory._table, batch, memory.step + 1, memory.half_life)
        remember(memory._table, batch, past, None, memory.step + 1)
        ratios.append((process_time() - middle) / (middle - start))
    assert median(ratios) < 6
