"""Weights of prompts in a loop: what multiplies grad p of a prompt with 0/1 rewards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import maxpo_lab as ml
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.binomial import binomial

from .subjects import histories

#: Settings of ``maxpo_lab.loop_spectrum``.
Loop = dict[str, Any]


def weights(rule: str, success: Sequence[float], *, n: int, k: int, loop: Loop) -> Float:
    """``f(p)`` at each success rate, averaged over fair histories where the rule has one.

    A history is of what the verifier said, so its rate is that of verdicts.
    """
    spectra = _spectra(rule, n, k, tuple(loop.items()))
    each = np.stack([spectrum.weight_function(success) for spectrum in spectra], axis=1)
    if len(spectra) == 1:
        return np.asarray(each[:, 0])
    missed, passed = loop.get("false_negatives", 0.0), loop.get("false_positives", 0.0)
    seen = [p * (1 - missed) + (1 - p) * passed for p in success]
    chance = np.stack([binomial(n, rate, 1 - rate) for rate in seen])
    return np.asarray(np.sum(chance * each, axis=1))


@lru_cache(32)
def _spectra(rule: str, n: int, k: int, loop: tuple[tuple[str, Any], ...]) -> list[ml.LoopSpectrum]:
    """Of the rule, or of the rule at a history of 0 .. n successes."""
    return [ml.loop_spectrum(at, n=n, k=k, **dict(loop)) for at in histories(rule, n)]
