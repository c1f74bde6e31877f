"""Tables that claims are read from, made of a study's rows."""

from __future__ import annotations

import re

import pandas as pd

from ..run.registry import get_study
from .claim import Through

_NUMBERS = re.compile(r"-?\d[\d.]*(?:e-?\d+)?")


def paired(column: str, rule: str, over: str, *, by: str = "estimator", keys: tuple[str, ...]) -> Through:
    """Rows of a rule next to another's at the same ``keys``: the column's ``ratio`` and ``difference``."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        one, other = (rows[rows[by] == name].set_index(list(keys))[column] for name in (rule, over))
        both = pd.DataFrame({"one": one, "other": other}).dropna()
        return both.assign(ratio=both.one / both.other, difference=both.one - both.other).reset_index()

    return through


def by_rule(*columns: str, by: str = "estimator", where: str = "") -> Through:
    """The largest value of each column, a row for each rule."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        chosen = rows.query(where, engine="python") if where else rows
        return chosen.groupby(by)[list(columns)].max().reset_index()

    return through


def numbers_of(study: str, *keys: str) -> Through:
    """The study's own table by cell: ``keys``, ``column``, each ``number`` in it and its ``place``."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        table = get_study(study).table(rows)
        cells = table.melt(id_vars=list(keys), var_name="column", value_name="text")
        found = cells.assign(number=cells.text.astype(str).map(_NUMBERS.findall)).explode("number")
        found = found.dropna(subset="number").astype({"number": float})
        return found.assign(place=found.groupby(level=0).cumcount()).reset_index(drop=True)

    return through
