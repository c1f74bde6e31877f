"""The least-squares problem of the variance floor: a variance in the baselines, and where it is least."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Float, Int
from ..policies.levels import RewardLevels


def optimal_shift(levels: RewardLevels, groups: Int, chance: Float, index: Int, gain: Float) -> Float:
    """What to add to pkpo-loo1's baseline for least variance: normal equations, scaled to unit diagonal."""
    from scipy import sparse  # noqa: PLC0415 - a training loop need not pay for it
    from scipy.sparse.linalg import spsolve  # noqa: PLC0415

    size, unknowns = len(levels.values), int(index.max()) + 1
    gram = levels.mean_scores @ levels.mean_scores.T
    rows, columns, entries = [], [], []
    right = np.zeros(unknowns)
    for a in range(size):
        for b in range(size):
            weight = chance * groups[:, a] * groups[:, b] * gram[a, b]
            if a == b:
                weight = weight + chance * groups[:, a] * levels.score_variances[a]
            used = (groups[:, a] > 0) & (groups[:, b] > 0)
            rows.append(index[used, a])
            columns.append(index[used, b])
            entries.append(weight[used])
            right += np.bincount(index[used, a], (weight * gain[:, b])[used], minlength=unknowns)
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.coo_array((np.concatenate(entries), place), shape=(unknowns, unknowns)).tocsr()
    diagonal = matrix.diagonal()
    # A multiset whose probability underflows has no say in the variance: its baseline stays pkpo-loo1's.
    live = np.flatnonzero(diagonal > np.finfo(np.float64).tiny)
    scale = 1.0 / np.sqrt(diagonal[live])
    scaled = sparse.diags_array(scale) @ matrix[live][:, live] @ sparse.diags_array(scale)
    shift = np.zeros(unknowns)
    shift[live] = scale * np.atleast_1d(spsolve(scaled.tocsc(), scale * right[live]))
    return shift


def trace_covariance(levels: RewardLevels, groups: Int, chance: Float, advantages: Float) -> float:
    """Trace covariance of g for advantages (states, L) per level, from sums of squares alone."""
    n = int(groups[0].sum())
    moved = (groups * advantages) @ levels.span()[1]
    deviation = moved - chance @ moved
    within = (groups * advantages**2) @ levels.score_variances
    return float(chance @ (np.sum(deviation**2, axis=1) + within)) / n**2
