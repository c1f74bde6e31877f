"""The explorer of the report page against Python: every rule at sixty points, to 1e-9; changed formulas."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import joblib
import pytest
from browser import Browser, Visit
from explorer_points import (
    FEW,
    IN_PLACES,
    WITH_HISTORY,
    Setting,
    climbs_unit_vector,
    in_places,
    moments,
    policy,
    seen,
    settings,
    spectrum,
    why_not,
)

import maxpo_lab as ml
from analysis.page import packages
from analysis.page.bundle import bundle
from maxpo_lab.estimators.entry import KINDS
from maxpo_lab.estimators.families.chebyshev import largest_bias

pytestmark = pytest.mark.integration

FORMULAS = packages.WEB / "formulas"
POINTS = settings(60)
#: A number that there is not.
NONE = "\N{EN DASH}"
#: Until what was asked last is drawn.
DRAWN = "new Promise((later) => requestAnimationFrame(() => requestAnimationFrame(later)))"


@pytest.fixture(scope="module")
def expected() -> list[dict[str, dict[str, float]]]:
    """What ``exact_moments`` says at every point of every rule of the explorer that is defined there."""
    names = json.loads(in_node(bundle(FORMULAS / "answers.js", form="esm").script, "a.EVERY_RULE"))
    return joblib.Parallel(n_jobs=-1)(joblib.delayed(_expected)(setting, names) for setting in POINTS)


def _expected(setting: Setting, names: list[str]) -> dict[str, dict[str, float]]:
    levels = policy(setting)
    return {name: moments(name, setting, levels) for name in names if not why_not(name, setting)}


def close(found: float | None, wanted: float, least: float = 0.0) -> bool:
    """Whether a number of the page is Python's to 1e-9 of it (or of ``least``); NaN is null there."""
    if found is None or math.isnan(wanted):
        return found is None and math.isnan(wanted)
    return abs(found - wanted) <= 1e-9 * max(abs(wanted), least)


def differences(
    found: list[dict[str, dict[str, float]]], expected: list[dict[str, dict[str, float]]]
) -> list[str]:
    """Where the explorer's numbers are not Python's."""
    wrong = []
    for setting, own, wanted in zip(POINTS, found, expected, strict=True):
        if own.keys() != wanted.keys():
            wrong.append(f"{setting}: {own.keys() ^ wanted.keys()}")
        for name in own.keys() & wanted.keys():
            # A weight that averages out to 0 is so to the rounding of its terms, which are of order 1.
            for quantity, least in (("trace", 0), ("efficiency", 0), ("scale", 1e-3), ("climbed", 1e-3)):
                if not close(own[name][quantity], wanted[name][quantity], least):
                    wrong.append(
                        f"{name}: {quantity} {own[name][quantity]}, not {wanted[name][quantity]}: {setting}"
                    )
    return wrong


#: Every rule's moments at every point, by the closed forms ``a``.
ASK = "POINTS.map((s) => Object.fromEntries(a.names(s).map((name) => [name, a.moments(name, s)])))"


def asked(text: str) -> str:
    return text.replace("POINTS", json.dumps(POINTS))


def in_page(visited: Visit, text: str) -> Any:
    """The value of an expression, ``a`` the closed forms of the page, as JSON has it."""
    return json.loads(
        visited.page.evaluate(
            f"(() => {{ const a = window.maxpoLab; return JSON.stringify({asked(text)}); }})()"
        )
    )


