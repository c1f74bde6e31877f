"""Rewards near the largest number of their type: every rule gives finite advantages, or names the limit."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from backends import Backend

import maxpo_lab as ml

N, K = 8, 4
#: Groups over the largest number: both signs far apart, and many that add up.
SHAPES = ([0.99, 0.0, -0.99, 0.5, 0.0, 1e-3, -1e-3, 0.33], [0.9] * 3 + [-0.9] * 5, [1.0] * 4 + [0.25] * 4)


def called(name: str, rewards: Any) -> np.ndarray:
    """Advantages of two groups (2, n), whatever kind the rule is of."""
    rule = ml.get_estimator(name)
    if rule.kind == "memory":
        found = rule.update(rule.init(2), rewards, K, np.arange(2))[0]
    elif rule.kind in ("vector", "vector-batch"):
        lengths = {"lengths": np.arange(1.0, 1 + N) + 0 * rewards} if rule.takes_lengths else {}
        found = rule(np.stack([rewards, rewards], axis=-1), K, **lengths)
    else:
        found = rule(rewards, K)
    return np.asarray(found, dtype=np.float64)


REAL = [
    name
    for kind in ("group", "batch", "memory", "vector", "vector-batch")
    for name in ml.list_estimators(kind)
    if ml.get_estimator(name).domain == "real" and not ml.get_estimator(name).why_not(N, K)
]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_huge_rewards_give_what_small_ones_give_or_are_refused(name: str, dtype: str) -> None:
    largest = float(np.finfo(dtype).max)
    for share in (1.0, 1e-3, 1e-30, largest**-0.4):
        for shape in SHAPES:
            group = np.array([shape, shape[::-1]])
            huge, small = (group * largest * share).astype(dtype), (group * 2.0**20).astype(dtype)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    found = called(name, huge)
                except ValueError as error:
                    refused = str(error)
                else:
                    refused = ""
            if refused:
                assert re.search(r"rewards reach \S+: .* makes a number beyond .* the largest of", refused)
                assert share > 1e-4 or largest > 1e100  # only squares overflow so far below
                continue
            assert np.isfinite(found).all()
            one, other = (each / (np.max(np.abs(each)) or 1.0) for each in (found, called(name, small)))
            np.testing.assert_allclose(one, other, atol=1e-4, err_msg=f"{name}, {share}, {shape}")


def test_the_limit_is_the_same_in_every_library(backend: Backend) -> None:
    near = [float(np.finfo(backend.dtype).max) * share for share in SHAPES[0]]
    for name, more in (("maxpo", {}), ("grpo", {}), ("replay", {"history": [[]]})):
        said = rf"rewards reach 1\.\d+e\+308: {name} makes a number beyond 1\.79769e\+308"
        with pytest.raises(ValueError, match=said):
            ml.advantages(backend.array([near]), K, estimator=name, **more)


def test_ordinary_rewards_keep_their_bits() -> None:
    rng = np.random.default_rng(0)
    for name in ml.list_estimators():
        rule = ml.get_estimator(name)
        if rule.why_not(N, K):
            continue
        rewards = (
            rng.integers(0, 2, (5, N)).astype(float)
            if rule.domain != "real"
            else rng.normal(size=(5, N)) * 1e30
        )
        assert rule(rewards, K).tobytes() == rule.unchecked(np, rewards, K).tobytes()
