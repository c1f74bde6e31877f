"""Cells measured on a Ray cluster: one that is there, or one of this machine alone."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import analysis

from . import worker

_ROOT = Path(analysis.__path__[0]).resolve().parent


def measure_on_ray(
    study: str, cells: Mapping[str, Any], made_from: dict[str, str], workers: int | None
) -> Iterator[tuple[str, str]]:
    """Measure in ``workers`` processes of a Ray cluster (None: one per CPU).

    The cluster is the one at RAY_ADDRESS, or one of this machine alone, started here. Ray's joblib backend is
    not used: it hands results over at the end alone, deals cells in turn whatever they take, and never
    replaces a dead worker.
    """
    with _ray_cluster(workers) as ray:
        task = ray.remote(num_cpus=1, max_retries=0)(worker.measure)
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
            raise worker.WorkerDiedError(
                "a worker process of Ray died; it was killed, or out of memory"
            ) from lost


@contextmanager
def _ray_cluster(workers: int | None) -> Iterator[Any]:
    """Connect to Ray, with this checkout's packages on every worker, and disconnect at the end."""
    if find_spec("ray") is None:
        raise ModuleNotFoundError("engine 'ray' needs Ray: pip install -c constraints.txt -e '.[ray]'")
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
    """ConnectionError where nothing listens at ``[ray://]host:port``; Ray itself would go on trying."""
    host, _, port = address.rpartition("/")[2].partition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from error
