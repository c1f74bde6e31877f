"""What ended a command before its time: said in a line, with how to go on, and as an exit status."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from . import locks, runner
from .presets import Preset
from .study import Study
from .worker import WorkerDiedError

errors = Console(soft_wrap=True, stderr=True)


@contextmanager
def explained(
    results: Path, store: Path | None = None, study: Study | None = None, preset: Preset = "standard"
) -> Iterator[None]:
    """Say what ended the block, what of the study's run is kept and how to go on; and set the exit status."""

    def stop(status: int, *said: str) -> typer.Exit:
        if study and store:
            kept, cells = runner.count_stored(study, preset, store)
            said += (f"{kept} of {cells} cells of {study.name} are kept in {shown(store / study.name)}",)
            said += ("run the same command again to go on from there",)
        errors.print("; ".join(said), highlight=False)
        return typer.Exit(status)

    try:
        yield
    except KeyboardInterrupt as signal:
        terminated = isinstance(signal, runner.Terminated)
        raise stop(143 if terminated else 130, "terminated" if terminated else "interrupted") from None
    except locks.HeldError as error:
        errors.print(f"{error}: wait for it with --wait, or use other --results and --store", highlight=False)
        raise typer.Exit(1) from error
    except WorkerDiedError as error:
        raise stop(1, str(error), "fewer --workers need less memory") from error
    except ConnectionError as error:
        raise stop(1, str(error)) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            full = f"no space left on {error.filename}" if error.filename else "no space left on the disk"
            raise stop(1, full, "free some") from error
        options = [
            name
            for name, folder in (("--results", results), ("--store", store))
            if folder and _on_the_way(error.filename, folder)
        ]
        if not options:
            raise
        refused = f"{error.filename} cannot be written ({error.strerror})"
        errors.print(f"{refused}: give {' and '.join(options)} a folder that can", highlight=False)
        raise typer.Exit(1) from error


def _on_the_way(named: object, folder: Path) -> bool:
    """Whether an error's file is in the folder, or is where the folder would be."""
    if not isinstance(named, str):
        return False
    path, folder = Path(named).absolute(), folder.absolute()
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def shown(path: Path) -> str:
    """A path as a person at the terminal would write it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
