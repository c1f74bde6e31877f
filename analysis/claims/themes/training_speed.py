"""What the study of training speed found: when variance becomes rollouts, and where it does not."""

from __future__ import annotations

from functools import partial

import pandas as pd

from ...studies.training_speed.figure import pairs_of
from ..claim import Reading, each, finding

TITLE = "Training speed"

_exact = partial(Reading, study="training-speed")
#: Times are of sampled runs; forecasts and variances are exact.
_times = partial(_exact, drawn=True)
_MAIN, _LARGE, _AT_N, _BEYOND = "many correct, P = 16", "many correct, P = 64", "K = n, P = 16", "K = 12 of n = 8"
_GRADED, _NETWORK, _SPARSE = "graded, P = 16", "network, P = 8", "sparse start"
_MEASURED = ("realised", "low", "high")
