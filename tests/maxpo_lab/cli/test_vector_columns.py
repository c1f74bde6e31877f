"""Files with several reward columns, weights and lengths: what is added is what ``advantages`` gives."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab.cli import app

ROWS = [("a", 1.0, 0.2, 5), ("b", 0.0, 1.0, 2), ("a", 0.0, 1.0, 9), ("b", 1.0, 0.5, 4), ("a", 1.0, 1.0, 1)]
HEADER = ("group", "right", "form", "tokens")
REWARDS = np.array([row[1:3] for row in ROWS])
LENGTHS = np.array([row[3] for row in ROWS])
IDS = [row[0] for row in ROWS]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The rows as CSV and as JSON lines."""
    text = "\n".join(",".join(map(str, row)) for row in (HEADER, *ROWS))
    (tmp_path / "r.csv").write_text(text + "\n")
    lines = (json.dumps(dict(zip(HEADER, row, strict=True))) for row in ROWS)
    (tmp_path / "r.jsonl").write_text("\n".join(lines) + "\n")
    return {path.suffix: path for path in tmp_path.iterdir()}


def added(path: Path, *options: str) -> list[float]:
    done = CliRunner().invoke(app, ["advantages", str(path), *options])
    assert done.exit_code == 0, done.output
    if path.suffix == ".csv":
        return [float(row["advantage"]) for row in csv.DictReader(io.StringIO(done.stdout))]
    return [json.loads(line)["advantage"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("name", ["per-reward:maxpo", "summed:grpo", "gdpo"])
def test_several_rewards(files: dict[str, Path], ending: str, name: str) -> None:
    found = added(
        files[ending],
        *("--k", "1", "--estimator", name, "--reward", "right", "--reward", "form"),
        *("--reward-weights", "1,0.5"),
    )
    wanted = ml.advantages(REWARDS, 1, estimator=name, group_ids=IDS, reward_weights=(1, 0.5))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15)


def test_lengths(files: dict[str, Path]) -> None:
    found = added(
        files[".csv"], *("--k", "1", "--estimator", "opo", "--reward", "form", "--length", "tokens")
    )
    wanted = ml.advantages(REWARDS[:, 1], 1, estimator="opo", group_ids=IDS, lengths=LENGTHS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--estimator", "rloo", "--reward", "right", "--reward", "form"),
            "takes one reward: take summed:rloo",
        ),
        (("--estimator", "rloo", "--reward", "right", "--length", "tokens"), "which takes none"),
        (("--estimator", "opo", "--reward", "right"), "pass lengths="),
        (("--estimator", "gdpo", "--reward", "right", "--reward-weights", "1,x"), "numbers with commas"),
        (("--estimator", "gdpo", "--reward", "right", "--reward-weights", "1,2"), "are 2, of 1 rewards"),
        (("--estimator", "gdpo", "--reward", "right", "--reward", "nothing"), "no column 'nothing'"),
        (("--estimator", "per-reward:maxpo", "--reward", "right", "--k", "3"), "has 2 scored rollouts"),
    ],
)
def test_what_is_refused(files: dict[str, Path], options: tuple[str, ...], message: str) -> None:
    done = CliRunner(env={"COLUMNS": "400"}).invoke(
        app, ["advantages", str(files[".csv"]), "--k", "1", *options]
    )
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_the_catalogue_shows_the_kinds() -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["list"])
    assert "of a group, of several rewards or a length" in done.stdout
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["show", "opo"])
    assert "its rewards and its length" in done.stdout
    assert "lengths" in done.stdout
