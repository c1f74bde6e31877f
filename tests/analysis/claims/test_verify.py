"""``verify`` and ``claims`` on the command line: they name what is contradicted, differs or is damaged."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result
from wandb_files import read_items, read_records

from analysis.__main__ import app
from analysis.claims import page, registry, verify
from analysis.claims.claim import Claim, Reading, finding
from analysis.claims.verdicts import judge
from analysis.output import manifest, report
from analysis.run import runner
from analysis.run.comparison import Compared, compare
from analysis.run.registry import get_study, list_studies

RESULTS = report.place("paper")
SMALL = "decomposition"
FINDING = finding(
    SMALL,
    "of-a-test",
    "Most of the variance is within counts.",
    Reading(
        says="within counts it has {0.986} of it",
        study=SMALL,
        where="space == '100 of 1,000, Zipf' and estimator == 'maxpo' and success == 0.239428",
        of="within / trace_covariance",
    ),
)


@pytest.fixture(scope="module")
def fresh() -> pd.DataFrame:
    return runner.run(get_study(SMALL), "smoke", console=Console(quiet=True), workers=1).rows


@pytest.fixture
def verified(tmp_path: Path, fresh: pd.DataFrame, monkeypatch: pytest.MonkeyPatch):
    """Run ``verify`` on a copy of a study's results, changed, with a claim."""

    def call(
        claim: Claim, change: float = 1.0, rows: pd.DataFrame = fresh, wandb: str = "disabled"
    ) -> Result:
        runs, results = tmp_path / "runs", tmp_path / "results"
        for folder in (runs, results):
            shutil.copytree(RESULTS / SMALL, folder / SMALL, dirs_exist_ok=True)
        rows.to_parquet(runs / SMALL / "rows.parquet", index=False)
        made = runs / SMALL / "manifest.json"
        made.write_text(json.dumps(json.loads(made.read_text()) | {"rows": len(rows)}))
        stored = pd.read_parquet(results / SMALL / "rows.parquet")
        at = stored.index[(stored.success == fresh.success.iloc[-1]) & (stored.estimator == "maxpo")][0]
        stored.loc[at, "along"] *= change
        stored.to_parquet(results / SMALL / "rows.parquet", index=False)
        monkeypatch.setattr(verify, "all_claims", lambda: [claim])
        options = ["--runs", str(runs), "--results", str(results), "--wandb", wandb]
        return CliRunner().invoke(app, ["verify", SMALL, *options])

    return call


def reading(claim: Claim, **changed: object) -> Claim:
    return replace(claim, readings=(replace(claim.readings[0], **changed),))


def test_a_run_that_agrees_is_verified(verified) -> None:
    done = verified(FINDING)
    assert done.exit_code == 0, done.output
    assert "no claim is contradicted, no row differs" in done.output
    assert f"{SMALL}-of-a-test" in done.output


def test_a_false_claim_is_caught_and_named(verified) -> None:
    done = verified(reading(FINDING, says="within counts it has {0.976} of it"))
    assert done.exit_code == 1
    assert f"{SMALL}-of-a-test is contradicted by the stored rows" in done.output


def test_a_stored_row_edited_by_a_hundredth_is_caught_and_named(verified) -> None:
    done = verified(FINDING, change=1.01)
    assert done.exit_code == 1
    assert f"{SMALL}: along of space = " in done.output
    assert "estimator = maxpo" in done.output


def test_rows_that_no_longer_say_one_number_contradict_the_claim(verified) -> None:
    """As after an edit of one of several rows of a reading; the rows that differ are named all the same."""
    where = "space == '100 of 1,000, Zipf' and estimator in ('maxpo', 'pkpo-loo1') and success == 0.239428"
    one = reading(FINDING, where=where)
    done = verified(one, change=1.01)
    assert done.exit_code == 1
    assert f"{SMALL}-of-a-test is contradicted by the stored rows of {SMALL}: " in done.output
    assert "2 rows give numbers from" in done.output
    assert f"{SMALL}: along of space = " in done.output


def test_a_run_that_shares_no_row_is_not_verified(verified, fresh: pd.DataFrame) -> None:
    for rows in (fresh.iloc[:0], fresh.assign(success=fresh.success * 1.001)):
        done = verified(FINDING, rows=rows)
        assert done.exit_code == 1
        assert f"{SMALL}: none of its {len(rows)} rows is stored" in done.output


def test_a_run_without_a_column_is_refused(verified, fresh: pd.DataFrame) -> None:
    for column in ("within", "along"):  # of a claim, and of none
        done = verified(FINDING, rows=fresh.drop(columns=column))
        assert done.exit_code == 2
        said = " ".join(done.output.replace("│", " ").split())
        assert f"{SMALL}: the fresh rows have no column {column}" in said


def test_a_claim_that_the_stored_rows_cannot_decide_is_named(verified) -> None:
    done = verified(reading(FINDING, where="success == 0.123"))
    assert done.exit_code == 1
    assert f"{SMALL}-of-a-test cannot be decided by the stored rows" in done.output


