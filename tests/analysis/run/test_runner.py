"""Running studies: the same bits however often a run is stopped, and nothing lost but the cells in flight."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from checkouts import CELLS, ROOT, Checkout, copy_checkout, rows_of, stored, wait_until
from joblib.externals.loky import process_executor
from rich.console import Console
from threadpoolctl import threadpool_info
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.run import engines, locks, runner, sources, worker
from analysis.run.registry import get_study
from analysis.run.store import Store, encode
from analysis.run.study import Study

QUIET = Console(quiet=True)


def bits(rows: pd.DataFrame) -> list[list[tuple[str, str]]]:
    """Every value with its type, floats in hexadecimal."""
    lines = rows.astype(object).to_numpy().tolist()
    return [
        [(type(v).__name__, v.hex() if isinstance(v, float) else repr(v)) for v in line] for line in lines
    ]


# In this process: one small study of exact figures.


@dataclass(frozen=True)
class Setup:
    study: Study
    store: Path

    def run(self, **options: Any) -> tuple[runner.Finished, str]:
        """A run in this process with the store, and what it printed."""
        printed = io.StringIO()
        console = Console(file=printed, width=1000)
        options = {"workers": 1, "store": self.store} | options
        return runner.run(self.study, "smoke", console=console, **options), printed.getvalue()

    @property
    def files(self) -> list[Path]:
        return sorted(self.store.glob("variance/*/*.json"))


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(get_study("variance"), tmp_path / "cells")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A store with every cell, made once, and the rows."""
    store = tmp_path_factory.mktemp("filled") / "cells"
    return store, runner.run(get_study("variance"), "smoke", workers=1, console=QUIET, store=store).rows


@pytest.fixture
def full(setup: Setup, filled: tuple[Path, pd.DataFrame]) -> Setup:
    """The setup after a first run: a copy of its store."""
    shutil.copytree(filled[0], setup.store)
    return setup


@pytest.fixture(scope="module")
def expected(filled: tuple[Path, pd.DataFrame]) -> pd.DataFrame:
    return filled[1]


def test_without_a_store_all_is_measured_and_nothing_written(expected: pd.DataFrame) -> None:
    finished = runner.run(get_study("variance"), "smoke", workers=1, console=QUIET)
    assert (finished.cells, finished.reused) == (len(get_study("variance").cells("smoke")), 0)
    assert bits(finished.rows) == bits(expected)


def test_stored_cells_are_reused_and_give_the_same_bits(setup: Setup, expected: pd.DataFrame) -> None:
    first, said = setup.run()
    assert (first.reused, len(setup.files), said) == (0, first.cells, "")
    second, said = setup.run()
    assert second.reused == first.cells
    assert f"{first.cells} of {first.cells} cells kept" in said
    assert bits(first.rows) == bits(second.rows) == bits(expected)


def test_only_the_missing_cells_are_measured(
    full: Setup, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in full.files[::3]:
        path.unlink()
    measured = []
    spy = replace(full.study, measure=lambda cell: measured.append(cell) or full.study.measure(cell))
    monkeypatch.setattr(worker, "get_study", lambda _: spy)
    finished, _ = full.run()
    missing = finished.cells - finished.reused
    assert len(measured) == missing == len(range(0, finished.cells, 3))
    assert bits(finished.rows) == bits(expected)


def test_fresh_measures_again(full: Setup) -> None:
    finished, said = full.run(fresh=True)
    assert (finished.reused, said) == (0, "")
    assert len(full.files) == finished.cells


def test_presets_share_their_common_cells(full: Setup) -> None:
    common = {*full.study.cells("smoke")} & {*full.study.cells("standard")}
    assert common
    stored, total = runner.count_stored(full.study, "standard", full.store)
    assert (stored, total) == (len(common), len(full.study.cells("standard")))


def test_a_cell_named_twice_is_measured_once_and_has_its_rows_twice(
    setup: Setup, expected: pd.DataFrame
) -> None:
    twice = replace(setup.study, cells=lambda preset: [*setup.study.cells(preset)] * 2)
    finished, _ = Setup(twice, setup.store).run()
    assert finished.cells == len(setup.study.cells("smoke"))
    assert bits(finished.rows) == bits(expected) * 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, _: path.write_bytes(b""),
        lambda path, _: path.write_bytes(path.read_bytes()[:-20]),
        lambda path, _: path.write_bytes(path.read_bytes().replace(b"1", b"2", 1)),
        lambda path, _: path.write_bytes(path.read_bytes() + b" "),
        lambda path, _: path.write_bytes(b"\xff\x00" * 100),
        lambda path, other: shutil.copy(other, path),
    ],
    ids=["empty", "cut short", "one digit", "one byte more", "binary", "another cell"],
)
def test_a_damaged_cell_is_named_set_aside_and_measured_again(
    full: Setup, expected: pd.DataFrame, damage: Any
) -> None:
    path, other = full.files[2:4]
    damage(path, other)
    content = path.read_bytes()
    finished, said = full.run()
    assert str(path) in said
    assert "damaged" in said
    assert finished.reused == finished.cells - 1
    assert bits(finished.rows) == bits(expected)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    assert full.run()[0].reused == finished.cells


