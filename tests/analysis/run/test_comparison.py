"""Rows of two runs: shared ones by their keys, and every kind of number that differs is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.output import report
from analysis.run.comparison import SURPRISE, Comparison, compare
from analysis.run.registry import get_study, list_studies

HOW = Comparison(
    keys=("rule", "p"),
    absolute={"bias": 1e-12},
    resolution={"scale": "rounding"},
    errors={"sampled": "error"},
    unstable={"rule == 'b' and p > 0.4": 0.01},
    apart={"groups": "", "path": "rule == 'b'"},
)


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rule": ["a", "a", "b", "b"],
            "p": [0.1, 0.1 + 0.2, 0.3, 0.5],
            "variance": [1e-20, 2.0, np.nan, 3.0],
            "bias": [0.0, 1e-15, 0.2, 0.3],
            "scale": [1.0, 1.0, 1.0, 1.0],
            "rounding": [0.0, 1e-3, 0.0, 0.0],
            "sampled": [1.0, 2.0, 3.0, 4.0],
            "error": [0.0, 0.1, 0.1, np.nan],
            "groups": [8, 8, 8, 8],
            "path": [1.0, 1.0, 1.0, 1.0],
            "verdict": ["yes", "no", None, "yes"],
        }
    )


def edited(at: int, column: str, value: object) -> pd.DataFrame:
    table = rows()
    table.loc[at, column] = value
    return table


def test_the_same_rows_agree_in_any_order_and_whatever_else_one_run_has() -> None:
    found = compare(rows().sample(frac=1, random_state=0), rows().iloc[1:], HOW)
    assert (found.rows, found.shared, found.differences) == (3, 3, ())
    assert compare(rows().iloc[:2], rows(), HOW).shared == 2


def test_a_setting_is_the_same_to_six_digits() -> None:
    assert compare(rows(), edited(1, "p", 0.3), HOW).shared == 4
    assert compare(rows(), edited(1, "p", 0.30001), HOW).shared == 3


@pytest.mark.parametrize(
    ("at", "column", "value"),
    [
        (0, "variance", 1.01e-20),
        (1, "variance", 2.00000001),
        (2, "variance", 1.0),  # was NaN
        (1, "variance", np.nan),
        (2, "bias", 0.2 + 2e-9),
        (0, "scale", 1.0001),
        (1, "scale", 1.002),
        (0, "sampled", 1.0001),  # an exact one: its standard error is 0
        (1, "sampled", 2.0 + 1.01 * SURPRISE * 0.1 * np.sqrt(2)),
        (3, "variance", 3.02),
        (0, "path", 1.01),
        (2, "verdict", "no"),
        (0, "verdict", None),
    ],
)
def test_a_difference_is_named(at: int, column: str, value: object) -> None:
    for found in (
        compare(rows(), edited(at, column, value), HOW),
        compare(edited(at, column, value), rows(), HOW),
    ):
        (one,) = found.differences
        assert one.column == column
        assert f"rule = {rows().rule[at]}, p = {rows().p[at]:.6g}" in str(one)


@pytest.mark.parametrize(
    ("at", "column", "value"),
    [
        (1, "variance", 2.0 * (1 + 1e-10)),
        (0, "bias", 1e-13),
        (1, "scale", 1.0009),
        (1, "sampled", 2.0 + 0.99 * SURPRISE * 0.1 * np.sqrt(2)),
        (3, "variance", 3.009),
        (2, "groups", 9),
        (2, "path", 7.0),
    ],
)
def test_what_may_differ_is_let_pass(at: int, column: str, value: object) -> None:
    assert compare(rows(), edited(at, column, value), HOW).differences == ()


def test_a_column_that_a_run_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="fresh rows have no column variance, which the stored"):
        compare(rows(), rows().drop(columns="variance"), HOW)
    assert compare(rows().drop(columns="variance"), rows(), HOW).shared == 4


def test_keys_name_one_row() -> None:
    with pytest.raises(ValueError, match="fresh rows have two of rule = a"):
        compare(rows(), pd.concat([rows(), rows().iloc[:1]]), HOW)
    with pytest.raises(ValueError, match="stored rows have no column p; they have"):
        compare(rows().drop(columns="p"), rows(), HOW)
    twice = pd.concat([rows(), rows().iloc[:1]])
    assert compare(twice, twice, replace(HOW, among="rule == 'b'")).shared == 2


@pytest.mark.parametrize("name", [each for each in list_studies() if get_study(each).comparison])
def test_a_study_tells_its_stored_rows_apart_and_sees_each_number_of_one(name: str) -> None:
    how = get_study(name).comparison
    assert how is not None
    stored, _ = report.read(name, report.place("paper"))
    found = compare(stored, stored, how)
    assert found.differences == ()
    assert found.shared == found.rows > 0.5 * len(stored)
    numbers = stored.select_dtypes("float").columns.difference(
        [*how.keys, *how.errors.values(), *(column for column, query in how.apart.items() if not query)]
    )
    changed = stored.copy()
    changed[numbers] *= 1.01
    # Numbers that are all sampled, or all of rows where rounding grows, may be off: these are seen where they
    # are far off.
    kept = stored.query(how.among) if how.among else stored
    drawn = {
        column for column, error in how.errors.items() if (stored[error] > 0).sum() == stored[column].count()
    }
    steady = kept.drop(index=[i for query in how.unstable for i in kept.query(query).index])
    drawn |= {column for column in numbers if not steady[column].count()}
    changed[list(drawn)] *= 9
    assert set(compare(stored, changed, how).differing) == {
        column for column in numbers if kept[column].abs().max() > 1e-6
    }
