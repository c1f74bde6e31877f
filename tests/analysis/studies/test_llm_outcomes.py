"""What the study of a language model makes of its rows, and its predictions, without a model."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct
from scipy.stats import t as student

from analysis.studies.llm import contests, outcomes
from analysis.studies.llm.checkpoints import second_moment
from analysis.studies.llm.design import PILOT_SEEDS, REFERENCE, SETTINGS, TRAINED, Contest, Pilot, Variance
from analysis.studies.llm.plan import LARGE, SEEDS, cells
from analysis.studies.llm.rows import Row
from analysis.studies.llm.training import Path, Run, pass_at, rollouts_to_target


def test_the_pilot_s_difference_is_seen_in_four_of_five_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rules of as many seeds as are reported, each with the spread of the pilot's runs."""
    ends = dict(zip(PILOT_SEEDS, (0.65, 0.7, 0.75, 0.8, 0.5), strict=True))
    monkeypatch.setattr(contests, "warm_start", lambda _: None)

    def train(_: object, run: Run) -> Path:
        return Path([0, 8], [], pass_at_k=np.array([0.1, ends[run.seed]]))

    monkeypatch.setattr(contests, "train", train)
    found = {row.quantity: row for row in contests.pilot(Pilot("order", 6))}
    assert set(found) == {"pass_at_k", "area", "rollouts"}
    for quantity, row in found.items():
        apart = np.log(row.visible) if quantity == "rollouts" else row.visible
        off = apart / (row.spread * np.sqrt(2 / 6))
        assert nct.sf(student.ppf(0.975, 10), 10, off) == pytest.approx(0.8, rel=1e-9)
    assert found["pass_at_k"].spread == pytest.approx(np.std(list(ends.values()), ddof=1), rel=1e-12)


@pytest.mark.parametrize("measured", [6, 4])
def test_the_second_moment_is_that_of_steps_drawn_without_replacement(measured: int) -> None:
    """Of six prompts and steps of four: all steps one by one, and all four that might have been measured."""
    groups = SETTINGS["order"].groups
    rng = np.random.default_rng(0)
    means, traces = rng.normal(size=(6, 3)) + 0.5, rng.uniform(1, 3, size=6)
    parts = [SimpleNamespace(mean=m, trace_covariance=float(t)) for m, t in zip(means, traces, strict=True)]
    steps = [list(step) for step in combinations(range(6), groups)]
    truth = np.mean([(means[s].mean(axis=0) ** 2).sum() + traces[s].sum() / groups**2 for s in steps])
    found = [second_moment(list(some), "order", 6) for some in combinations(parts, measured)]
    assert np.mean(found) == pytest.approx(truth, rel=1e-12)


def test_rollouts_to_the_target_are_on_the_line_between_two_points() -> None:
    run, target = Run("order", "maxpo", 1e-3, 0, 8, 2), SETTINGS["order"].target
    assert target is not None
    a_step = 16 * SETTINGS["order"].groups
    path = Path([0, 4, 8], [], pass_at_k=np.array([target - 0.2, target - 0.1, target + 0.1]))
    assert rollouts_to_target(run, path) == (pytest.approx(6 * a_step, rel=1e-12), True)
    never = Path([0, 4, 8], [], pass_at_k=np.array([0.1, 0.2, 0.3]))
    assert rollouts_to_target(run, never) == (8 * a_step, False)
    assert rollouts_to_target(run, Path([0, 8], [], pass_at_k=np.array([0.9, 0.9]))) == (0.0, True)
    assert path.area == pytest.approx(target, rel=1e-12)
    with pytest.raises(ValueError, match="verifier='answer' has no target"):
        rollouts_to_target(Run("answer", "maxpo", 1e-3, 0, 8, 2), path)


def test_pass_at_k() -> None:
    p = np.array([0.0, 1e-18, 0.25, 1.0])
    np.testing.assert_allclose(pass_at(2, p), [0.0, 2e-18, 1 - 0.75**2, 1.0], rtol=1e-15)