def test_cells_of_other_sources_are_removed_once_a_run_is_complete(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Store(setup.store / "variance", {"numpy": "1"})
    old.write("key", "cell", encode([]))
    broken = replace(setup.study, measure=lambda _: 1 / 0)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "get_study", lambda _: broken)
        with pytest.raises(ZeroDivisionError) as caught:
            setup.run()
    assert "in study variance, Cell(factor=" in "".join(caught.value.__notes__)
    assert old.path("key").exists()
    setup.run()
    assert not old.current.exists()


@pytest.mark.parametrize("part", ["sources", "gymnasium"])
def test_cells_that_were_made_from_something_else_are_not_served(
    full: Setup, expected: pd.DataFrame, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = len(full.study.cells("smoke"))
    old = full.files
    ours = sources.describe("variance")
    assert part in ours
    monkeypatch.setattr(sources, "describe", lambda _: ours | {part: "other"})
    assert runner.count_stored(full.study, "smoke", full.store) == (0, cells)
    # Put where the new ones would be, under their names, they are damaged cells.
    (key, _), *_ = runner._keyed(full.study, "smoke", ours | {part: "other"})
    place = Store(full.store / "variance", ours | {part: "other"}).path(key)
    place.parent.mkdir()
    shutil.copy(old[0], place)
    finished, said = full.run()
    assert finished.reused == 0
    assert f"{place} is damaged (it holds another cell)" in said
    assert bits(finished.rows) == bits(expected)
    assert not {*old} & {*full.files}


def test_half_written_files_are_swept(full: Setup) -> None:
    left = full.files[0].with_suffix(".tmp")
    left.write_text("half")
    full.run()
    assert not left.exists()


class Quota:
    """A disk that has room for some cells: the flush of the next one fails, as a full disk makes it."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def fsync(self, descriptor: int) -> None:
        if self.cells == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.cells -= 1


def test_a_full_disk_keeps_the_cells_before_and_no_part_of_the_next(
    setup: Setup, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("analysis.run.store.os.fsync", Quota(5).fsync)
        with pytest.raises(OSError, match="No space left") as caught:
            setup.run()
    assert caught.value.errno == errno.ENOSPC
    assert str(setup.store) in str(caught.value.filename)
    assert len(setup.files) == 5
    assert not [*setup.store.rglob("*.tmp")]
    finished, _ = setup.run()
    assert finished.reused == 5
    assert bits(finished.rows) == bits(expected)


def test_a_held_store_is_refused_with_its_holder_and_left_alone(setup: Setup) -> None:
    with locks.hold(setup.store / "variance/.lock"), pytest.raises(locks.HeldError) as caught:
        setup.run()
    for fragment in (f"process {os.getpid()} on ", "started 20", str(setup.store)):
        assert fragment in str(caught.value)
    assert not setup.files
    assert setup.run()[0].reused == 0


@pytest.mark.parametrize("before", [1, 2])
def test_cells_are_measured_in_one_thread_and_the_setting_restored(
    setup: Setup, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def measure(_: Any) -> list[Any]:
        seen.append((torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())))
        return []

    one = replace(setup.study, cells=lambda preset: setup.study.cells(preset)[:1], measure=measure)
    monkeypatch.setattr(worker, "get_study", lambda _: one)
    ours = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        pools = [pool["num_threads"] for pool in threadpool_info()]
        Setup(one, setup.store).run()
        assert {*seen[0]} == {1}
        assert len(seen[0]) > 1, "no BLAS was seen"
        assert torch.get_num_threads() == before
        assert [pool["num_threads"] for pool in threadpool_info()] == pools
    finally:
        torch.set_num_threads(ours)


def test_a_worker_with_other_sources_is_refused(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = sources.describe("variance")
    described = iter([ours, ours | {"numpy": "1.0"}])  # by the run, then by its worker
    monkeypatch.setattr(sources, "describe", lambda _: next(described))
    with pytest.raises(RuntimeError, match=r"numpy \S+ and 1\.0"):
        setup.run()
    assert not setup.files


def dying(deaths: int) -> Any:
    """An engine whose worker dies after two cells, so often."""
    left = iter(range(deaths))

    def measure(study: str, cells: Any, made_from: Any, workers: int | None) -> Iterator[tuple[str, str]]:
        finished = engines.measure_locally(study, cells, made_from, 1)
        if next(left, None) is None:
            yield from finished
            return
        yield from itertools.islice(finished, 2)
        raise worker.WorkerDiedError("a worker process died")

    return measure


@pytest.mark.parametrize("deaths", [1, 2])
def test_after_a_dead_worker_the_rest_is_tried_again(
    setup: Setup, expected: pd.DataFrame, deaths: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.ENGINES, "local", dying(deaths))
    finished, said = setup.run()
    assert said.count("a worker process died") == deaths
    assert f"{finished.cells - 2} cells are left, try 2 of 3" in said
    assert bits(finished.rows) == bits(expected)


def test_no_worker_is_replaced_for_having_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a private name of loky's: it is there, its workers read it, and ours lift it."""
    monkeypatch.setattr(process_executor, "_MAX_MEMORY_LEAK_SIZE", 300_000_000)
    assert "_MAX_MEMORY_LEAK_SIZE" in process_executor._process_worker.__code__.co_names
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    worker.begin(os.getppid())
    assert sys.maxsize == process_executor._MAX_MEMORY_LEAK_SIZE


def test_the_third_dead_worker_ends_the_run_and_keeps_its_cells(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.ENGINES, "local", dying(9))
    with pytest.raises(worker.WorkerDiedError):
        setup.run()
    assert len(setup.files) == 6


def test_the_command_line_says_so_too(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.ENGINES, "local", dying(9))
    results = setup.store.parent / "results"
    options = ["--preset", "smoke", "--wandb", "disabled", "--results", str(results)]
    done = CliRunner().invoke(app, ["run", "variance", *options, "--store", str(setup.store)])
    assert done.exit_code == 1
    total = len(setup.study.cells("smoke"))
    for fragment in ("died", f"6 of {total} cells of variance are kept in {setup.store}", "fewer --workers"):
        assert fragment in done.stderr
    assert [path.name for path in results.iterdir()] == [".variance.lock"]


def test_sigterm_is_an_interrupt_inside_and_what_it_was_after() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(runner.Terminated), runner.terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert issubclass(runner.Terminated, KeyboardInterrupt)


# On real processes: the command line, in a copy of the checkout that holds one study more.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def undisturbed(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The rows of a run in one process that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status, output = checkout.run("--workers", 1, "--results", folder, "--store", folder / "cells")
    assert status == 0, output
    return rows_of(folder)


def places(folder: Path) -> tuple[object, ...]:
    return ("--workers", 2, "--results", folder / "results", "--store", folder / "cells")


@pytest.mark.integration
def test_the_same_bits_after_stops_of_every_kind(
    checkout: Checkout, undisturbed: bytes, tmp_path: Path
) -> None:
    """Three kills at random moments, SIGTERM and Ctrl-C; then a run that is left alone."""
    cells, moments = tmp_path / "cells", random.Random(20)
    stops = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]
    kept: set[Path] = set()
    for stop in stops:
        process = checkout.start(*places(tmp_path), TRIAL_SECONDS="1.5")
        goal = len(kept) + 1
        wait_until(lambda goal=goal: len(stored(cells)) >= goal, process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0, 0.25))
        if stop == signal.SIGINT:  # a terminal sends it to every process of the group
            os.killpg(process.pid, stop)
        else:
            process.send_signal(stop)
        output, _ = process.communicate(timeout=60)
        assert kept < {*stored(cells)}, output
        kept = {*stored(cells)}
        status = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[stop]
        assert process.returncode == status, output
        assert not (tmp_path / "results/trial").exists()
        if stop != signal.SIGKILL:
            assert "Traceback" not in output
            assert f"{len(kept)} of {CELLS} cells of trial are kept in {tmp_path.name}/cells/trial" in output
            assert "run the same command again" in output
    assert len(kept) < CELLS
    status, output = checkout.run(*places(tmp_path))
    assert status == 0, output
    assert f"{len(kept)} of {CELLS} cells kept from an earlier run" in output
    assert rows_of(tmp_path / "results") == undisturbed
    facts = json.loads((tmp_path / "results/trial/manifest.json").read_text())
    assert (facts["cells"], facts["reused_cells"], facts["engine"]) == (CELLS, len(kept), "local")
    assert not [*cells.rglob("*.tmp")]


