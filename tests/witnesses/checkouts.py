"""A copy of the checkout with one more study, made for stopping: slow cells whose bits depend on threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CELLS = 14

#: TRIAL_SECONDS: what a cell takes. TRIAL_PIDS: folder of a file a worker, named by its id.
INIT = '''
"""A study for tests."""

from ...run.study import Study
from .figure import draw
from .study import cells, measure

STUDY = Study(
    name="trial", question="?", seed=7, cells=cells, measure=measure, table=lambda rows: rows, draw=draw
)
'''
MEASURE = '''
"""What the study measures."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cell:
    index: int


@dataclass(frozen=True)
class Row:
    index: int
    part: str
    value: float
    odd: float
    note: str | None


def cells(preset):
    return [Cell(index) for index in range({cells})]


def measure(cell):
    if folder := os.environ.get("TRIAL_PIDS"):
        Path(folder, str(os.getpid())).write_text(__file__)
    # The later of two cells is often done first.
    time.sleep(float(os.environ.get("TRIAL_SECONDS", "0")) * (1.5 if cell.index % 2 else 0.5))
    random = np.random.default_rng([7, cell.index])
    many = random.standard_normal((300, 4000), dtype=np.float32)
    # Sums whose order depends on the number of threads.
    sums = {{"numpy": float((many @ many.T).sum())}}
    if cell.index < 2:  # and no more, as its import takes seconds
        import torch

        sums["torch"] = float(torch.from_numpy(many).sum())
    odd = (-0.0, inf, nan, 5e-324, -1e300)[cell.index % 5]
    note = None if cell.index % 2 else "even"
    return [Row(cell.index, part, value, odd, note) for part, value in sums.items()]
'''
FIGURE = """
def draw(rows):
    from ...output.style import subplots

    figure, axes = subplots(figsize=(1, 1))
    axes.plot(rows.value)
    return {"figure": figure}
"""


@dataclass(frozen=True)
class Checkout:
    """A checkout in a folder of its own, and how to run its command line."""

    root: Path

    def write_study(self, *, cells: int = CELLS) -> None:
        folder = self.root / "analysis/studies/trial"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(INIT.lstrip())
        (folder / "study.py").write_text(MEASURE.format(cells=cells).lstrip())
        (folder / "figure.py").write_text(FIGURE.lstrip())

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """``python -m analysis run trial`` in a session of its own."""
        options = ("--preset", "smoke", "--wandb", "disabled")
        command = [sys.executable, "-m", "analysis", "run", "trial", *options, *map(str, arguments)]
        # One thread from outside would hide that the runner sets it.
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        return subprocess.Popen(
            command,
            cwd=self.root.parent,  # as Ray's workers look into the folder that a run is started from
            env=inherited | {"PYTHONPATH": str(self.root), "MPLBACKEND": "Agg"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: object, **environment: str) -> tuple[int, str]:
        """The same, to its end: exit status and output."""
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output


def copy_checkout(root: Path) -> Checkout:
    for package in ("maxpo_lab", "envs", "analysis"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    checkout = Checkout(root)
    checkout.write_study()
    return checkout


def stored(store: Path) -> list[Path]:
    """The trial's finished cells."""
    return list((store / "trial").glob("*/*.json"))


def rows_of(results: Path) -> bytes:
    """The trial's rows as they are on disk: equal bytes are equal bits."""
    return (results / "trial/rows.parquet").read_bytes()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until the condition holds; fail where the process ends before."""
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
