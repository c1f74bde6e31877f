"""Results of pass@k as tables for a terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ...evaluation import Comparison, PassAtK, Plan

#: k's of a plan in one table of 80 columns.
_ACROSS = 6
#: Widths of the rewards' range between which numbers have a fixed number of decimals.
_NARROW, _WIDE = 1e-2, 1e5


def tables(found: PassAtK, planned: Plan | None, file: Path, other: Path | None) -> list[RenderableType]:
    """The estimates, a comparison, a plan, and the notes on them."""
    name, others = (each.name for each in (file, other or file))
    if other is not None and name == others:  # as a run's files are called alike
        name, others = str(file), str(other)
    shown: list[RenderableType] = [_title(found, name), _of_result(found), *_notes(found.notes)]
    if found.comparison is not None and other is not None:
        second = found.comparison.other
        shown += ["", _title(second, others), _of_result(second), *_notes(second.notes)]
        shown += ["", _bold(f"{name} less {others}"), _of_comparison(found, found.comparison)]
    if planned is not None:
        goal = f"prompts to find a difference of {planned.difference:g} (power {planned.power:g})"
        ks = found.k.tolist()
        parts = [ks[first : first + _ACROSS] for first in range(0, len(ks), _ACROSS)]
        shown += ["", _bold(goal), *(_of_plan(planned, found, part) for part in parts)]
        shown += _notes(planned.notes)
    return shown


def _title(found: PassAtK, name: str) -> Text:
    scored = found.rollouts[found.rollouts > 0]
    fewest, most = int(scored.min()), int(scored.max())
    rollouts = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    clusters = "" if found.clusters is None else f" in {found.clusters:,} clusters"
    return _bold(f"{name}: {len(found.rollouts):,} prompts{clusters}, {rollouts} rollouts each")


def _of_result(found: PassAtK) -> Table:
    table, number = _table(), _Numbers(found.bounds[1] - found.bounds[0])
    for heading in (
        "estimate",
        "error",
        f"{found.confidence:.0%} interval",
        "error,\nprompts fixed",
        "prompts",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, k in enumerate(found.k.tolist()):
        left = int(found.left_out[place])
        table.add_row(
            found.label(k),
            number(found.estimate[place]),
            number(found.standard_error[place]),
            number.interval(found.low[place], found.high[place]),
            number(found.fixed_prompts_error[place]),
            f"{found.prompts[place]:,}" + (f" (-{left:,})" if left else ""),
        )
    return table


def _of_comparison(found: PassAtK, compared: Comparison) -> Table:
    table, number = _table(), _Numbers(found.bounds[1] - found.bounds[0])
    for heading in ("difference", "error", f"{found.confidence:.0%} interval", "prompts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, k in enumerate(found.k.tolist()):
        low, high = compared.low[place], compared.high[place]
        apart = low > 0 or high < 0
        table.add_row(
            found.label(k),
            number(compared.difference[place], signed=True),
            number(compared.standard_error[place]),
            number.interval(low, high, signed=True),
            f"{compared.prompts[place]:,}",
            style="bold" if apart else "",
        )
    return table


def _of_plan(planned: Plan, found: PassAtK, ks: list[int]) -> Table:
    """Prompts by rollouts (rows) and k (columns); the cheapest design of each k in bold."""
    table = _table("rollouts")
    for k in ks:
        table.add_column(found.label(k), justify="right", no_wrap=True)
    needed = {(each.rollouts, each.k): each for each in planned.designs}
    cheapest = {k: planned.cheapest(k) for k in ks}
    for rollouts in sorted({each.rollouts for each in planned.designs if each.k in ks}):
        cells = []
        for k in ks:
            design = needed.get((rollouts, k))
            text = "" if design is None else "> 10^9" if design.prompts is None else f"{design.prompts:,}"
            cells.append(Text(text, style="bold" if design and design == cheapest[k] else ""))
        table.add_row(str(rollouts), *cells)
    table.add_section()
    table.add_row("power now", *(_chance(planned.power_now[k]) for k in ks))
    return table


def _table(corner: str = "") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(corner, no_wrap=True)
    return table


def _chance(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _bold(text: str) -> Text:
    return Text(text, style="bold")


def _notes(notes: tuple[str, ...]) -> list[Text]:
    return [Text(f"  {note}", style="dim") for note in notes]


@dataclass(frozen=True)
class _Numbers:
    """Numbers as the width of the rewards' range asks: four decimals where it is 1."""

    width: float

    def __call__(self, value: float, *, signed: bool = False) -> str:
        if math.isnan(value):
            return "-"
        sign = "+" if signed else ""
        if not _NARROW <= self.width <= _WIDE:
            return f"{value:{sign}.4g}"
        return f"{value:{sign}.{max(0, 4 - round(math.log10(self.width)))}f}"

    def interval(self, low: float, high: float, *, signed: bool = False) -> str:
        """From one to the other."""
        if math.isnan(low) or math.isnan(high):
            return "-"
        return f"{self(low, signed=signed)} to {self(high, signed=signed)}"
