"""The study of sampled moments: its rows contradict nothing, and the same checks catch what is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from analysis.run.presets import Preset
from analysis.studies.monte_carlo import STUDY, agreement, bounds, detection, intervals, sampling
from analysis.studies.monte_carlo.agreement import Agreement, Devices, z_score
from analysis.studies.monte_carlo.detection import Detection, groups_needed
from analysis.studies.monte_carlo.intervals import Repeated
from analysis.studies.monte_carlo.rows import Row
from analysis.studies.monte_carlo.sampling import Setting

BANDIT = "bandit, many correct"
#: Of the intervals of a standard error that is too small by the root of 2, 83.4% hold: with this many samples
#: that is beyond the bound on their pooled coverage, 88.8%, by more than 2 of its standard errors.
SAMPLES = 300


def frame(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame([{name: getattr(row, name) for name in Row.__dataclass_fields__} for row in rows])


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return frame([row for cell in STUDY.cells("smoke") for row in STUDY.measure(cell)])


@pytest.fixture
def kept_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are drawn once in a test, whatever is read from them."""
    kept: dict[Any, Any] = {}
    draw = Setting.sample

    def sample(self: Setting, rules: Any, **settings: Any) -> Any:
        key = (self, *rules, settings["groups"], settings["seed"])
        if key not in kept:
            kept[key] = draw(self, rules, **settings)
        return kept[key]

    monkeypatch.setattr(Setting, "sample", sample)


def covered(monkeypatch: pytest.MonkeyPatch, factor: float) -> pd.DataFrame:
    """Coverage rows of standard errors that are off by this factor."""

    def read(moments: Any, figure: str) -> Any:
        honest = sampling.read(moments, figure)
        return replace(honest, standard_error=factor * honest.standard_error)

    monkeypatch.setattr(intervals, "read", read)
    monkeypatch.setattr(intervals, "COVERAGE_RULES", ("grpo", "pkpo-s", "maxpo"))
    return frame(Repeated("coverage", Setting(BANDIT), 500, SAMPLES).rows())


def far(rows: pd.DataFrame) -> bool:
    """Whether the pooled coverage contradicts 95% at the false-alarm rate of the study."""
    found, error = bounds.pooled_coverage(rows)
    return abs(found - 0.95) > bounds.reach(1) * error


def test_no_sample_contradicts_an_exact_moment(smoke: pd.DataFrame) -> None:
    assert set(smoke.part) >= {"agreement", "error", "coverage", "detection"}
    assert bounds.contradictions(smoke).empty
    made = bounds.statements(smoke)
    assert made.z.notna().all()
    assert {*made.part} >= {"agreement", "error", "coverage", "detection"}
    assert not far(smoke)


def test_the_rows_of_the_results_hold_what_they_claim() -> None:
    rows = pd.read_parquet(Path(__file__).parents[3] / "results/monte-carlo/rows.parquet")
    assert bounds.contradictions(rows).empty
    assert not far(rows)
    for figure in ("scale", "trace_covariance"):
        found, _ = bounds.pooled_coverage(rows[rows.figure == figure])
        assert abs(found - 0.95) < 0.02


def test_every_usable_rule_and_figure_is_compared(smoke: pd.DataFrame) -> None:
    part = smoke[(smoke.part == "agreement") & (smoke.specimen == BANDIT)]
    figures = {*agreement.FIGURES, "dead_group_probability", "mean_along_itself", "mean_distance"}
    assert len(part) == len(Setting(BANDIT).usable()) * len(figures)
    assert set(part.figure) == figures


def test_a_handful_of_groups_judges_nothing() -> None:
    """The exact rate of dead groups tells beforehand whether a sample's own error can be trusted."""
    for groups, judged in ((128, False), (1024, True)):
        rows = frame(Agreement(Setting(BANDIT), groups).rows())
        figures = rows[rows.estimator == "grpo"].set_index("figure")
        assert (groups * figures.exact["dead_group_probability"] >= agreement.ENOUGH) == judged
        assert math.isnan(figures.z["advantage_rms"]) != judged
        assert rows[rows.estimator == "maxpo"].z.notna().all()
        for _, of in rows.groupby("estimator"):
            alive = groups * (1 - float(of.exact[of.figure == "dead_group_probability"].iloc[0]))
            assert (of.z.isna().sum() >= len(of) - 1) == (alive < agreement.ENOUGH)
            assert of.z[of.figure == "dead_group_probability"].notna().all()
        assert bounds.contradictions(rows).empty


