"""The rules of the catalogue: one family, one file. A new family is a line in ``FAMILIES``.

A family has ``RULES``. It may have ``MAKERS``, functions that make more of them by ``name:key=value``;
``PAPERS``, what it cites by arXiv number; ``DEFINITIONS`` by name, in rationals and sharing no line with the
rules, and ``RATIONAL``, the names of those that need no root, exponential or logarithm. So a new rule touches
its family's file alone, and a new family that file and this one.
"""

from . import (
    as_coded,
    chebyshev,
    maxpo,
    maxrl,
    mean_reward,
    pkpo,
    predictive,
    standardised,
    tailrl,
    winner,
)
from .of_batches import areal, asymmetric, batch_scaled, by_framework, james_stein, of_the_living, whitened
from .shaping import difficulty, kalman, passk_training, quantiles, reweighted, risk, selection, signs
from .sums import l_statistic, maclaurin, pass_at_k_sums
from .with_memory import (
    beta_bernoulli,
    difficulty_anchor,
    global_prior,
    rate_histogram,
    reward_average,
    with_history,
)

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
    risk,
    quantiles,
    signs,
    difficulty,
    selection,
    kalman,
    pass_at_k_sums,
    maclaurin,
    whitened,
    batch_scaled,
    james_stein,
    reward_average,
    with_history,
    by_framework,
    areal,
    of_the_living,
    asymmetric,
    beta_bernoulli,
    rate_histogram,
    difficulty_anchor,
    global_prior,
)
