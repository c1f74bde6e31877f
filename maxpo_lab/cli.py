"""The ``maxpo-lab`` command: the catalogue on the terminal."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .estimators import Estimator, get_estimator, list_estimators

app = typer.Typer(
    name="maxpo-lab",
    help="Advantage rules for max@K / pass@K policy gradients.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()


@app.callback()
def _root() -> None:
    """Advantage rules for max@K / pass@K policy gradients."""


@app.command("list")
def list_() -> None:
    """List the estimators: rule, objective and claims."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "rule", "objective", "unbiased", "centered"):
        table.add_column(column, style="bold" if column == "name" else "", no_wrap=column == "name")
    for rule in map(get_estimator, list_estimators()):
        table.add_row(rule.name, rule.equation, rule.objective, *_claims(rule))
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="An estimator's name.")]) -> None:
    """Show one estimator: rule, claims, where it is defined, citation."""
    try:
        rule = get_estimator(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    unbiased, centered = _claims(rule)
    table = Table.grid(padding=(0, 2))
    for label, text in (
        ("name", f"{rule.name} ({rule.title})"),
        ("rule", rule.equation),
        ("objective", rule.objective),
        ("uses k", "yes" if rule.uses_k else "no"),
        ("unbiased", unbiased),
        ("centered", centered),
        ("defined for n=8", _range(rule, 8)),
        ("citation", rule.citation),
    ):
        table.add_row(f"[bold]{label}[/bold]", text)
    console.print(table)


def _claims(rule: Estimator) -> tuple[str, str]:
    claims = rule.claims
    return ("yes" if claims.unbiased else "no", "yes" if claims.centered else "no")


def _range(rule: Estimator, n: int) -> str:
    """The valid K at group size n; they are consecutive for every rule."""
    valid = [k for k in range(1, n + 1) if rule.why_not(n, k) is None]
    return f"{valid[0]} <= K <= {valid[-1]}"


def main() -> None:
    """Run the command line; bad input is a message and exit code 2."""
    app()
