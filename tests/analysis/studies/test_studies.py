"""The studies end to end: rows, tables, figures, manifest; and what the rows must say."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import maxpo_lab as ml
from analysis.__main__ import app
from analysis.measure import specimens
from analysis.output import manifest, report
from analysis.output.colours import colour_of
from analysis.run import locks, runner
from analysis.run.registry import get_study, list_studies
from analysis.run.study import Study
from analysis.studies.unbiasedness.figure import verdicts
from maxpo_lab.moments import MAX_STATES
from maxpo_lab.moments.states import number_of_states

ROOT = Path(__file__).parents[3]
QUIET = Console(quiet=True)


#: Studies that take their time at the smoke preset too.
SLOW = (
    "batches",
    "beyond-n",
    "efficiency",
    "evaluation",
    "field-claims",
    "frameworks",
    "history",
    "learning",
    "llm",
    "loops",
    "monte-carlo",
    "phase-diagram",
    "prompts",
    "several-rewards",
    "training-speed",
    "unbiasedness",
    "variance",
)
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.integration if name in SLOW else ()) for name in list_studies()
]


@pytest.fixture(scope="module", params=PARAMETERS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A study run at the smoke preset, in this process, and its results folder."""
    study = get_study(request.param)
    results = tmp_path_factory.mktemp("results")
    rows = runner.run(study, "smoke", workers=1, console=QUIET).rows
    facts = manifest.describe(seed=study.seed, device="cpu", wall_seconds=1.0, study=study.name)
    report.write(study, rows, facts, results)
    return study, rows, results / study.name


def test_results_hold_everything(finished: tuple[Study, pd.DataFrame, Path]) -> None:
    study, rows, folder = finished
    names = {path.name for path in folder.iterdir()}
    assert {
        "figure.png",
        "figure.pdf",
        "table.csv",
        "table.md",
        "table.tex",
        "rows.parquet",
        "manifest.json",
    } <= names
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "rows.parquet"), rows)
    for png in folder.glob("*.png"):
        assert png.stat().st_size < 300_000
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == len(study.table(rows))
    assert (folder / "table.tex").read_text().count(r"\\") >= len(table)


def test_manifest_says_what_made_the_result(finished: tuple[Study, pd.DataFrame, Path]) -> None:
    study, _, folder = finished
    facts = json.loads((folder / "manifest.json").read_text())
    assert facts["study"] == study.name
    assert facts["seed"] == study.seed
    assert facts["versions"]["numpy"]
    for key in ("commit", "dirty", "device", "wall_seconds", "python", "platform", "cores", "finished"):
        assert key in facts


def test_redrawing_from_stored_rows_gives_the_same_bytes(
    finished: tuple[Study, pd.DataFrame, Path], tmp_path: Path
) -> None:
    study, _, folder = finished
    rows, facts = report.read(study.name, folder.parent)
    report.write(study, rows, facts, tmp_path)
    for path in folder.iterdir():
        if path.name != "rows.parquet":
            assert (tmp_path / study.name / path.name).read_bytes() == path.read_bytes(), path.name


def test_rows_do_not_depend_on_the_number_of_workers(
    finished: tuple[Study, pd.DataFrame, Path],
) -> None:
    study, rows, _ = finished
    pd.testing.assert_frame_equal(
        runner.run(study, "smoke", workers=2, console=QUIET).rows, rows, check_exact=True
    )


def test_every_preset_has_cells_and_every_study_a_readme(
    finished: tuple[Study, pd.DataFrame, Path],
) -> None:
    study, rows, _ = finished
    smoke, standard, paper = (study.cells(p) for p in ("smoke", "standard", "paper"))
    assert len(smoke) > 0 < len(standard) <= len(paper)
    assert smoke != standard != paper  # more cells, or larger ones
    text = (ROOT / "analysis/studies" / study.name.replace("-", "_") / "README.md").read_text()
    for heading in ("## Question", "## Expectation", "## Finding"):
        assert heading in text
    estimators = {*rows.get("estimator", ())}
    assert len({*map(colour_of, estimators)}) == len(estimators)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, pd.DataFrame, Path]:
    """A small study with results, and the folder they are in."""
    study, results = get_study("specimens"), tmp_path_factory.mktemp("small")
    rows = runner.run(study, "smoke", workers=1, console=QUIET).rows
    report.write(study, rows, {"run": 1}, results)
    return study, rows, results


@pytest.fixture
def written(small: tuple[Study, pd.DataFrame, Path], tmp_path: Path) -> tuple[Study, pd.DataFrame, Path]:
    """The same, to be written over."""
    study, rows, results = small
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    return study, rows, tmp_path


