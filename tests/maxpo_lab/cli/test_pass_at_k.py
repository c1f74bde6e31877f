"""``maxpo-lab pass-at-k``: the library's numbers from every format; bad files and options by name."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab.cli import app
from maxpo_lab.evaluation import plan

RNG = np.random.default_rng(0)
CHANCES = RNG.beta(0.5, 2.0, size=30)
REWARDS = (RNG.random((30, 8)) < CHANCES[:, None]) * 1.0
OTHERS = (RNG.random((30, 6)) < CHANCES[:, None]) * 1.0


def run(*arguments: object):
    return CliRunner().invoke(app, ["pass-at-k", *map(str, arguments)], env={"COLUMNS": "200"})


def said(result) -> str:
    return " ".join(result.output.replace("│", " ").split())


def write(path: Path, rewards: np.ndarray, **columns: object) -> Path:
    prompts, n = rewards.shape
    ids = np.repeat([f"q{prompt}" for prompt in range(prompts)], n)
    order = np.random.default_rng(1).permutation(len(ids))
    frame = pd.DataFrame({"group": ids, "reward": rewards.ravel(), **columns}).iloc[order]
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_numbers_are_the_librarys(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path / f"a{ending}", REWARDS)
    result = run(source, "--k", "1,3,8", "--json")
    assert result.exit_code == 0, result.output
    found, expected = json.loads(result.output), ml.pass_at_k(REWARDS, (1, 3, 8))
    assert found["prompts"] == 30
    assert found["rollouts"] == {"fewest": 8, "most": 8, "all": 240}
    for name in ("estimate", "standard_error", "low", "high", "fixed_prompts_error"):
        got = [np.nan if row[name] is None else row[name] for row in found["by_k"]]
        np.testing.assert_allclose(got, getattr(expected, name), rtol=1e-12, err_msg=name)
    assert found["notes"] == list(expected.notes)


def test_a_table_for_people_and_powers_of_two_by_default(tmp_path: Path) -> None:
    result = run(write(tmp_path / "a.csv", REWARDS))
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].strip() == "a.csv: 30 prompts, 8 rollouts each"
    assert [line.split()[0] for line in lines[3:7]] == ["pass@1", "pass@2", "pass@4", "pass@8"]
    expected = ml.pass_at_k(REWARDS, 4)
    assert lines[5].split() == [
        "pass@4",
        f"{expected.estimate[0]:.4f}",
        f"{expected.standard_error[0]:.4f}",
        f"{expected.low[0]:.4f}",
        "to",
        f"{expected.high[0]:.4f}",
        f"{expected.fixed_prompts_error[0]:.4f}",
        "30",
    ]
    assert "k=8: no error with fixed prompts" in result.output


def test_a_comparison_is_paired_by_id_and_planned(tmp_path: Path) -> None:
    first, second = write(tmp_path / "new.csv", REWARDS), write(tmp_path / "base.jsonl", OTHERS)
    result = run(first, "--compare", second, "--plan", 0.1, "--power", 0.9, "--k", "1,2", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    expected = ml.pass_at_k(REWARDS, (1, 2), compare=OTHERS)
    by_k = found["comparison"]["by_k"]
    np.testing.assert_allclose(
        [row["difference"] for row in by_k], expected.comparison.difference, atol=1e-14
    )
    np.testing.assert_allclose([row["low"] for row in by_k], expected.comparison.low, rtol=1e-12)
    assert found["comparison"]["other"]["rollouts"]["most"] == 6
    planned = plan(expected, 0.1, power=0.9)
    assert found["plan"]["designs"] == [
        {"k": each.k, "rollouts": each.rollouts, "prompts": each.prompts, "cost": each.cost}
        for each in planned.designs
    ]
    shown = run(first, "--compare", second, "--plan", 0.1, "--k", "1,2").output
    assert "new.csv less base.jsonl" in shown
    assert "prompts to find a difference of 0.1 (power 0.8)" in shown
    assert "power now" in shown
    write(tmp_path / "base.csv", OTHERS[:29])
    missing = run(first, "--compare", tmp_path / "base.csv", "--k", 1)
    assert missing.exit_code == 2
    assert "1 prompts of the rewards are not in compare ('q29')" in said(missing)


def test_clusters_answers_and_thresholds_are_columns_and_options(tmp_path: Path) -> None:
    answers = np.where(REWARDS.ravel() > 0, "right", np.array([f"w{i % 3}" for i in range(240)]))
    documents = np.repeat(np.arange(30) // 3, 8)
    source = write(tmp_path / "a.csv", REWARDS, answer=answers, document=documents)
    found = json.loads(run(source, "--k", 4, "--cluster", "document", "--json").output)
    expected = ml.pass_at_k(REWARDS, 4, clusters=np.arange(30) // 3)
    assert found["clusters"] == 10
    assert found["by_k"][0]["standard_error"] == pytest.approx(expected.standard_error[0], rel=1e-12)
    majority = json.loads(
        run(source, "--k", 4, "--measure", "majority@k", "--answer", "answer", "--json").output
    )
    expected = ml.pass_at_k(REWARDS, 4, measure="majority@k", answers=answers)
    assert majority["by_k"][0]["estimate"] == pytest.approx(expected.estimate[0], rel=1e-12)
    graded = write(tmp_path / "b.csv", REWARDS * 0.4 + 0.1)
    found = json.loads(run(graded, "--k", 2, "--threshold", 0.5, "--json").output)
    expected = ml.pass_at_k(REWARDS, 2)
    assert found["by_k"][0]["high"] == pytest.approx(expected.high[0], rel=1e-12)
    assert json.loads(run(graded, "--bounds", "0,1", "--json").output)["bounds"] == [0.0, 1.0]
    successes = json.loads(run(source, "--k", 2, "--measure", "pass^k", "--json").output)
    expected = ml.pass_at_k(REWARDS, 2, measure="pass^k")
    assert successes["by_k"][0]["estimate"] == pytest.approx(expected.estimate[0], rel=1e-12)


def test_too_few_rollouts_are_an_error_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("group,reward\na,1\na,0\na,0\nb,1\nb,\nc,0\nc,1\nc,1\n")
    refused = run(path, "--k", "1,3")
    assert refused.exit_code == 2
    assert "no reward in line 6; --missing omit leaves such rows out" in said(refused)
    refused = run(path, "--k", "1,3", "--missing", "omit")
    assert "1 of 3 prompts have fewer (the first is b, with 1); --small-groups leave-out drops" in said(
        refused
    )
    kept = run(path, "--k", "1,3", "--missing", "omit", "--small-groups", "leave-out")
    assert kept.exit_code == 0
    assert "2 (-1)" in kept.output
    assert "k=3: 1 of 3 prompts have fewer rollouts and are left out" in kept.output


@pytest.mark.parametrize(
    ("name", "text", "fragments"),
    [
        (
            "a.csv",
            "group,reward\na,1\na,x\na,0,9\n",
            ["line 3", "'x'", "column 'reward'", "line 4", "3 fields"],
        ),
        ("a.csv", "group,score\na,1\n", ["no column 'reward'", "--reward", "group, score"]),
        ("a.csv", "group,reward\na,1\n,1\n", ["line 3", "no group id in column 'group'"]),
        ("a.jsonl", '{"group":1,"reward":1}\n{"group":"1","reward":0}\n', ["line 2", "one kind"]),
        ("a.csv", "group,reward\na,inf\n", ["line 2", "infinite", "column 'reward'"]),
        ("a.csv", "", ["empty", "header"]),
        ("a.txt", "1", [".csv", ".parquet"]),
    ],
)
def test_bad_files_are_named_by_line_and_column(
    tmp_path: Path, name: str, text: str, fragments: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = run(path)
    assert result.exit_code == 2
    for fragment in fragments:
        assert fragment in said(result)


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["--k", "1,two"], "whole numbers separated by commas"),
        (["--k", "16"], "ask for k <= 8"),
        (["--k", "0"], "k=0"),
        (["--bounds", "1"], "two numbers"),
        (["--bounds", "0,0.5"], "--bounds (0, 0.5): rewards reach from 0 to 1"),
        (["--confidence", "95"], "--confidence 95"),
        (["--measure", "maj@k"], "did you mean"),
        (["--measure", "majority@k"], "--answer COLUMN"),
        (["--answer", "answer"], "no column 'answer' (--answer)"),
        (["--cluster", "document"], "no column 'document' (--cluster)"),
        (["--plan", "2"], "--plan 2.0"),
        (["--power", "0.9"], "--power 0.9 is of a plan: give --plan DIFFERENCE too"),
        (["--plan", "0.1", "--power", "2"], "--power 2.0"),
        (["--plot", "a.doc"], ".png, .pdf, .svg"),
        (["--measure", "pass^k", "--plan", "0.1"], "made for pass@k"),
    ],
)
def test_bad_options_are_refused_by_name(tmp_path: Path, options: list[str], fragment: str) -> None:
    result = run(write(tmp_path / "a.csv", REWARDS), *options)
    assert result.exit_code == 2, result.output
    assert fragment in said(result)


@pytest.mark.parametrize(("ending", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_figure_is_drawn(tmp_path: Path, ending: str, begins: bytes) -> None:
    first, second = write(tmp_path / "a.csv", REWARDS), write(tmp_path / "b.csv", OTHERS)
    target = tmp_path / f"figure{ending}"
    result = run(first, "--compare", second, "--k", "1,2,6", "--plot", target)
    assert result.exit_code == 0, result.output
    assert target.read_bytes().startswith(begins)
    assert len(target.read_bytes()) < 300_000


def test_a_ragged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "reward"])
        writer.writerows([("a", 1), ("a", 0), ("b", 0), ("b", 1), ("b", 1)])
    assert "2 prompts, 2 to 3 rollouts each" in run(path).output


def test_the_help_tells_defaults() -> None:
    text = said(run("--help"))
    for default in ("powers of 2 that every prompt has", "rewards as they are", "0,1, or those of the file"):
        assert default in text


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_a_threshold_counts_rewards_of_its_very_number(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.parquet"
    rewards = np.array([0.7, 0.7, 0.1, 0.7], dtype=kind)
    pd.DataFrame({"group": [0, 0, 1, 1], "reward": rewards}).to_parquet(path)
    result = run(path, "--threshold", "0.7", "--k", "1", "--json")
    assert json.loads(result.output)["by_k"][0]["estimate"] == 0.75


def test_messages_name_the_file_and_the_line_and_only_options_there_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("group,reward,text\np,1,s\np,0,s\nq,1,s\nq,0,t\n")
    result = run(path, "--cluster", "text")
    assert result.exit_code == 2
    assert "line 5: puts prompt q into a second cluster" in said(result)
    assert "one-group" not in said(run(path, "--group", "prompt"))
    path.write_text("group,reward\np,x\n")
    assert "nothing was written" not in said(run(path))
    path.write_text("group,reward\np,\np,1\n")
    assert "a.csv: no reward in line 2" in said(run(path))


def test_files_of_one_name_are_told_apart_and_any_name_is_drawn(tmp_path: Path) -> None:
    sources = []
    for folder, rewards in (("a", REWARDS), ("b", OTHERS)):
        (tmp_path / folder).mkdir()
        sources.append(write(tmp_path / folder / "r.csv", rewards))
    result = run(sources[0], "--compare", sources[1], "--k", "1")
    assert f"{sources[0]} less {sources[1]}" in said(result)
    for name in (r"$\fracb$.csv", "_a.csv", "a$b.csv"):
        figure = tmp_path / "figure.svg"
        drawn = run(write(tmp_path / name, REWARDS), "--plot", figure)
        assert drawn.exit_code == 0, drawn.output
        assert figure.read_bytes()


def test_ids_may_be_integers_that_parquet_holds_as_decimals(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"group": [Decimal(1), Decimal(1), Decimal(2)], "reward": [1.0, 0.0, 1.0]}).to_parquet(path)
    assert json.loads(run(path, "--json").output)["by_k"][0]["estimate"] == 0.75


def test_integer_ids_of_json_are_the_texts_of_csv(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text("group,reward\n1,1\n1,0\n2,0\n2,0\n")
    second.write_text(
        "".join(f'{{"group": {g}, "reward": {r}}}\n' for g, r in ((2, 1), (2, 1), (1, 0), (1, 0)))
    )
    found = json.loads(run(first, "--compare", second, "--json").output)
    assert found["comparison"]["by_k"][0]["difference"] == -0.25


def test_answers_of_json_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = ((18, 1), (18.0, 1), (7.5, 0), (None, 0))
    path.write_text("".join(json.dumps({"group": "q", "reward": r, "answer": a}) + "\n" for a, r in rows * 1))
    found = json.loads(run(path, "--measure", "majority@k", "--answer", "answer", "--k", 4, "--json").output)
    assert found["by_k"][0]["estimate"] == 1.0


@pytest.mark.parametrize("scale", [1e-6, 1.0, 2000.0, 1e12])
def test_tables_fit_a_terminal_whatever_the_rewards(tmp_path: Path, scale: float) -> None:
    graded = write(tmp_path / "rollouts.csv", np.random.default_rng(3).random((40, 16)) * scale)
    ks = ",".join(map(str, range(1, 13)))
    arguments = ["pass-at-k", str(graded), "--k", ks, "--compare", str(graded), "--plan", str(scale / 50)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert "…" not in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines())
    assert "max@12" in result.output
    numbers = [line.split()[1] for line in result.output.splitlines() if line.startswith("max@")][:12]
    assert len(set(numbers)) == 12
