"""The study ``learning``: its design, scores, laws and comparisons, that its rows follow from one another."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wandb_files import read_items, read_records

import maxpo_lab as ml
from analysis.measure.statistics import interquartile_mean
from analysis.output import tracking
from analysis.studies.learning import STUDY, design, pairs, setting, study
from analysis.studies.learning.contestants import LOOPS, Contestant
from analysis.studies.learning.design import ALIKE, CHOICES, TASKS, Cell
from analysis.studies.learning.figure import curves
from analysis.studies.learning.law import Law
from analysis.studies.learning.pairs import NAME, POOLED, compare, compared_table
from analysis.studies.learning.reporting import law_of
from analysis.studies.learning.runs import Runs
from analysis.studies.learning.summary import label, table
from analysis.trainer import EXACT, objective, world_of


def frame(cell: Cell) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in STUDY.measure(cell)])


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return pd.concat([frame(cell) for cell in STUDY.cells("smoke")], ignore_index=True)


@pytest.mark.integration
def test_every_specimen_starts_where_the_design_says() -> None:
    for name, task in TASKS.items():
        specimen, theta = design.starting_point(name)
        success = specimen.max_at_k(theta, 1)
        if task.start:
            low, high = (world_of(specimen).values[place].item() for place in (0, -1))
            assert (success - low) / (high - low) == pytest.approx(task.start, rel=1e-9)
        else:
            assert 0.5e-3 < success < 2e-3


def test_the_design_covers_its_questions() -> None:
    for task in TASKS.values():
        assert task.shared in task.grid
        assert list(task.grid) == sorted(task.grid)
    presets = {preset: STUDY.cells(preset) for preset in ("smoke", "standard", "paper")}
    for cells in presets.values():
        assert len(set(cells)) == len(cells)
        assert {cell.section for cell in cells} == set(CHOICES)
        # Seeds that choose a step size are not seeds that it is judged by.
        assert all(cell.seeds < setting.TUNING for cell in cells)
    assert set(presets["standard"]) < set(presets["paper"])
    rules = [cell for cell in presets["paper"] if cell.section == "rules"]
    assert {cell.specimen for cell in rules} == set(TASKS)
    for cell in presets["paper"]:
        assert cell.seeds >= 30
        assert pairs.REFERENCE in {each.rule for each in cell.contestants if each.loop == "on-policy"}
        if cell.section == "loops":
            found = {(each.rule, each.loop) for each in cell.contestants}
            assert found == set(product(("maxpo", "grpo"), LOOPS))
        if cell.section == "trade-off":
            assert {each.k for each in cell.contestants} == {1, 2, 4, 8, 16, 32}


def test_evaluation_points_run_from_the_start_to_the_end() -> None:
    for steps in (1, 12, 200, 400):
        points = design.evaluation_points(steps)
        assert points[0] == 0
        assert points[-1] == steps
        assert list(points) == sorted(set(points))


def runs_of(objective: Any, rollouts: Any, **settings: Any) -> Runs:
    curve = np.asarray(objective, dtype=float)
    every = {
        "points": tuple(range(curve.shape[1])),
        "rollouts": np.broadcast_to(np.asarray(rollouts, dtype=float), curve.shape),
        "objective": curve,
        "mean_reward": curve / 2,
        "entropy": curve,
        "diversity": np.arange(curve.size, dtype=float).reshape(curve.shape),
        "first_success": np.full((len(curve), 1), np.nan),
        "theta": {},
        "budget": 100,
        "target": 0.5,
        "lowest": 0.0,
    }
    return Runs(**{**every, **settings})


def test_scores_of_runs_by_hand() -> None:
    """The target is 0.5 and the budget 100: met at 40, after 100, for a while, and by none that diverged."""
    nan = np.nan
    found = runs_of(
        [[0, 0.25, 0.75, 0.6], [0, 0.1, 0.2, 0.6], [0, 0.7, 0.3, 0.6], [0, nan, nan, nan]], [0, 20, 60, 120]
    )
    # 20 x 0.125, 40 x 0.375 and 40 x 0.5 of the first, as what is above the target counts as the target; the
    # second's line from 0.2 to the target at 120 is cut at 100, where it is at 0.2 + 0.3 x 40/60.
    first = (20 * 0.125 + 40 * 0.375 + 40 * 0.5) / 100 / 0.5
    second = (20 * 0.05 + 40 * 0.15 + 40 * (0.2 + 0.1)) / 100 / 0.5
    third = (20 * 0.25 + 40 * 0.4 + 40 * (0.3 + 0.4 / 6)) / 100 / 0.5
    assert found.area() == pytest.approx([first, second, third, 0.0], rel=1e-14)
    assert found.to_target() == pytest.approx([20 + 40 * 0.5, nan, nan, nan], nan_ok=True)
    assert found.on_arrival(found.diversity) == pytest.approx([2.0, nan, nan, nan], nan_ok=True)
    assert found.diverged.tolist() == [False, False, False, True]
    assert found.after(100, found.objective)[:2].tolist() == [0.75, 0.2]
    assert found.after(19, found.objective)[:2].tolist() == [0.0, 0.0]
    assert found.after(1000, found.objective)[0] == 0.6
    # Of pass@1, half of these, nothing is cut off.
    mean = (20 * 0.0625 + 40 * 0.25 + 40 * (0.375 - 0.075 * 2 / 6)) / 100
    assert found.mean_area()[0] == pytest.approx(mean)


def test_what_a_solved_policy_does_above_the_target_changes_no_area_and_no_time() -> None:
    rollouts = [0, 10, 20, 50, 100]
    one = runs_of([[0, 0.2, 0.6, 0.7, 0.8]], rollouts)
    other = runs_of([[0, 0.2, 0.6, 0.55, 0.51]], rollouts)
    assert other.area() == one.area()
    assert other.to_target() == one.to_target()
    left = runs_of([[0, 0.2, 0.6, 0.7, 0.1]], rollouts)
    assert left.area() < one.area()
    assert np.isnan(left.to_target())
    # What comes after the budget is no matter.
    assert runs_of([[0, 0.2, 0.6, 0.7, 0.1]], [0, 10, 20, 50, 101]).to_target() == one.to_target()


def test_the_law_of_first_successes_is_that_of_a_walk_over_subsets() -> None:
    """Two prompts, groups of 3, batches of 2: the set of solved prompts, batch by batch, in rationals."""
    rates, n, groups = (Fraction(1, 10), Fraction(1, 3)), 3, 2
    solved = [1 - (1 - p) ** n for p in rates]
    state = {(False, False): Fraction(1)}
    law = Law(np.array([float(p) for p in rates]), n, groups)
    later_first = later_all = Fraction(0)
    for batch in range(6):
        first = sum(chance for done, chance in state.items() if any(done))
        both = state.get((True, True), Fraction(0))
        assert law.first(batch) == pytest.approx(float(first), abs=1e-14)
        assert law.all(batch) == pytest.approx(float(both), abs=1e-14)
        later_first, later_all = later_first + 1 - first, later_all + 1 - both
        for _ in range(groups):
            after: dict[tuple[bool, bool], Fraction] = {}
            for done, chance in state.items():
                for prompt, success in product(range(2), (True, False)):
                    own = chance * Fraction(1, 2) * (solved[prompt] if success else 1 - solved[prompt])
                    now = tuple(was or (success and i == prompt) for i, was in enumerate(done))
                    after[now] = after.get(now, Fraction(0)) + own  # type: ignore[index]
            state = after
    assert law.mean_first(6) == pytest.approx(float(later_first), abs=1e-13)
    assert law.mean_all(6) == pytest.approx(float(later_all), abs=1e-13)


def test_the_law_takes_the_chances_of_the_start() -> None:
    for name in ("maze, graded", "chain"):
        specimen, theta = design.starting_point(name)
        cell = next(cell for cell in STUDY.cells("smoke") if cell.specimen == name)
        law = law_of(setting.Setting(cell, specimen, world_of(specimen, theta)))
        for x in range(specimen.prompts):
            levels = specimen.levels(theta, x)
            assert law.success[x] == pytest.approx(levels.probabilities[levels.values.argmax()], rel=1e-9)


def run_frame(areas: Any, times: Any, rule: str = "maxpo", **more: Any) -> pd.DataFrame:
    every = {
        "kind": "run",
        "section": "rules",
        "specimen": "lock",
        "start": 1e-3,
        "choice": "best",
        "rule": rule,
        "k": 4,
        "evaluated_k": 4,
        "loop": "on-policy",
        "annealed": False,
        "budget": 100,
    }
    given = {"seed": range(len(areas)), "area": areas, "to_target": times}
    return pd.DataFrame({**every, **given, **more})


def test_rounding_is_no_difference() -> None:
    """Areas 0.5 and 0.5 + 1e-12 are the same, and 0.5 + 1e-6 is not."""
    base = run_frame([0.5] * 4, [10.0] * 4)
    alike, apart = (compare(base, run_frame([0.5 + more] * 4, [10.0] * 4)) for more in (1e-12, 1e-6))
    assert alike is not None
    assert apart is not None
    assert (alike.verdict, alike.area.estimate, alike.area.smallest) == ("the same runs", 0.0, 0.0)
    assert apart.verdict == "differs"
    assert apart.area.estimate == pytest.approx(1e-6, rel=1e-2)
    assert compare(base, base.assign(specimen="chain")) is None


def test_runs_are_compared_seed_by_seed() -> None:
    """The other takes twice the rollouts on each seed; one that never arrives counts with its 100."""
    times = np.array([10.0, 20.0, 40.0, 30.0, 25.0])
    areas = np.array([0.2, 0.3, 0.4, 0.5, 0.6])
    base = run_frame(areas, times)
    late = run_frame(areas - [0.1, 0.1, 0.1, 0.09, 0.1], [20.0, 40.0, 80.0, np.nan, 50.0], "rloo")
    other = late.sample(frac=1, random_state=0)
    found, turned = compare(base, other), compare(other, base)
    assert found is not None
    assert turned is not None
    assert found.ratio is not None
    assert np.exp(found.ratio.estimate) == pytest.approx((16 * 100 / 30) ** 0.2)
    assert found.area.estimate == pytest.approx(-0.098)
    assert found.arrived == 0.8
    assert (found.verdict, turned.verdict) == ("behind", "ahead")
    # Where more than a fifth does not arrive no time is told.
    rare = compare(base, run_frame(areas, [20.0, 40.0, 80.0, np.nan, np.nan]))
    assert rare is not None
    assert rare.ratio is None
    noisy = compare(base, run_frame(areas + np.array([0.1, -0.1, 0.1, -0.09, 0.01]), times))
    assert noisy is not None
    assert noisy.verdict == f"none above {noisy.area.smallest:.1g}"
    assert noisy.area.low < 0 < noisy.area.high < noisy.area.smallest


def test_sparse_starts_are_pooled_and_others_are_not() -> None:
    rows = pd.concat(
        run_frame(np.arange(5) / 10 + shift * (rule == "rloo"), [10.0] * 5, rule, specimen=name, start=start)
        for rule in ("maxpo", "rloo")
        for name, start, shift in (("lock", 1e-3, 0.1), ("chain", 1e-3, 0.3), ("bandit", 0.05, 0.9))
    )
    found = compared_table(rows).set_index("specimen")
    assert found.area_estimate.round(6).to_dict() == {
        POOLED: 0.2,
        "bandit": 0.9,
        "chain": 0.3,
        "lock": 0.1,
    }
    assert np.isnan(found.times[POOLED])


def test_the_best_step_size_is_the_smallest_as_good_as_any(smoke: pd.DataFrame) -> None:
    keys = ["section", "specimen", *NAME]
    tuned, runs = smoke[smoke.kind == "tuning"], smoke[smoke.kind == "run"]
    seen = 0
    for key, own in tuned.groupby(keys):
        assert own.step_size.tolist() == list(TASKS[key[1]].grid)
        here = runs[(runs[keys] == list(key)).all(axis=1)].groupby("choice").step_size.unique()
        assert set(here.index) == set(CHOICES[key[0]])
        for choice, score in (("best", own.area), ("best for pass@1", own.mean_area)):
            if choice in here.index:
                assert here[choice].tolist() == [own.step_size[score >= score.max() - ALIKE].min()]
                seen += 1
        if "shared" in here.index:
            assert here["shared"].tolist() == [TASKS[key[1]].shared]
    assert seen > 20


def test_curves_end_in_the_runs(smoke: pd.DataFrame) -> None:
    """Interquartile means of the last point are those of the runs' ends, and lie in their intervals."""
    keys = ["section", "specimen", "choice", *NAME]
    drawn = smoke[smoke.kind == "curve"]
    last = drawn.loc[drawn.groupby(keys).rollouts.idxmax()].set_index(keys)
    runs = smoke[smoke.kind == "run"]
    for key, own in runs.groupby(keys):
        assert len(own) == (1 if key[3] == EXACT else 4)
        for name in ("max_at_k", "mean_reward"):
            assert last.loc[key, name] == pytest.approx(float(interquartile_mean(own[name])), rel=1e-14)
    for name in ("max_at_k", "mean_reward"):
        assert (drawn[f"{name}_low"] <= drawn[name] + 1e-15).all()
        assert (drawn[name] <= drawn[f"{name}_high"] + 1e-15).all()
    assert (drawn.max_at_k >= drawn.mean_reward - 1e-15).all()
    assert (drawn.snr.notna() == (drawn.signal_runs > 0)).all()


