"""A real Ray cluster of this machine: the same bits as without it, also where its workers are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from checkouts import CELLS, Checkout, copy_checkout, rows_of, stored, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is an extra: make test-integrations"),
]

LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on the loopback address
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}
#: A cluster that lasts until its input is closed, in a process of its own; it prints where it listens.
CLUSTER = """
import sys, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=2**27,
         log_to_driver=False, logging_level="ERROR", _temp_dir=sys.argv[1])
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def undisturbed(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The rows of a run in one process, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status, output = checkout.run("--workers", 1, "--results", folder, "--store", folder / "cells")
    assert status == 0, output
    return rows_of(folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address, and the folder in which the trial's workers leave their process ids."""
    pids = tmp_path_factory.mktemp("pids")
    home = Path(
        tempfile.mkdtemp(prefix="ray", dir="/tmp")
    )  # short: a socket's path has at most 107 characters
    # It runs where no package of ours is, as another machine would.
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(home)],
        cwd=home,
        env=os.environ | LOCAL | {"TRIAL_PIDS": str(pids), "TRIAL_SECONDS": "0.5"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        yield address, pids
    finally:
        process.communicate(timeout=60)
        shutil.rmtree(home)


def options(folder: Path) -> tuple[object, ...]:
    return ("--engine", "ray", "--results", folder / "results", "--store", folder / "cells")


def test_a_cluster_gives_the_same_bits_though_workers_are_killed(
    checkout: Checkout, undisturbed: bytes, cluster: tuple[str, Path], tmp_path: Path
) -> None:
    address, pids = cluster
    process = checkout.start(*options(tmp_path), RAY_ADDRESS=address, **LOCAL)
    wait_until(lambda: len(stored(tmp_path / "cells")) >= 2, process)
    workers = list(pids.iterdir())
    for worker in workers:  # all, as one may be between two cells
        os.kill(int(worker.name), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "a worker process of Ray died" in output
    assert "try 2 of 3" in output
    assert rows_of(tmp_path / "results") == undisturbed
    assert len(stored(tmp_path / "cells")) == CELLS
    # They measured with what Ray had brought them, as on another machine.
    assert not [worker for worker in workers if worker.read_text().startswith(str(checkout.root))]


def test_a_stopped_run_on_the_cluster_goes_on_without_it(
    checkout: Checkout, undisturbed: bytes, cluster: tuple[str, Path], tmp_path: Path
) -> None:
    address, _ = cluster
    process = checkout.start(*options(tmp_path), RAY_ADDRESS=address, **LOCAL)
    wait_until(lambda: len(stored(tmp_path / "cells")) >= 2, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    kept = len(stored(tmp_path / "cells"))
    assert f"{kept} of {CELLS} cells of trial are kept" in output
    assert kept < CELLS
    status, output = checkout.run(*options(tmp_path)[2:], "--workers", 2)
    assert status == 0, output
    assert f"{kept} of {CELLS} cells kept" in output
    assert rows_of(tmp_path / "results") == undisturbed


def test_without_an_address_a_cluster_of_this_machine_is_started(
    checkout: Checkout, undisturbed: bytes, tmp_path: Path
) -> None:
    status, output = checkout.run(*options(tmp_path), "--workers", 2)
    assert status == 0, output
    assert rows_of(tmp_path / "results") == undisturbed


def test_an_address_without_a_cluster_is_a_clear_error(checkout: Checkout, tmp_path: Path) -> None:
    status, output = checkout.run(*options(tmp_path), RAY_ADDRESS="127.0.0.1:1")
    assert status == 1
    assert "Traceback" not in output
    assert "no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1" in output
