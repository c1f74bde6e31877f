"""What a command prints or writes: bad usage where that is impossible."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console, RenderableType

from .outputs import STANDARD, OutputError, write, write_standard


def display(*renderables: RenderableType) -> None:
    """Print to the terminal, or as plain text, in whatever encoding standard output has."""
    console = Console()
    with console.capture() as captured:
        for each in renderables:
            console.print(each)
    deliver(STANDARD, captured.get())


def deliver(path: Path, content: bytes | str) -> None:
    """Write an output; bad usage where it cannot be written."""
    try:
        if path == STANDARD:
            write_standard(content)
        else:
            raw = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
            write(path, raw)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error