def test_all_start_from_the_oracle_at_the_start(smoke: pd.DataFrame) -> None:
    first = smoke[(smoke.kind == "curve") & (smoke.rollouts == 0)]
    for (name, k), own in first.groupby(["specimen", "evaluated_k"]):
        specimen, theta = design.starting_point(name)
        # Starting probabilities are walked to, in NumPy, and summed, in torch: a few hundred roundings.
        assert np.ptp(own.max_at_k) < 1e-13
        assert own.max_at_k.iloc[0] == pytest.approx(specimen.max_at_k(theta, int(k)), abs=1e-13)


def test_the_signal_at_the_start_is_that_of_exact_moments(smoke: pd.DataFrame) -> None:
    first = smoke[(smoke.kind == "curve") & (smoke.rollouts == 0) & smoke.snr.notna()]
    one = first[(first.specimen == "maze, graded") & first.rule.isin(["maxpo", "pkpo-loo1"])]
    assert len(one) == 2
    specimen, theta = design.starting_point("maze, graded")
    levels = specimen.levels(theta)
    for row in one.itertuples():
        moments = ml.exact_moments(row.rule, levels, n=16, k=4)
        # Groups of one prompt are independent: the batch has their number times the signal.
        assert row.snr == pytest.approx(design.GROUPS * moments.snr, rel=1e-9)
        assert row.cosine == pytest.approx(1.0, abs=1e-9)


