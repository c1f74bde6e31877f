"""The two command lines: what they print, and that bad input is a message and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab.cli import app

ROOT = Path(__file__).parent.parent


def analysis(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analysis", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)


def test_list_names_every_rule() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for name in ml.list_estimators():
        assert name in result.output


@pytest.mark.parametrize("name", ml.list_estimators())
def test_show_gives_rule_range_and_citation(name: str) -> None:
    result = CliRunner().invoke(app, ["show", name])
    assert result.exit_code == 0
    rule = ml.get_estimator(name)
    flat = " ".join(result.output.split())
    assert " ".join(rule.equation.split()) in flat
    assert rule.citation.split()[0] in flat


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["show", "maxp"], ["maxp", "did you mean", "maxpo"]),
        (["show", "zzz"], ["zzz", "known", "rloo"]),
        (["shout"], ["No such command"]),
        (["show"], ["Missing argument"]),
    ],
)
def test_bad_usage_is_a_message_and_exit_2(arguments: list[str], fragments: list[str]) -> None:
    command = [str(Path(sys.executable).with_name("maxpo-lab")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    for fragment in fragments:
        assert fragment in done.stderr


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["run", "unbiasednes"], ["unbiasednes", "known"]),
        (["run", "variance", "--preset", "huge"], ["huge", "smoke"]),
        (["run", "variance", "--workers", "0"], ["workers"]),
        (["figures", "variance", "--results", "/nonexistent"], ["no finished run", "analysis"]),
    ],
)
def test_bad_study_usage_is_a_message_and_exit_2(arguments: list[str], fragments: list[str]) -> None:
    done = analysis(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in done.stderr


def test_studies_are_listed_with_their_questions() -> None:
    done = analysis("list")
    assert done.returncode == 0
    assert "unbiasedness" in done.stdout
    assert "variance" in done.stdout
