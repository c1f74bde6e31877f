"""Binomial probabilities, accurate where success is rare."""

from __future__ import annotations

import numpy as np

from .arrays import Float


def binomial(trials: int, here: float, elsewhere: float) -> Float:
    r"""Binomial probabilities P(c), c = 0..trials, for odds ``here : elsewhere`` of one trial.

    Ratio recurrences from the mode outwards, divided by their sum: relative error about
    ``sqrt(trials) eps`` near the mode and at most ``2 trials eps``, where log-gammas lose
    ``trials log(trials) eps``. Both odds are given, so that neither is a difference from 1.
    """
    mode = min(trials, int((trials + 1) * here / (here + elsewhere)))
    up, down = np.arange(mode, trials), np.arange(mode, 0, -1)
    weights = np.ones(trials + 1)
    with np.errstate(over="ignore", under="ignore"):  # odds of subnormal probabilities, of no trials
        weights[mode + 1 :] = np.cumprod((trials - up) / (up + 1) * (here / elsewhere))
        weights[:mode] = np.cumprod(down / (trials - down + 1) * (elsewhere / here))[::-1]
    weights /= weights.sum()
    return weights