def test_undefined_rules_are_rows_with_the_reason(smoke: pd.DataFrame) -> None:
    undefined = smoke[smoke.kind == "undefined"]
    (row,) = undefined.to_dict("records")
    assert (row["specimen"], row["rule"]) == ("maze, graded", "maxrl")
    assert "0/1 rewards" in row["undefined"]
    assert smoke[smoke.kind != "undefined"].undefined.isna().all()


def test_loops_spend_the_same_rollouts(smoke: pd.DataFrame) -> None:
    """A dead group that is drawn again counts, and an epoch that draws nothing does not."""
    rows = smoke[(smoke.section == "loops") & (smoke.kind == "run")]
    assert set(rows.loop) == set(LOOPS)
    cell = next(cell for cell in STUDY.cells("smoke") if cell.section == "loops")
    specimen, start = design.starting_point(cell.specimen)
    made = setting.Setting(cell, specimen, world_of(specimen, start))
    arms = [(Contestant("maxpo", 4, loop), TASKS["chain"].shared) for loop in LOOPS]
    found = dict(zip(LOOPS, made.train(arms, [0, 1]), strict=True))
    for loop, runs in found.items():
        spent = runs.rollouts[:, -1]
        assert (spent >= made.budget).all(), loop
        most = LOOPS[loop].draws * setting.BATCH
        assert (spent < made.budget + most).all(), loop
        assert (runs.rollouts[:, 0] == 0).all()
    for loop in ("on-policy", "whitened", "clip, 4 epochs", "clip, lag 4"):
        assert (found[loop].rollouts == found["on-policy"].rollouts).all(), loop
    # Nearly all groups are dead: a batch costs up to eight.
    assert found["redraw"].rollouts[0, 1] > 4 * setting.BATCH


