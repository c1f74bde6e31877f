"""The two command lines: what they print, and that bad input is a message and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from math import comb
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from analysis.__main__ import app as studies
from maxpo_lab.cli import app
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.registry import parameters


def test_list_names_every_rule() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for name in ml.list_estimators():
        assert name in result.output


@pytest.mark.parametrize("name", ml.list_estimators("all"))
def test_show_gives_rule_range_and_citation(name: str) -> None:
    result = CliRunner().invoke(app, ["show", name])
    assert result.exit_code == 0
    rule = ml.get_estimator(name)
    flat = " ".join(result.output.split())
    assert " ".join(rule.equation.split()) in flat
    assert rule.citation.split()[0] in flat
    assert ("takes one rollout a prompt" in flat) == (name == "spo")  # not defined at the usual n


def test_list_of_losses_names_every_loss() -> None:
    result = CliRunner().invoke(app, ["list", "--losses"])
    assert result.exit_code == 0
    assert [name for name in ml.list_losses() if name not in result.output] == []
    assert "maxpo" not in result.output


@pytest.mark.parametrize("name", [*ml.list_losses(), "trl:dapo:epsilon_high=0.28"])
def test_show_gives_a_losss_weight_options_and_citation(name: str) -> None:
    result = CliRunner().invoke(app, ["show", name], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    loss = ml.get_loss(name)
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert f"weight {loss.equation}" in lines
    assert f"source {loss.citation}" in lines
    assert "@" in result.output
    if "=" in name:
        assert "epsilon_high=0.28" in next(line for line in lines if line.startswith("options "))


@pytest.mark.parametrize(
    ("name", "own", "equation"),
    [
        ("grpo:eps=1e-4", "eps=0.0001, ddof=1", "/ (std1 + 0.0001)"),
        ("grpo:ddof=0,eps=1.2345678e-4", "eps=0.00012345678, ddof=0", "/ (std0 + 0.00012345678)"),
        ("leader:alpha=1.5", "alpha=1.5", "+ 1.5 (R_max - mean)"),
        ("entropic:beta=4", "beta=4", "exp(4 (R_i - R_max))"),
        ("grpo", "eps=1e-06, ddof=1", "/ (std1 + 1e-06)"),
    ],
)
def test_show_of_a_rule_with_parameters_is_its_own(name: str, own: str, equation: str) -> None:
    """Its parameters, equation and spectrum: the forward differences of what its definition gives."""
    n, family = 6, name.partition(":")[0]
    result = CliRunner().invoke(app, ["show", name, "--n", str(n), "--k", "2"], env={"COLUMNS": "160"})
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert f"parameters {own}" in lines
    assert equation in next(line for line in lines if line.startswith("rule "))
    defined = getattr(definitions, family)(*parameters(name).values())
    steps = []
    for failing in range(n):
        others = [0] * failing + [1] * (n - 1 - failing)
        success, failure = (defined([*others, reward], 2)[-1] for reward in (1, 0))
        steps.append(Fraction(success) - Fraction(failure))
    shown = [float(line.split()[-1]) for line in lines if line.startswith("pass@")]
    for order, weight in enumerate(shown, start=1):
        differences = steps
        for _ in range(order - 1):
            differences = [after - before for before, after in pairwise(differences)]
        expected = float(differences[0] * comb(n - 1, order - 1) / order)
        assert weight == pytest.approx(expected, rel=5e-4, abs=1e-9)  # four digits are shown
    assert len(shown) == n


def test_claims_of_a_parameter_are_its_own() -> None:
    """Without its bonus a leader is the mean-centered reward."""
    for alpha, says in ((0, "centered: yes"), (0.25, "centered: no")):
        output = CliRunner().invoke(app, ["show", f"leader:alpha={alpha}"]).output
        assert says in " ".join(output.split())
        advantages = ml.advantages([1.0, 0.0, 0.5], 1, estimator=f"leader:alpha={alpha}")
        assert (abs(advantages.sum()) < 1e-15) == (says == "centered: yes")


def test_the_largest_spectrum_that_is_shown_is_finite() -> None:
    """Also where increments are large, as K for a winner and n where one of n succeeds."""
    for name, k in (("max-minus-second", 640), ("maxrl", 1), ("passk-training", 2)):
        spectrum = ml.pass_at_k_spectrum(name, n=640, k=k)
        assert np.isfinite(spectrum.weights).all()
        assert np.isfinite(spectrum.resolution).all()
    done = CliRunner().invoke(app, ["show", "maxpo", "--n", "641"])
    assert done.exit_code == 2
    assert "for '--n': Input should be less than or equal to 640" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["show", "maxp"], ["maxp", "did you mean", "maxpo"]),
        (["show", "verl:best"], ["verl:best", "tools' numbers", "verl:best@N"]),
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
        (["run", "unbiasednes"], ["unbiasednes", "did you mean", "unbiasedness"]),
        (["run", "variance", "--preset", "huge"], ["huge", "smoke"]),
        (["run", "variance", "--workers", "0"], ["workers"]),
        (["figures", "variance", "--results", "/nonexistent"], ["no finished run", "analysis"]),
    ],
)
def test_bad_study_usage_is_a_message_and_exit_2(arguments: list[str], fragments: list[str]) -> None:
    done = CliRunner().invoke(studies, arguments)
    assert done.exit_code == 2
    for fragment in fragments:
        assert fragment in done.stderr


def test_studies_are_listed_with_their_questions() -> None:
    done = CliRunner().invoke(studies, ["list"])
    assert done.exit_code == 0
    assert "unbiasedness" in done.stdout
    assert "variance" in done.stdout
