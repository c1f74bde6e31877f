"""Command line of the studies: ``python -m analysis list | run | verify | claims | figures | page``."""

from __future__ import annotations

import os

# What a notebook leaves to the processes it starts; where its backend is not installed, matplotlib does not
# even import. No command shows a window.
os.environ.pop("MPLBACKEND", None)

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import joblib
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from .claims import page as claims_page
from .claims import verify as verification
from .comparison import compare_
from .output import gallery, manifest, report, rules_page, tracking
from .output.wandb_session import Mode
from .page import build
from .run import locks, runner
from .run.endings import errors, explained, shown
from .run.engines import Engine
from .run.presets import Preset
from .run.registry import get_study, list_studies
from .run.study import Study

app = typer.Typer(
    name="python -m analysis",
    help="Run the laboratory's studies and redraw their figures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(soft_wrap=True)

Studies = Annotated[list[str] | None, typer.Argument(metavar="[STUDY]...", help="Default: all.")]
Results = Annotated[
    Path | None, typer.Option(help="Folder of the results. Default: results/runs/PRESET; results for paper.")
]
PaperResults = Annotated[Path | None, typer.Option(help="Folder of the results. Default: results.")]
Drawn = Annotated[Preset | None, typer.Option(help="Whose results. Default: standard.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run of the same study.")]
_STORE = manifest.ROOT / ".lab" / "cells"


@app.command("list")
def list_() -> None:
    """List the studies and what each asks."""
    table = Table("study", "question", box=None, pad_edge=False)
    for name in list_studies():
        table.add_row(name, get_study(name).question)
    console.print(table)


@app.command()
def run(
    studies: Studies = None,
    preset: Annotated[Preset, typer.Option(help="How much to compute.")] = "standard",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cells measured at once. Default: one per core, or per Ray CPU.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Processes of this machine, or the Ray cluster at RAY_ADDRESS.")
    ] = "local",
    wandb: Annotated[Mode | None, typer.Option(help="Default: online with an API key, else offline.")] = None,
    results: Results = None,
    store: Annotated[Path, typer.Option(help="Folder of the finished cells.")] = _STORE,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure finished cells again.")] = False,
    wait: Wait = False,
) -> None:
    """Run studies and write their results; a run that was ended goes on where it was."""
    if engine == "ray" and find_spec("ray") is None:
        raise typer.BadParameter("engine 'ray' needs Ray: pip install -c constraints.txt -e '.[ray]'")
    if engine == "local" and workers is None:
        workers = joblib.cpu_count()
    results = results or report.place(preset)
    for study in _chosen(studies):
        if study.missing:
            console.print(f"{study.name} is left out: it needs {', '.join(study.missing)} (make setup)")
            continue
        with explained(results, store, study, preset), runner.terminable():
            with _written_alone(study, results, wait=wait):
                start = time.perf_counter()
                finished = runner.run(
                    study,
                    preset,
                    workers=workers,
                    console=console,
                    engine=engine,
                    store=store,
                    fresh=fresh,
                    wait=wait,
                )
                facts = manifest.describe(
                    study=study.name,
                    preset=preset,
                    command=f"python -m analysis run {study.name} --preset {preset}",
                    rows=len(finished.rows),
                    cells=finished.cells,
                    reused_cells=finished.reused,
                    engine=engine,
                    workers=workers,
                    seed=study.seed,
                    device=", ".join(sorted({"cpu", *finished.rows.get("device", pd.Series()).dropna()})),
                    wall_seconds=time.perf_counter() - start,
                )
                figures = report.write(study, finished.rows, facts, results)
            seconds = facts["wall_seconds"]
            console.print(f"  {len(finished.rows)} rows, {seconds:.1f} s: {shown(figures['figure'])}")
            tracked = tracking.log_study(
                study.name,
                preset=preset,
                rows=finished.rows,
                figures=figures,
                manifest=facts,
                curves=study.curves(finished.rows) if study.curves else (),
                mode=wandb,
                directory=manifest.ROOT / ".lab",
            )
            console.print(f"  {tracked.message}", highlight=False)


@app.command()
def figures(
    studies: Studies = None, preset: Drawn = None, results: Results = None, wait: Wait = False
) -> None:
    """Redraw tables and figures from stored rows; nothing is measured."""
    results = _drawn(preset, results)
    for study in _finished(studies, results):
        with explained(results), _written_alone(study, results, wait=wait):
            rows, facts = _stored(study, results)
            for path in report.write(study, rows, facts, results).values():
                console.print(shown(path))


