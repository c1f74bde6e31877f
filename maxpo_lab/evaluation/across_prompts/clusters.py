"""Which prompts belong together."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import ragged
from ...core.arrays import Int
from ..per_prompt.prompts import Prompts


def clusters_of(clusters: Any, prompts: Prompts, group_ids: Any) -> Int | None:
    """The number of each prompt's cluster, (P,); None where prompts stand for themselves.

    ``clusters``: one id a prompt, or with ``group_ids`` one a row. ValueError for another number of them, and
    for a prompt whose rows name two.
    """
    if clusters is None:
        return None
    if group_ids is None:
        return _codes(clusters, len(prompts.sizes), "prompts")
    rows = len(prompts.rewards)
    of_row = _codes(clusters, rows, "rows of rewards")
    groups = ragged.by_id(group_ids, rows)
    ordered = of_row[groups.order]
    firsts: Int = ordered[np.cumsum(groups.sizes) - groups.sizes]
    differs = ordered != np.repeat(firsts, groups.sizes)
    if differs.any():
        row = int(groups.order[int(np.argmax(differs))])
        group = int(np.searchsorted(np.cumsum(groups.sizes), int(np.argmax(differs)), side="right"))
        raise ValueError(
            f"clusters[{row}] puts prompt {ragged.shortened(str(groups.names[group]))} into a second "
            f"cluster: a prompt belongs to one"
        )
    return firsts


def _codes(clusters: Any, count: int, of: str) -> Int:
    """Ids of clusters as numbers."""
    listed = hasattr(clusters, "__len__") and getattr(clusters, "ndim", None) != 0
    length = len(clusters) if listed else "no"
    if length != count:
        raise ValueError(f"clusters has {length} entries, there are {count} {of}: one id each is needed")
    return ragged.codes(clusters, count, "clusters")