def test_the_same_cell_gives_the_same_rows() -> None:
    cell = replace(STUDY.cells("smoke")[1], steps=5)
    assert STUDY.measure(cell) == STUDY.measure(cell)
    loops = replace(STUDY.cells("smoke")[4], steps=3, contestants=design.IN_LOOPS[3:6])
    assert STUDY.measure(loops) == STUDY.measure(loops)


def test_diverged_runs_are_counted_and_score_the_lowest_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 1e200 overflow a network; the table counts them, and no run is missing from it."""
    wild = replace(TASKS["transformer"], grid=(0.1, 1e200), shared=1e200, start=0.0)
    monkeypatch.setitem(design.TASKS, "transformer", wild)
    # From the network's own start, where the first step has a success in it.
    rows = frame(Cell("rules", "transformer", tuple(Contestant(r, 4) for r in ("maxpo", "rloo")), 12, 2, 3))
    tuned = rows[(rows.kind == "tuning") & (rows.rule == "maxpo")]
    assert tuned.diverged.tolist() == [0, 2]
    assert tuned.max_at_k.tolist()[1] == 0.0
    runs = rows[(rows.kind == "run") & (rows.rule == "maxpo")].set_index("choice")
    assert runs.loc["shared", "diverged"].tolist() == [1, 1, 1]
    assert runs.loc["shared", "max_at_k"].tolist() == [0.0, 0.0, 0.0]
    assert runs.loc["shared", "to_target"].isna().all()
    assert runs.loc["best", "step_size"].tolist() == [0.1] * 3
    end = rows[(rows.kind == "curve") & (rows.rule == "maxpo") & (rows.rollouts == rows.budget)]
    assert end.set_index("choice").diverged.to_dict() == {"shared": 3, "best": 0}
    lines = table(rows).set_index(["contestant", "step size"]).sort_index()
    columns = ["runs", "diverged", "diverged in tuning"]
    assert lines.loc[("maxpo", "shared"), columns].tolist() == ["3", "3", "2 of 4"]
    assert lines.loc[("maxpo", "best"), columns].tolist() == ["3", "0", "2 of 4"]


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", text)]


def test_the_table_says_what_the_runs_say(smoke: pd.DataFrame) -> None:
    shown = table(smoke)
    keys = ["section", "specimen", "contestant", "step size"]
    assert not shown.duplicated(keys).any()
    lines = shown.set_index(keys).sort_index()
    every = smoke[smoke.kind == "run"]
    for (section, specimen, choice, *name), own in every.groupby(["section", "specimen", "choice", *NAME]):
        line = lines.loc[section, specimen, label(section, name), choice]
        for column, key in (("area", "area"), ("max@K at the end", "max_at_k")):
            assert numbers(line[column])[0] == pytest.approx(own[key].mean(), abs=0.000501)
        assert int(line.runs) == len(own)
        rank, grid = own.step_size_rank.iloc[0], TASKS[specimen].grid
        edge = "smallest" if rank == 0 else "largest" if rank == len(grid) - 1 else "no"
        assert line["at the grid's edge"] == ("-" if choice == "shared" else edge)
        if name[0] == EXACT:
            assert line.verdict == "-"
            assert "[" not in line.area
    found = compared_table(smoke).set_index(["section", "specimen", "choice", *NAME])
    assert len(found) > 40
    for (section, specimen, choice, *name), row in found.iterrows():
        line = lines.loc[section, specimen, label(section, name), choice]
        assert line.verdict == row.verdict
        said = numbers(line["area, rule - maxpo"])
        assert said == pytest.approx([row.area_estimate, row.area_low, row.area_high], abs=0.0000501)
        # None says "no difference" without what it could have seen.
        assert row.verdict in ("the same runs", "differs", "ahead", "behind") or (
            float(row.verdict.removeprefix("none above ")) == pytest.approx(row.area_smallest, rel=0.5)
        )
    assert {place for _, place, *_ in found.index} >= {POOLED, "chain", "maze, graded"}


def test_all_rewards_lie_between_0_and_1() -> None:
    """So areas of different specimens are on one scale, from nothing to the target."""
    for name in TASKS:
        world = world_of(design.starting_point(name)[0])
        assert (world.values[0].item(), world.optimum) == pytest.approx((0.0, 1.0), abs=1e-12)


def test_specimens_do_not_share_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooled intervals take their runs to be independent; sections of one specimen are alike."""
    used: dict[tuple[str, str], set[int]] = {}
    plain = setting.train

    def spy(world: object, arms: list, **settings: object) -> object:
        used.setdefault(place, set()).update(settings["seeds"])
        return plain(world, arms, **settings)

    monkeypatch.setattr(setting, "train", spy)
    for place in (("rules", "chain"), ("rules", "lock"), ("loops", "chain")):
        study.measure(Cell(*place, (Contestant("maxpo", 4),), 1, 2, 3))
    chain, lock, loops = used.values()
    assert chain == loops
    # Tuning and reported seeds; the exact gradient's are among them.
    assert len(chain) == len(lock) == 5
    assert len(chain | lock) == 10


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
    """One run a contestant and seed group, in the study's group, with each curve by step, to the bit."""
    rows = smoke[(smoke.section == "rules") & smoke.rule.isin([EXACT, "maxpo", "pkpo-s"])]
    logged = curves(rows)
    assert {each.name for each in logged} == {"exact gradient", "pkpo-s", "maxpo"}
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
    assert found.keys() == {"exact gradient", "maxpo", "pkpo-s"}
    assert found["maxpo"][:2] == ("learning-smoke-maxpo", "seeds 0-3")
    assert found["exact gradient"][1] == "seeds 0-0"
    drawn = rows[(rows.kind == "curve") & (rows.rule == "maxpo")]
    for row in drawn.itertuples():
        own = found["maxpo"][2][int(row.rollouts)]
        for name in ("max_at_k", "max_at_k_low", "max_at_k_high", "mean_reward_low", "entropy", "snr"):
            key, value = f"{row.section}/{row.specimen}/{row.choice}/{name}", getattr(row, name)
            assert own.get(key) == (None if pd.isna(value) else value)