@app.command()
def verify(
    studies: Studies = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: results/runs/standard.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of the stored results. Default: results.")
    ] = None,
    wandb: Annotated[Mode | None, typer.Option(help="Default: online with an API key, else offline.")] = None,
) -> None:
    """Judge every claim on a run's rows and on the stored ones, and compare the rows that both have.

    Exit status 1 where a claim is contradicted or a row differs, each named.
    """
    runs, results = runs or report.place("standard"), results or report.place("paper")
    start = time.perf_counter()
    names = [study.name for study in _finished(studies, runs)]
    with _readable():
        stored, fresh = (
            verification.read_rows(*each) for each in ((results, studies and names), (runs, names))
        )
    try:
        found = verification.verify(stored, fresh)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console.print(verification.claims_table(found))
    console.print()
    console.print(verification.rows_table(found))
    facts = manifest.describe(
        study="claims",
        preset=_preset_of(runs, names),
        command="python -m analysis verify",
        rows=len(found.claims),
        seed=None,
        device="cpu",
        wall_seconds=time.perf_counter() - start,
    )
    tracked = tracking.log_study(
        "claims",
        preset=facts["preset"],
        rows=verification.tracked_rows(found),
        figures={},
        manifest=facts | {"failures": found.failures},
        mode=wandb,
        directory=manifest.ROOT / ".lab",
    )
    console.print(tracked.message, highlight=False)
    for failure in found.failures:
        errors.print(failure, highlight=False)
    if found.failures:
        raise typer.Exit(1)
    console.print("no claim is contradicted, no row differs")


@app.command("claims")
def claims_(results: PaperResults = None) -> None:
    """Write claims.md and claims.json, with the verdict of every claim on the stored rows.

    Exit status 1 where the rows give a claim another verdict than its own, each named.
    """
    results = results or report.place("paper")
    with _readable():
        rows = verification.read_rows(results)
    with explained(results):
        for path in claims_page.write(rows, results):
            console.print(shown(path))
    if other := claims_page.otherwise(rows):
        for line in other:
            errors.print(line, highlight=False)
        raise typer.Exit(1)


@app.command("report")
def report_(studies: Studies = None, preset: Drawn = None, results: Results = None) -> None:
    """Print the table of each finished study, and what it was made from."""
    results = _drawn(preset, results)
    for study in _finished(studies, results):
        rows, facts = _stored(study, results)
        made = f"{facts['preset']} preset, commit {(facts['commit'] or 'unknown')[:8]}, {facts['finished']}"
        table = Table(title=f"{study.name}: {study.question}", caption=made, title_justify="left")
        content = study.table(rows)
        for column in content.columns:
            table.add_column(str(column))
        for line in content.itertuples(index=False):
            table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in line))
        console.print(table)


app.command("compare")(compare_)


@app.command("gallery")
def gallery_(results: PaperResults = None) -> None:
    """Draw the README's picture of the specimens, from their oracles."""
    results = results or report.place("paper")
    with explained(results):
        console.print(shown(gallery.write(results)))


@app.command("rules")
def rules_(results: PaperResults = None) -> None:
    """Rewrite the documentation's table of the rules from the registry and the unbiasedness study."""
    rows, _ = _stored(get_study("unbiasedness"), results or report.place("paper"))
    changed = rules_page.update(manifest.ROOT / rules_page.PAGE, rows)
    console.print(f"{rules_page.PAGE} {'rewritten' if changed else 'is up to date'}")


@app.command("page")
def page_(results: PaperResults = None) -> None:
    """Build the report page, index.html, from a folder of results and claims; `make page` installs node."""
    results = results or report.place("paper")
    with explained(results):
        try:
            console.print(shown(build.write(results)))
        except (FileNotFoundError, ModuleNotFoundError) as error:
            raise typer.BadParameter(str(error)) from error


@contextmanager
def _written_alone(study: Study, results: Path, *, wait: bool) -> Iterator[None]:
    """Hold the study's part of a results folder, and clear what a killed process left there."""
    with locks.hold(results / f".{study.name}.lock", wait=wait, say=console.print):
        report.restore(study.name, results)
        for left in results.glob(f".{study.name}-*"):
            shutil.rmtree(left)
        yield


def _preset_of(results: Path, studies: list[str]) -> str:
    """The preset that a folder's studies are of; of several, their names."""
    presets = {report.read(study, results)[1]["preset"] for study in studies}
    return "+".join(sorted(presets))


def _chosen(names: list[str] | None) -> list[Study]:
    try:
        return [get_study(name) for name in names or list_studies()]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _drawn(preset: Preset | None, results: Path | None) -> Path:
    """The folder that is read: of a preset, or one that is named."""
    if preset and results:
        raise typer.BadParameter(f"--preset {preset} and --results {results} both name a folder: give one")
    return results or report.place(preset or "standard")


def _finished(names: list[str] | None, results: Path) -> list[Study]:
    """The studies of these names, or all that have results in the folder; refuses where there are none."""
    chosen = _chosen(names)
    if names:
        for study in chosen:
            _stored(study, results)
        return chosen
    found = [study for study in chosen if report.is_there(study.name, results)]
    if not found:
        raise typer.BadParameter(report.absent(results))
    return found


def _stored(study: Study, results: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        with _readable():
            return report.read(study.name, results)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _readable() -> Iterator[None]:
    """Name a damaged file of results, with what makes it anew, and end with status 1."""
    try:
        yield
    except report.DamagedResultsError as error:
        errors.print(str(error), highlight=False)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
