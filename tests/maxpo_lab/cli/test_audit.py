"""``maxpo-lab audit``: exit status, forms of the report, what is said of bad usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maxpo_lab.cli import app

RULES = """
import os
import numpy as np

def right(rewards, k):
    import maxpo_lab as ml
    return ml.advantages(rewards, k)

def shrunk(rewards, k):
    return right(rewards, k) / 2

def chatty(rewards, k):
    print("a word")
    os.write(1, b"past Python")
    return shrunk(rewards, k)

def quits(rewards, k):
    os._exit(0)

def aborts(rewards, k):
    os.abort()

def of_two(rewards, k):
    return right(rewards[..., 0], k) + 0.5 * right(rewards[..., 1], k)

def two():
    import maxpo_lab as ml
    return ml.vector_rule(of_two, reward_weights=(1.0, 0.5))

two = two()

class Rules:
    @staticmethod
    def inner(rewards, k):
        return right(rewards, k)
"""

SABOTAGE = """
from maxpo_lab.auditing import audit_rule

def fault(*_, **__):
    raise KeyError("a fault of the audit")

audit_rule.nearest = fault

def rule(rewards, k):
    return rewards
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules_of_a_project.py").write_text(RULES)
    (tmp_path / "broken_project.py").write_text("1 / 0")
    (tmp_path / "script.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "grpo.py").write_text(RULES)
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def audit(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", *arguments])
    return done.exit_code, done.output


SIZE = ("--n", "6", "--k", "2")
OURS = "rules_of_a_project:"


#: Each starts a process of its own: a second.
CASES = [
    ((OURS + "right", *SIZE), 0, "unbiased for max@2"),
    ((OURS + "shrunk", *SIZE), 1, "0.5 x the max@2 gradient: exact direction, wrong scale"),
    ((OURS + "shrunk", *SIZE, "--allow-scale"), 0, "equals 0.5 = 1/K x maxpo"),
    (("grpo:eps=1e-4", *SIZE, "--claim", "centered"), 0, "passed"),
    (("grpo:right", *SIZE), 0, "equals maxpo"),
    (("script:rule", *SIZE), 2, "SystemExit"),
    (("maxpoo", *SIZE), 2, "did you mean"),
    ((OURS + "right", *SIZE, "--set", "eps"), 2, "KEY=VALUE"),
    ((OURS + "right", "--n", "6"), 2, "--k"),
    ((OURS + "two", *SIZE, "--target", "per-reward:max@k"), 0, "each reward by itself: rule, then sum"),
]
MORE = [
    (("gdpo", *SIZE, "--target", "mean"), 1, "the bias through the batch is of order 1/P"),
    (
        ("summed:rloo", *SIZE, "--target", "per-reward:max@k"),
        1,
        "unbiased for the mean of the summed rewards",
    ),
    ((OURS + "Rules.inner", *SIZE, "--claim", "centered", "--claim", "equals:canonical"), 0, "passed"),
    ((OURS + "right", *SIZE, "--target", "mean"), 1, "unbiased for max@2"),
    ((OURS + "right", *SIZE, "--rewards", "continuous"), 0, "continuous rewards"),
    (("l-statistic:TopM:2", *SIZE, "--target", "l-statistic:TopM:2"), 0, "passed"),
    ((OURS + "wrong", *SIZE), 2, "has no attribute 'wrong'"),
    (("no_such_module:rule", *SIZE), 2, "No module named 'no_such_module'"),
    (("broken_project:rule", *SIZE), 2, "ZeroDivisionError"),
    (("grpo:eps=x", *SIZE), 2, "eps=x"),
    (("maxpo", "--n", "4", "--k", "4"), 2, "k <= n-1"),
    ((OURS + "right", *SIZE, "--claim", "fast"), 2, "claim 'fast'"),
    ((OURS + "right", *SIZE, "--rewards", "ternary"), 2, "ternary"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.integration) for case in MORE)],
)
def test_status_and_words(arguments: tuple[str, ...], status: int, says: str) -> None:
    found, output = audit(*arguments)
    assert found == status, output
    assert says in " ".join(output.replace("│", " ").split())


def test_json_is_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["audit", OURS + "chatty", *SIZE, "--json"])
    status, output = done.exit_code, done.stdout
    said = capfd.readouterr()
    assert all(word in said.err and word not in said.out for word in ("a word", "past Python"))
    report = json.loads(output)
    assert (status, report["passed"]) == (1, False)
    assert report["ascent"]["scale"] == pytest.approx(0.5)
    assert report["claims"][0] == {
        "claim": "unbiased",
        "holds": False,
        "detail": "0.5 x the max@2 gradient: exact direction, wrong scale (1/K); n=3, K=2: with the others "
        "at [0, 0], raising one reward from 0 to 1 raises its advantage by 1; an unbiased rule for max@2 "
        "raises it by 2",
        "up_to": None,
        "beyond": None,
    }
    json.loads(output, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_markdown_stands_alone(project: Path) -> None:
    status, _ = audit(OURS + "shrunk", *SIZE, "--markdown", "report.md")
    text = (project / "report.md").read_text()
    assert status == 1
    assert text.startswith("# Audit of `shrunk`: failed\n")
    cells = ("| unbiased | fails |", "| binary, many | 0.7 |", "| K = n | 6 | 6 |")
    assert all(part in text for part in ("n = 6, K = 2", *cells, "```python"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_a_file_that_cannot_be_written_is_bad_usage() -> None:
    status, output = audit(OURS + "right", *SIZE, "--markdown", "no/such/folder/report.md")
    assert status == 2
    assert "report.md" in output


@pytest.mark.parametrize(("rule", "how"), [("quits", "with status 0"), ("aborts", "by signal SIGABRT")])
def test_a_rule_that_ends_the_process_is_no_verdict(rule: str, how: str) -> None:
    done = CliRunner().invoke(app, ["audit", OURS + rule, *SIZE, "--json", "--claim", "centered"])
    report = json.loads(done.stdout)
    assert (done.exit_code, report["passed"], report["claims"][0]["holds"]) == (1, False, None)
    assert report["misbehaviours"][0]["kind"] == "ends"
    assert f"ended the process {how}" in report["misbehaviours"][0]["detail"]


def test_the_failing_test_is_printed_to_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["audit", OURS + "shrunk", *SIZE, "--claim", "equals:canonical"])
    panel, _, test = done.stdout.partition("\n\nfrom maxpo_lab.testing")
    assert all(len(line) <= 80 for line in panel.splitlines())
    assert "called as batch" in " ".join(panel.replace("│", " ").split())
    compile("from maxpo_lab.testing" + test, "test", "exec")
    assert '    assert_matches(shrunk, "canonical", n=6, k=2)\n' in test


def test_a_fault_of_the_audit_is_no_verdict() -> None:
    done = CliRunner().invoke(app, ["audit", "sabotage:rule", *SIZE])
    assert isinstance(done.exception, RuntimeError)  # for which the command exits with 70
    assert "KeyError: 'a fault of the audit'" in str(done.exception)
    assert "sabotage.py" in str(done.exception)