def test_an_interrupted_write_leaves_the_old_results(
    written: tuple[Study, pd.DataFrame, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, rows, results = written
    monkeypatch.setattr(report.style, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        report.write(study, rows, {"run": 2}, results)
    assert json.loads((results / study.name / "manifest.json").read_text()) == {"run": 1}
    assert [path.name for path in results.iterdir()] == [study.name]


def test_a_kill_while_results_are_replaced_loses_nothing(
    written: tuple[Study, pd.DataFrame, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, rows, results = written
    renamed = []

    def killed(source: Path, target: Path) -> None:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(source.replace(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            report.write(study, rows, {"run": 2}, results)
    assert not (results / study.name).exists()
    report.restore(study.name, results)
    assert report.read(study.name, results)[1] == {"run": 1}
    report.write(study, rows, {"run": 3}, results)
    report.restore(study.name, results)
    assert report.read(study.name, results)[1] == {"run": 3}
    assert [path.name for path in results.iterdir()] == [study.name]


def test_redrawing_draws_the_rows_that_came_while_it_waited(
    written: tuple[Study, pd.DataFrame, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, rows, results = written
    hold = locks.hold

    @contextmanager
    def held_by_another_run(path: Path, **settings: object) -> Iterator[None]:
        with hold(path, **settings):
            report.write(study, rows, {"run": 2}, results)
            yield

    monkeypatch.setattr(locks, "hold", held_by_another_run)
    done = CliRunner().invoke(app, ["figures", study.name, "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert report.read(study.name, results)[1] == {"run": 2}


@pytest.fixture(scope="module")
def standard_unbiasedness() -> pd.DataFrame:
    """The standard preset on one bandit, and small groups on the others."""
    study = get_study("unbiasedness")
    cells = [
        cell
        for cell in study.cells("standard")
        if cell.specimen == "bandit, many correct" or (cell.n == 4 and "bandit" in cell.specimen)
    ]
    return pd.DataFrame([asdict(row) for cell in cells for row in study.measure(cell)])


def test_claimed_unbiased_rules_are_unbiased_in_every_cell(standard_unbiasedness: pd.DataFrame) -> None:
    rows = standard_unbiasedness[standard_unbiasedness.undefined.isna()]
    claimed = rows[[ml.get_estimator(name).claims.unbiased for name in rows.estimator]]
    assert (claimed.relative_bias <= claimed.bias_resolution.clip(lower=1e-10)).all()
    others = rows[[not ml.get_estimator(name).claims.unbiased for name in rows.estimator]]
    assert (others.groupby("estimator").relative_bias.max() > 0.01).all()


def test_claimed_centered_rules_sum_to_zero_in_every_cell(standard_unbiasedness: pd.DataFrame) -> None:
    rows = standard_unbiasedness[standard_unbiasedness.undefined.isna()]
    centered = [ml.get_estimator(name).claims.centered for name in rows.estimator]
    assert (rows[centered].advantage_sum <= 1e-12).all()
    uncentered = rows[[not each for each in centered]]
    assert (uncentered.groupby("estimator").advantage_sum.max() > 0.1).all()


def test_undefined_combinations_are_rows_with_a_reason(standard_unbiasedness: pd.DataFrame) -> None:
    for row in standard_unbiasedness.itertuples():
        rule, values = ml.get_estimator(row.estimator), specimens.levels(row.specimen, row.success).values
        reason = rule.why_not(row.n, row.k) or rule.why_not_rewards(values)
        if reason is None and not isinstance(rule, ml.RankLinear):
            states = number_of_states(row.n, len(values), equivariant=rule.claims.equivariant)
            reason = row.undefined if states > MAX_STATES else None
            assert reason is None or ("count states" if rule.claims.equivariant else "orders") in reason
        assert (row.undefined if isinstance(row.undefined, str) else None) == reason
        assert math.isnan(row.scale) == (reason is not None)


def test_every_rule_has_its_line_in_the_truth_table(standard_unbiasedness: pd.DataFrame) -> None:
    table = get_study("unbiasedness").table(standard_unbiasedness)
    assert table.estimator.tolist() == list(ml.list_estimators())
    assert table.notna().all(axis=None)
    assert table.citation.tolist() == [ml.get_estimator(name).citation for name in table.estimator]


def test_verdicts_agree_with_the_claims(standard_unbiasedness: pd.DataFrame) -> None:
    for name, decided in verdicts(standard_unbiasedness).items():
        claims = ml.get_estimator(name).claims
        assert (decided["bias"].verdict == "holds") == claims.unbiased, name
        assert (decided["sum"].verdict == "holds") == claims.centered, name


def test_cells_without_resolution_are_not_counted_as_measured(
    standard_unbiasedness: pd.DataFrame,
) -> None:
    rows = standard_unbiasedness[standard_unbiasedness.estimator == "pkpo-s"]
    assert (rows.bias_resolution > 1e-6).any(), "the study no longer reaches an unresolved cell"
    shown = verdicts(rows)["pkpo-s"]["resolved"].text
    resolved, total = map(int, shown.split("/"))
    assert resolved < total


def test_rows_are_flat_frozen_records() -> None:
    for name in set(list_studies()) - {*SLOW}:
        study = get_study(name)
        row = study.measure(study.cells("smoke")[0])[0]
        assert {type(getattr(row, field.name)) for field in fields(row)} <= {str, int, float, type(None)}
        with pytest.raises(AttributeError):
            setattr(row, fields(row)[0].name, "other")
