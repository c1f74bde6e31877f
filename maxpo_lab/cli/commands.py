"""The ``maxpo-lab`` command: the catalogue, advantages and pass@k of a file of rewards, the audit."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress

import typer

from . import audit, catalogue, rewards
from .outputs import settle
from .pass_at_k import pass_at_k_of_file

app = typer.Typer(
    name="maxpo-lab",
    help="Advantage rules for max@K / pass@K policy gradients, and pass@k of a model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("list")(catalogue.list_)
app.command()(catalogue.show)
app.command()(rewards.advantages)
app.command()(audit.audit)
app.command("pass-at-k")(pass_at_k_of_file)

#: Exit status of a fault of this program, which is no verdict and no bad usage (EX_SOFTWARE).
_INTERNAL = 70


def main() -> None:
    """Run the command line.

    Bad input is a message and exit status 2, a fault of this program a traceback and 70: 1 is the status of a
    claim that fails, and of nothing else.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (Exception, SystemExit) as end:
        sys.exit(_status(end))
    finally:
        for stream in (sys.stdout, sys.stderr):
            settle(stream)


def _status(end: BaseException) -> int | str | None:
    """The exit status that what ended the command stands for, told on standard error where typer has not.

    typer and rich end with 1, that of a claim that fails, where a reader has gone or a file ended early, and
    raise where a stream is full. Whatever was to be printed then, bad usage stays that; a reader that has
    gone is fine otherwise, and a stream that does not take the help is bad usage.
    """
    lost: OSError | None = None
    for error in _behind(end):
        if isinstance(error, OSError) and error.filename is None:
            lost = error
        status = getattr(error, "exit_code", None)
        if isinstance(status, int) and (lost or isinstance(end, SystemExit)):
            return status
        if isinstance(error, EOFError):
            end = error
    if lost is None and isinstance(end, SystemExit):
        return end.code
    if isinstance(lost, BrokenPipeError):
        return 0
    with suppress(OSError):  # where nobody can be told, the status still tells
        if lost is None:
            traceback.print_exception(end)
            sys.stderr.write("maxpo-lab: this is a fault of the program, not of its input\n")
        else:
            sys.stderr.write(f"maxpo-lab: cannot print: {lost.strerror or lost}\n")
    return _INTERNAL if lost is None else 2


def _behind(error: BaseException) -> Iterator[BaseException]:
    """An exception, the one that was being handled when it was raised, and so on."""
    behind: BaseException | None = error
    while behind is not None:
        yield behind
        behind = behind.__context__
