"""``python -m benchmarks``: what the fast paths cost, compared with what they are built on or replace.

CPU time of one thread; the ratio is the result, its median and quartiles over pairs of calls that ran in
turn. Times depend on the machine and are for orientation.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from .comparisons import PARTS
from .timing import Row, side_by_side

#: 10^8 rollouts, drawn and measured in a process of their own.
_MANY = """
import maxpo_lab as ml
from envs import SparseBandit

bandit = SparseBandit(arms=100, good=10)
ml.monte_carlo_moments(
    ["maxpo", "pkpo-loo1"], bandit.sampler(bandit.theta), n=16, k=4, groups=6_250_000, seed=0, workers=2
)
"""


def main(
    parts: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}.", show_default="all")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the rows to this file.")] = None,
    memory: Annotated[bool, typer.Option(help="Measure the memory of a long run too.")] = True,
) -> None:
    """Print a table of ratios."""
    torch.set_num_threads(1)
    for part in parts or PARTS:
        if part not in PARTS:
            raise typer.BadParameter(f"{part}: it must be one of {', '.join(PARTS)}")
    rows = [side_by_side(*each) for part in parts or PARTS for each in PARTS[part]()]
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(_table(rows))
    if json_ is not None:
        packages = {name: version(name) for name in ("maxpo-lab", "numpy", "torch")}
        machine = {"processor": platform.processor(), "python": platform.python_version(), **packages}
        content = {"machine": machine, "rows": [row.as_dict() for row in rows]}
        json_.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if memory and not parts:
        subprocess.run([sys.executable, "-c", _MANY], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        console.print(f"100,000,000 sampled rollouts of 2 rules: peak memory {peak:.2f} GB")


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading, justify in (
        ("measured", "left"),
        ("ms", "right"),
        ("compared with", "left"),
        ("ms", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("ratio", justify="right")
    table.add_column("quartiles", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.measured,
            f"{1e3 * row.seconds:.3g}",
            row.compared,
            f"{1e3 * row.other_seconds:.3g}",
            f"{row.ratio:.3g}",
            f"{row.low:.3g}-{row.high:.3g}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
