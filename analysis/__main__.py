"""Command line of the studies: ``python -m analysis list | run | figures | report``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import joblib
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from . import manifest, readme, report, runner, tracking
from .study import Preset, Study, get_study, list_studies

app = typer.Typer(
    name="python -m analysis",
    help="Run the laboratory's studies and redraw their figures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(soft_wrap=True)

Studies = Annotated[list[str] | None, typer.Argument(metavar="[STUDY]...", help="Default: all.")]
Results = Annotated[Path, typer.Option(help="Folder of the results.")]
_RESULTS = manifest.ROOT / "results"


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
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = joblib.cpu_count(),
    wandb: Annotated[
        tracking.Mode | None, typer.Option(help="Default: online with an API key, else offline.")
    ] = None,
    results: Results = _RESULTS,
) -> None:
    """Run studies and write their results."""
    for study in _chosen(studies):
        start = time.perf_counter()
        rows = runner.run(study, preset, workers=workers, console=console)
        facts = manifest.describe(
            study=study.name,
            preset=preset,
            command=f"python -m analysis run {study.name} --preset {preset}",
            rows=len(rows),
            workers=workers,
            seed=study.seed,
            device="cpu",
            wall_seconds=time.perf_counter() - start,
        )
        figures = report.write(study, rows, facts, results)
        console.print(f"  {len(rows)} rows, {facts['wall_seconds']:.1f} s: {_shown(figures['figure'])}")
        tracked = tracking.log_study(
            study.name,
            preset=preset,
            rows=rows,
            figures=figures,
            manifest=facts,
            mode=wandb,
            directory=manifest.ROOT / ".lab",
        )
        console.print(f"  {tracked.message}", highlight=False)


@app.command()
def figures(studies: Studies = None, results: Results = _RESULTS) -> None:
    """Redraw tables and figures from stored rows; nothing is measured."""
    for study in _chosen(studies):
        rows, facts = _stored(study, results)
        for path in report.write(study, rows, facts, results).values():
            console.print(_shown(path))


@app.command("report")
def report_(studies: Studies = None, results: Results = _RESULTS) -> None:
    """Print the table of each finished study, and what it was made from."""
    for study in _chosen(studies):
        rows, facts = _stored(study, results)
        made = f"{facts['preset']} preset, commit {(facts['commit'] or 'unknown')[:8]}, {facts['finished']}"
        table = Table(title=f"{study.name}: {study.question}", caption=made, title_justify="left")
        content = study.table(rows)
        for column in content.columns:
            table.add_column(str(column))
        for line in content.itertuples(index=False):
            table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in line))
        console.print(table)


@app.command("readme")
def readme_(results: Results = _RESULTS) -> None:
    """Rewrite the README's estimator table from the unbiasedness study."""
    rows, _ = _stored(get_study("unbiasedness"), results)
    changed = readme.update(manifest.ROOT / "README.md", rows)
    console.print("README.md rewritten" if changed else "README.md is up to date")


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _chosen(names: list[str] | None) -> list[Study]:
    try:
        return [get_study(name) for name in names or list_studies()]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _stored(study: Study, results: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        return report.read(study.name, results)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    app()
