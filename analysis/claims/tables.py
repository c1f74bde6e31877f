"""Tables that claims are read from, made of a study's rows."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd


def paired(
    column: str, rule: str, over: str, *, by: str = "estimator", keys: tuple[str, ...]
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Rows of a rule next to those of another at the same ``keys``: the column's ``ratio`` and ``difference``."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        one, other = (rows[rows[by] == name].set_index(list(keys))[column] for name in (rule, over))
        both = pd.DataFrame({"one": one, "other": other}).dropna()
        return both.assign(ratio=both.one / both.other, difference=both.one - both.other).reset_index()

    return through


def by_rule(*columns: str, by: str = "estimator", where: str = "") -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The largest value of each column, a row for each rule."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        chosen = rows.query(where, engine="python") if where else rows
        return chosen.groupby(by)[list(columns)].max().reset_index()

    return through
