"""Training paths: the stated success is reached, deterministically, on every kind of specimen."""

from __future__ import annotations

import numpy as np
import pytest

import maxpo_lab as ml
from envs import ChainSum, CombinationLock, Maze, SparseBandit
from envs.bandits.sparse_bandit import bandit
from envs.base.paths import TrainingPath
from envs.networks.sequence import SequencePolicy
from envs.tabular.stepping import TabularEnv

SPECIMENS = {
    "bandit": lambda: SparseBandit(arms=20, good=3, grades=(0.5, 1.0)),
    "lock": lambda: CombinationLock(length=3, choices=3),
    "maze": lambda: Maze("cross"),
    "chain": lambda: ChainSum(base=3, digits=2, prompts=2, verifier="chain"),
    "gru": lambda: SequencePolicy(CombinationLock(length=2, choices=3), "gru"),
}


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize("success", [0.02, 0.3, 0.9])
def test_a_path_reaches_the_success_asked_for(name: str, success: float) -> None:
    specimen = SPECIMENS[name]()
    theta = TrainingPath(specimen).at(success)
    highest = max(specimen.levels(theta, p).values[-1] for p in range(specimen.prompts))
    assert specimen.max_at_k(theta, 1) / highest == pytest.approx(success, rel=1e-9)
    np.testing.assert_array_equal(theta, TrainingPath(specimen).at(success))


def test_policies_of_one_path_do_not_depend_on_the_order_they_are_asked_for() -> None:
    lock = CombinationLock(length=3, choices=3)
    up, down = TrainingPath(lock), TrainingPath(lock)
    first = [up.at(success) for success in (0.01, 0.1, 0.6)]
    last = [down.at(success) for success in (0.6, 0.1, 0.01)][::-1]
    for one, other in zip(first, last, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_path_goes_through_its_start() -> None:
    bandit = SparseBandit(success=0.05)
    theta = TrainingPath(bandit).at(bandit.max_at_k(bandit.theta, 1))
    np.testing.assert_allclose(theta, bandit.theta, rtol=0, atol=1e-9)


def test_a_path_of_one_prompt_trains_that_prompt() -> None:
    chain = ChainSum(base=3, digits=2)
    path = TrainingPath(chain, prompt=4)
    levels = path.levels(0.9)
    assert ml.max_at_k(levels, 1) == pytest.approx(0.9, rel=1e-9)
    assert ml.max_at_k(levels, 1) > chain.max_at_k(path.at(0.9), 1)


def test_success_of_graded_rewards_is_the_mean_as_a_share_of_the_range() -> None:
    graded = TabularEnv(bandit(np.array([[-1.0, 1.0, 3.0]])), np.zeros(3))
    levels = TrainingPath(graded).levels(0.7)
    assert levels.probabilities @ [0.0, 0.5, 1.0] == pytest.approx(0.7, rel=1e-9)


class Flat(CombinationLock):
    """Nothing to climb."""

    def max_at_k_gradient(self, theta: np.ndarray, k: int) -> np.ndarray:
        return np.zeros_like(self.theta)


def test_what_cannot_be_reached_is_refused() -> None:
    with pytest.raises(TypeError, match="success='a' is a str"):
        TrainingPath(CombinationLock()).at("a")
    for success in (0.0, 1.0, -0.5, 2.0):
        with pytest.raises(ValueError, match=f"success={success}: must lie strictly between 0 and 1"):
            TrainingPath(CombinationLock()).at(success)
    with pytest.raises(ValueError, match=r"success=0.9: Flat comes from 0.00391 to 0.00391 .* in 0 steps"):
        TrainingPath(Flat()).at(0.9)


class Peak(CombinationLock):
    """A narrow peak of success at 1, whose gradient is reported fifty times too small: steps go too far."""

    def __init__(self) -> None:
        super().__init__(length=1, choices=2)
        self.theta = np.zeros(1)

    def levels(self, theta: np.ndarray, prompt: int | None = None, **_: object) -> ml.RewardLevels:
        return ml.RewardLevels.from_outcomes([0.5, 0.5], [[1.0], [-1.0]], [0.0, 1.0], covariances=None)

    def max_at_k(self, theta: np.ndarray, k: int) -> float:
        return 0.05 + 0.9 * float(np.exp(-((theta[0] - 1) ** 2) / 0.5))

    def max_at_k_gradient(self, theta: np.ndarray, k: int) -> np.ndarray:
        return (self.max_at_k(theta, k) - 0.05) * -4 * (theta - 1) / 50


def test_a_step_that_leads_back_is_halved() -> None:
    peak = Peak()
    assert peak.max_at_k(TrainingPath(peak).at(0.94), 1) == pytest.approx(0.94)
    with pytest.raises(ValueError, match=r"to 0\.95 and no further"):
        TrainingPath(peak).at(0.96)
