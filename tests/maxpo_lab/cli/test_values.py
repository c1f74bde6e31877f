"""``maxpo-lab list --values`` and ``show``: value rules, and what tools print, in plain words."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from maxpo_lab import get_value_rule, list_value_rules
from maxpo_lab.cli import app
from maxpo_lab.evaluation.as_reported import get_report, list_reports


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    return found.exit_code, " ".join(found.output.replace("│", " ").split())


def test_the_list_has_all_of_them() -> None:
    status, said = run("list", "--values")
    assert status == 0
    for name in (*list_value_rules(), *list_reports()):
        assert name in said
    assert run("list", "--values", "--losses")[0] == 2


@pytest.mark.parametrize("name", list_value_rules())
def test_a_value_rule_shows_its_claims_and_who_prints_it(name: str) -> None:
    status, said = run("show", name)
    rule = get_value_rule(name)
    assert status == 0
    assert f"unbiased: {'yes' if rule.claims.unbiased else 'no'}, order-free" in said
    assert rule.citation in said
    printed = said.partition("printed by ")[2].partition(" source ")[0].split(", ")
    own = [name for name in list_reports() if get_report(name).rule is rule]
    assert printed == (own or ["no tool that is listed"])


@pytest.mark.parametrize("name", list_reports())
def test_a_report_says_what_it_means_and_where_it_was_read(name: str) -> None:
    status, said = run("show", name)
    report = get_report(name)
    assert status == 0
    assert report.words in said
    assert f"{report.package} {report.version}, {report.function}" in said
    assert report.rule.name in said


def test_a_number_in_place_of_the_letter_is_understood() -> None:
    assert run("show", "verl:best@8") == run("show", "verl:best@N")
    assert run("show", "human-eval:pass@100") == run("show", "human-eval:pass@k")
    assert run("show", "verl:worst@8")[0] == 2


def test_options_of_a_spectrum_are_no_options_of_a_value() -> None:
    status, said = run("show", "verl:best@8", "--n", "4")
    assert status == 2
    assert "verl:best@8 is a report, which takes no --n" in said
    assert "plug-in is a value rule, which takes no --proof" in run("show", "plug-in", "--proof")[1]
