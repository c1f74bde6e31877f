"""Files that tools left, as they are: numbers by enumeration without an option, and what is refused by name.

The files in ``dumps/`` are those of ``witnesses/dump_makers.py``, which the integration tests make anew.
"""

from __future__ import annotations

import json
import zipfile
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dump_makers import PASSES
from typer.testing import CliRunner

from maxpo_lab.cli import app
from maxpo_lab.cli.dumps import inspect_logs, lm_eval
from maxpo_lab.cli.dumps.base import DumpError

DUMPS = Path(__file__).parent / "dumps"
FILES = (
    "lm-eval.jsonl",
    "inspect-ai.eval",
    "human-eval.jsonl",
    "evalplus.json",
    "evalscope.jsonl",
    "verl.jsonl",
)
NEAR = {"rel": 1e-12, "abs": 1e-12}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["pass-at-k", *map(str, arguments)], env={"COLUMNS": "200"})


def said(result: Any) -> str:
    return " ".join(result.output.replace("│", " ").split())


def by_enumeration(groups: list[list[float]], k: int) -> float:
    """Mean over prompts and all k-subsets of the best."""
    each = [[max(subset) for subset in combinations(group, k)] for group in groups]
    return sum(sum(values) / len(values) for values in each) / len(each)


def check(path: Path, groups: list[list[float]], *options: object) -> dict[str, Any]:
    ks = [1 << power for power in range(len(groups[0]).bit_length())]
    result = run(path, "--json", *options)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["prompts"] == len(groups)
    assert [row["k"] for row in found["by_k"]] == ks
    for row in found["by_k"]:
        assert row["estimate"] == pytest.approx(by_enumeration(groups, row["k"]), **NEAR)
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_tools_file_without_options(name: str) -> None:
    found = check(DUMPS / name, [list(map(float, row)) for row in PASSES])
    assert "reward" in found["notes"][0]
    assert "prompt" in found["notes"][0]


def test_completions_of_trl_without_options() -> None:
    rows = pd.read_parquet(DUMPS / "trl.parquet")
    groups = [each["even"].tolist() for _, each in rows.groupby("prompt", sort=False)]
    assert {len(group) for group in groups} == {8}
    check(DUMPS / "trl.parquet", groups)


def test_a_file_keeps_its_meaning_under_another_name(tmp_path: Path) -> None:
    other = tmp_path / "answers.ndjson"
    other.write_bytes((DUMPS / "verl.jsonl").read_bytes())
    check(other, [list(map(float, row)) for row in PASSES])


def test_fields_are_chosen_by_the_options(tmp_path: Path) -> None:
    check(DUMPS / "verl.jsonl", [list(map(float, row)) for row in PASSES], "--reward", "acc")
    base = [[*row[:3], 1] for row in PASSES]  # the last of each prompt passes the base tests alone
    check(DUMPS / "evalplus.json", base, "--reward", "base")
    check(DUMPS / "lm-eval.jsonl", [list(map(float, row)) for row in PASSES], "--reward", "pass@2")
    voted = run(
        DUMPS / "inspect-ai.eval", "--measure", "majority@k", "--answer", "answer", "--k", 3, "--json"
    )
    assert json.loads(voted.output)["by_k"][0]["estimate"] == pytest.approx((0 + 1 / 2 + 0) / 3, **NEAR)
    for options, message in (
        (("--reward", "acc"), "inspect-ai log have no 'acc' (--reward); choose from match"),
        (("--group", "task"), "inspect-ai log have no 'task' (--group); choose from id, answer"),
    ):
        result = run(DUMPS / "inspect-ai.eval", *options)
        assert result.exit_code == 2
        assert message in said(result)


def test_a_file_with_the_columns_that_are_asked_for_is_read_as_it_says(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (DUMPS / "verl.jsonl").read_text().splitlines()]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({**row, "uid": place % 2}) + "\n" for place, row in enumerate(rows)))
    result = json.loads(run(path, "--reward", "score", "--group", "uid", "--json").output)
    assert result["prompts"] == 2
    assert not any("verl" in note for note in result["notes"])


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sample(document: int, metrics: dict[str, Any], n: int = 4, kept: str = "all") -> dict[str, Any]:
    found = {"doc_id": document, "resps": [["x"] * n], "filtered_resps": [["x"] * n], "filter": kept}
    return {**found, "metrics": list(metrics), **metrics}


def test_filters_of_lm_eval_are_no_rollouts(tmp_path: Path) -> None:
    """A document has a row a filter: taken for rollouts, pass@2 would be the better of two ways to parse."""
    rows = [
        {**sample(i, {"exact_match": float(i == 0 and kept == "flexible")}, 1, kept), "filtered_resps": ["x"]}
        for kept in ("strict", "flexible")
        for i in range(2)
    ]
    path = lines(tmp_path / "samples_x.jsonl", rows)
    refused = run(path)
    assert refused.exit_code == 2
    assert "name one, --reward exact_match,flexible, exact_match,strict" in said(refused)
    assert check(path, [[1.0], [0.0]], "--reward", "exact_match,flexible")["rollouts"]["all"] == 2
    check(path, [[0.0], [0.0]], "--reward", "exact_match,strict")


