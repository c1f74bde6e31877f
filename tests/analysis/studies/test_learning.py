"""The study ``learning``: its design, that its rows follow from one another, and its curves in W&B."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from wandb_files import read_items, read_records

import maxpo_lab as ml
from analysis.measure.statistics import difference_interval, improvement, interquartile_mean
from analysis.output import tracking
from analysis.output.colours import colour_of
from analysis.studies.learning import STUDY, design, reporting, setting, study
from analysis.studies.learning.comparison import POOLED, compare
from analysis.studies.learning.design import ANNEALING, BASE, CONDITIONS, TASKS, Cell
from analysis.studies.learning.figure import curves
from analysis.studies.learning.summary import table
from analysis.trainer import EXACT, objective, world_of


def frame(cell: Cell) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in STUDY.measure(cell)])


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return pd.concat([frame(cell) for cell in STUDY.cells("smoke")], ignore_index=True)


@pytest.mark.integration
def test_every_specimen_starts_where_the_design_says() -> None:
    for name, task in TASKS.items():
        specimen, theta = design.starting_point(name, CONDITIONS[BASE])
        success = specimen.max_at_k(theta, 1)
        if task.walked:
            low, high = (world_of(specimen).values[place].item() for place in (0, -1))
            assert (success - low) / (high - low) == pytest.approx(design.SPARSE, rel=1e-9)
        else:
            assert 0.5e-3 < success < 2e-3
    for name in design.VARIED:
        specimen, theta = design.starting_point(name, CONDITIONS["moderate start"])
        assert specimen.max_at_k(theta, 1) == pytest.approx(design.MODERATE, rel=1e-9)


def test_the_design_is_one_factor_at_a_time() -> None:
    base = CONDITIONS[BASE]
    assert (base.k, base.n, base.optimiser, base.start) == (4, 16, "sgd", "sparse")
    for name, condition in CONDITIONS.items():
        changed = [key for key, value in asdict(condition).items() if value != getattr(base, key)]
        assert len(changed) == (0 if name == BASE else 2 if name == ANNEALING else 1)
        assert condition.k < condition.n
    for name in TASKS:
        for condition in CONDITIONS.values():
            grid, shared = design.step_sizes(name, condition)
            assert shared in grid
            assert list(grid) == sorted(grid)
    assert len({*map(colour_of, design.RULES)}) == len(design.RULES)
    for preset in ("smoke", "standard", "paper"):
        cells = STUDY.cells(preset)
        assert len(set(cells)) == len(cells)
        for cell in cells:
            # Seeds that choose a step size are not seeds that it is judged by.
            assert cell.seeds < setting.TUNING
    paper = STUDY.cells("paper")
    assert {cell.specimen for cell in paper if cell.condition == BASE} == set(TASKS)
    assert min(cell.seeds for cell in paper) >= 30
    for name in design.VARIED:
        assert {cell.condition for cell in paper if cell.specimen == name} == set(CONDITIONS)


def test_evaluation_points_run_from_the_start_to_the_end() -> None:
    for steps in (1, 12, 200, 400):
        points = design.evaluation_points(steps)
        assert points[0] == 0
        assert points[-1] == steps
        assert list(points) == sorted(set(points))


def test_the_best_step_size_is_the_best_of_the_tuning_runs(smoke: pd.DataFrame) -> None:
    keys = ["specimen", "condition", "rule", "schedule"]
    tuned, runs = smoke[smoke.kind == "tuning"], smoke[smoke.kind == "run"]
    chosen = runs[runs.choice == "best"].groupby(keys).step_size.unique()
    for key, own in tuned.groupby(keys):
        grid, shared = design.step_sizes(key[0], CONDITIONS[key[1]])
        assert own.step_size.tolist() == list(grid)
        # Of those as good as the best, the smallest.
        assert chosen[key].tolist() == [own.step_size[own.area >= own.area.max() - design.ALIKE].min()]
        found = runs[(runs[keys] == list(key)).all(axis=1) & (runs.choice == "shared")]
        assert set(found.step_size) == {shared}


def test_curves_end_in_the_runs(smoke: pd.DataFrame) -> None:
    """Interquartile means of the last point are those of the runs' ends, and lie in their intervals."""
    keys = ["specimen", "condition", "rule", "schedule", "choice"]
    drawn = smoke[smoke.kind == "curve"]
    last = drawn.loc[drawn.groupby(keys).step.idxmax()].set_index(keys)
    runs = smoke[smoke.kind == "run"]
    assert (runs.groupby(keys).size() == [1 if key[2] == EXACT else 4 for key in last.index]).all()
    for key, own in runs.groupby(keys):
        for name in ("max_at_k", "mean_reward"):
            assert last.loc[key, name] == pytest.approx(float(interquartile_mean(own[name])), rel=1e-14)
    for name in ("max_at_k", "mean_reward"):
        assert (drawn[f"{name}_low"] <= drawn[name] + 1e-15).all()
        assert (drawn[name] <= drawn[f"{name}_high"] + 1e-15).all()
    assert (drawn.max_at_k >= drawn.mean_reward - 1e-15).all()


