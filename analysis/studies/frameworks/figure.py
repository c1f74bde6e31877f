"""The matrices of frameworks' rules, from stored rows: what they climb, their edges, and rules of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...output.style import PAGE, Verdict, subplots, verdict_legend
from .judged import BATCH, CLIMBS, EDGES, climbed, coupled, edge

LEGEND = {
    "holds": "as it should be",
    "other scale": "scale set by n and K",
    "policy": "depends on policy or batch",
    "fails": "does not hold",
    "not claimed": "not defined, or by design",
}
_SIZE = 6.2
#: Height of a line of text, and of a row's own space, in the axes' units of one row.
_LINE, _SPACE = 0.72, 0.28


@dataclass(frozen=True)
class Line:
    """A row of a matrix: what it is called, who ships it, whether a package was run, and its cells."""

    name: str
    whose: str
    run: bool
    cells: Mapping[str, Verdict]


def lines(
    rows: pd.DataFrame, judge: Callable[[pd.Series], dict[str, Verdict]], *, by_framework: bool = False
) -> list[Line]:
    """Rows with equal cells as one: of one rule of the catalogue, or of one framework."""
    found: dict[tuple[object, ...], list[pd.Series]] = {}
    for _, row in rows.iterrows():
        cells = judge(row)
        own = row.framework if by_framework else row["equals"]
        key = (own, row.origin == "as coded", row.target, *(each.text for each in cells.values()))
        found.setdefault(key, []).append(row)
    made = []
    for members in found.values():
        first = members[0]
        whose = (
            "; ".join(dict.fromkeys(str(each.rule) for each in members))
            if by_framework
            else ", ".join(dict.fromkeys(_who(each, members) for each in members))
        )
        name = str(first.framework if by_framework else first["equals"])
        made.append(Line(name, whose, first.origin == "package", judge(first)))
    return made


def _who(row: pd.Series, members: Sequence[pd.Series]) -> str:
    """A framework, with the rule's name there where it ships one alone of these."""
    own = [each for each in members if each.framework == row.framework]
    return str(row.framework) if len(own) > 1 else f"{row.framework} {row.rule}"


def draw(rows: pd.DataFrame) -> dict[str, Figure]:
    """Three matrices at the first group size; rules that were run from their package are bold."""
    at = rows[rows.n == rows.n.iloc[0]].sort_values(
        "origin", key=lambda each: each == "as coded", kind="stable"
    )
    groups, batches = at[at.couples.isna()], at[at.couples.notna()]
    run = at[at.origin == "package"]
    who = f"rule, and who ships it (n = {at.n.iloc[0]}, K = {at.k.min()})"
    found = {"figure": _matrix(lines(groups, climbed), CLIMBS, who)}
    if len(run):
        for name, part in zip(
            ("edges", "edges_more"), _halves(lines(run, edge, by_framework=True)), strict=True
        ):
            if part:
                found[name] = _matrix(part, EDGES, "framework, and its rules", beside=1.5)
    if len(batches):
        found["batches"] = _matrix(lines(batches, coupled), BATCH, who)
    return found


def _halves(every: Sequence[Line]) -> tuple[Sequence[Line], Sequence[Line]]:
    """The lines in two parts of about one length, no framework in both."""
    cut = (len(every) + 1) // 2
    while cut < len(every) and every[cut].name == every[cut - 1].name:
        cut += 1
    return every[:cut], every[cut:]


def _matrix(
    lines_: Sequence[Line],
    columns: Mapping[str, tuple[str, float]],
    left: str,
    *,
    beside: float = 0.0,
) -> Figure:
    """A matrix of verdicts; ``columns``: title and width by key.

    ``beside``: how far to the right of names it is said whose they are; 0: below them.
    """
    names = 4.4
    texts = [wrap(line.whose, 38 if beside else 50) for line in lines_]
    above = 0 if beside else 1
    heights = [_SPACE + _LINE * (above + len(text)) for text in texts]
    total = sum(heights)
    widths = [width for _, width in columns.values()]
    edges = [sum(widths[:index]) for index in range(len(widths) + 1)]
    figure, axes = subplots(figsize=(PAGE, 0.125 * total + 0.75))
    top = 0.0
    for line, text, height in zip(lines_, texts, heights, strict=True):
        for start, width, key in zip(edges, widths, columns, strict=False):
            cell = line.cells[key]
            box = Rectangle((start, top), width, height, facecolor=cell.colour, edgecolor="white", lw=1.2)
            axes.add_patch(box)
            said = "\n".join(wrap(cell.text, max(6, int(width * 13))))
            axes.text(start + width / 2, top + height / 2, said, ha="center", va="center", fontsize=_SIZE)
        weight = "bold" if line.run else "normal"
        first = top + _SPACE / 2 + _LINE / 2
        axes.text(-names, first, line.name, ha="left", va="center", fontsize=_SIZE, weight=weight)
        for number, part in enumerate(text, above):
            at = (-names + (beside or 0.1), first + _LINE * number)
            axes.text(*at, part, ha="left", va="center", fontsize=5.4, color="0.3")
        top += height
    for start, width, (label, _) in zip(edges, widths, columns.values(), strict=False):
        axes.text(start + width / 2, -0.2, label, ha="center", va="bottom", fontsize=_SIZE)
    axes.text(-names, -0.2, left, ha="left", va="bottom", fontsize=_SIZE)
    axes.set(xlim=(-names, edges[-1]), ylim=(total + 0.05, -2.2))
    axes.axis("off")
    verdict_legend(axes, LEGEND, fontsize=_SIZE)
    return figure
