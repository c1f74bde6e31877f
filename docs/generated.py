"""Parts of pages that are made when they are built: commands' help, environments' ids, losses, claims."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import gymnasium
from typer import Typer
from typer.main import get_command
from typer.testing import CliRunner

import envs  # noqa: F401 - registers the ids
from analysis.__main__ import app as analysis
from maxpo_lab.cli import app as maxpo_lab
from maxpo_lab.integrations.frameworks import Framework, get_framework, list_frameworks
from maxpo_lab.losses import FILTERINGS, get_loss, list_losses
from maxpo_lab.losses.registry import parameters

ROOT = Path(__file__).parent.parent
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
        rows.append(_row([f"`{loss.name}`", loss.equation, options, loss.citation]))
    return "\n".join(rows)


def filterings() -> str:
    """The table of what a step may be made of."""
    rows = ["| name | what it does | leaves out | draws again | source |", "|---|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {each.title} | a {each.unit} | {each.draws} | {each.citation} |"
        for each in FILTERINGS.values()
    ]
    return "\n".join(rows)


def frameworks() -> str:
    """The table of frameworks: package, how its code was reached, and what is known of its loop."""
    rows = [
        "| framework | package | its code | a prompt is | default loss | pass@k there |",
        "|---|---|---|---|---|---|",
    ]
    for each in map(get_framework, list_frameworks()):
        package = f"{each.package} {each.version}" if each.package else each.version
        code = each.reached + (f"; {each.others}" if each.others else "")
        lasts = {True: " (lasts)", False: "", None: " (not looked at)"}[each.lasting]
        loss = f"`{each.loss}`: {each.loss_says}" if each.loss else each.loss_says
        rows.append(_row([each.name, package, code, each.identity + lasts, loss, each.metric_at_k]))
    return "\n".join(rows)


def shipped() -> str:
    """The table of the rules that frameworks ship, those that were run first."""
    rows = ["| framework | rule there | is | meant for | afterwards |", "|---|---|---|---|---|"]
    for each in map(get_framework, list_frameworks()):
        rows += [_row(cells) for cells in _rules(each)]
    return "\n".join(rows)


def hooks() -> str:
    """The table of where a user's rule goes in."""
    rows = ["| framework | hook | here |", "|---|---|---|"]
    rows += [
        _row([each.name, each.hook, f"`{each.adapter}`" if each.adapter else "-"])
        for each in map(get_framework, list_frameworks())
    ]
    return "\n".join(rows)


def _rules(framework: Framework) -> Iterator[list[str]]:
    for rule in framework.rules:
        name = f"**{rule.name}**" if rule.call else rule.name
        said = f"`{rule.equals}`" + (f": {rule.formula}" if rule.formula else "")
        yield [framework.name, name, said, rule.target, rule.afterwards or "-"]


def chosen_claims() -> str:
    """The table of the claims that "Which rule should I use?" names: what each says, and its verdict."""
    records = {each["name"]: each for each in json.loads((ROOT / "results/claims.json").read_text("utf-8"))}
    named = re.findall(r"`([a-z-]+)`", (ROOT / "docs/howto/choose.md").read_text("utf-8"))
    rows = ["| claim | says | verdict |", "|---|---|---|"]
    for name in dict.fromkeys(each for each in named if each in records):
        claim = records[name]
        verdict = claim["verdict"] + (f": {claim['conditions']}" if claim["conditions"] else "")
        rows.append(_row([f"`{name}`", claim["statement"], verdict]))
    return "\n".join(rows)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


PARTS: Mapping[str, Callable[[], str]] = {
    "chosen_claims": chosen_claims,
    "commands": commands,
    "environments": environments,
    "filterings": filterings,
    "frameworks": frameworks,
    "hooks": hooks,
    "losses": losses,
    "shipped": shipped,
}