def in_node(script: str, text: str) -> str:
    """The value of an expression, ``a`` the bundled module of closed forms, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "answers.mjs").write_text(script, encoding="utf-8")
        main = Path(folder) / "main.mjs"
        main.write_text(
            f"import * as a from './answers.mjs'; console.log(JSON.stringify({text}))", encoding="utf-8"
        )
        return packages.node(main)


def test_the_explorer_agrees_with_python(desktop: Visit, expected: list[dict[str, dict[str, float]]]) -> None:
    """Sixty points, every rule: the page's own script, in the browser."""
    found = in_page(desktop, ASK)
    shown = {name for each in expected for name in each}
    assert shown == set(desktop.page.evaluate("window.maxpoLab.EVERY_RULE"))
    assert not differences(found, expected)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rules.js", "ratio(others, n - k)", "ratio(others, n - 1)"),
        (
            "subsets.js",
            "allFail(n - 1, n - 1 - others, k - 1).mul(k)",
            "allFail(n - 1, n - 1 - others, k - 1)",
        ),
        ("rules.js", "allFail(n - 1, n - c, k).mul(k)", "allFail(n - 1, n - c, k - 1).mul(k)"),
        ("rules.js", "own ? c - 1 : c, n - 1", "c, n - 1"),
        ("rules.js", "share * (n - 1) - (n - c - 1)", "share * n - (n - c - 1)"),
        ("rules.js", "KEPT - (n - c))", "0)"),
        ("rules.js", "each ** power *", "each *"),
        ("rules.js", "[1, 2 * n]", "[1, n]"),
        ("chebyshev.js", "2n * choose(2 * degree, degree - j)", "choose(2 * degree, degree - j)"),
        ("chebyshev.js", "- before[s]", "+ before[s]"),
        ("chebyshev.js", "row[s] + ahead", "row[s] - ahead"),
        ("places.js", "left ** 2 * squares + (1 - left) ** 2", "left * squares + (1 - left) ** 2"),
        ("places.js", "variance + process", "variance"),
        ("places.js", "signal * (own * seen) ** 2", "signal * own ** 2"),
        ("rules.js", "sigma + 1e-6", "sigma + 1e-4"),
        ("history.js", "n - k + m", "n - 1 + m"),
        ("history.js", "slice(successes, successes + n)", "slice(0, n)"),
        ("history.js", "g * (others + successes)) / (n + m - k)", "g * (others + successes)) / (n + m - 1)"),
        ("history.js", "successes / (m + 0.5)", "successes / m"),
        ("floor.js", "(n - o - 1) * odds", "(n - o) * odds"),
        ("floor.js", "(o + 1) * gain[o]", "o * gain[o]"),
        ("moments.js", "(sums[h][c] - mean) ** 2", "sums[h][c] ** 2"),
        ("policy.js", "1 - squared(...passed)", "1"),
        ("policy.js", "(1 - p) * falsePositives;", "p * falsePositives;"),
        ("answers.js", "f * policy.share", "f"),
        ("answers.js", "(k / n) * traceCovariance", "traceCovariance"),
        ("binomial.js", "(n - c + 1) * odds", "(n - c) * odds"),
        ("tridiagonal.js", "kept[i] * x[i + 1]", "x[i + 1]"),
    ],
)
def test_a_changed_formula_is_caught(
    file: str, old: str, new: str, tmp_path: Path, expected: list[dict[str, dict[str, float]]]
) -> None:
    shutil.copytree(FORMULAS, tmp_path / "formulas")
    changed = tmp_path / "formulas" / file
    text = changed.read_text(encoding="utf-8")
    assert old in text
    changed.write_text(text.replace(old, new), encoding="utf-8")
    script = bundle(tmp_path / "formulas" / "answers.js", form="esm").script
    assert differences(json.loads(in_node(script, asked(ASK))), expected)


def test_what_a_rule_climbs_is_python_s_spectrum(desktop: Visit) -> None:
    weights = "[name, a.climbs(name, s)?.map(Number)]"
    text = f"POINTS.map((s) => Object.fromEntries(a.names(s).map((name) => {weights})))"
    found = in_page(desktop, text)
    compared = 0
    for setting, own in zip(POINTS, found, strict=True):
        for name, weights in own.items():
            if weights is None:
                continue
            if name in WITH_HISTORY:  # unbiased: what an unbiased rule climbs
                wanted = spectrum("pkpo-loo1" if setting["k"] > 1 else "rloo", setting)
            else:
                wanted = spectrum(name, setting)
            assert wanted is not None
            assert all(close(one, other, least=1.0) for one, other in zip(weights, wanted, strict=True)), (
                name,
                setting,
            )
            compared += 1
    assert compared > 300


def test_what_is_called_unbiased_climbs_pass_at_k_alone(desktop: Visit) -> None:
    """A rule of a group by its spectrum in rationals, to n = 32; with history as the registry claims."""
    found = in_page(
        desktop,
        "POINTS.map((s) => Object.fromEntries(a.names(s).map((name) => [name, a.unbiased(name, s)])))",
    )
    met = set()
    for setting, said in zip(POINTS, found, strict=True):
        for name, unbiased in said.items():
            if name in WITH_HISTORY:
                always = ml.get_estimator(name).claims.unbiased
                assert unbiased == (always or setting["staleness"] == 1), (name, setting)
            elif setting["n"] <= 32 and name != IN_PLACES:
                assert unbiased == climbs_unit_vector(name, setting), (name, setting)
                met.add((name, unbiased))
    assert {("chebyshev", True), ("chebyshev", False), ("canonical", True), ("tailrl", False)} <= met