@pytest.mark.integration
def test_a_killed_worker_is_replaced(checkout: Checkout, undisturbed: bytes, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    process = checkout.start(*places(tmp_path), TRIAL_SECONDS="0.2", TRIAL_PIDS=str(pids))
    wait_until(lambda: len(stored(tmp_path / "cells")) >= 2, process)
    os.kill(int(next(pids.iterdir()).name), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "a worker process died" in output
    assert "try 2 of 3" in output
    assert rows_of(tmp_path / "results") == undisturbed


def test_a_run_in_held_results_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    with locks.hold(tmp_path / "results/.trial.lock"):
        status, output = checkout.run(*places(tmp_path))
    assert status == 1
    assert "Traceback" not in output
    for fragment in (f"process {os.getpid()} on ", "started 20", "--wait", str(tmp_path / "results")):
        assert fragment in output
    assert not stored(tmp_path / "cells")


HOLDER = """
import sys, time
from pathlib import Path
from analysis.run.locks import hold
with hold(Path(sys.argv[1]), wait=True):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
    print("released", flush=True)
"""


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_a_lock_ends_with_its_holder_and_can_be_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = holder(path, 1000)
    assert first.stdout.readline() == "held\n"
    second = holder(path, 0)
    assert f"waiting for process {first.pid} on " in second.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=0.2)
    first.kill()
    first.communicate()
    assert second.communicate(timeout=60)[0] == "held\nreleased\n"
    with locks.hold(path):
        assert f"process {os.getpid()} on " in path.read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which the trial's cells, at 4 KiB each and its folders, just do not fit in."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs is refused here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.integration
def test_a_disk_that_fills_up_is_a_clear_error(
    checkout: Checkout, undisturbed: bytes, tmp_path: Path, small_disk: Path
) -> None:
    where = ("--workers", 1, "--results", tmp_path / "results", "--store", small_disk)
    (small_disk / "ballast").write_bytes(bytes(32 * 1024))
    status, output = checkout.run(*where)
    assert status == 1, output
    assert "Traceback" not in output
    kept = len(stored(small_disk))
    assert 0 < kept < CELLS
    assert f"no space left on {small_disk}" in output
    assert f"{kept} of {CELLS} cells of trial are kept" in output
    assert not (tmp_path / "results/trial").exists()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    status, output = checkout.run(*where)
    assert status == 0, output
    assert f"{kept} of {CELLS} cells kept" in output
    assert rows_of(tmp_path / "results") == undisturbed


@pytest.mark.integration
def test_results_that_do_not_fit_leave_the_old_ones(
    checkout: Checkout, undisturbed: bytes, tmp_path: Path, small_disk: Path
) -> None:
    where = ("--workers", 1, "--results", small_disk, "--store", tmp_path / "cells")
    old = small_disk / "trial/manifest.json"
    old.parent.mkdir()
    old.write_text("{}")
    (small_disk / "ballast").write_bytes(bytes(40 * 1024))
    status, output = checkout.run(*where)
    assert status == 1, output
    assert "Traceback" not in output
    assert "no space left on " in output
    assert f"{CELLS} of {CELLS} cells of trial are kept" in output
    assert old.read_text() == "{}"
    assert not [*small_disk.glob(".trial-*")]
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    status, output = checkout.run(*where)
    assert status == 0, output
    assert rows_of(small_disk) == undisturbed
