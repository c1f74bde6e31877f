"""Objectives in words, for reports."""

from __future__ import annotations

from ..core import weighted_sums
from .l_statistics import PREFIX
from .objective import Objective
from .several import PER_REWARD, VectorObjective

#: Before the weights in the name of an objective whose weights are not those that were asked for.
AT_WEIGHTS = " at weights "


def in_words(objective: Objective | VectorObjective) -> str:
    """``max@4`` for ``max@k`` at k = 4, ``the mean reward`` for ``mean``.

    Of several rewards ``max@4 of the summed rewards``, or ``max@4 of each reward, summed``.
    """
    if isinstance(objective, Objective):
        return _of_one(objective.name, objective.size)
    name, at, weights = objective.name.partition(AT_WEIGHTS)
    told = f"{at}{weights}"
    if name.startswith(PER_REWARD):
        return f"{_of_one(name.removeprefix(PER_REWARD), objective.size)} of each reward, summed{told}"
    return f"{_of_one(name, objective.size)} of the summed rewards{told}".replace("mean reward of", "mean of")


def _of_one(name: str, size: int) -> str:
    if weighted_sums.read(name) is not None or weighted_sums.own_k(name):
        return name
    if name.startswith(PREFIX):
        return f"{name} of {size}"
    words = {"max@k": f"max@{size}", "max@n": f"max@{size}", "mean": "the mean reward"}
    return words.get(name, name)
