"""The study of K above n: its rows against formulas and moments of their own, its table and figures."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

import maxpo_lab as ml
from analysis.measure.success_tables import bandit
from analysis.studies.beyond_n.figure import draw, table
from analysis.studies.beyond_n.study import Cell, Row, measure
from analysis.studies.beyond_n.subjects import (
    CHEBYSHEV,
    CLIPPED,
    LARGER,
    plug_in_group,
    plug_in_others,
    subjects,
)


def find(rows: list[Row], **want: object) -> Row:
    (row,) = (row for row in rows if want.items() <= asdict(row).items())
    return row


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return measure(Cell(8, 12, 4))


def test_a_prompt_is_what_exact_moments_say(rows: list[Row]) -> None:
    p, levels = 0.1, bandit(1000, 100, 0.1)
    reference = ml.exact_moments("pkpo-loo1", levels, n=12, k=12)
    found = ml.exact_moments("chebyshev", levels, n=8, k=12)
    row = find(rows, part="prompt", rule=CHEBYSHEV, success=p)
    assert row.scale == pytest.approx(found.scale, rel=1e-11)
    assert row.bias == pytest.approx((found.scale - 1) * 0.9**11, abs=1e-12)
    noise = found.trace_covariance / found.scale**2 / reference.trace_covariance * 8 / 12
    assert row.noise == pytest.approx(noise, rel=1e-9)
    whole = find(rows, part="prompt", rule=LARGER, success=p)
    assert (whole.scale, whole.noise) == pytest.approx((1, 1), rel=1e-12)
    clipped = find(rows, part="prompt", rule=CLIPPED, success=p)
    assert clipped.scale == pytest.approx(8 / 12 * 0.9**-4, rel=1e-12)


def test_pooled_climbs_what_its_pool_does() -> None:
    n, k, m = 16, 64, 64
    t = np.arange(k)
    chance = hypergeom.pmf(t, n + m - 1, n - 1, k - 1)
    wanted = {"pooled, fair": (1, 1), "pooled, x 0.7": (1.08, 1.37), "pooled, x 2": (0.77, 0.35)}
    for subject in subjects(n, k):
        for p, want in zip((0.005, 0.02), wanted.get(subject.name, ()), strict=False):
            q = p * {"fair": 1, "x 0.7": 0.7, "x 2": 2}[subject.name.removeprefix("pooled, ")]
            weight = float(subject.chances(p) @ subject.table.weight(p))
            assert weight == pytest.approx(k * chance @ ((1 - p) ** t * (1 - q) ** (k - 1 - t)), rel=1e-10)
            assert weight / (k * (1 - p) ** (k - 1)) == pytest.approx(want, abs=5.1e-3)


def test_a_batch_turns_and_shrinks_as_its_prompts_do(rows: list[Row]) -> None:
    """Prompts have parameters of their own: the batch gradient is the list of weights times the gradients."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    rates = 0.001 * 900 ** ((1 + nodes) / 2)
    length = [np.linalg.norm(ml.max_at_k_gradient(bandit(1000, 100, float(p)), 1)) for p in rates]
    side = np.sqrt(weights) * length
    ideal, own = side * (1 - rates) ** 11, side * 8 / 12 * (1 - rates) ** 7
    row = find(rows, part="batch", rule=CLIPPED)
    assert row.bias == pytest.approx(np.linalg.norm(own - ideal) / np.linalg.norm(ideal), rel=1e-9)
    angle = np.arccos(own @ ideal / np.linalg.norm(own) / np.linalg.norm(ideal))
    assert row.angle == pytest.approx(angle, rel=1e-9)
    assert find(rows, part="batch", rule="pooled, fair").bias < 1e-9


@pytest.mark.parametrize(
    ("n", "k", "bias", "largest"),
    [(16, 20, 6.7e-8, 1.0), (16, 24, 1.8e-6, 1.0), (16, 32, 5.8e-5, 2.85), (8, 12, 8.6e-4, 1.0),
     (8, 16, 5.2e-3, 1.09), (16, 64, 5.5e-3, 92)],
)  # fmt: skip
def test_the_series(n: int, k: int, bias: float, largest: float) -> None:
    row = find(measure(Cell(n, k, 2)), part="series")
    assert row.bias == pytest.approx(bias, rel=0.02)
    assert row.noise == pytest.approx(largest, rel=5e-3)


def test_plug_ins() -> None:
    group = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert plug_in_group(group, 3) == pytest.approx(3 * 0.75**2 * np.array([[1, -1 / 3, -1 / 3, -1 / 3]]))
    rewards = np.random.default_rng(0).integers(2, size=(20, 6)).astype(float)
    for k in (2, 6):
        assert plug_in_others(rewards, k) == pytest.approx(ml.get_estimator("rloo-reweighted")(rewards, k))


def test_chebyshev_ends_at_twice_the_group() -> None:
    assert CHEBYSHEV in {each.name for each in subjects(4, 8)}
    assert CHEBYSHEV not in {each.name for each in subjects(4, 9)}


def test_table_and_figures_show_the_rows(rows: list[Row]) -> None:
    frame = pd.DataFrame([asdict(row) for row in rows])
    lines = table(frame).set_index("rule")
    assert lines.loc["pooled, fair", ["bias of a batch", "angle", "scale, p = 0.1"]].tolist() == [
        "0",
        "0 rad",
        "1",
    ]
    assert lines.loc[CHEBYSHEV, "bias of a batch"] == f"{find(rows, part='batch', rule=CHEBYSHEV).bias:.2g}"
    figures = draw(frame)
    assert set(figures) == {"figure", "prompts"}
    shown = {line.get_label(): line for line in figures["prompts"].axes[0].lines}
    at = frame[(frame.part == "prompt") & (frame.rule == CLIPPED)]
    weight = 8 / 12 * (1 - at.success) ** 7
    np.testing.assert_allclose(shown[CLIPPED].get_ydata(), weight, rtol=1e-12)