def test_the_largest_bias_above_n_is_python_s(desktop: Visit) -> None:
    for n, k in ((2, 3), (8, 16), (16, 20), (32, 64), (64, 128)):
        found = desktop.page.evaluate("([n, k]) => maxpoLab.largestBias(n, k)", [n, k])
        assert close(found, float(largest_bias(n, k) / k)), (n, k)


def test_a_rule_of_places_is_known_beyond_the_orders_that_can_be_listed() -> None:
    """The witness for larger groups against all orders of a small one."""
    for setting in (each for each in POINTS if each["n"] <= FEW):
        levels = policy(setting)
        exact = moments(IN_PLACES, setting, levels)
        scale, trace = in_places(IN_PLACES, setting, levels)
        climbed = scale * setting["k"] * (1 - seen(setting)) ** (setting["k"] - 1)
        share = 1 - setting["falseNegatives"] - setting["falsePositives"]
        assert close(climbed * share, exact["climbed"])
        assert close(trace, exact["trace"])


def test_every_rule_of_the_catalogue_is_in_the_table_or_told_why_not(visit: Browser) -> None:
    """At K up to n, above it, beyond 2n, and in a group too small for some."""
    page = visit().page
    everything = {name for kind in KINDS for name in ml.list_estimators(kind)}
    for n, k, history, told in (
        (16, 4, 8, "Looks at the other prompts"),
        (16, 32, 8, "Takes K up to 15 here"),
        (16, 33, 8, "Takes K up to 32 here"),
        (3, 1, 0, "Needs n of at least 4 here"),
    ):
        for name, value in (("n", n), ("k", k), ("history", history)):
            page.locator(f"#{name}").fill(str(value))
        page.evaluate(DRAWN)
        here = set(table(page))
        absent = page.locator("#absent code").all_text_contents()
        assert told in (page.locator("#absent").text_content() or "")
        assert (len(here) + len(absent), here | {*absent}) == (len(everything), everything)
        assert page.locator("#absent-count").text_content() == str(len(absent))
        assert "undefined" not in (page.locator("#explorer").text_content() or "")


def test_above_n_it_says_so_and_what_there_is(visit: Browser) -> None:
    page = visit(query="?n=16&k=24&p=0.02&history=32").page
    said = page.locator("#recommended").inner_text()
    assert said.startswith("No rule of a group is unbiased")
    setting = {"n": 16, "k": 24, "p": 0.02, "correct": 100, "outcomes": 1000, "history": 32}
    setting |= {"staleness": 1.0, "falsePositives": 0.0, "falseNegatives": 0.0}
    shown = table(page)
    names = page.locator("#recommended code").all_text_contents()
    assert names == ["pkpo-loo1", "chebyshev", "pooled"]
    levels = policy(setting)
    for name in names[1:]:
        wanted = moments(name, setting, levels)
        assert float(shown[name][1]) == pytest.approx(wanted["scale"], rel=6e-4)
        assert float(shown[name][3]) == pytest.approx(wanted["efficiency"], rel=6e-4)
        noise = float(said.partition(f"{name}:")[2].partition(" this p, ")[2].partition(" times")[0])
        assert noise == pytest.approx(1 / wanted["efficiency"], rel=6e-3)
    assert [shown[name][0] for name in names[1:]] == ["no", "yes"]
    assert shown["grpo"][3] == NONE, "no bound, and another objective"
    assert page.locator("#shown-rule").input_value() == "chebyshev"
    page.locator("#k").fill("256")
    page.evaluate(DRAWN)
    assert "No such rule" in page.locator("#efficiency-chart").inner_text()
    assert {cells[3] for cells in table(page).values()} == {NONE}


def test_a_rule_that_needs_a_fair_history_is_not_recommended_without_a_word(visit: Browser) -> None:
    """And its curve far above the frame is no path that a browser refuses."""
    here = visit(query="?n=64&k=32&history=32")
    said = here.page.locator("#recommended")
    assert said.locator("code").first.inner_text() == "pooled"
    assert "A history that is not fair biases pooled; replay is unbiased with any." in said.inner_text()
    here.page.locator("#staleness").fill("0.9")
    here.page.evaluate(DRAWN)
    assert "pooled" not in said.inner_text()
    assert not here.wrong


