"""The results folder of a study: rows, table, figures, manifest, written whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from ..run.presets import Preset
from ..run.study import Study
from . import style
from .manifest import ROOT

#: How numbers read in tables.
_FLOAT_FORMAT = "%.4g"


class DamagedResultsError(Exception):
    """A file of a results folder that is there and cannot be read; the message names it and what makes it."""


def place(preset: Preset) -> Path:
    """The folder of a preset's results: the repository holds the paper's; git ignores the others."""
    results = ROOT / "results"
    return results if preset == "paper" else results / "runs" / preset


def write(study: Study, rows: pd.DataFrame, manifest: Mapping[str, Any], results: Path) -> dict[str, Path]:
    """Write ``results/<study>/`` from rows, replacing what was there; return the figures by name.

    Everything is made in a temporary folder first and moved into place at the end, the old folder aside
    before it: whatever ends the process leaves the old results or the new ones, if need be to ``restore``.
    """
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{study.name}-", dir=results) as temporary:
        folder = Path(temporary) / study.name
        folder.mkdir()
        rows.to_parquet(folder / "rows.parquet", index=False)
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        _write_table(study.table(rows), folder)
        with style.drawing():
            paths = style.save(study.draw(rows), folder)
        final, aside = results / study.name, _aside(study.name, results)
        if final.exists():
            final.rename(aside)
        folder.rename(final)
        shutil.rmtree(aside, ignore_errors=True)
    return {name: final / path.name for name, path in paths.items()}


def restore(study: str, results: Path) -> None:
    """Put back the old results of a study, where a process was killed as it replaced them."""
    final, aside = results / study, _aside(study, results)
    if aside.exists():
        if final.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(final)


def _aside(study: str, results: Path) -> Path:
    return results / f".{study}.old"


def read(study: str, results: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows and manifest of a finished study; FileNotFoundError says how to make them.

    Raises
    ------
    DamagedResultsError
        Where either file is not what was written: cut, of another kind, or with fewer or more rows.
    """
    folder = results / study
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        path = folder / "rows.parquet"
        rows = pd.read_parquet(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(absent(results, study)) from error
    except (OSError, ValueError) as error:  # pyarrow's errors of content are of both kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _damaged(path, reason, results, study) from error
    if len(rows) != manifest.get("rows", len(rows)):
        reason = f"it has {len(rows)} rows, and its manifest says {manifest['rows']}"
        raise _damaged(path, reason, results, study)
    return rows, manifest


def _damaged(path: Path, reason: str, results: Path, study: str) -> DamagedResultsError:
    return DamagedResultsError(f"{path} cannot be read ({reason}): `{_maker(results, study)}` makes it anew")


def is_there(study: str, results: Path) -> bool:
    """Whether the folder holds a finished run of the study."""
    return (results / study / "manifest.json").is_file()


def absent(results: Path, study: str = "") -> str:
    """The message that the folder holds no finished run, of any study or of one, and what makes it."""
    return f"{results / study} holds no finished run: `{_maker(results, study)}` makes it"


def _maker(results: Path, study: str) -> str:
    """The command that writes results there."""
    presets = {place(preset): preset for preset in get_args(Preset)}
    option = f"--preset {presets[results]}" if results in presets else f"--results {results}"
    return " ".join(filter(None, ["python -m analysis run", study, option]))


def _write_table(table: pd.DataFrame, folder: Path) -> None:
    table.to_csv(folder / "table.csv", index=False)
    text = table.map(lambda cell: _FLOAT_FORMAT % cell if isinstance(cell, float) else str(cell))
    markdown = text.to_markdown(index=False, disable_numparse=True)
    (folder / "table.md").write_text(f"{markdown}\n")
    escaped = text.rename(columns=str).map(_latex).rename(columns=_latex)
    (folder / "table.tex").write_text(escaped.to_latex(index=False))


def _latex(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, f"\\{character}")
    return text.replace("<=", r"$\le$").replace(">=", r"$\ge$")
