"""Objectives: L-statistics of K i.i.d. rewards, equal by value, by name, and what they pay for a step up."""

from .l_statistics import PREFIX
from .objective import Objective
from .presets import as_objective, at_own_k, looks_at_k, max_at
from .several import PER_REWARD, VectorObjective, as_vector_objective
from .steps import drawn_below, increments
from .words import AT_WEIGHTS, in_words

__all__ = [
    "AT_WEIGHTS",
    "PER_REWARD",
    "PREFIX",
    "Objective",
    "VectorObjective",
    "as_objective",
    "as_vector_objective",
    "at_own_k",
    "drawn_below",
    "in_words",
    "increments",
    "looks_at_k",
    "max_at",
]
