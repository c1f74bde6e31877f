"""Where cells are measured: in this process, in others of this machine (loky), or on a Ray cluster."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal

import joblib

from . import worker
from .ray_engine import measure_on_ray

Engine = Literal["local", "ray"]

#: Yields (key, encoded rows) of each cell as it is finished, in any order.
Measuring = Callable[[str, Mapping[str, Any], dict[str, str], int | None], Iterator[tuple[str, str]]]


def measure_locally(
    study: str, cells: Mapping[str, Any], made_from: dict[str, str], workers: int | None
) -> Iterator[tuple[str, str]]:
    """Measure in ``workers`` processes of this machine (None: one per core); with 1, in this process."""
    start = {"initializer": worker.begin, "initargs": (os.getpid(),)}
    with (
        warnings.catch_warnings(),
        joblib.parallel_config(backend="loky", inner_max_num_threads=1, **start),
    ):
        # One cell per batch: an interruption loses the cells in flight and no others.
        parallel = joblib.Parallel(
            workers or joblib.cpu_count(), return_as="generator_unordered", batch_size=1
        )
        tasks = (joblib.delayed(worker.measure)(study, key, cell, made_from) for key, cell in cells.items())
        # loky ends a worker that idles for minutes; no cell is lost by that.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        try:
            yield from parallel(tasks)
        except BrokenProcessPool as error:
            raise worker.WorkerDiedError("a worker process died; it was killed, or out of memory") from error


ENGINES: dict[Engine, Measuring] = {"local": measure_locally, "ray": measure_on_ray}
