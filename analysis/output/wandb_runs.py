"""Runs of W&B, written to disk whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..run.curves import Curves

if TYPE_CHECKING:
    from wandb import Run


def write(
    rows: pd.DataFrame,
    figures: Mapping[str, Path],
    manifest: Mapping[str, Any],
    directory: Path,
    names: dict[str, Any],
) -> Path:
    """Write a run to disk and return its folder."""
    import wandb  # noqa: PLC0415

    images = {f"figures/{name}": wandb.Image(str(path)) for name, path in figures.items()}
    with _offline_run(manifest, directory, names) as run:
        run.log({**_tables(rows), **images})
        file = Path(run.dir, "manifest.json")
        file.write_text(json.dumps(manifest, indent=2) + "\n")
        run.save(str(file), base_path=run.dir, policy="now")
    return file.parent.parent


def _tables(rows: pd.DataFrame) -> dict[str, Any]:
    """The rows as tables that W&B shows whole."""
    import wandb  # noqa: PLC0415

    columns: list[str | int] = [str(column) for column in rows]
    most = wandb.Table.MAX_ROWS
    cells: list[Any] = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
    if len(cells) <= most:
        return {"rows": wandb.Table(columns=columns, data=cells)}
    starts = range(0, len(cells), most)
    digits = len(str(len(starts)))  # as the page orders them by name
    return {
        f"rows/{number:0{digits}}": wandb.Table(columns=columns, data=cells[start : start + most])
        for number, start in enumerate(starts, start=1)
    }


def write_curves(curves: Curves, manifest: Mapping[str, Any], directory: Path, names: dict[str, Any]) -> Path:
    """Write a run of curves to disk and return its folder."""
    config = {**manifest, "rule": curves.name, "seed_group": curves.seed_group}
    with _offline_run(config, directory, names) as run:
        for step, values in sorted(curves.points.items()):
            run.log({name: value for name, value in values.items() if value is not None}, step=step)
    return Path(run.dir).parent


@contextmanager
def _offline_run(config: Mapping[str, Any], directory: Path, names: dict[str, Any]) -> Iterator[Run]:
    """A run that is written to disk and finished at the end, without W&B's printing of an error."""
    import wandb  # noqa: PLC0415

    settings = wandb.Settings(
        project="maxpo-lab",
        root_dir=str(directory),
        mode="offline",
        reinit="create_new",  # else a run whose service has crashed stays the run of this process
        console="off",
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
        **names,
    )
    run = wandb.init(config=dict(config), settings=settings)
    try:
        yield run
    finally:
        run.finish()
