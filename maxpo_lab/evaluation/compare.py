"""Two models on the same prompts: paired differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import ragged
from ..core.arrays import Int
from .across_prompts.intervals import difference_interval
from .across_prompts.summary import summarise
from .result import Comparison, PassAtK

#: Ids named in a message.
_SHOWN = 3


def compared(first: PassAtK, second: PassAtK, clusters: Int | None) -> Comparison:
    """The first model less the second, prompt by prompt.

    Raises
    ------
    ValueError
        Results for other ks, measures, thresholds or confidences; a prompt that only one of them has;
        no prompt on which both have k rollouts.
    """
    for name, one, two in (
        ("ks", first.k.tolist(), second.k.tolist()),
        ("measure", first.measure, second.measure),
        ("threshold", first.threshold, second.threshold),
        ("confidence", first.confidence, second.confidence),
    ):
        if one != two:
            raise ValueError(f"compare has {name}={two!r}, this has {one!r}: compare like with like")
    if first.clusters is None and second.clusters is not None:
        raise ValueError(
            "compare has clusters, this has none: give clusters= here, they are those of the prompts"
        )
    values = first.per_prompt.T - second.per_prompt.T[:, _places(first.prompt_ids, second.prompt_ids)]
    summary = summarise(values, clusters)
    if not summary.prompts.all():
        k = int(first.k[int(np.argmin(summary.prompts))])
        raise ValueError(f"k={k}: on no prompt have both models k rollouts")
    low, high = min(first.bounds[0], second.bounds[0]), max(first.bounds[1], second.bounds[1])
    interval = difference_interval(
        summary.mean, summary.error, summary.units, confidence=first.confidence, width=high - low
    )
    return Comparison(
        difference=summary.mean,
        standard_error=summary.error,
        low=interval[0],
        high=interval[1],
        prompts=summary.prompts,
        units=summary.units,
        other=second,
    )


def _places(ids: npt.NDArray[Any], others: npt.NDArray[Any]) -> Int:
    """The place among ``others`` of each id."""
    if ids.dtype.kind in "iu" and others.dtype.kind in "iu" and np.array_equal(ids, others):
        return np.arange(len(ids))
    places = {each: place for place, each in enumerate(others.tolist())}
    given = ids.tolist()
    if isinstance(given[0], bool) != isinstance(next(iter(places)), bool):  # True is no prompt 1
        places = {str(each): place for each, place in places.items()}
    here = set(given)
    for missing, absent, present in (
        ([each for each in given if each not in places], "compare", "the rewards"),
        ([each for each in places if each not in here], "the rewards", "compare"),
    ):
        if missing:
            shown = ", ".join(ragged.shortened(repr(each)) for each in missing[:_SHOWN])
            more = ", ..." if len(missing) > _SHOWN else ""
            kinds = {type(each).__name__ for each in (given[0], others.tolist()[0])}
            raise ValueError(
                f"{len(missing)} prompts of {present} are not in {absent} ({shown}{more}): a paired "
                f"comparison needs the same prompts in both"
                + (f"; ids of one are {' and of the other '.join(sorted(kinds))}" if len(kinds) > 1 else "")
            )
    return np.array([places[each] for each in given], dtype=np.intp)
