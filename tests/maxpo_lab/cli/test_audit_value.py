"""``maxpo-lab audit --kind value``: exit status, forms of the report, what is said of bad usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maxpo_lab.cli import app

METRICS = """
import os
import numpy as np

def max_at_k(rewards, k):
    import maxpo_lab as ml
    return ml.value_estimate(rewards, k)

def pass_at_k(rewards, k):
    n, c = len(rewards), int(np.sum(rewards > 0))
    return 1.0 if n - c < k else 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))

def plug_in(rewards, k):
    print("a word")
    os.write(1, b"past Python")
    return 1 - (1 - rewards.mean(axis=1)) ** k

def reseeds(rewards, k):
    np.random.seed(42)
    return max_at_k(rewards, k)

def quits(rewards, k):
    os._exit(0)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "metrics_of_a_project.py").write_text(METRICS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def audit(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", "--kind", "value", *arguments])
    return done.exit_code, done.output


SIZE = ("--n", "6", "--k", "2")
OURS = "metrics_of_a_project:"


#: Each starts a process of its own: a second.
CASES = [
    ((OURS + "max_at_k", *SIZE), 0, "equals unbiased"),
    ((OURS + "pass_at_k", *SIZE), 1, "[0, 0.25] gets 1; an unbiased rule gives 0.25"),
    (("plug-in", *SIZE, "--claim", "equals:plug-in"), 0, "passed"),
    ((OURS + "quits", *SIZE), 1, "ended the process with status 0"),
    (("maxpo", *SIZE), 2, "value rule 'maxpo' is not registered"),
    ((OURS + "max_at_k", *SIZE, "--target", "mean"), 2, "--target mean is of advantage rules"),
    ((OURS + "max_at_k", *SIZE, "--allow-scale"), 2, "--allow-scale is of advantage rules"),
    ((OURS + "max_at_k", *SIZE, "--signature", "verl"), 2, "is of advantage rules"),
]
MORE = [
    ((OURS + "max_at_k", *SIZE, "--claim", "monotone", "--claim", "equals:unbiased"), 0, "passed"),
    ((OURS + "pass_at_k", *SIZE, "--rewards", "binary", "--signature", "group"), 0, "called as group"),
    ((OURS + "reseeds", *SIZE), 0, "reset by every call"),
    (("unbiased", *SIZE), 0, "as an unbiased rule"),
    (
        (OURS + "quits", *SIZE, "--signature", "group", "--claim", "bounded"),
        1,
        "the rule ends the process",
    ),
    ((OURS + "wrong", *SIZE), 2, "has no attribute 'wrong'"),
    ((OURS + "max_at_k", "--n", "2", "--k", "3"), 2, "the nearest valid choice is k=2"),
    ((OURS + "max_at_k", *SIZE, "--claim", "centered"), 2, "must be unbiased, order-free"),
    ((OURS + "max_at_k", *SIZE, "--rewards", "continuous"), 2, "audited on auto, binary, graded"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.integration) for case in MORE)],
)
def test_status_and_words(arguments: tuple[str, ...], status: int, says: str) -> None:
    found, output = audit(*arguments)
    assert (found, says in " ".join(output.replace("│", " ").split())) == (status, True), output


def test_json_alone_is_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    status, output = audit(OURS + "plug_in", *SIZE, "--json")
    report = json.loads(output)
    assert status == 1
    assert report["passed"] is False
    assert report["claims"][0]["detail"] == "n=2, K=2: [0, 1] gets 0.75; an unbiased rule gives 1"
    assert "a word" in capfd.readouterr().err


def test_markdown_is_written(project: Path) -> None:
    status, _ = audit("unbiased", *SIZE, "--markdown", "report.md")
    assert status == 0
    assert (project / "report.md").read_text().startswith("# Audit of `unbiased`: passed")
