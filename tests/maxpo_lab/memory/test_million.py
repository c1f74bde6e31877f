"""A million prompts with 64 rewards each: how much memory, and what a step costs beside maxpo."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import process_time

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.memory.batches import Batch
from maxpo_lab.memory.recall import Past, remember
from maxpo_lab.memory.replay import Replay

pytestmark = pytest.mark.integration

#: Fills a memory as a training loop does; prints the peak of the process, NumPy and all, in bytes.
FILL = """
import resource
import numpy as np
import maxpo_lab as ml
rng, memory = np.random.default_rng(0), ml.Replay(4)
for prompts in np.array_split(rng.permutation(1_000_000), 250):
    memory.advantages((rng.random((4000, 64)) < 0.2) * 1.0, prompts)
state = memory.metrics
assert state["prompts"] == 1_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_a_million_prompts_fit_into_a_gigabyte() -> None:
    done = subprocess.run([sys.executable, "-c", FILL], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1e9


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