def test_all_start_from_the_oracle_at_the_start(smoke: pd.DataFrame) -> None:
    first = smoke[(smoke.kind == "curve") & (smoke.step == 0)]
    for (name, condition), own in first.groupby(["specimen", "condition"]):
        specimen, theta = design.starting_point(name, CONDITIONS[condition])
        # Starting probabilities are walked to, in NumPy, and summed, in torch: a few hundred roundings.
        assert np.ptp(own.max_at_k) < 1e-13
        assert own.max_at_k.iloc[0] == pytest.approx(specimen.max_at_k(theta, int(own.k.iloc[0])), abs=1e-13)


def test_the_signal_at_the_start_is_that_of_exact_moments(smoke: pd.DataFrame) -> None:
    first = smoke[(smoke.kind == "curve") & (smoke.step == 0) & smoke.snr.notna()]
    one = first[first.specimen == "maze, graded"]
    assert set(one.rule) == {"pkpo-s", "pkpo-loo1", "maxpo"}
    specimen, theta = design.starting_point("maze, graded", CONDITIONS[BASE])
    levels = specimen.levels(theta)
    for row in one.itertuples():
        moments = ml.exact_moments(row.rule, levels, n=16, k=4)
        # Groups of one prompt are independent: the batch has their number times the signal.
        assert row.snr == pytest.approx(design.GROUPS * moments.snr, rel=1e-9)
        assert row.cosine == pytest.approx(1.0, abs=1e-9)


def test_undefined_rules_are_rows_with_the_reason(smoke: pd.DataFrame) -> None:
    undefined = smoke[smoke.kind == "undefined"]
    reasons = dict(
        zip(zip(undefined.specimen, undefined.rule, strict=True), undefined.undefined, strict=True)
    )
    assert "0/1 rewards" in reasons["maze, graded", "maxrl"]
    assert "pkpo-loo1 needs k >= 2" in reasons["bandit, many correct", "pkpo-loo1"]
    others = smoke[smoke.kind != "undefined"]
    assert others.undefined.isna().all()
    for cell in STUDY.cells("smoke"):
        own = smoke[(smoke.specimen == cell.specimen) & (smoke.condition == cell.condition)]
        assert {*cell.rules, EXACT} == set(own.rule)


def test_the_same_cell_gives_the_same_rows() -> None:
    cell = replace(STUDY.cells("smoke")[1], rules=("maxpo", "pkpo-s"), steps=5)
    assert STUDY.measure(cell) == STUDY.measure(cell)


