"""Where cells are measured: in this process, in processes beside it (loky), or on a Ray cluster."""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import joblib
from threadpoolctl import threadpool_limits

from . import sources
from .registry import get_study
from .store import encode

Engine = Literal["local", "ray"]

#: Yields (key, encoded rows) of each cell as it is finished, in any order.
Measuring = Callable[[str, Mapping[str, Any], dict[str, str], int | None], Iterator[tuple[str, str]]]

_ROOT = Path(__file__).resolve().parent.parent


class WorkerDiedError(Exception):
    """A process that measured cells is gone: killed, out of memory or crashed. Other cells are unharmed."""


def measure_locally(
    study: str, cells: Mapping[str, Any], made_from: dict[str, str], workers: int | None
) -> Iterator[tuple[str, str]]:
    """Measure in ``workers`` processes of this machine (None: one a core); with 1, in this process."""
    start = {"initializer": _begin_worker, "initargs": (os.getpid(),)}
    with (
        warnings.catch_warnings(),
        joblib.parallel_config(backend="loky", inner_max_num_threads=1, **start),
    ):
        # One cell a batch: an interruption loses the cells in flight and no others.
        parallel = joblib.Parallel(
            workers or joblib.cpu_count(), return_as="generator_unordered", batch_size=1
        )
        tasks = (joblib.delayed(_measure)(study, key, cell, made_from) for key, cell in cells.items())
        # loky replaces a worker that has grown, as one does by importing TRL; no cell is lost by that.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        try:
            yield from parallel(tasks)
        except BrokenProcessPool as error:
            raise WorkerDiedError("a worker process died; it was killed, or out of memory") from error


def measure_on_ray(
    study: str, cells: Mapping[str, Any], made_from: dict[str, str], workers: int | None
) -> Iterator[tuple[str, str]]:
    """Measure in ``workers`` processes of a Ray cluster (None: one a CPU).

    The cluster is the one at RAY_ADDRESS, or one of this machine alone, started here. Ray's joblib backend is
    not used: it hands results over at the end alone, deals cells in turn whatever they take, and never
    replaces a dead worker.
    """
    with _ray_cluster(workers) as ray:
        task = ray.remote(num_cpus=1, max_retries=0)(_measure)
        waiting = iter(cells.items())
        running: set[Any] = set()
        lost: Exception | None = None
        slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        gone = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
        )
        while True:
            for key, cell in waiting:
                running.add(task.remote(study, key, cell, made_from))
                if len(running) == slots:
                    break
            if not running:
                break
            (ready,), _ = ray.wait(list(running), num_returns=1)
            running.remove(ready)
            try:
                finished: tuple[str, str] = ray.get(ready)
            except gone as error:
                lost = error
                continue
            yield finished
        if lost:
            raise WorkerDiedError("a worker process of Ray died; it was killed, or out of memory") from lost


ENGINES: dict[Engine, Measuring] = {"local": measure_locally, "ray": measure_on_ray}


@contextmanager
def _ray_cluster(workers: int | None) -> Iterator[Any]:
    """Connect to Ray, with this checkout's packages on every worker, and disconnect at the end."""
    if find_spec("ray") is None:
        raise ModuleNotFoundError("engine 'ray' needs Ray: pip install -c constraints.txt ray")
    address = os.environ.get("RAY_ADDRESS")
    # The wheel holds maxpo_lab alone, and a worker's may be another version.
    modules = [str(_ROOT / package) for package in ("maxpo_lab", "envs", "analysis")]
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    settings["runtime_env"] = {"py_modules": modules, "excludes": ["__pycache__", "*.pyc"]}
    # A cluster that was started from a notebook has its backend, which may be in no environment of a worker.
    settings["runtime_env"]["env_vars"] = {"MPLBACKEND": "agg"}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address:
        _check_ray_answers(address)
    else:
        # Else Ray listens on every network of the machine; it reads this as it is imported.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # Its object store would be a third of the memory; the rows of a cell are small.
        settings |= {"address": "local", "num_cpus": workers, "object_store_memory": 2**28}
        settings |= {"include_dashboard": False}
    import ray  # noqa: PLC0415 - an extra

    on_sigterm = signal.getsignal(signal.SIGTERM)
    ray.init(**settings)  # which takes SIGTERM for itself
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_ray_answers(address: str) -> None:
    """ConnectionError where nothing listens at ``[ray://]host:port``; Ray itself would try for minutes."""
    host, _, port = address.rpartition("/")[2].partition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from error


def _begin_worker(parent: int) -> None:
    """End with the process that was started, however it ends, and leave Ctrl-C, which all get, to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _measure(study: str, key: str, cell: Any, made_from: dict[str, str]) -> tuple[str, str]:
    """One cell, in a worker: the study is found by name, so that only settings travel."""
    here = sources.describe(study)
    if here != made_from:
        raise RuntimeError(
            f"{platform.node()} would measure {study} with other sources or versions than the run was "
            f"started with ({sources.difference(made_from, here)}); run the same command again, and give "
            "every machine the versions of constraints.txt"
        )
    measure = get_study(study).measure
    with _one_thread():
        try:
            return key, encode(measure(cell))
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
