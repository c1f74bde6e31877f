"""What the gallery shows, computed from the specimens' oracles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import maxpo_lab as ml
from envs import ChainSum, CombinationLock, GaussianBandit, Maze, PromptBandit, SparseBandit
from envs.tabular.specimen import TabularSpecimen, softmax
from maxpo_lab.core.arrays import Float, Int64

#: The K at which values are shown.
VALUED_K = (1, 4, 16)
#: K of the policies that are partly trained, and of pass@K.
K = 8


@dataclass(frozen=True, eq=False)
class Scene:
    """What the picture shows, from the specimens' oracles.

    Attributes
    ----------
    maze, visits, reached
        A maze, expected decisions of an episode at each cell, and the probability of ending at each goal.
    lock, turned
        A combination lock and the policy's probabilities, (length, choices).
    chain, answers, verdicts
        A ChainSum, two rollouts of its first prompt (2, length), the second one with the right answer after a
        wrong step, and their rewards.
    bandit, pulled
        A bandit and its arms' probabilities.
    batch, pass_at_k
        A bandit with many prompts and pass@K of each.
    toy, means, values
        The Gaussian toy, a range of means and J_K at each of them, by K.
    """

    maze: Maze
    visits: Float
    reached: dict[int, float]
    lock: CombinationLock
    turned: Float
    chain: ChainSum
    answers: Int64
    verdicts: Float
    bandit: SparseBandit
    pulled: Float
    batch: PromptBandit
    pass_at_k: Float
    toy: GaussianBandit
    means: Float
    values: dict[int, Float]


def scene() -> Scene:
    """Compute all that is shown."""
    maze = Maze(size=5, seed=1, loops=3, goals=(0.3, 1.0))
    found = part_trained(maze, 0.35)
    levels = maze.levels(found, covariances=None)
    chances = dict(zip(levels.values.tolist(), levels.probabilities.tolist(), strict=True))
    lock = CombinationLock(length=6, choices=5, codes=1, credit="prefix", seed=4)
    chain = ChainSum(base=5, digits=3, prompts=1, verifier="chain", seed=31)
    right = np.append(chain.sums[0], chain.sums[0, -1])
    guessed = right.copy()
    guessed[1] = (guessed[1] + 1) % chain.base
    answers = np.stack([right, guessed])
    batch = PromptBandit()
    every = [batch.levels(batch.theta, prompt, covariances=None) for prompt in range(batch.prompts)]
    toy, means = GaussianBandit(), np.linspace(0.4, 1.25, 86)
    bandit = SparseBandit(within="zipf")
    return Scene(
        maze=maze,
        visits=maze.occupancy(found),
        reached={cell: chances[worth] for cell, worth in maze.goals.items()},
        lock=lock,
        turned=softmax(part_trained(lock, 0.02)),
        chain=chain,
        answers=answers,
        verdicts=chain.verify(0, answers),
        bandit=bandit,
        pulled=np.exp(bandit.theta),
        batch=batch,
        pass_at_k=np.array([ml.max_at_k(levels, K) for levels in every]),
        toy=toy,
        means=means,
        values={k: np.array([toy.max_at_k([mean], k) for mean in means]) for k in VALUED_K},
    )


def part_trained(specimen: TabularSpecimen, share: float) -> Float:
    """Logits on the way up max@K, by exact gradient, once the best reward has probability ``share``."""
    theta = specimen.theta
    while specimen.levels(theta, covariances=None).probabilities[-1] < share:
        gradient = specimen.max_at_k_gradient(theta, K)
        theta = theta + 0.1 * gradient / np.abs(gradient).max()
    return theta
