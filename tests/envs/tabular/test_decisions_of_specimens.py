"""Updates decision by decision: every tabular specimen against all its groups, rare success in rationals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any

import gymnasium
import numpy as np
import pytest
from update_witness import updates

import maxpo_lab as ml
from envs.tabular.specimen import TabularSpecimen
from envs.tabular.toy_text import from_gymnasium
from maxpo_lab.losses import get_loss
from maxpo_lab.moments.updates import decisions, of_loss

#: Sums of some thousand products of numbers of size 1.
ROUNDING = 1e-12
#: By loss: whole numbers of tokens couple a group, own lengths, a clip that binds, a penalty.
LOSSES = ("identity", "sequence-mean", "ppo:low=0.05,high=0.05,over=group-token-mean", "kl:over=token-mean")

#: Small enough for all groups of two.
SMALL: dict[str, Callable[[], Any]] = {
    "bandit": lambda: made("SparseBandit", arms=6, good=2, grades=(0.5, 1.0)),
    "prompts": lambda: made("PromptBandit", prompts=2, arms=5, good=2, hardest=0.05),
    "lock": lambda: made("CombinationLock", length=3, choices=2),
    "lock with partial credit": lambda: made("CombinationLock", length=2, choices=3, credit="prefix"),
    "lock of two codes": lambda: made("CombinationLock", length=3, choices=2, codes=2),
    "chain": lambda: made("ChainSum", base=2, digits=2, credit=0.3),
    "chain checked": lambda: made("ChainSum", base=2, digits=2, verifier="chain"),
    "maze": lambda: made("Maze", layout="###\n#S#\n#G#\n###", horizon=2),
    "lake": lambda: from_gymnasium("FrozenLake-v1", horizon=2, desc=["SF", "HG"], is_slippery=False),
}
#: Beyond that, against the listed rollouts.
LARGER: dict[str, Callable[[], Any]] = {
    "lock": lambda: made("CombinationLock", length=4, choices=4, codes=3, credit="prefix"),
    "chain": lambda: made("ChainSum", base=3, digits=3, prompts=2, credit=0.25),
    "maze": lambda: made("Maze", size=3, loops=1, horizon=5),
    "maze that slips": lambda: made("Maze", layout="###\n#S#\n#G#\n###", slip=0.2, horizon=3),
    "lake": lambda: from_gymnasium("FrozenLake-v1", horizon=3, desc=["SF", "FG"]),
}


def made(name: str, **settings: Any) -> Any:
    return gymnasium.make(f"maxpo/{name}-v0", **settings).unwrapped


def beside(world: TabularSpecimen) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    theta = world.theta + 0.4 * rng.normal(size=world.theta.shape)
    return theta, {
        name: theta + 0.3 * rng.normal(size=theta.shape) for name in ("behaviour", "proximal", "reference")
    }


def test_every_tabular_specimen_is_here() -> None:
    kinds = {type(make()).__name__ for make in SMALL.values()}
    found: set[type] = set()
    waiting: list[type] = [TabularSpecimen]
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found |= {each for each in below if each.__module__.startswith("envs.")}
    assert kinds == {each.__name__ for each in found} - {"TabularEnv"}


@pytest.mark.parametrize("name", SMALL)
def test_decisions_equal_all_groups(name: str) -> None:
    world = SMALL[name]()
    theta, policies = beside(world)
    for prompt in range(world.prompts):
        listed = world.outcomes(theta, prompt, **policies)
        decided = world.decisions(theta, prompt, **policies)
        for loss in LOSSES:
            found = ml.update_moments("pkpo-loo1", loss, decided, n=2, k=2)
            truth = updates("pkpo-loo1", get_loss(loss), [listed], n=2, k=2)
            assert np.allclose(found.mean, truth.mean, rtol=0, atol=ROUNDING), loss
            assert found.trace_covariance == pytest.approx(truth.trace, rel=0, abs=ROUNDING), loss


@pytest.mark.parametrize("name", LARGER)
def test_decisions_equal_outcomes(name: str) -> None:
    world = LARGER[name]()
    theta, policies = beside(world)
    for loss in (*LOSSES, "cispo", "dual-clip", "decoupled"):
        for rule, own in (("maxpo", policies), ("reinforce", {"reference": policies["reference"]})):
            one, other = (
                ml.update_moments(rule, loss, each, n=3, k=2)
                for each in (world.decisions(theta, 0, **own), world.outcomes(theta, 0, **own))
            )
            for quantity in ("mean", "gradient", "trace_covariance", "along_gradient_variance", "alive"):
                assert np.allclose(getattr(one, quantity), getattr(other, quantity), rtol=0, atol=ROUNDING)


# Rare success -------------------------------------------------------------------------------------------


def pays_failures(rewards: np.ndarray, k: int) -> np.ndarray:
    """What a dead group gets is not 0, and the failures' mean score, of size p, counts in full."""
    return rewards - 0.5


