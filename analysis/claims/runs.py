"""Tables of training runs that claims are read from: comparisons with MaxPO, and what is found and kept."""

from __future__ import annotations

from functools import cache

import pandas as pd

from ..measure.power import paired
from ..studies.learning.pairs import REFERENCE, compared_table
from .claim import Through

#: A difference of areas with its interval, and the smallest that would have been seen.
AREA = ("area_estimate", "area_low", "area_high", "area_smallest")


@cache
def against(section: str, *rules: str) -> Through:
    """Comparisons of these rules with maxpo, as in the study's table; of all where none is named."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        chosen = rows[(rows.kind == "run") & (rows.section == section)]
        return compared_table(chosen[chosen.rule.isin((REFERENCE, *rules))] if rules else chosen)

    return through


@cache
def apart(column: str, one: tuple[str, int], other: tuple[str, int]) -> Through:
    """Paired differences of two rules at their K, by section, specimen and choice, with intervals."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        runs = rows[(rows.kind == "run") & (rows.loop == "on-policy") & (rows.annealed == 0)]
        place = ["section", "specimen", "choice", "seed"]
        first, second = (
            runs[(runs.rule == rule) & (runs.k == k)].set_index(place)[column] for rule, k in (one, other)
        )
        both = (first - second).dropna().rename("apart").reset_index()
        lines = []
        for (section, specimen, choice), own in both.groupby(place[:3]):
            if len(own) > 1:
                found = paired(own.apart)
                ends = (found.estimate, found.low, found.high, found.smallest)
                lines.append((section, specimen, choice, *ends))
        return pd.DataFrame(lines, columns=[*place[:3], "estimate", "low", "high", "smallest"])

    return through


def first_differs(rows: pd.DataFrame) -> pd.DataFrame:
    """By specimen and seed, whether the first success of any rule and step size comes at another rollout."""
    runs = rows[(rows.kind == "run") & (rows.section == "rules") & (rows.rule != "exact")]
    distinct = runs.groupby(["specimen", "seed"]).first_success.nunique()
    return (distinct > 1).rename("differs").reset_index()


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """By specimen, choice and rule, the mean diversity at the end, and the share of runs that arrive."""
    runs = rows[(rows.kind == "run") & (rows.section == "rules") & (rows.rule != "exact")]
    runs = runs.assign(arrived=runs.to_target.notna())
    return runs.groupby(["specimen", "choice", "rule"])[["diversity", "arrived"]].mean().reset_index()