@pytest.mark.integration
@pytest.mark.usefixtures("kept_samples")
def test_honest_intervals_hold_and_too_small_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not far(covered(monkeypatch, 1.0))
    assert far(covered(monkeypatch, 1 / math.sqrt(2)))


def test_a_sampler_of_another_policy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sampling.sampler
    cell = Agreement(Setting(BANDIT), 4096)
    assert bounds.contradictions(frame(cell.rows())).empty
    monkeypatch.setattr(sampling, "sampler", lambda name, success, device: real(name, success + 0.03, device))
    caught = bounds.contradictions(frame(cell.rows()))
    assert {*caught.figure} >= {"scale", "mean_along_itself", "mean_distance", "dead_group_probability"}


def test_a_wrong_rate_is_caught() -> None:
    rows = [
        Row(
            part="error",
            specimen=BANDIT,
            success=0.2,
            n=8,
            k=4,
            estimator="maxpo",
            figure="scale",
            groups=groups,
            repetitions=32,
            error=groups**-rate,
        )
        for rate in (0.5, 0.35)
        for groups in (2**power for power in range(8, 17))
    ]
    right, wrong = frame(rows[:9]), frame(rows[9:])
    assert bounds.contradictions(right).empty
    assert len(bounds.contradictions(wrong)) == 1


def test_slopes_vary_as_their_standard_error_says() -> None:
    """2,000 z-scores have a mean known to sqrt(1 / 2000) and a variance known to sqrt(2 / 2000)."""
    rng, repetitions, groups = np.random.default_rng(3), 8, [2**power for power in range(8, 15)]
    noise = rng.standard_normal((2000, len(groups), repetitions))
    errors = np.sqrt((noise**2).mean(axis=-1)) / np.sqrt(groups)
    found = [bounds.slope(groups, list(error), repetitions) for error in errors]
    z = np.array([(value + 0.5) / error for value, error in found])
    assert abs(z.mean()) <= bounds.reach(1) / math.sqrt(len(z))
    assert abs(z.var() - 1) <= bounds.reach(1) * math.sqrt(2 / len(z))


@pytest.mark.parametrize(("found", "chance"), [(0, 0.01), (7, 0.2), (40, 0.2), (100, 0.97), (100, 0.5)])
def test_binomial_scores_are_those_of_the_tails(found: int, chance: float) -> None:
    binomial = stats.binom(100, chance)
    tail = min(binomial.cdf(found), binomial.sf(found - 1))
    z = bounds.binomial_score(found, 100, chance)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert z == 0 or (z > 0) == (found > 100 * chance)


def test_a_count_that_cannot_be_has_no_finite_score() -> None:
    assert bounds.binomial_score(0, 50, 0.0) == 0
    assert bounds.binomial_score(50, 50, 1.0) == 0
    assert bounds.binomial_score(1, 50, 0.0) == math.inf
    assert bounds.binomial_score(49, 50, 1.0) == math.inf


@pytest.mark.parametrize("size", [1, 4, 100])
def test_distance_scores_never_exceed_those_of_a_chi_square(size: int) -> None:
    """With unit covariance the squared distance is a chi-square, whose tails are known."""
    for square in np.geomspace(size / 50, 6 * size + 60, 25):
        off = np.full(size, math.sqrt(square / size / 10))
        tail = min(stats.chi2.sf(square, size), stats.chi2.cdf(square, size))
        true = stats.norm.isf(max(tail, 1e-300))
        assert abs(bounds.distance_score(off, np.eye(size), 10)) <= true + 1e-9
    assert bounds.distance_score(np.full(size, 6.0), np.eye(size), 10) > bounds.reach(3000)


