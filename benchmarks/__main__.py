"""``python -m benchmarks``: what the fast paths cost, compared with what they are built on or replace.

CPU time of one thread (of a card, its own clock); the ratio is the result, its median and quartiles over
pairs of calls that ran in turn. Times depend on the machine and are for orientation.
"""

from __future__ import annotations

import datetime
import json
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from tabulate import tabulate

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
#: 10^9 rollouts of 8 rules on a card: rollouts a second, and the card's peak memory.
_FULL_CARD = """
import time
import torch
import maxpo_lab as ml
from benchmarks.comparisons import EIGHT
from envs import SparseBandit

bandit = SparseBandit(arms=100, good=10, success=0.05)
sampler = bandit.sampler(bandit.theta, device="cuda")
settings = dict(n=16, k=4, seed=0, device="cuda", workers=1)
ml.monte_carlo_moments(EIGHT, sampler, groups=4_000_000, **settings)
torch.cuda.synchronize()
start = time.perf_counter()
ml.monte_carlo_moments(EIGHT, sampler, groups=62_500_000, **settings)
torch.cuda.synchronize()
rate = 1e9 / (time.perf_counter() - start)
print(f"Monte Carlo of 8 rules, n = 16, 100 arms: {rate:.3g} rollouts/s, "
      f"peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")
"""
#: A memory of a million prompts, in a process of its own.
_MILLION = """
from benchmarks.comparisons import filled

filled()
"""
#: Gigabytes, of a program or of its largest worker. Its own ``ru_maxrss`` would be at least the peak of the
#: process that started it, from which Linux hands it on.
_PEAK = """
import resource
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
largest = max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
print(largest * 1024 / 1e9)
"""
#: CPU seconds that an import takes after NumPy's, in an interpreter of its own.
_IMPORT = """
import time
import numpy
start = time.process_time()
import maxpo_lab
print(time.process_time() - start)
"""


def main(
    parts: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}.", show_default="all")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the rows to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a table in Markdown.")] = None,
    memory: Annotated[bool, typer.Option(help="Measure imports and the memory of a long run too.")] = True,
) -> None:
    """Print a table of ratios."""
    torch.set_num_threads(1)
    for part in parts or PARTS:
        if part not in PARTS:
            raise typer.BadParameter(f"{part}: it must be one of {', '.join(PARTS)}")
    rows = [side_by_side(*each, card=part == "card") for part in parts or PARTS for each in PARTS[part]()]
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(_table(rows))
    console.print(", ".join(f"{name} {value}" for name, value in _machine().items()))
    if json_ is not None:
        content = {"machine": _machine(), "rows": [row.as_dict() for row in rows]}
        json_.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if markdown is not None:
        cells = [[row.measured, row.compared, _span(row)] for row in rows]
        text = tabulate(cells, headers=["measured", "compared with", "ratio (quartiles)"], tablefmt="github")
        markdown.write_text(text + "\n", encoding="utf-8")
    if memory and not parts:
        seconds = statistics.median(float(_said(_IMPORT)) for _ in range(7))
        console.print(f"import maxpo_lab after NumPy: {seconds:.3f} s of CPU")
        peak = float(_said(_MANY + _PEAK))
        console.print(f"100,000,000 sampled rollouts of 2 rules: peak memory {peak:.2f} GB")
        peak = float(_said(_MILLION + _PEAK))
        console.print(f"a Replay of 1,000,000 prompts x 64 rewards: peak memory {peak:.2f} GB, imports in it")
        if torch.cuda.is_available():
            console.print(_said(_FULL_CARD).strip())


def _said(program: str) -> str:
    """What a program printed in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _machine() -> dict[str, str]:
    """What the numbers depend on."""
    packages = {name: version(name) for name in ("maxpo-lab", "numpy", "torch")}
    card = {}
    if torch.cuda.is_available():
        card = {"card": torch.cuda.get_device_name(0), "CUDA": str(torch.version.cuda)}
    today = datetime.date.today().isoformat()
    return {"date": today, "python": platform.python_version(), **packages, **card}


def _span(row: Row) -> str:
    return f"{row.ratio:.3g} ({row.low:.3g}-{row.high:.3g})"


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "ms", "compared with", "ms"):
        table.add_column(heading, justify="right" if heading == "ms" else "left")
    table.add_column("ratio (quartiles)", justify="right", no_wrap=True)
    for row in rows:
        seconds, other = f"{1e3 * row.seconds:.3g}", f"{1e3 * row.other_seconds:.3g}"
        table.add_row(row.measured, seconds, row.compared, other, _span(row))
    return table


if __name__ == "__main__":
    typer.run(main)