def in_rationals(rule: Any, *, length: int, choices: int, n: int, k: int) -> tuple[Fraction, Fraction]:
    """The factor of the success's mean score, and the trace, on a lock with a uniform policy.

    A word's score is the sum of ``e_c - 1/choices`` over the wheels: all words have its squared norm, and the
    failures' mean is ``-p/(1-p)`` times that of the one success.
    """
    p, square = Fraction(1, choices**length), Fraction(length * (choices - 1), choices)
    other = -p / (1 - p)
    mean = second = Fraction(0)
    for c in range(n + 1):
        rewards = np.array([[1.0] * c + [0.0] * (n - c)])
        given = rule(rewards, k) if callable(rule) else ml.advantages(rewards, k, estimator=rule)
        won, lost = (Fraction(each).limit_denominator(1000) for each in given[0, [0, -1]].tolist())
        d, chance = n - c, comb(n, c) * p**c * (1 - p) ** (n - c)
        mean += chance * (c * won + d * lost * other) / n
        own = c * won**2 + d * lost**2
        pairs = c * (c - 1) * won**2 + d * (d - 1) * (lost * other) ** 2 + 2 * c * d * won * lost * other
        second += chance * (own + pairs) * square / n**2
    return mean, second - mean**2 * square


@pytest.mark.parametrize("rule", ["maxpo", "pkpo-s", "reinforce", pays_failures])
@pytest.mark.parametrize(("length", "choices"), [(1, 1000), (3, 100), (6, 100)])
def test_rare_success_keeps_its_digits(rule: Any, length: int, choices: int) -> None:
    """Success 1e-3, 1e-6 and 1e-12; listed too where there are few words."""
    lock = made("CombinationLock", length=length, choices=choices)
    scale, trace = in_rationals(rule, length=length, choices=choices, n=4, k=2)
    score = np.full((length, choices), -1 / choices)
    score[np.arange(length), lock.codes[0]] += 1
    expected = float(scale) * score.ravel()
    policies = [lock.decisions(lock.theta)] + ([lock.outcomes(lock.theta)] if length == 1 else [])
    for policy in policies:
        for loss, length_ in (("identity", 1), ("sequence-mean", length), ("group-token-mean", length)):
            found = ml.update_moments(rule, loss, policy, n=4, k=2)
            off = np.linalg.norm(found.mean * length_ - expected) / np.linalg.norm(expected)
            assert off < 1e-13, loss
            assert found.trace_covariance * length_**2 == pytest.approx(float(trace), rel=1e-12), loss


def test_rounding_in_the_likeliest_level_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = made("CombinationLock", length=3, choices=100)
    scale, _ = in_rationals(pays_failures, length=3, choices=100, n=4, k=2)
    monkeypatch.setattr(decisions, "cancels", lambda *_: False)
    found = ml.update_moments(pays_failures, "identity", lock.decisions(lock.theta), n=4, k=2)
    expected = float(scale) * (1 - 1 / 100)
    own = found.mean.reshape(3, 100)[np.arange(3), lock.codes[0]]
    assert np.abs(own / expected - 1).max() > 1e-12


def test_scores_that_do_not_cancel_are_not_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rollouts, and a clip that takes some tokens: the likeliest level's sum is its own."""
    world = SMALL["lock"]()
    theta, policies = beside(world)
    seen: list[bool] = []
    kept = of_loss.cancels

    def watched(*given: Any) -> bool:
        seen.append(kept(*given))
        return seen[-1]

    monkeypatch.setattr(of_loss, "cancels", watched)
    behind = {"behaviour": policies["behaviour"]}
    for own, loss, cancel in (
        ({}, "identity", True),
        ({}, "ppo", True),
        ({}, "sequence-mean", True),
        ({}, "trl:cispo", True),  # a fifth of every token
        (behind, "identity", False),
        (behind, "importance", False),
        ({**behind, "proximal": theta}, "identity", False),
    ):
        seen.clear()
        found = ml.update_moments("reinforce", loss, world.outcomes(theta, **own), n=2, k=1)
        assert seen == [cancel], (loss, own)
        truth = updates("reinforce", get_loss(loss), [world.outcomes(theta, **own)], n=2, k=1)
        assert np.allclose(found.mean, truth.mean, rtol=0, atol=ROUNDING)
