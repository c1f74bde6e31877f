"""``maxpo-lab show --proof``: a rule's claims decided at one (n, K), next to the catalogue's."""

from __future__ import annotations

from fractions import Fraction

import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab import theory
from maxpo_lab.cli import app
from maxpo_lab.estimators import RankLinear


def shown(*arguments: str, columns: int = 100) -> list[str]:
    done = CliRunner().invoke(app, ["show", *arguments, "--proof"], env={"COLUMNS": str(columns)})
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines())) <= columns
    return [" ".join(line.split()) for line in done.output.splitlines()]


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of the rows for m = 0..n-1."""
    found = [line.split() for line in lines if line.split(" ")[0].isdecimal()]
    return [cells for cells in found if "--target" not in cells]  # else a command that is broken before its K


@pytest.mark.parametrize(
    ("name", "unbiased", "centered"),
    [
        ("maxpo", "yes yes: E[g] = the gradient of max@k", "yes yes: advantages sum to 0"),
        ("pkpo-loo1", "yes yes: E[g] = the gradient of max@k", "no no: advantages do not sum to 0"),
        ("pkpo-sum-scale", "no no: E[g] = 1/8 x the gradient of max@k", "no no: advantages do not sum to 0"),
        ("tailrl", "no no: E[g] is no constant times the gradient of mean", "yes yes: advantages sum to 0"),
    ],
)
def test_a_rank_linear_rule_is_proved(name: str, unbiased: str, centered: str) -> None:
    lines = shown(name, "--n", "8", "--k", "4")
    assert f"unbiased {unbiased}" in lines
    assert f"centered {centered}" in lines
    assert any(line.startswith("proved:") for line in lines)
    proof = theory.prove(ml.get_estimator(name), n=8, k=4)
    for m, (place, wanted, got, ratio, total) in enumerate(rows(lines)):
        assert (int(place), Fraction(wanted), Fraction(got)) == (m, proof.wanted[m], proof.got[m])
        assert ratio == "-" if proof.wanted[m] == 0 else Fraction(ratio) == proof.got[m] / proof.wanted[m]
        assert Fraction(total) == proof.sums[m]
    assert len(rows(lines)) == 8


@pytest.mark.parametrize("name", ml.list_estimators())
def test_every_proof_fits_a_terminal_and_says_how_it_was_decided(name: str) -> None:
    rule = ml.get_estimator(name)
    for columns in (80, 100):
        lines = shown(name, "--n", "6", "--k", "3", columns=columns)
        proved = isinstance(rule, RankLinear)
        assert any(line.startswith("proved:" if proved else "measured:") for line in lines)
        assert bool(rows(lines)) == proved


def test_a_rule_that_is_not_rank_linear_is_measured_and_the_audit_named() -> None:
    text = " ".join(shown("grpo", "--n", "8", "--k", "4"))
    assert "unbiased no no: E[g] is no constant times the gradient of mean" in text
    assert "centered yes yes: advantages sum to 0" in text
    assert "maxpo-lab audit grpo --n 8 --k 4 --target mean --claim unbiased --claim centered" in text


def test_a_rule_of_no_coefficients_is_not_proved() -> None:
    with pytest.raises(TypeError, match=r"grpo is not rank-linear.*decide_by_moments"):
        theory.prove(ml.get_estimator("grpo"), n=8, k=4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["canonical", "--n", "8", "--k", "8"], "canonical needs k <= n-1 (n=8, k=8)"),
        (["grpo", "--n", "1", "--k", "1"], "grpo needs a group of at least 2"),
        (["maxpo", "--n", "65"], "up to n=64"),
        (["maxp"], "did you mean"),
    ],
)
def test_what_cannot_be_decided_is_bad_usage(arguments: list[str], fragment: str) -> None:
    done = CliRunner().invoke(app, ["show", *arguments, "--proof"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert fragment in done.stderr


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (2, 2), (7, 3), (7, 7)])
def test_the_sides_of_a_proof_are_those_of_the_rule_on_groups(n: int, k: int) -> None:
    """By the rule's advantages of 0/1 groups, in float64."""
    rule = ml.get_estimator("pkpo-s")
    proof = theory.prove(rule, n=n, k=k)
    for m in range(n):
        group, other = [0.0] * m + [1.0] * (n - m), [0.0] * (m + 1) + [1.0] * (n - m - 1)
        success, failure = (rule([each], k)[0] for each in (group, other))
        assert success[m] - failure[m] == pytest.approx(float(proof.got[m]), abs=1e-12)
        assert success.sum() == pytest.approx(float(proof.sums[m]), abs=1e-12)
