"""Figures are made from their rows and this project's style alone, whatever the user's settings are."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from rich.console import Console

from analysis.output import report, style
from analysis.run import runner
from analysis.run.registry import get_study
from analysis.run.study import Study

ROOT = Path(__file__).parents[3]
#: Each a line of a matplotlibrc that would change a figure, or that keeps one from being drawn here.
HOSTILE: dict[str, Any] = {
    "text.usetex": True,
    "font.family": "monospace",
    "font.sans-serif": ["DejaVu Serif"],
    "font.size": 22,
    "axes.facecolor": "pink",
    "axes.formatter.use_locale": True,
    "axes.prop_cycle": mpl.cycler(color=["red"]),
    "figure.autolayout": True,
    "figure.max_open_warning": 1,
    "grid.linestyle": ":",
    "image.cmap": "jet",
    "lines.scale_dashes": False,
    "mathtext.fontset": "stix",
    "path.sketch": (1, 100, 2),
    "pdf.compression": 0,
    "savefig.bbox": "tight",
    "savefig.facecolor": "yellow",
    "savefig.transparent": True,
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, pd.DataFrame, dict[str, bytes]]:
    """A small study with its rows and its files under the default settings."""
    study = get_study("specimens")
    rows = runner.run(study, "smoke", workers=1, console=Console(quiet=True)).rows
    with mpl.rc_context():
        mpl.rcdefaults()
        return study, rows, files(study, rows, tmp_path_factory.mktemp("plain"))


def files(study: Study, rows: pd.DataFrame, folder: Path) -> dict[str, bytes]:
    paths = report.write(study, rows, {}, folder).values()
    return {path.name: path.read_bytes() for png in paths for path in (png, png.with_suffix(".pdf"))}


def test_a_users_settings_change_no_byte(
    drawn: tuple[Study, pd.DataFrame, dict[str, bytes]], tmp_path: Path
) -> None:
    study, rows, plain = drawn
    with mpl.rc_context(HOSTILE):
        assert files(study, rows, tmp_path) == plain
        assert mpl.rcParams["font.size"] == 22, "drawing gives the user's settings back"
    assert len(plain) >= 2


@pytest.mark.parametrize("setting", HOSTILE)
def test_the_style_says_all_that_a_user_could(setting: str) -> None:
    with mpl.rc_context():
        mpl.rcdefaults()
        with style.drawing():
            own = dict(mpl.rcParams)
    with mpl.rc_context({setting: HOSTILE[setting]}):
        assert mpl.rcParams[setting] != mpl.rcParamsDefault[setting]
        with style.drawing():
            differ = {name for name in own if mpl.rcParams[name] != own[name]}
    assert differ <= {"backend", "figure.max_open_warning"}  # of windows, which no figure here has


def test_the_font_is_the_one_that_comes_with_matplotlib() -> None:
    with style.drawing():
        found = mpl.font_manager.findfont(mpl.font_manager.FontProperties())
    assert Path(found).is_relative_to(mpl.get_data_path())


def test_no_figure_knows_of_windows() -> None:
    """pyplot chooses a backend, keeps figures alive, and is what a notebook's settings reach.

    seaborn, which imports it, is asked for a style alone.
    """
    for path in (ROOT / "analysis").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
                assert not names & {"pyplot", "matplotlib.pyplot", "pylab"}, path
