"""An audit report on the terminal: a panel."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .findings import Decision, Findings
from .of_vectors import ROW_EDGE_COLUMNS, ROW_POLICY_COLUMNS, row_edge_rows, row_policy_rows
from .wording import (
    BATCH_COLUMNS,
    EDGE_COLUMNS,
    POLICY_COLUMNS,
    STATE_COLUMNS,
    batch_rows,
    edge_rows,
    facts,
    policy_rows,
    setting,
    state_rows,
    why,
)

#: A header, and rows of as many cells.
Rows = tuple[Sequence[str], Sequence[Sequence[str]]]


def panel(report: Findings) -> Panel:
    """The report as a rich panel."""
    tables: list[Rows] = []
    if report.policies is not None:
        tables.append((POLICY_COLUMNS, policy_rows(report.policies)))
    if report.coupling is not None:
        tables.append((BATCH_COLUMNS, batch_rows(report.coupling.over_sizes)))
    if report.memory is not None:
        tables.append((STATE_COLUMNS, state_rows(report.memory)))
    if report.edges is not None:
        tables.append((EDGE_COLUMNS, edge_rows(report.edges.cases)))
    if (vectors := report.vectors) is not None:
        if vectors.policies is not None:
            tables.append((ROW_POLICY_COLUMNS, row_policy_rows(vectors.policies)))
        if vectors.coupling is not None:
            tables.append((BATCH_COLUMNS, batch_rows(vectors.coupling.over_sizes)))
        if vectors.edges is not None:
            tables.append((ROW_EDGE_COLUMNS, row_edge_rows(vectors.edges)))
    return framed(report, setting(report), facts(report), tables)


def framed(report: Decision, where: str, found: Sequence[tuple[str, str]], tables: Sequence[Rows]) -> Panel:
    """A panel of a decision: where it was made, its claims, labelled facts, and tables."""
    body: list[Table | Text] = [Text(where), Text(), _claims_table(report), Text()]
    listed = Table.grid(padding=(0, 2))
    listed.add_column(style="bold", no_wrap=True)
    for label, text in found:
        listed.add_row(label, escape(text))
    body.append(listed)
    for rows in tables:
        body += [Text(), _table(*rows)]
    colour = "green" if report.passed else "red"
    return Panel(
        Group(*body),
        title=f"[bold]{escape(report.rule)}[/bold]",
        subtitle=f"[bold {colour}]{'passed' if report.passed else 'failed'}[/bold {colour}]",
        title_align="left",
        subtitle_align="left",
        border_style=colour,
        padding=(1, 2),
    )


def _claims_table(report: Decision) -> Table:
    table = Table.grid(padding=(0, 2))
    marks = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[yellow]?[/yellow]"}
    for verdict in report.claims:
        table.add_row(marks[verdict.holds], f"[bold]{escape(verdict.claim)}[/bold]", escape(why(verdict)))
    for found in report.misbehaviours:
        table.add_row("[red]✗[/red]", f"[bold red]{found.kind}[/bold red]", escape(found.detail))
    return table


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Columns a blank apart; those of numbers as wide as the longest: 80 characters break none."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0, header_style="bold")
    for name, *cells in zip(header, *rows, strict=True):
        longest = max(len(word) for text in (name, *cells) for word in text.split())
        prose = any(" " in cell for cell in cells)
        table.add_column(name, overflow="fold", width=None if prose else longest, min_width=longest)
    for row in rows:
        table.add_row(*map(escape, row))
    return table