def test_two_runs_of_lm_eval_in_one_file_are_rollouts(tmp_path: Path) -> None:
    rows = [
        {**sample(i, {"acc": float(i < 1)}, 1), "filtered_resps": ["x"]} for _ in range(2) for i in range(2)
    ]
    check(lines(tmp_path / "a.jsonl", rows), [[1.0, 1.0], [0.0, 0.0]])


def test_what_a_sample_of_lm_eval_does_not_tell(tmp_path: Path) -> None:
    for metrics, message in (
        ({"exact_match": 0.5}, "exact_match is one number for 4 responses"),
        ({"pass@1": 0.3}, "pass@1 = 0.3 of 4 responses is none that a whole number of passes gives"),
        ({"pass@2": 1.0}, "pass@2 = 1 of 4 responses may be 3 to 4 passes"),
        ({"pass@8": 1.0}, "pass@8 = 1 of 4 responses tells no number of passes"),
        ({"acc": [1.0, 0.0]}, "acc has 2 entries for 4 responses"),
        ({}, "its samples have no metric"),
    ):
        result = run(lines(tmp_path / "a.jsonl", [sample(0, metrics)]))
        assert result.exit_code == 2
        assert message in said(result)
    check(lines(tmp_path / "a.jsonl", [sample(0, {"acc": [1, 0, 0, 1]})]), [[1.0, 0, 0, 1.0]])
    both = lines(tmp_path / "a.jsonl", [sample(0, {"acc": 0.5, "pass@1": 0.5})])
    assert "name one, --reward acc, pass@1" in said(run(both))  # of which one can be read
    assert "choose from acc, pass@1" in said(run(both, "--reward", "f1"))
    check(both, [[1.0, 1, 0, 0]], "--reward", "pass@1")
    named = lines(tmp_path / "a.jsonl", [sample(0, {"exact": [0, 0, 0, 0], "reward": [1, 0, 0, 0]})])
    check(named, [[1.0, 0, 0, 0]])
    older = {
        key: value for key, value in sample(0, {"pass@1": 0.5}).items() if key not in ("metrics", "filter")
    }
    check(lines(tmp_path / "a.jsonl", [older]), [[1.0, 1, 0, 0]])


def test_choices_of_lm_eval_are_no_rollouts(tmp_path: Path) -> None:
    choices = [["-1.5", "False"], ["-0.5", "True"], ["-2.5", "False"]]
    row = sample(0, {"acc": 1.0}) | {"resps": [[each] for each in choices], "filtered_resps": choices}
    refused = run(lines(tmp_path / "a.jsonl", [row]))
    assert refused.exit_code == 2
    assert "doc_id 0: its responses are log-likelihoods of choices" in said(refused)


def test_passes_are_found_from_pass_at_k() -> None:
    for n in (1, 4, 7):
        for k in range(1, n + 1):
            for c in range(n + 1):
                value = by_enumeration([[1.0] * c + [0.0] * (n - c)], k)
                if value < 1 or k == 1:
                    assert lm_eval._passes(0, value, n, k) == c
                else:  # every c from n - k + 1 on
                    with pytest.raises(DumpError, match=f"may be {n - k + 1} to {n} passes"):
                        lm_eval._passes(0, value, n, k)


