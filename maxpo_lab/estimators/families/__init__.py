"""The rules of the catalogue: one family, one file. A new family is a line in ``FAMILIES``."""

from . import (
    as_coded,
    chebyshev,
    l_statistic,
    maxpo,
    maxrl,
    mean_reward,
    passk_training,
    pkpo,
    predictive,
    reweighted,
    standardised,
    tailrl,
    winner,
)
from .of_batches import batch_scaled, james_stein, whitened
from .with_memory import reward_average, with_history

#: The families, in the order of the catalogue.
FAMILIES = (
    mean_reward,
    standardised,
    maxrl,
    tailrl,
    reweighted,
    pkpo,
    maxpo,
    predictive,
    l_statistic,
    winner,
    as_coded,
    passk_training,
    chebyshev,
    whitened,
    batch_scaled,
    james_stein,
    reward_average,
    with_history,
)
