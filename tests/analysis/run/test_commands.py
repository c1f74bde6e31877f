"""``python -m analysis``: where results go and what is left alone, in a checkout of its own; named errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from click.testing import Result
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.output import manifest, report, style
from analysis.run.presets import Preset
from analysis.run.store import Store

ROOT = Path(__file__).parents[3]


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def unwrapped(done: Result) -> str:
    """What was said on standard error: where its lines end depends on how long a path in it is."""
    return " ".join(done.stderr.replace("│", " ").split())


@dataclass(frozen=True)
class Clone:
    """A fresh clone as far as results go: what git ignores in it, and the paper's results of one study."""

    root: Path

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    def measure(self, *arguments: object) -> Result:
        return self.run("run", *arguments, "--workers", 1, "--store", self.root / ".lab/cells")

    @property
    def status(self) -> str:
        return git(self.root, "status", "--porcelain")

    def files(self, folder: str) -> set[str]:
        return {
            str(p.relative_to(self.root / folder)) for p in (self.root / folder).rglob("*") if p.is_file()
        }


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "results/specimens", root / "results/specimens")
    shutil.copy(ROOT / ".gitignore", root)
    git(root.parent, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    monkeypatch.setattr(manifest, "ROOT", root)
    monkeypatch.setattr(report, "ROOT", root)
    monkeypatch.chdir(root)
    return Clone(root)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A study whose presets are all as small as its smoke preset, and whose figure is empty."""
    module = import_module("analysis.studies.specimens")
    study = module.STUDY
    small = replace(
        study,
        cells=lambda _: study.cells("smoke")[:1],
        table=lambda rows: rows.head(1),
        draw=lambda _: {"figure": style.subplots(figsize=(1, 1))[0]},
    )
    monkeypatch.setattr(module, "STUDY", small)


@pytest.mark.usefixtures("quick")
def test_a_run_leaves_a_clone_as_it_was(clone: Clone) -> None:
    done = clone.measure("specimens", "--preset", "smoke", "--wandb", "offline")
    assert done.exit_code == 0, done.output
    assert "results/runs/smoke/specimens/figure.png" in done.output
    assert {"rows.parquet", "manifest.json", "table.md", "figure.pdf"} <= clone.files(
        "results/runs/smoke/specimens"
    )
    assert list((clone.root / ".lab/wandb").glob("offline-run-*"))
    assert clone.status == ""
    # What a killed run leaves, and the other commands, that nobody asked to write.
    (clone.root / "results/runs/smoke/.specimens-left").mkdir()
    (clone.root / "results/.specimens-left").mkdir()
    for command in ("figures", "report"):
        done = clone.run(command, "--preset", "smoke")
        assert done.exit_code == 0, done.output
    assert not (clone.root / "results/runs/smoke/.specimens-left").exists()
    assert clone.status == ""


def test_each_preset_has_its_place_and_git_holds_the_papers_alone(clone: Clone) -> None:
    places = {preset: report.place(preset) for preset in get_args(Preset)}
    shown = {preset: str(place.relative_to(clone.root)) for preset, place in places.items()}
    assert shown == {"smoke": "results/runs/smoke", "standard": "results/runs/standard", "paper": "results"}
    for place in places.values():
        (place / "variance").mkdir(parents=True)
        (place / "variance/rows.parquet").touch()
    assert clone.status == "?? results/variance/\n"
    assert "--results" not in (ROOT / "Makefile").read_text(), "make leaves the choice to the command"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("preset", get_args(Preset))
def test_a_run_goes_where_its_preset_says(preset: Preset, clone: Clone) -> None:
    before = clone.files("results")
    done = clone.measure("specimens", "--preset", preset, "--wandb", "disabled")
    assert done.exit_code == 0, done.output
    assert report.read("specimens", report.place(preset))[1]["preset"] == preset
    assert bool(clone.status) == (preset == "paper")
    new = {path for path in clone.files("results") - before if not Path(path).name.startswith(".")}
    assert all(path.startswith(f"runs/{preset}/") for path in new)
    assert bool(new) == (preset != "paper")


def test_redrawing_asks_whose_results(clone: Clone) -> None:
    figure = clone.root / "results/specimens/figure.png"
    figure.write_bytes(b"")
    for command, where in (("figures", "standard"), ("report", "standard")):
        done = clone.run(command)
        assert done.exit_code == 2
        missing = "holds no finished run: `python -m analysis run --preset standard` makes it"
        assert missing in unwrapped(done), where
    assert figure.read_bytes() == b""
    done = clone.run("figures", "--preset", "paper")
    assert done.exit_code == 0, done.output
    assert clone.status == "", "the paper's figures are those of its rows"
    done = clone.run("figures", "--preset", "paper", "--results", clone.root / "results")
    assert done.exit_code == 2
    assert "both name a folder" in unwrapped(done)


@pytest.mark.usefixtures("quick")
def test_redrawing_all_is_redrawing_what_is_there(clone: Clone) -> None:
    done = clone.run("figures", "--preset", "paper")
    assert done.output.split() == ["results/specimens/figure.png"]
    done = clone.run("figures", "variance", "--preset", "paper")
    assert done.exit_code == 2
    assert "run variance --preset paper" in unwrapped(done)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file"
    path.touch()
    return path


MEASURE = ("run", "specimens", "--preset", "smoke", "--workers", "1", "--wandb", "disabled")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("below", ["", "below", "below/it"])
@pytest.mark.parametrize("command", [MEASURE, ("gallery",)], ids=["run", "gallery"])
def test_results_where_a_file_is_are_refused(
    command: tuple[str, ...], below: str, clone: Clone, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "analysis.output.gallery.scene", lambda: pytest.fail("the folder was not looked at first")
    )
    store = ("--store", clone.root / ".lab/cells") if command is MEASURE else ()
    done = clone.run(*command, *store, "--results", file / below)
    assert_refused(done, file, "--results")
    assert clone.status == ""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("below", ["", "below", "below/it"])
def test_a_store_where_a_file_is_is_refused(below: str, clone: Clone, file: Path) -> None:
    assert_refused(clone.run(*MEASURE, "--store", file / below), file, "--store")


def assert_refused(done: Result, file: Path, option: str) -> None:
    """One line that names the file and what to do, before anything is measured."""
    assert done.exit_code == 1, (done.output, done.exception)
    assert done.stderr.startswith(f"{file}"), done.stderr
    assert done.stderr.endswith(f": give {option} a folder that can\n")
    assert len(done.stderr.splitlines()) == 1


REFUSALS = [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize(("option", "spoil"), [("--store", "write"), ("--results", "mkdir")])
def test_a_folder_that_becomes_unwritable_is_named(
    error: OSError, option: str, spoil: str, clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise type(error)(error.errno, error.strerror, str(path))

    if option == "--store":
        monkeypatch.setattr(Store, "write", lambda store, key, *_: refuse(store.path(key)))
    else:
        monkeypatch.setattr(report, "write", lambda study, rows, facts, results: refuse(results / study.name))
    done = clone.run(*MEASURE, "--store", clone.root / ".lab/cells")
    assert done.exit_code == 1
    assert f"cannot be written ({error.strerror}): give {option} a folder that can" in done.stderr
    assert str(clone.root) in done.stderr


@pytest.mark.usefixtures("quick")
def test_an_error_of_other_files_is_not_hidden(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/elsewhere/file")

    monkeypatch.setattr(report, "write", fail)
    done = clone.run(*MEASURE, "--store", clone.root / ".lab/cells")
    assert isinstance(done.exception, PermissionError)


@pytest.mark.parametrize("command", ["figures", "report", "rules"])
def test_a_file_that_is_no_folder_of_results_is_named(command: str, clone: Clone, file: Path) -> None:
    done = clone.run(command, "--results", file)
    assert done.exit_code == 2
    assert "holds no finished run" in unwrapped(done)


NOTEBOOK = "module://matplotlib_inline.backend_inline"


@pytest.mark.integration
def test_the_commands_run_in_a_notebooks_environment(tmp_path: Path) -> None:
    """The one test of this file in a process of its own, as matplotlib reads both when it is imported."""
    rc = tmp_path / "matplotlibrc"
    rc.write_text("text.usetex: True\nbackend: TkAgg\nfont.size: 22\n")
    shutil.copytree(ROOT / "results/specimens", tmp_path / "results/specimens")
    environment = os.environ | {"MPLBACKEND": NOTEBOOK, "MATPLOTLIBRC": str(rc), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "analysis", "figures", "--results", str(tmp_path / "results")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("figure.png", "figure.pdf"):
        drawn, kept = ((home / "results/specimens" / name).read_bytes() for home in (tmp_path, ROOT))
        assert drawn == kept