def inspect_log(scores: list[dict[str, Any]], status: str = "success") -> dict[str, Any]:
    samples = [
        {"id": place // 2, "epoch": 1 + place % 2, "scores": each} for place, each in enumerate(scores)
    ]
    return {"version": 2, "status": status, "eval": {}, "samples": samples}


def test_scores_of_inspect_are_read_as_inspect_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(
        json.dumps(
            inspect_log([{"m": {"value": value}} for value in ("C", "P", "I", "N", 0.25, True, "Yes", "no")])
        )
    )
    check(path, [[1.0, 0.5], [0.0, 0.0], [0.25, 1.0], [1.0, 0.0]])
    two = {"a": {"value": "C"}, "b": {"value": {"x": 1, "y": 0}}}
    path.write_text(json.dumps(inspect_log([two, two], "cancelled")))
    assert "name one, --reward a, b.x, b.y" in said(run(path))
    found = check(path, [[0.0, 0.0]], "--reward", "b.y")
    assert "the log's status is 'cancelled': samples may be missing" in found["notes"]


def test_a_sample_that_failed_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(
        json.dumps(inspect_log([{"m": {"value": "C"}}, {}, {"m": {"value": "I"}}, {"m": {"value": "I"}}]))
    )
    result = run(path)
    assert result.exit_code == 2
    assert "no reward in sample 2" in said(result)
    assert json.loads(run(path, "--missing", "omit", "--k", 1, "--json").output)["by_k"][0]["estimate"] == 0.5


def test_an_archive_without_its_end_is_read_from_its_journal(tmp_path: Path) -> None:
    whole = inspect_logs.of_archive(DUMPS / "inspect-ai.eval")
    assert whole is not None
    path = tmp_path / "running.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps({"version": 2, "eval": {}}))
        for part, place in ((10, 8), (2, 4), (1, 0)):
            archive.writestr(
                f"_journal/summaries/{part}.json", json.dumps(whole["samples"][place : place + 4])
            )
    found = check(path, [list(map(float, row)) for row in PASSES])
    assert "the log's status is 'started': samples may be missing" in found["notes"]


def test_several_steps_and_several_rewards(tmp_path: Path) -> None:
    rows = [
        {"input": "q", "output": "x", "gts": "", "score": float(step == 2), "step": step}
        for step in (1, 2, 1, 2)
    ]
    check(lines(tmp_path / "a.jsonl", rows), [[0.0, 0.0], [1.0, 1.0]])  # one prompt, two policies
    frame = pd.read_parquet(DUMPS / "trl.parquet")
    frame.assign(style=0.5).to_parquet(tmp_path / "two.parquet")
    assert "name one, --reward even, style" in said(run(tmp_path / "two.parquet"))
    talk = [[{"role": "user", "content": text}] for text in frame["prompt"]]
    frame.assign(prompt=talk).to_parquet(tmp_path / "talk.parquet")
    groups = [each["even"].tolist() for _, each in frame.groupby("prompt", sort=False)]
    check(tmp_path / "talk.parquet", groups)


def test_an_attempt_without_a_score_of_evalscope_is_missing(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (DUMPS / "evalscope.jsonl").read_text().splitlines()]
    rows[0]["sample_score"]["score"]["value"] = {}
    assert "no reward in sample 1" in said(run(lines(tmp_path / "a.jsonl", rows)))


def test_reviews_without_a_group_say_what_their_prompt_is(tmp_path: Path) -> None:
    """Their own ids may be one an attempt: pass@1 would have the error of as many prompts."""
    rows = [json.loads(line) for line in (DUMPS / "evalscope.jsonl").read_text().splitlines()]
    for row in rows:
        del row["sample_score"]["group_id"]
    found = json.loads(run(lines(tmp_path / "a.jsonl", rows), "--json").output)
    assert "12 reviews have no group_id: the prompt of these is their sample_id" in found["notes"]


def test_a_field_that_a_rollout_lacks_is_missing(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (DUMPS / "verl.jsonl").read_text().splitlines()]
    del rows[3]["acc"]
    path = lines(tmp_path / "a.jsonl", rows)
    for options in (("--reward", "acc"), ("--group", "acc")):
        refused = run(path, *options)
        assert refused.exit_code == 2
        assert "sample 4" in said(refused)


def test_tasks_of_evalplus_without_a_solution(tmp_path: Path) -> None:
    """The first says nothing of the format, and none of them is a prompt with fewer rollouts."""
    content = json.loads((DUMPS / "evalplus.json").read_text())
    content["eval"] = {"HumanEval/none": [], **content["eval"]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    refused = run(tmp_path / "a.json")
    assert refused.exit_code == 2
    assert "1 tasks have no solution (the first is HumanEval/none)" in said(refused)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json",
            "{}",
            "no log of inspect-ai and no results of evalplus; of any other file",
        ),
        (
            "a.json",
            "{",
            "no log of inspect-ai and no results of evalplus; of any other file",
        ),
        (
            "a.eval",
            "no archive",
            "no log of inspect-ai and no results of evalplus; of any other file",
        ),
        ("a.json", json.dumps({"version": 2, "status": "success", "eval": {}}), "it holds no samples"),
        (
            "a.jsonl",
            '{"task_id": 1, "passed": true, "result": ""}\n{"x": 1}\n',
            "line 2 is not like the first",
        ),
        ("a.jsonl", '{"x": 1}\n', "no 'reward' (--reward)"),
    ],
)
def test_other_files_are_refused_as_before(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    result = run(tmp_path / name)
    assert result.exit_code == 2
    assert message in said(result)


def test_models_of_two_tools_are_compared_by_their_prompts(tmp_path: Path) -> None:
    renamed = (DUMPS / "human-eval.jsonl").read_text().replace("toy/", "HumanEval/")
    (tmp_path / "b.jsonl").write_text(renamed)
    found = json.loads(run(DUMPS / "evalplus.json", "--compare", tmp_path / "b.jsonl", "--json").output)
    assert [row["difference"] for row in found["comparison"]["by_k"]] == [0.0, 0.0, 0.0]


def test_an_archive_of_something_else_is_no_log(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("x.json", "[]")
    assert run(tmp_path / "a.eval").exit_code == 2
    with pytest.raises(DumpError, match="none of its samples has a score"):
        inspect_logs.read(inspect_log([{}, {}]))
