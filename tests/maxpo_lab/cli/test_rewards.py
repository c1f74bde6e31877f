"""``maxpo-lab advantages``: every format in and out, malformed rows by line, nothing half-written."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab.cli import app

ROWS = [("a", 1.0), ("b", 0.0), ("a", 0.0), ("a", 0.25), ("b", 1.0), ("b", 1.0), ("b", 0.0)]
IDS, REWARDS = zip(*ROWS, strict=True)
BAD_JSON = ["line 2", "not JSON", "line 3", "list", "line 4", "no 'reward'"]
EXPECTED = ml.advantages(np.array(REWARDS), 2, group_ids=list(IDS))


def run(*arguments: object):
    return CliRunner().invoke(app, ["advantages", *map(str, arguments)])


def write_rows(path: Path) -> None:
    frame = pd.DataFrame({"group": IDS, "note": ["x,y", 'q"', "", "é", "5", "6", "7"], "reward": REWARDS})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


def read_rows(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".jsonl":
        return pd.DataFrame(map(json.loads, path.read_text().splitlines()))
    return pd.read_csv(
        path, sep="\t" if path.suffix == ".tsv" else ",", keep_default_na=False, dtype={"note": str}
    )


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_same_format_out_with_one_more_column(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    write_rows(source)
    result = run(source, "--k", 2, "-o", target)
    assert result.exit_code == 0, result.output
    before, after = read_rows(source), read_rows(target)
    pd.testing.assert_frame_equal(after.drop(columns="advantage"), before)
    np.testing.assert_array_equal(after.advantage, EXPECTED)


def test_standard_output_is_the_file(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    write_rows(source)
    result = run(source, "--k", 2, "--estimator", "grpo:eps=1e-4", "--column", "A")
    rows = list(csv.DictReader(result.output.splitlines()))
    expected = ml.advantages(np.array(REWARDS), 2, estimator="grpo:eps=1e-4", group_ids=list(IDS))
    np.testing.assert_array_equal([float(row["A"]) for row in rows], expected)


def test_missing_rewards_are_refused_by_line_or_left_out(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("group,reward\na,1\na,\na,0\na,0\n")
    refused = run(source, "--k", 2)
    assert refused.exit_code == 2
    assert "line 3" in " ".join(refused.output.split())
    kept = run(source, "--k", 2, "--missing", "omit")
    values = [float(row["advantage"]) for row in csv.DictReader(kept.output.splitlines())]
    np.testing.assert_array_equal(values, np.insert(ml.advantages([1.0, 0.0, 0.0], 2), 1, 0.0))


def test_one_group_and_small_groups(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("reward,group\n1,a\n0,b\n0,b\n0,b\n")
    whole = run(source, "--k", 2, "--one-group")
    values = [float(row["advantage"]) for row in csv.DictReader(whole.output.splitlines())]
    np.testing.assert_array_equal(values, ml.advantages([1.0, 0, 0, 0], 2))
    assert run(source, "--k", 2).exit_code == 2
    assert run(source, "--k", 2, "--small-groups", "zero").exit_code == 0


@pytest.mark.parametrize(
    ("name", "text", "fragments"),
    [
        (
            "a.csv",
            "group,reward\na,1\na,x\na,0,9\n",
            ["line 3", "'x'", "line 4", "3 fields", "nothing was written"],
        ),
        ("a.csv", "", ["empty", "header"]),
        ("a.csv", "group,score\na,1\n", ["no column 'reward'", "--reward", "group, score"]),
        ("a.csv", "reward\n1\n", ["no column 'group'", "--one-group"]),
        ("a.csv", "group,reward,reward\na,1,2\n", ["twice"]),
        ("a.csv", "group,reward\na,inf\n", ["line 2", "infinite"]),
        ("a.csv", "group,reward,advantage\na,1,0\na,1,0\na,0,0\n", ["'advantage' already", "--column"]),
        (
            "a.jsonl",
            '{"group": 1, "reward": 1}\n{"group": 1\n[1]\n{"group": 1}\n',
            BAD_JSON,
        ),
        ("a.parquet", "not parquet", ["not Parquet"]),
        ("a.txt", "1", [".csv", ".parquet"]),
        ("a.csv", "group,reward\na,1\na,0\n", ["group a", "2 scored", "k=2"]),
    ],
)
def test_bad_files_are_named_by_line_and_leave_the_output_alone(
    tmp_path: Path, name: str, text: str, fragments: list[str]
) -> None:
    source, target = tmp_path / name, tmp_path / "out"
    source.write_text(text)
    target.write_text("old")
    result = run(source, "--k", 2, "-o", target)
    assert result.exit_code == 2
    flat = " ".join(result.output.replace("│", " ").split())
    for fragment in fragments:
        assert fragment in flat
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])


def test_more_usage_errors(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    write_rows(source)
    for arguments, fragment in (
        ((tmp_path / "none.csv", "--k", 2), "No such file"),
        ((source, "--k", 0), "k=0"),
        ((source, "--k", 2, "--estimator", "maxp"), "did you mean"),
        ((source, "--k", 2, "-o", tmp_path / "no" / "out.csv"), "No such file"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert fragment in " ".join(result.output.replace("│", " ").split())


def test_parquet_needs_an_output_and_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.parquet"
    write_rows(source)
    assert "--output" in run(source, "--k", 2).output
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run(source, "--k", 2, "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "pip install 'maxpo-lab[parquet]'" in " ".join(result.output.replace("│", " ").split())