def test_diverged_runs_are_counted_and_score_the_lowest_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 1e200 overflow a network; the table counts them, and no run is missing from it."""
    wild = replace(TASKS["transformer"], grid=(0.1, 1e200), shared=1e200)
    monkeypatch.setitem(design.TASKS, "transformer", wild)
    # From the moderate start, where the first step has a success in it, and which is not the base design.
    rows = frame(Cell("transformer", "moderate start", ("rloo", "maxpo"), 12, 2, 3, 1))
    tuned = rows[(rows.kind == "tuning") & (rows.rule == "maxpo")]
    assert tuned.diverged.tolist() == [0, 2]
    assert tuned.max_at_k.tolist()[1] == 0.0
    runs = rows[(rows.kind == "run") & (rows.rule == "maxpo")].set_index("choice")
    assert runs.loc["shared", "diverged"].tolist() == [1, 1, 1]
    assert runs.loc["shared", "max_at_k"].tolist() == [0.0, 0.0, 0.0]
    assert runs.loc["shared", "steps_to_90"].isna().all()
    assert runs.loc["best", "step_size"].tolist() == [0.1] * 3
    end = rows[(rows.kind == "curve") & (rows.rule == "maxpo") & (rows.step == 12)].set_index("choice")
    assert end.diverged.to_dict() == {"shared": 3, "best": 0}
    shown = table(rows)
    assert set(shown.specimen) == {"transformer"}
    lines = shown.set_index(["rule", "step size"]).sort_index()
    columns = ["runs", "diverged", "diverged in tuning"]
    assert lines.loc[("maxpo", "shared"), columns].tolist() == [3, 3, "2 of 4"]
    assert lines.loc[("maxpo", "best"), columns].tolist() == [3, 0, "2 of 4"]


def test_diverged_runs_of_every_condition_are_in_the_table(smoke: pd.DataFrame) -> None:
    """One run and one tuning run under Adam, and one of an annealed schedule, are said to have diverged."""
    rows = smoke.copy()
    adam = (rows.condition == "Adam") & (rows.rule == "maxpo")
    annealed = (rows.condition == ANNEALING) & (rows.rule == "maxpo") & (rows.schedule == "K = 8, then 1")
    for chosen in (
        adam & (rows.kind == "run"),
        adam & (rows.kind == "tuning"),
        annealed & (rows.kind == "run"),
    ):
        rows.loc[chosen.idxmax(), "diverged"] = 1
    before, after = (
        table(each).set_index(["specimen", "condition", "rule", "step size"]) for each in (smoke, rows)
    )
    assert before.diverged.sum() == 0
    found = after[(after.diverged > 0) | after["diverged in tuning"].str.startswith("1 of")]
    name = "bandit, many correct"
    tuned = 2 * len(design.step_sizes(name, CONDITIONS["Adam"])[0])
    counts = found[["diverged", "diverged in tuning"]].apply(tuple, axis=1).to_dict()
    first = rows.choice[adam & (rows.kind == "run")].iloc[0]
    other = {"shared": "best", "best": "shared"}[first]
    assert counts.pop((name, "Adam", "maxpo", first)) == (1, f"1 of {tuned}")
    assert counts.pop((name, "Adam", "maxpo", other)) == (0, f"1 of {tuned}")
    ((place, (runs, _)),) = counts.items()
    assert place[:3] == (name, f"{ANNEALING}, K = 8, then 1", "maxpo")
    assert runs == 1


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", text)]


def test_the_table_says_what_the_runs_say(smoke: pd.DataFrame) -> None:
    shown = table(smoke).set_index(["specimen", "condition", "rule", "step size"]).sort_index()
    assert shown.index.is_unique
    every = smoke[(smoke.kind == "run") & (smoke.choice == "best")].sort_values(["specimen", "seed"])
    for specimen, condition in ((POOLED, BASE), ("chain", BASE), ("bandit, many correct", "Adam")):
        runs = every[every.condition == condition]
        runs = runs if specimen == POOLED else runs[runs.specimen == specimen]
        own = runs[runs.rule == "maxpo"]
        line = shown.loc[specimen, condition, "maxpo", "best"]
        assert line.runs == len(own) == (8 if specimen == POOLED else 4)
        for column, key in (
            ("area under max@K", "area"),
            ("max@K at the end", "max_at_k"),
            ("pass@1 at the end", "mean_reward"),
        ):
            estimate, low, high = numbers(line[column])
            assert estimate == pytest.approx(float(interquartile_mean(own[key])), abs=0.00501)
            assert low <= estimate <= high
        x, y = (
            np.stack([each.area for _, each in runs[runs.rule == rule].groupby("specimen")])
            for rule in ("maxpo", "pkpo-s")
        )
        against = shown.loc[specimen, condition, "pkpo-s", "best"]
        expected = float(improvement(x, y, paired=True))
        assert numbers(against["P(maxpo better)"])[0] == pytest.approx(expected, abs=0.00501)
        apart = difference_interval(x, y, seed=STUDY.seed)
        for found, end in zip(
            numbers(against["area, maxpo - rule"]), (apart.estimate, apart.low, apart.high), strict=True
        ):
            assert found == pytest.approx(float(end), abs=0.000501)
        assert line["P(maxpo better)"] == line["area, maxpo - rule"] == "-"
        exact = shown.loc[specimen, condition, EXACT, "best"]
        assert exact["P(maxpo better)"] == "-"
        assert "[" not in exact["area under max@K"]
    line = shown.loc["chain", BASE, "maxpo", "best"]
    share = every[(every.specimen == "chain") & (every.rule == "maxpo")].steps_to_90.notna().mean()
    assert line["reached 90 %"].startswith(f"{share:.2f} [")
    assert line["steps to 90 % (median)"] == "-", "twelve steps reach nothing"
    assert set(shown.loc[POOLED]["steps to 90 % (median)"]) == {"-"}, "steps are not pooled"


def test_step_sizes_at_the_edge_are_marked(smoke: pd.DataFrame) -> None:
    shown = table(smoke)
    best = shown[(shown["step size"] == "best") & (shown.specimen != POOLED)]
    for line in best.to_dict("records"):
        condition = line["condition"].split(",")[0]
        grid, _ = design.step_sizes(line["specimen"], CONDITIONS[condition])
        place = (
            "smallest"
            if float(line["size"]) == grid[0]
            else "largest"
            if float(line["size"]) == grid[-1]
            else "no"
        )
        assert line["at the grid's edge"] == place
    pooled = shown[(shown["step size"] == "best") & (shown.specimen == POOLED)].set_index("rule")
    base = best[best.condition == BASE]
    for rule, own in base.groupby("rule"):
        edge = int((own["at the grid's edge"] != "no").sum())
        assert pooled.loc[rule, "at the grid's edge"] == f"{edge} of {len(own)}"


def test_rounding_wins_nothing() -> None:
    """Areas 0.5 and 0.5 + 1e-12 are a tie, and 0.5 + 1e-6 is not."""
    frames = [
        pd.DataFrame({"specimen": "lock", "seed": range(6), "area": 0.5 + extra})
        for extra in (0.0, 1e-12, 1e-6)
    ]
    alike, apart = (compare(each, frames[0]) for each in frames[1:])
    assert alike is not None
    assert apart is not None
    assert (alike.probability.estimate, alike.difference.estimate) == (0.5, 0.0)
    assert apart.probability.estimate == 1
    assert apart.difference.estimate == pytest.approx(1e-6, rel=1e-2)
    assert compare(frames[0], frames[0].assign(specimen="chain")) is None


def test_all_rewards_lie_between_0_and_1() -> None:
    """So areas of different specimens are on one scale, from nothing to the optimum."""
    for name in TASKS:
        world = world_of(design.starting_point(name, CONDITIONS[BASE])[0])
        assert (world.values[0].item(), world.optimum) == pytest.approx((0.0, 1.0), abs=1e-12)


def test_specimens_do_not_share_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooled intervals take their runs to be independent; conditions of one specimen are alike."""
    used: dict[tuple[str, str], set[int]] = {}
    plain = setting.train

    def spy(world: object, arms: list, **settings: object) -> object:
        used.setdefault(place, set()).update(settings["seeds"])
        return plain(world, arms, **settings)

    monkeypatch.setattr(setting, "train", spy)
    for place in (
        ("chain", BASE),
        ("lock", BASE),
        ("bandit, many correct", BASE),
        ("bandit, many correct", "Adam"),
    ):
        study.measure(Cell(*place, ("maxpo",), 1, 2, 3, 0))
    chain, lock, bandit, adam = used.values()
    assert bandit == adam
    # Tuning and reported seeds; the exact gradient's are among them.
    assert len(chain) == len(lock) == len(bandit) == 5
    assert len(chain | lock | bandit) == 15