def test_the_recommended_rule_has_the_greatest_efficiency(
    desktop: Visit, expected: list[dict[str, dict[str, float]]]
) -> None:
    # Above n the page recommends none.
    best = "s.k > s.n ? null : a.recommended(s).here"
    text = f"POINTS.map((s) => [{best}, a.names(s).filter((name) => a.unbiased(name, s))])"
    found = in_page(desktop, text)
    for setting, (here, unbiased), wanted in zip(POINTS, found, expected, strict=True):
        if setting["k"] > setting["n"]:
            continue
        numbers = {name: wanted[name]["efficiency"] for name in unbiased}
        best = max((value for value in numbers.values() if not math.isnan(value)), default=None)
        if best is None:
            assert here["name"] is None
        else:
            assert close(here["efficiency"], numbers[here["name"]])
            assert numbers[here["name"]] >= best * (1 - 2e-9)


def test_the_safest_rule_is_best_at_its_worst(desktop: Visit) -> None:
    setting = {**POINTS[0], "n": 8, "k": 4, "outcomes": 100, "correct": 10, "history": 0, "staleness": 1.0}
    setting |= {"falsePositives": 0.0, "falseNegatives": 0.0}
    rates, found, names = desktop.page.evaluate(
        """(s) => {
          const a = window.maxpoLab;
          return [a.RATES, a.recommended(s).everywhere, a.names(s).filter((name) => a.unbiased(name, s))];
        }""",
        setting,
    )
    assert (rates[0], rates[-1]) == (pytest.approx(0.001), 0.9)
    worst = dict.fromkeys(names, math.inf)
    for p in rates:
        levels = policy(setting | {"p": p})
        for name in names:
            worst[name] = min(worst[name], moments(name, setting | {"p": p}, levels)["efficiency"])
    assert found["name"] == max(names, key=worst.__getitem__)
    assert close(found["efficiency"], worst[found["name"]])


def test_the_numbers_shown_are_those_computed(visit: Browser) -> None:
    """A setting by hand: the table, the advice, the address; and the address alone brings it back."""
    page = visit(query="?correct=1&outcomes=10#explorer").page
    for name, value in (("n", 12), ("k", 3), ("p", 0.3), ("history", 8)):
        page.locator(f"#{name}").fill(str(value))
    page.evaluate(DRAWN)
    setting = {"n": 12, "k": 3, "p": 0.3, "correct": 1, "outcomes": 10, "history": 8, "staleness": 1.0}
    setting |= {"falsePositives": 0.0, "falseNegatives": 0.0}
    shown = table(page)
    wanted = _expected(setting, list(shown))
    assert {"maxpo", "plug-in-floor", "grpo", "reinforce"} <= {*shown}
    for name, (unbiased, scale, trace, efficiency, weight) in shown.items():
        own = wanted[name]
        for text, number in (
            (scale, own["scale"]),
            (trace, own["trace"]),
            (efficiency, own["efficiency"]),
            (weight, own["climbed"]),
        ):
            assert float(text) == pytest.approx(number, rel=6e-4, abs=1e-12), (name, text, number)
        assert unbiased in ("yes", "no")
    best = max(
        (name for name in shown if shown[name][0] == "yes"), key=lambda name: wanted[name]["efficiency"]
    )
    assert page.locator("#recommended code").first.inner_text() == best
    page.reload()
    page.wait_for_selector("#efficiency-chart svg")
    assert table(page) == shown


def table(page: Any) -> dict[str, list[str]]:
    rows = page.locator("#moments tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("k", "257", "K = 257: a whole number from 1 to 256"),
        ("p", "0", "p = 0: a number from 0.0005 to 0.999"),
        ("p", "1", "p = 1"),
        ("n", "", "n = ?"),
        ("p", "1.5", "p = 1.5"),
        ("n", "2.5", "n = 2.5: a whole number"),
        ("correct", "", "Correct outcomes = ?"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_name(name: str, value: str, said: str, desktop: Visit) -> None:
    page = desktop.page
    page.evaluate("document.getElementById('setting').reset()")
    page.locator(f"#{name}").fill(value)
    note = page.locator("#invalid").inner_text()
    assert note.startswith(said)
    assert note.endswith("Below is the setting before.")
    page.locator("#setting button").click()
    page.locator("#invalid").wait_for(state="hidden")
