"""The value estimate: its mean over all groups is J_K."""

from __future__ import annotations

import numpy as np
from brute_force import random_policy
from checks import EPS

import maxpo_lab as ml


def test_value_estimate_is_unbiased() -> None:
    policy = random_policy((0.0, 0.4, 1.0, 1.0), seed=7)
    levels, n = policy.levels(), 4
    picks = np.array(np.meshgrid(*[range(4)] * n)).reshape(n, -1).T
    chance = policy.probabilities[picks].prod(axis=1)
    for k in range(1, n + 1):
        mean = chance @ ml.value_estimate(policy.rewards[picks], k)
        assert abs(mean - ml.max_at_k(levels, k)) <= (4**n + 32) * EPS  # 4^n terms of at most 1