def test_means_say_of_how_many_runs_they_are(smoke: pd.DataFrame) -> None:
    assert reporting.middle([1.0, np.nan, 3.0]) == (2.0, 2)
    assert reporting.middle([np.nan, np.inf]) == (None, 0)
    drawn = smoke[smoke.kind == "curve"]
    assert (drawn.entropy_runs == drawn.runs).all()
    assert (drawn.snr.notna() == (drawn.signal_runs > 0)).all()


def test_objective_of_certain_success_has_a_gradient() -> None:
    """At P = 1 to rounding nothing is 0 / 0, whatever K."""
    import torch

    values = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for k in (1, 4):
        masses = torch.tensor([[0.0, 1.0]], dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(objective(values, masses, k), masses)
        assert torch.isfinite(gradient).all()


@pytest.fixture
def _no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no settings and an empty home."""
    for name in os.environ:
        if name.startswith(("WANDB_", "XDG_")) or name == "NETRC":
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")


@pytest.mark.integration
@pytest.mark.usefixtures("_no_account")
def test_curves_are_read_back_from_wandb(smoke: pd.DataFrame, tmp_path: Path) -> None:
    """One run a rule and seed group, in the study's group, with each curve by step, to the bit."""
    rows = smoke[smoke.rule.isin([EXACT, "maxpo", "pkpo-s"])]
    logged = curves(rows)
    assert {each.name for each in logged} == {EXACT, "pkpo-s", "maxpo"}
    tracked = tracking.log_study(
        "learning",
        preset="smoke",
        rows=rows.head(3),
        figures={},
        manifest={"seed": STUDY.seed},
        curves=logged,
        directory=tmp_path / "lab",
    )
    assert tracked.mode == "offline"
    assert "and 3 runs of curves beside it; upload with `wandb sync" in tracked.message
    # Each by its name: another study's runs may lie beside them.
    named = shlex.split(tracked.message.split("`")[1])[2:]
    assert sorted(named) == sorted(map(str, tracked.directory.parent.glob("offline-run-*")))
    found = {}
    for folder in tracked.directory.parent.glob("offline-run-*"):
        if folder == tracked.directory:
            continue
        points: dict[int, dict[str, float]] = {}
        for record in read_records(folder):
            if record.WhichOneof("record_type") == "run":
                name, group, job = record.run.display_name, record.run.run_group, record.run.job_type
                config = {key: value for (key, *_), value in read_items(record.run.config.update).items()}
            elif record.WhichOneof("record_type") == "history":
                items = {
                    key: json.loads(item.value_json)
                    for item in record.history.item
                    if not (key := "/".join(item.nested_key) or item.key).startswith("_")
                }
                points[record.history.step.num] = items
        assert (group, job) == ("learning", "curves")
        assert config["seed"] == STUDY.seed
        found[config["rule"]] = (name, config["seed_group"], points)
    assert found.keys() == {EXACT, "maxpo", "pkpo-s"}
    assert found["maxpo"][:2] == ("learning-smoke-maxpo", "seeds 0-3")
    assert found[EXACT][1] == "seeds 0-0"
    drawn = rows[(rows.kind == "curve") & (rows.rule == "maxpo") & (rows.condition == BASE)]
    for row in drawn.itertuples():
        own = found["maxpo"][2][row.step]
        for name in ("max_at_k", "max_at_k_low", "max_at_k_high", "mean_reward_low", "entropy", "snr"):
            key, value = f"{row.specimen}/{row.condition}/{row.choice}/{name}", getattr(row, name)
            assert own.get(key) == (None if pd.isna(value) else value)
    annealed = f"bandit, many correct/{ANNEALING}, K = 8, then 1/shared/max_at_k"
    assert annealed in found["maxpo"][2][12]
