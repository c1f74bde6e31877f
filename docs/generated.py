"""Parts of pages that are made when they are built: commands' help, environments' ids, losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

import gymnasium
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

import envs  # noqa: F401 - registers the ids
from analysis.__main__ import app as analysis
from maxpo_lab.cli import app as maxpo_lab
from maxpo_lab.losses import FILTERINGS, get_loss, list_losses
from maxpo_lab.losses.registry import parameters

_TERMINAL = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "TERMINAL_WIDTH": "100"}


def commands() -> str:
    """A heading and the help of every command of both programs."""
    return "\n".join(part for app in (maxpo_lab, analysis) for part in _of_program(app))


def _of_program(app: Typer) -> Iterator[str]:
    program = get_command(app)
    yield f"## {program.name}\n\n{program.help}\n"
    for name in program.commands:  # type: ignore[attr-defined]
        shown = CliRunner().invoke(app, [name, "--help"], env=_TERMINAL, prog_name=program.name)
        lines = "\n".join(line.rstrip() for line in shown.output.strip("\n").splitlines())
        yield f"### {program.name} {name}\n\n```text\n{lines}\n```\n"


def environments() -> str:
    """The table of Gymnasium ids, each with the first line of its docstring."""
    rows = ["| id | what it is | vector form |", "|---|---|---|"]
    for name, spec in gymnasium.registry.items():
        if spec.namespace != "maxpo":
            continue
        module, _, attribute = str(spec.entry_point).partition(":")
        meaning = (getattr(import_module(module), attribute).__doc__ or "").partition("\n")[0]
        rows.append(f"| `{name}` | {meaning} | {'yes' if spec.vector_entry_point else 'no'} |")
    return "\n".join(rows)


def losses() -> str:
    """The table of losses: weight of a token, options and source."""
    rows = ["| name | weight of a token | options | source |", "|---|---|---|---|"]
    for loss in map(get_loss, list_losses()):
        options = ", ".join(f"{key}={value}" for key, value in parameters(loss.name).items())
        cells = [loss.equation, options, loss.citation]
        rows.append(
            "| " + " | ".join([f"`{loss.name}`", *(each.replace("|", "\\|") for each in cells)]) + " |"
        )
    return "\n".join(rows)


def filterings() -> str:
    """The table of what a step may be made of."""
    rows = ["| name | what it does | leaves out | draws again | source |", "|---|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {each.title} | a {each.unit} | {each.draws} | {each.citation} |"
        for each in FILTERINGS.values()
    ]
    return "\n".join(rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "environments": environments,
    "filterings": filterings,
    "losses": losses,
}
