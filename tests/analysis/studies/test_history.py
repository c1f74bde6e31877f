"""The study of rules with history: its rows against enumeration, its table and figures as information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import maxpo_lab as ml
from analysis.measure.success_tables import NUMPY, bandit, success_table
from analysis.studies.history import batches, curves, path, remembering
from analysis.studies.history.figure import draw, table
from analysis.studies.history.quadratic import Quadratic
from analysis.studies.history.rows import MANY, ONE, RATES, Cell, Row
from maxpo_lab.estimators.definitions import histories as definitions
from maxpo_lab.estimators.definitions import memories as memory_definitions
from maxpo_lab.estimators.history.replay import replay


def find(rows: list[Row], **want: object) -> Row:
    (row,) = (row for row in rows if want.items() <= asdict(row).items())
    return row


def enumerated(definition: Callable[..., Any], y: tuple[int, ...]) -> Callable[..., np.ndarray]:
    """The rule that a history makes of a definition, each group enumerated once."""

    @cache
    def of_group(group: tuple[float, ...], k: int) -> list[float]:
        return [float(a) for a in definition(group, k, y, [1] * len(y))]

    return lambda rewards, k: np.array([of_group(tuple(row.tolist()), k) for row in rewards])


@pytest.mark.parametrize("rule", ["replay", "centered-replay", "plug-in-floor"])
def test_a_curve_is_the_average_over_enumerated_histories(rule: str) -> None:
    n, k, m, p = 3, 2, 3, 0.5
    rows = curves.measure(Cell("curve", n, k, m, space=MANY, points=2))
    levels, definition = bandit(1000, 100, p), definitions.BY_NAME[rule]
    floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
    after = []
    for successes in range(m + 1):
        y = tuple([0] * (m - successes) + [1] * successes)
        moments = ml.exact_moments(enumerated(definition, y), levels, n=n, k=k)
        after.append((moments.mean, moments.trace_covariance + moments.mean @ moments.mean))
    gradient = ml.max_at_k_gradient(levels, k)
    for history, rate in RATES.items():
        chance = binom.pmf(range(m + 1), m, rate(p))
        mean = sum(a * b for a, (b, _) in zip(chance, after, strict=True))
        second = sum(a * b for a, (_, b) in zip(chance, after, strict=True))
        scale = mean @ gradient / (gradient @ gradient)
        row = find(rows, rule=rule, history=history, success=p)
        assert row.scale == pytest.approx(scale, abs=1e-12)
        assert row.efficiency == pytest.approx(floor * scale**2 / (second - mean @ mean), rel=1e-9)


#: Least efficiency over p in [.001, .9] with a fair history of n, 4n and 16n; without one.
LEAST = {(8, 4): (0.614, 0.893, 0.971, 0.992), (16, 8): (0.661, 0.929, 0.985, 0.996)}


@pytest.mark.parametrize(("n", "k"), LEAST)
def test_the_table_of_least_efficiencies(n: int, k: int) -> None:
    for times, want in zip((0, 1, 4, 16), LEAST[n, k], strict=True):
        rows = curves.measure(Cell("curve", n, k, times * n, space=MANY, points=8))
        rule, history = ("replay", "fair") if times else ("maxpo", "none")
        found = [row.efficiency for row in rows if row.rule == rule and row.history == history]
        rates = [row.success for row in rows if row.rule == rule and row.history == history]
        assert min(e for e, p in zip(found, rates, strict=True) if p <= 0.9) == pytest.approx(want, abs=1e-3)


def test_a_centered_rule_that_is_0_has_no_efficiency() -> None:
    rows = curves.measure(Cell("curve", 8, 8, 8, space=MANY, points=2))
    row = find(rows, rule="centered-replay", history="x 2", success=0.5)
    assert row.scale == 0
    assert np.isnan(row.efficiency)


def test_variance_is_quadratic_in_lambda() -> None:
    levels = bandit(1000, 100, 0.3)
    values = {
        lam: success_table(partial(replay, lam=lam), n=6, k=3, m=5).second_moment(levels)[2]
        for lam in (0.0, 0.3, 0.5, 1.0)
    }
    spent = Quadratic(values[0.0], values[0.5], values[1.0])
    assert spent(np.array([0.3, 0.5])) == pytest.approx([values[0.3], values[0.5]], rel=1e-12)
    at = np.array([0.1, 0.7])
    assert spent.average(at.mean(), at.var()) == pytest.approx(spent(at).mean(), rel=1e-12)


def test_batches_say_what_was_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """n = 8, K = 4, m = 32: efficiencies of a simulation of its own, which has two to three digits."""
    monkeypatch.setattr(batches, "BATCHES", 200)
    monkeypatch.setattr(batches, "RUNS", 60)
    for history, average in {"fair": 0.972, "x 2": 0.933, "1 - p": 0.853}.items():
        rows = batches.measure(Cell("batch", 8, 4, 32, history=history, prompts=32))
        assert find(rows, rule="maxpo").efficiency == pytest.approx(0.845, abs=2e-3)
        assert find(rows, rule="moving average").efficiency == pytest.approx(average, abs=4e-3)
        assert find(rows, rule="replay").believed == 32 / 36
        learned = [find(rows, rule=rule) for rule in ("leave-one-out", "moving average")]
        assert all(0 < row.error < 4e-3 for row in learned)


def test_lambda_of_a_batch_is_learned_from_groups_as_they_come() -> None:
    """The tables by counts against groups and histories drawn one by one."""
    n, k, m = 4, 2, 3
    plain, past = (success_table(partial(replay, lam=lam), n=n, k=k, m=m) for lam in (0.0, 1.0))
    along, apart = batches._sums(plain, past)
    rng = np.random.default_rng(3)
    for _ in range(20):
        group, y = rng.integers(2, size=n), rng.integers(2, size=m)
        a0 = [float(a) for a in definitions.without_history(group.tolist(), k)]
        hist = [float(a) for a in definitions.hist(group.tolist(), k, y.tolist(), [1] * m)]
        gap = np.subtract(a0, hist)
        where = y.sum(), group.sum()
        assert (along[where], apart[where]) == pytest.approx((gap @ a0, gap @ gap), abs=1e-12)


def test_a_path_is_the_average_over_what_its_visits_scored() -> None:
    n, k = 4, 2
    rows = path.measure(Cell("path", n, k, space=path.ALIKE, visits=3))
    first, p = 0.01, 0.9
    second = find(rows, rule="maxpo", m=0, success=rows[0].success).success
    levels = bandit(1000, 100, p)
    floor = ml.variance_floor(levels, n=n, k=k).trace_covariance
    weights = np.repeat([0.5 ** (2 / 4), 0.5 ** (1 / 4)], n)
    total = 0.0
    for earlier, later in product(range(n + 1), repeat=2):
        y = np.concatenate([np.arange(n) < earlier, np.arange(n) < later]).astype(float)

        def after(rewards: np.ndarray, k: int, y: np.ndarray = y) -> np.ndarray:
            rows = (len(rewards), 2 * n)
            return replay(NUMPY, rewards, k, np.broadcast_to(y, rows), np.broadcast_to(weights, rows))

        chance = binom.pmf(earlier, n, first) * binom.pmf(later, n, second)
        total += chance * ml.exact_moments(after, levels, n=n, k=k).trace_covariance
    row = find(rows, history="half-life of 4 visits", success=rows[-1].success)
    assert row.success == pytest.approx(p)
    assert row.m == 2 * n
    assert row.efficiency == pytest.approx(floor / total, rel=1e-9)


def weight(rule: str, history: str, *, n: int) -> float:
    """What the harder of two prompts' gradient is multiplied by after one visit: all outcomes of both steps.

    On 0/1 rewards ``E g = E[sum A_i (R_i - p) / n] grad p / (p (1-p))``.
    """
    rates = np.array([remembering.HARDEST, remembering.EASIEST])
    before = np.clip([RATES[history](p) for p in rates], *remembering.BETWEEN)
    outcomes = [np.reshape(each, (2, n)) for each in product((0.0, 1.0), repeat=2 * n)]

    def chance(rewards: np.ndarray, at: np.ndarray) -> float:
        return float(np.prod(np.where(rewards == 1, at[:, None], 1 - at[:, None])))

    found, p = 0.0, rates[0]
    for past, now in product(outcomes, outcomes):
        steps = [(range(2), past.tolist()), (range(2), now.tolist())]
        given = [float(a) for a in memory_definitions.along(memory_definitions.BY_NAME[rule], steps)[1][0]]
        found += chance(past, before) * chance(now, rates) * float(np.dot(given, now[0] - p)) / n
    return found / (p * (1 - p))


@cache
def remembered(n: int, history: str) -> list[Row]:
    return remembering.measure(Cell("memory", n, 1, n, MANY, history, 64, prompts=2, visits=1))


@pytest.mark.parametrize(
    ("rule", "n", "history"),
    [
        ("dbb", 2, "1 - p"),
        ("curverl", 2, "1 - p"),
        ("ha-dw", 2, "1 - p"),
        ("spo", 1, "fair"),
        pytest.param("ebpo", 2, "1 - p", marks=pytest.mark.integration),
    ],
)
def test_weights_after_a_history_are_those_of_all_outcomes(rule: str, n: int, history: str) -> None:
    """Exact where prompts do not meet; else within four standard errors of the histories drawn."""
    row = find(remembered(n, history), rule=rule, success=remembering.HARDEST)
    assert row.error == 0 or rule != "dbb"
    assert row.scale == pytest.approx(weight(rule, history, n=n), abs=4 * row.error + 1e-10)


def test_what_is_unbiased_is_so_after_any_history_and_whitening_is_not() -> None:
    for history in RATES:
        rows = remembering.measure(Cell("memory", 1, 1, 2, MANY, history, 8, prompts=3, visits=2))
        for rule, right in (("rae", True), ("spo:whiten=0", True), ("spo", False)):
            assert (find(rows, rule=rule, success=remembering.EASIEST).bias < 1e-12) == right


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    cells = [
        *(Cell("curve", 8, 4, m, space=space, points=3) for space in (MANY, ONE) for m in (0, 8)),
        Cell("batch", 8, 4, 32, history="fair", prompts=8),
        Cell("path", 8, 4, space=path.ALIKE, visits=4),
        *(
            Cell("memory", n, 1, n, MANY, history, 2, prompts=3, visits=1)
            for n in (1, 4)
            for history in ("fair", "1 - p")
        ),
    ]
    of_part = {"curve": curves, "batch": batches, "path": path, "memory": remembering}
    return pd.DataFrame([asdict(row) for cell in cells for row in of_part[cell.part].measure(cell)])


def test_the_table_says_what_to_use(frame: pd.DataFrame) -> None:
    lines = table(frame).set_index(["correct", "history"])
    assert lines.loc[(MANY, 0), "p = 0.001"] == "loo1 1.00"
    assert lines.loc[(MANY, 0), "p = 0.9"] == "maxpo 0.61"
    assert lines.loc[(MANY, 8), "p = 0.9"] == "replay 0.89"
    assert lines.loc[(ONE, 8), "p = 0.5"] == "plug-in 0.95"


def test_figures_show_every_part(frame: pd.DataFrame) -> None:
    figures = draw(frame)
    assert set(figures) == {"figure", "one", "stale", "path", "memory"}
    weights = figures["memory"].axes[0].lines[5].get_ydata()
    rows = frame[(frame.part == "memory") & (frame.history == "fair") & (frame.rule == "dbb")]
    np.testing.assert_array_equal(weights, rows.scale)
    shown = {line.get_label(): line for line in figures["figure"].axes[0].lines}
    rows = frame[(frame.part == "curve") & (frame.space == MANY) & (frame.rule == "replay")]
    rows = rows[rows.history == "fair"]
    np.testing.assert_array_equal(shown["replay, m = n"].get_ydata(), rows.efficiency)
    assert "plug-in-floor, m = n" in {line.get_label() for line in figures["one"].axes[0].lines}
