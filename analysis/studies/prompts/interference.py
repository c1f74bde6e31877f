"""Cosines of the expected update with the gradient of pass@1, of prompts that share parameters; where 0."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maxpo_lab.core.arrays import Float


def cosines_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per batch whose prompts share parameters."""
    key = ["arrangement", "k", "estimator", "similarity", "opposed"]
    # Rows of a batch stand together, hardest first; a pair is told by its harder prompt.
    place = (rows.groupby(key, sort=False).cumcount() % rows.prompts).to_numpy()
    batch = pd.Series((place == 0).cumsum(), index=rows.index, name="batch")
    found = rows.groupby(batch).agg(
        **{name: (name, "first") for name in (*key, "prompts")},
        hardest=("success", "first"),
        cosine=("change", "sum"),
    )
    # The hardest prompt of the easy side.
    border = rows.success.to_numpy()[np.flatnonzero(place == 0) + found.opposed.to_numpy()]
    return found.assign(border=border)


def critical(cosines: pd.DataFrame) -> pd.DataFrame:
    """By rule, K and harder prompt the similarity below which pass@1 falls, interpolated; NaN where none."""
    lines: list[tuple[str, int, float, float]] = []
    for name, k in cosines[["estimator", "k"]].drop_duplicates().itertuples(index=False):
        curve = cosines[(cosines.estimator == name) & (cosines.k == k)]
        wide = curve.pivot_table(index="similarity", columns="hardest", values="cosine")
        x = wide.index.to_numpy()
        lines += [(name, k, p, _crossing(x, wide[p].to_numpy())) for p in wide.columns]
    return pd.DataFrame(lines, columns=["estimator", "k", "hardest", "similarity"])


def _crossing(x: Float, y: Float) -> float:
    """Where y, which ends positive, was last 0."""
    below = np.flatnonzero(y < 0)
    if not len(below):
        return float("nan")
    last = below[-1]
    return float(x[last] - y[last] * (x[last + 1] - x[last]) / (y[last + 1] - y[last]))
