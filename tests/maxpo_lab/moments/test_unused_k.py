"""K beyond the group: let through where neither the rule nor the objective uses it, and nowhere else."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.objectives import as_objective, looks_at_k
from maxpo_lab.spectrum import objective_spectrum

torch = pytest.importorskip("torch")

from envs import SparseBandit  # noqa: E402

N = 4
BANDIT = SparseBandit(arms=6, good=2, success=0.3)
LEVELS = BANDIT.levels(BANDIT.theta)
RULES = [ml.get_estimator(name) for name in ml.list_estimators()]
WITHOUT_K = [rule.name for rule in RULES if not rule.uses_k]
LARGE = 10**12


@pytest.mark.parametrize("name", WITHOUT_K)
def test_a_rule_that_does_not_use_k_is_measured_at_any_k(name: str) -> None:
    for target in ("mean", "max@n"):
        far, near = (ml.exact_moments(name, LEVELS, n=N, k=k, target=target) for k in (LARGE, 2))
        assert (far.k, near.k) == (LARGE, 2)
        np.testing.assert_equal(asdict(replace(far, k=2)), asdict(near))
        batches = (ml.batch_moments(name, [LEVELS], n=N, k=k, batch=2, target=target) for k in (LARGE, 2))
        assert len({each.trace_covariance for each in batches}) == 1
    far, near = (ml.pass_at_k_spectrum(name, n=N, k=k) for k in (LARGE, 2))
    np.testing.assert_array_equal(far.weights, near.weights)


def test_many_of_them_are_sampled_together_at_any_k() -> None:
    sampler = BANDIT.sampler(BANDIT.theta)
    far, near = (ml.monte_carlo_moments(WITHOUT_K, sampler, n=N, k=k, groups=64, seed=0) for k in (LARGE, 2))
    for name in WITHOUT_K:
        assert far[name].trace_covariance == near[name].trace_covariance


@pytest.mark.parametrize("target", ["max@k", "l-statistic:TopM:2", "l-statistic:Median"])
def test_an_objective_of_k_rollouts_needs_them(target: str) -> None:
    """At once: no table of so many weights is begun."""
    assert looks_at_k(target)
    message = rf"k={LARGE}: max@k needs 1 <= k <= n = 4; the nearest valid choice is k=4"
    with pytest.raises(ValueError, match=message):
        ml.exact_moments("rloo", LEVELS, n=N, k=LARGE, target=target)
    with pytest.raises(ValueError, match=message):
        ml.batch_moments("rloo", [LEVELS], n=N, k=LARGE, batch=2, target=target)
    with pytest.raises(ValueError, match=message):
        objective_spectrum(target, n=N, k=LARGE)


@pytest.mark.parametrize("rule", ["maxpo", "pkpo-s", lambda rewards, k: rewards])
def test_a_rule_that_may_use_k_needs_them(rule: Any) -> None:
    """A callable does not say."""
    message = "k=5: max@k needs 1 <= k <= n = 4"
    with pytest.raises(ValueError, match=message):
        ml.exact_moments(rule, LEVELS, n=N, k=5, target="mean")
    with pytest.raises(ValueError, match=message):
        ml.batch_moments(rule, [LEVELS], n=N, k=5, batch=2, target="mean")
    with pytest.raises(ValueError, match=message):
        ml.pass_at_k_spectrum(rule, n=N, k=5)
    with pytest.raises(ValueError, match=message):
        ml.monte_carlo_moments(["rloo", rule], BANDIT.sampler(BANDIT.theta), n=N, k=5, groups=64, seed=0)


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_1_for_everybody(k: int) -> None:
    for call in (
        lambda: ml.exact_moments("rloo", LEVELS, n=N, k=k, target="mean"),
        lambda: ml.batch_moments("rloo", [LEVELS], n=N, k=k, batch=2, target="mean"),
        lambda: ml.pass_at_k_spectrum("rloo", n=N, k=k),
        lambda: objective_spectrum("mean", n=N, k=k),
        lambda: ml.monte_carlo_moments("rloo", BANDIT.sampler(BANDIT.theta), n=N, k=k, groups=64, seed=0),
    ):
        with pytest.raises(ValueError, match=f"k={k}: max@k needs"):
            call()


def test_the_objectives_that_do_not_look_at_k_are_the_same_at_every_k() -> None:
    for objective in ("mean", "max@n"):
        assert not looks_at_k(objective)
        assert as_objective(objective, N, 1).weights == as_objective(objective, N, 99).weights
        far, near = (objective_spectrum(objective, n=N, k=k) for k in (99, 1))
        assert far.weights.tolist() == near.weights.tolist()
