"""A process that measures: one cell at a time, in one thread, from the sources that the run began with."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib.externals.loky import process_executor
from threadpoolctl import threadpool_limits

from . import sources
from .registry import get_study
from .store import encode


class WorkerDiedError(Exception):
    """A process that measured cells is gone: killed, out of memory or crashed. Other cells are unharmed."""


def begin(parent: int) -> None:
    """End with the process that was started, however it ends, and leave Ctrl-C, which all get, to it.

    And not before: loky, which has no setting for this, replaces a worker that has grown by 300 MB since its
    first cell, as one does by importing TRL, and the next one imports and walks to every policy anew.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def measure(study: str, key: str, cell: Any, made_from: dict[str, str]) -> tuple[str, str]:
    """One cell, in a worker: the study is found by name, so that only settings travel."""
    here = sources.describe(study)
    if here != made_from:
        raise RuntimeError(
            f"{platform.node()} would measure {study} with other sources or versions than the run was "
            f"started with ({sources.difference(made_from, here)}); run the same command again, and give "
            "every machine the versions of constraints.txt"
        )
    measured = get_study(study).measure
    with _one_thread():
        try:
            return key, encode(measured(cell))
        except Exception as error:
            error.add_note(f"in study {study}, {cell}")
            raise


@contextmanager
def _one_thread() -> Iterator[None]:
    """BLAS, OpenMP and torch in one thread each: the bits of a sum depend on how many share it."""
    torch = sys.modules.get("torch")
    if torch is None:
        # A study that imports torch as it measures gets it with the threads of this variable, for good.
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            with threadpool_limits(1):
                yield
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before
        return
    threads = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