def test_z_scores_follow_the_scale_of_the_interval() -> None:
    assert z_score(3.0, 0.5, 2.0) == 2
    assert z_score(2.0, 0.5, 1.0, positive=True) == pytest.approx(4 * math.log(2))
    assert z_score(1e-16, 0.0, 3e-17, zero=1e-12) == 0
    assert z_score(0.8 + 2e-16, 9e-19, 0.8) == 0  # a constant, but for rounding
    assert z_score(0.8 + 2e-11, 9e-19, 0.8) > 1e6
    assert z_score(1.0, 0.0, 2.0) == math.inf
    assert z_score(math.nan, 1.0, 2.0, zero=1e-12) == math.inf


def test_groups_needed_of_a_known_bias() -> None:
    """The baseline with its own rollout in it is RLOO times 1 - 1/n: its bias is |grad J| / n."""
    at = Setting(BANDIT, n=16)
    rloo = at.exact("rloo", "mean")
    gradient = float(rloo.gradient @ rloo.gradient)
    expected = 9 * 15**2 * float(rloo.along_gradient_variance or 0) / gradient
    row = next(row for row in Detection(at).rows() if row.estimator == "batch-mean")
    assert row.needed == pytest.approx(expected, rel=1e-9)
    assert groups_needed(rloo, abs(rloo.scale - 1)) == math.inf
    assert math.isnan(groups_needed(replace(rloo, bias_resolution=0.1), 0.01))
    assert groups_needed(rloo, 0.01) == pytest.approx(
        9e4 * float(rloo.along_gradient_variance or 0) / gradient
    )


def test_samples_of_as_many_groups_have_the_noise_that_was_said(smoke: pd.DataFrame) -> None:
    confirmed = smoke[(smoke.part == "detection") & (smoke.repetitions > 0)]
    assert len(confirmed) >= 2
    for row in confirmed.to_dict("records"):
        low, high = detection.AFFORDABLE
        assert low <= row["needed"] <= row["groups"] <= high + 1
        square = row["repetitions"] * (row["error"] / row["error_expected"]) ** 2
        assert stats.chi2.sf(square, row["repetitions"]) > bounds.ALARM
        # A third of the bias is one standard error.
        assert 3 * row["error_expected"] * row["exact"] == pytest.approx(abs(row["exact"] - 1), rel=0.01)


def test_devices_are_compared_on_streams_of_their_own() -> None:
    rows = frame(Devices(Setting(BANDIT), 1024, "cpu").rows())
    assert (rows.sampled != 0).all()
    assert bounds.contradictions(rows).empty
    assert "devices" in set(STUDY.table(rows).part)


def measured_at(preset: Preset, smoke: pd.DataFrame) -> pd.DataFrame:
    """Rows of this preset's specimens, and devices where it compares them: numbers from the smoke preset."""
    cells = agreement.cells(preset)
    one = smoke[(smoke.part == "agreement") & (smoke.specimen == BANDIT)]
    parts = [smoke[smoke.part != "agreement"]]
    parts += [one.assign(specimen=cell.at.specimen) for cell in cells if isinstance(cell, Agreement)]
    parts += [
        one.assign(part="devices", specimen=cell.at.specimen, device=cell.device)
        for cell in cells
        if isinstance(cell, Devices)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("gpus", [0, 2])
@pytest.mark.parametrize("preset", get_args(Preset))
def test_the_table_says_why_no_devices_were_compared_only_if_that_is_why(
    preset: Preset, gpus: int, smoke: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    lines = STUDY.table(measured_at(preset, smoke)).set_index("part").loc[["devices"]]
    if preset == "smoke":
        assert lines.finding.tolist() == ["not measured: no part of the smoke preset"]
    elif gpus == 0:
        assert lines.finding.tolist() == ["not measured: torch saw no CUDA device"]
    else:
        assert {*lines.specimen} == {*agreement.SMOKE, "lock"}
        assert lines.finding.str.startswith("cuda:0, cuda:1 less cpu: ").all()
    assert (lines.statements > 0).all() == (gpus > 0 and preset != "smoke")


def test_every_cell_has_streams_of_its_own() -> None:
    seeds = [sampling.seed(cell) for cell in STUDY.cells("paper")]
    assert len({*seeds}) == len(seeds)
    assert sampling.seed("a cell", 0) != sampling.seed("a cell", 1)
    assert sampling.seed(Agreement(Setting(BANDIT), 10)) == sampling.seed(Agreement(Setting(BANDIT), 10))
