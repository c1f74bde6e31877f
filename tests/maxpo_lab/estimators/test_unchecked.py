"""``Estimator.unchecked``: what the call gives, without its checks and without a look at the numbers."""

from __future__ import annotations

from typing import Any, NoReturn

import array_api_compat
import numpy as np
import pytest
import torch

import maxpo_lab as ml
from analysis.studies.frameworks.defects import EASYR1_ISSUE_585
from maxpo_lab.kernels import tables

RULES = [*map(ml.get_estimator, ml.list_estimators()), EASYR1_ISSUE_585]
RNG = np.random.default_rng(0)
BINARY = np.concatenate([RNG.integers(0, 2, (20, 6)), np.zeros((1, 6)), np.ones((1, 6))]).astype(float)
REAL = np.concatenate([BINARY, RNG.normal(size=(20, 6)), RNG.integers(-2, 3, (10, 6))])
REWARDS = {"binary": BINARY, "unit": np.concatenate([BINARY, RNG.random((20, 6))]), "real": REAL}


def refused(*_: Any, **__: Any) -> NoReturn:
    pytest.fail("checked, or brought to a device again")


@pytest.mark.parametrize("library", ["numpy", "torch", "torch, float32"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_unchecked_is_the_call_without_its_checks(
    rule: ml.Estimator, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewards: Any = REWARDS[rule.domain]
    if library != "numpy":
        rewards = torch.tensor(rewards, dtype=torch.float32 if "32" in library else torch.float64)
    xp = array_api_compat.array_namespace(rewards)
    ks = [k for k in range(1, 7) if rule.why_not(6, k) is None]
    called = [rule(rewards, k) for k in ks]
    for place in ("estimators.base", "estimators.families.maxpo", "core.rewards"):
        monkeypatch.setattr(f"maxpo_lab.{place}.as_rewards", refused)
    for check in ("why_not", "why_not_rewards", "_outside_domain", "__call__"):
        monkeypatch.setattr(ml.Estimator, check, refused)
    monkeypatch.setattr(xp, "asarray", refused)
    for k, want in zip(ks, called, strict=True):
        found = rule.unchecked(xp, rewards, k)
        assert (type(found), found.dtype, found.shape) == (type(want), want.dtype, want.shape)
        assert np.asarray(found).tobytes() == np.asarray(want).tobytes(), k


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_unchecked_looks_at_no_number(rule: ml.Estimator) -> None:
    """A tensor without numbers will do: on an accelerator nothing waits for them."""
    rewards = torch.empty((3, 6), device="meta")
    found = rule.unchecked(array_api_compat.array_namespace(rewards), rewards, 3)
    assert (found.shape, found.dtype, found.device.type) == ((3, 6), torch.float32, "meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        rule(rewards, 3)


@pytest.fixture(autouse=True)
def _no_tables_of_tensors_without_numbers() -> Any:
    yield
    tables._kept_on.cache_clear()
    tables._vector.cache_clear()