def test_the_design() -> None:
    for preset in ("smoke", "standard", "paper"):
        found = cells(preset)
        assert len(set(found)) == len(found)
        # Predictions and power come before what is trained.
        kinds = [isinstance(cell, Contest) for cell in found]
        assert kinds == sorted(kinds)
    assert set(cells("standard")) <= set(cells("paper"))
    contests = [cell for cell in cells("paper") if isinstance(cell, Contest) and cell.size == 1]
    assert {(c.verifier, c.rule) for c in contests} == {(v, rule) for v in SETTINGS for rule in TRAINED}
    for verifier in SETTINGS:
        own = {(c.steps, c.evaluations) for c in contests if c.verifier == verifier}
        assert len(own) == 1
        # Each rule has all seeds, each once, in one cell or several, which choose one step size.
        for rule in TRAINED:
            of_rule = [c for c in contests if (c.verifier, c.rule) == (verifier, rule)]
            seeds = sorted(seed for c in of_rule for seed in range(c.first, c.first + c.seeds))
            assert seeds == list(range(SEEDS[verifier]))
            assert len({c.tuning for c in of_rule}) == 1
            assert of_rule[0].tuning > 0
        assert SEEDS[verifier] >= 5
        assert any(isinstance(c, Pilot) and c.verifier == verifier for c in cells("paper"))
        assert any(isinstance(c, Variance) and c.verifier == verifier for c in cells("paper"))


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_adds_the_large_model_and_no_gpu_adds_nothing(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    large = [cell for cell in cells("paper") if isinstance(cell, Contest) and cell.size > 1]
    assert [(c.size, c.device, c.verifier) for c in large] == [(LARGE, "cuda", "order")] * 5 * there


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two rules of three seeds: maxpo 0.1 and 0.2 ahead in pass@4 and at 0.8 times the rollouts."""
    made = []
    ends = {
        REFERENCE: ((0.5, 100.0), (0.6, 200.0), (0.4, 50.0)),
        "maxpo": ((0.6, 80.0), (0.8, 160.0), (0.5, 40.0)),
    }
    for rule, of in ends.items():
        for seed, (end, rollouts) in enumerate(of):
            run = {"verifier": "order", "rule": rule, "k": 4, "n": 16, "learning_rate": 1e-3, "seed": seed}
            made.append(
                Row(
                    kind="run",
                    **run,
                    pass_at_1=end,
                    pass_at_k=end,
                    area=end,
                    rollouts=rollouts,
                    diversity=3.0,
                )
            )
            for step, value, diversity in ((0, 0.3, 20.0), (8, end, 5.0)):
                made.append(Row(kind="curve", **run, step=step, pass_at_k=value, diversity=diversity))
    for rule, moment in ((REFERENCE, 4.0), ("maxpo", 3.0)):
        made.append(
            Row(
                kind="prediction",
                verifier="order",
                rule=rule,
                k=4,
                n=16,
                checkpoint="warm start",
                second_moment=moment,
            )
        )
        made += [
            Row(kind="tuning", verifier="order", rule=rule, k=4, n=16, learning_rate=size, seed=9, area=area)
            for size, area in ((1e-3, 0.6), (5e-3, 0.5))
        ]
    # What a GPU adds is another model's.
    made.append(Row(kind="run", verifier="order", rule="maxpo", k=4, n=16, size=50, seed=0, pass_at_k=0.0))
    return pd.DataFrame([asdict(row) for row in made])


def test_leads_are_seed_by_seed(rows: pd.DataFrame) -> None:
    found = outcomes.leads(rows).set_index(["rule", "over", "quantity"])
    ahead = found.loc["maxpo", REFERENCE, "pass_at_k"]
    apart = np.array([0.1, 0.2, 0.1])
    error = apart.std(ddof=1) / np.sqrt(3)
    assert ahead.estimate == pytest.approx(apart.mean(), rel=1e-12)
    assert (ahead.low, ahead.high) == pytest.approx(
        (apart.mean() - 4.302653 * error, apart.mean() + 4.302653 * error), rel=1e-6
    )
    # Exactly what a t test of them sees, where the sum of two quantiles is 5% short.
    assert nct.sf(student.ppf(0.975, 2), 2, ahead.visible / error) == pytest.approx(0.8, rel=1e-9)
    assert found.loc[REFERENCE, "maxpo", "pass_at_k"].estimate == -ahead.estimate
    # Of the rollouts the ratio: every seed has 0.8.
    rollouts = found.loc["maxpo", REFERENCE, "rollouts"]
    assert (rollouts.estimate, rollouts.low, rollouts.visible) == pytest.approx((0.8, 0.8, 1.0), rel=1e-12)
    assert set(found.seeds) == {3}


def test_predictions_are_ratios_of_second_moments(rows: pd.DataFrame) -> None:
    found = outcomes.predictions(rows).set_index(["rule", "over"])
    assert found.loc[("maxpo", REFERENCE)].predicted == 0.75
    assert found.loc[("maxpo", REFERENCE)].adam == pytest.approx(0.75**0.5, rel=1e-15)
    assert found.loc[(REFERENCE, "maxpo")].predicted == pytest.approx(4 / 3, rel=1e-15)


def test_the_diversity_that_is_left(rows: pd.DataFrame) -> None:
    found = outcomes.diversities(rows)
    assert found[found.step == 8].share.tolist() == [0.25, 0.25]
    lead = outcomes.against(rows, "order")
    assert lead[lead.step == 8].estimate.tolist() == pytest.approx([0.4 / 3])
