"""``python -m analysis compare``: what it says and draws are the rows; bad options by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click import Context
from click.testing import Result
from typer.main import get_command
from typer.testing import CliRunner

from analysis.__main__ import app
from analysis.measure.one_prompt import REMEMBERING, Prompt, comparable, compare
from analysis.output.one_prompt import draw, verdict
from analysis.output.style import drawing

OPTIONS = ("--n", 6, "--k", 3, "-p", 0.3, "--correct", 4, "--outcomes", 20)
PROMPT = Prompt(n=6, k=3, success=0.3, correct=4, outcomes=20)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, (*OPTIONS, *arguments))], env={"COLUMNS": "100"})


def said(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


def test_json_has_every_row() -> None:
    found, expected = json.loads(run("--json").output), compare(PROMPT)
    assert [row["rule"] for row in found] == expected.rule.tolist()
    assert [row["efficiency"] for row in found] == pytest.approx(expected.efficiency.tolist(), rel=1e-12)


def test_the_table_has_the_least_noisy_first_and_says_so() -> None:
    result = run()
    assert result.exit_code == 0, result.output
    here = compare(PROMPT).query("part == 'here'").sort_values("efficiency", ascending=False)
    lines = result.output.splitlines()
    assert lines[0] == "n = 6, K = 3, 4 of 20 outcomes right, p = 0.3: pass@3 is 0.657"
    assert [line.split()[:2] for line in lines[2:5]] == [
        [row.rule, f"{row.efficiency:.3f}"] for row in here.itertuples()
    ]
    assert f"Least noise here: {here.rule.iloc[0]}" in result.output


def test_every_curve_is_named_and_can_be_read() -> None:
    """MaxPO is undefined at K = n, and has a curve against K; grpo is far above 1 where p is."""
    rows = compare(replace(PROMPT, k=6), ["pkpo-loo1", "grpo"])
    rows = pd.concat([rows, compare(PROMPT, ["maxpo"]).query("part == 'k'")])
    assert rows.efficiency.max() > 10
    with drawing():
        figure = draw(rows, "")
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"pkpo-loo1", "grpo", "maxpo"}
    for axes in figure.axes:
        assert axes.get_ylim()[1] <= 2.1
        assert {line.get_label() for line in axes.lines if line.get_label()[0] != "_"} <= {*rows.rule}


def test_a_rule_that_is_biased_is_never_called_the_best() -> None:
    rows = compare(PROMPT, ["grpo", "maxpo"])
    rows.loc[rows.rule == "grpo", "efficiency"] = 5.0
    assert verdict(rows).startswith("Least noise here: maxpo")
    assert "Not unbiased for max@K, and no part of that: grpo" in verdict(rows)


def test_a_rule_that_is_unbiased_over_fair_histories_alone_is_called_so() -> None:
    said = verdict(compare(replace(PROMPT, history=8), ["centered-replay", "maxpo", "grpo"]))
    assert "Unbiased over fair histories alone, not after each, and no part of that: centered-replay," in said
    assert "Not unbiased for max@K, and no part of that: grpo." in said


@pytest.mark.parametrize("ending", [".png", ".pdf", ".svg"])
def test_the_figure_is_written(tmp_path: Path, ending: str) -> None:
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    assert run("--plot", first).exit_code == 0
    assert first.stat().st_size > 5000
    if ending == ".png":
        assert run("--plot", second).exit_code == 0
        assert first.read_bytes() == second.read_bytes()


def test_the_figure_draws_the_rows() -> None:
    rows = compare(PROMPT)
    with drawing():
        left, right = draw(rows, "a title").axes
    for axes, part in ((left, "success"), (right, "k")):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for rule, curve in rows[rows.part == part].groupby("rule"):
            np.testing.assert_array_equal(lines[rule].get_xdata(), curve[part])
            np.testing.assert_array_equal(lines[rule].get_ydata(), curve.efficiency)


def test_bad_options_are_refused_by_name(tmp_path: Path) -> None:
    for options, words in (
        (("--plot", "a.gif"), "the ending must be one of .png, .pdf, .svg"),
        (("--plot", tmp_path / "no" / "a.png"), "cannot be written: No such file"),
        (("--rule", "maxp"), "maxpo"),
        (("--correct", 20), "correct=19 is the nearest"),
        (("--false-positives", 1), "both together below 1"),
    ):
        result = run(*options)
        assert result.exit_code == 2, options
        assert words in said(result)


def test_rules_are_completed_to_those_that_are_taken() -> None:
    command = get_command(app).commands["compare"]  # type: ignore[attr-defined]
    (option,) = [each for each in command.params if each.name == "rule"]
    assert all(name in option.help for name in REMEMBERING)
    with Context(command) as context:
        for incomplete in ("", "maxp", "trl-b", "plug"):
            found = [each.value for each in option.shell_complete(context, incomplete)]
            assert found == [name for name in comparable() if name.startswith(incomplete)]