def test_wandb_gets_the_verdicts(verified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "ROOT", tmp_path)  # whose .lab runs are written to
    wrong = reading(FINDING, says="within counts it has {0.976} of it")
    done = verified(wrong, wandb="offline")
    assert done.exit_code == 1
    (run,) = (tmp_path / ".lab" / "wandb").glob("offline-run-*")
    records = read_records(run)
    (begun,) = (record.run for record in records if record.HasField("run"))
    assert (begun.run_group, begun.job_type) == ("claims", "paper")
    config = read_items(begun.config.update)
    assert "is contradicted by the stored rows" in config["failures",][0]
    (table,) = run.glob("files/media/table/rows_*.table.json")
    logged = json.loads(table.read_text())
    row = dict(zip(logged["columns"], logged["data"][0], strict=True))
    assert (row["claim"], row["paper"], row["your_run"]) == (wrong.name, "contradicted", "contradicted")


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_all_claims_fits(width: int) -> None:
    pairs = tuple((judge(each, {}), judge(each, {})) for each in registry.all_claims())  # the most to say
    shared = {study: Compared(10**6, 10**6, {"scale": 10**6}, ()) for study in list_studies()}
    said = io.StringIO()
    console = Console(file=said, width=width, soft_wrap=True)  # as the command's
    found = verify.Verified(pairs, shared | {"none": None})
    console.print(verify.claims_table(found))
    console.print(verify.rows_table(found))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "\u2026" not in said.getvalue(), "something is cut"
    words = {line.split()[0] for line in lines if line[:1].strip()}
    assert {f"{each.name}:" for each in registry.all_claims()} <= words, "a name is broken"


#: Ends of a file of rows: nothing, its first half, another kind of file, and a page of it overwritten.
DAMAGES = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "text": lambda whole: b"rows\n" * 100,
    "overwritten": lambda whole: whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["rows.parquet", "manifest.json"])
def test_a_damaged_file_is_named_in_a_line(damage: str, name: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS / SMALL, tmp_path / "bad" / SMALL)
    path = tmp_path / "bad" / SMALL / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    bad, good = str(tmp_path / "bad"), str(RESULTS)
    for command in (
        ["claims", "--results", bad],
        ["figures", "--results", bad],
        ["figures", SMALL, "--results", bad],
        ["report", SMALL, "--results", bad],
        ["verify", SMALL, "--runs", bad, "--results", good, "--wandb", "disabled"],
        ["verify", SMALL, "--runs", good, "--results", bad, "--wandb", "disabled"],
    ):
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == 1, command
        (line,) = (line for line in done.output.splitlines() if f"/{SMALL}/" in line)
        assert line.startswith(f"{path} cannot be read (")
        assert f"`python -m analysis run {SMALL} --results {bad}` makes it anew" in line


@pytest.mark.parametrize("side", ["runs", "results"])
@pytest.mark.parametrize("edit", [lambda rows: rows.drop(index=7), lambda rows: pd.concat([rows, rows[7:8]])])
def test_a_row_that_is_gone_or_was_added_is_named(side: str, edit, tmp_path: Path) -> None:
    """Neither would be seen number by number: the rows that both runs have still agree."""
    folder = tmp_path / SMALL
    shutil.copytree(RESULTS / SMALL, folder)
    rows = edit(pd.read_parquet(folder / "rows.parquet"))
    rows.to_parquet(folder / "rows.parquet", index=False)
    folders = {"runs": RESULTS, "results": RESULTS} | {side: tmp_path}
    options = [text for name, path in folders.items() for text in (f"--{name}", str(path))]
    done = CliRunner().invoke(app, ["verify", SMALL, *options, "--wandb", "disabled"])
    assert done.exit_code == 1
    said = f"it has {len(rows)} rows, and its manifest says 976"
    assert f"{folder / 'rows.parquet'} cannot be read ({said})" in " ".join(done.output.split())


def test_claims_that_their_rows_contradict_end_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RESULTS / SMALL, tmp_path / SMALL)
    for claim, status, said in (
        (FINDING, 0, ""),
        (reading(FINDING, says="within counts it has {0.976} of it"), 1, "is contradicted, not 'holds'"),
    ):
        monkeypatch.setattr(page, "by_theme", lambda claim=claim: {"of a test": [claim]})
        done = CliRunner().invoke(app, ["claims", "--results", str(tmp_path)])
        assert done.exit_code == status, done.output
        assert said in done.output
        assert claim.name in (tmp_path / "claims.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("study", ["monte-carlo", "batches"])
def test_a_run_with_inflated_errors_is_caught(study: str) -> None:
    how = get_study(study).comparison
    assert how is not None
    stored, _ = report.read(study, RESULTS)
    stored = stored.query(how.among) if how.among else stored
    for column, error in how.errors.items():
        at = stored[error].idxmax()
        fresh = stored.copy()
        fresh[column] += 6 * stored[error]  # within what two runs of as many draws may differ by
        fresh[error] *= 1000.0
        assert column not in compare(stored, fresh, how).differing
        fresh.loc[at, column] += 4 * stored.loc[at, error]
        (found,) = (each for each in compare(stored, fresh, how).differences if each.column == column)
        assert found.fresh == fresh.loc[at, column]
