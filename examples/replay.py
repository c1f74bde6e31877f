"""A training loop with a memory of its prompts, and exactly what the memory buys.

Sixteen prompts of 100 answers each, ten of them right; four come up in a step, with groups of 8, and the loop
climbs max@4 on ``ml.Replay``. In the middle it stops, saves its memory and goes on from it. Early in training
and late, at the policies and with the memory that it has then: how near the variance of a gradient comes to
the least that an unbiased rule can have, and the largest bias of a prompt. Nothing in the table is sampled.

Early many answers are right, and replay is best. Late each prompt has settled on one of them; then only who
looks at the answers does well, as ``answers=`` lets a memory do. Run it from the checkout:

    python -m examples.replay
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import maxpo_lab as ml

PROMPTS, ANSWERS, RIGHT, N, K, BATCH, STEP_SIZE = 16, 100, 10, 8, 4, 4, 3.0
EARLY, LATE = 24, 160

Float = npt.NDArray[np.float64]
REWARDS = (np.arange(ANSWERS) < RIGHT) * 1.0


def step(logits: Float, memory: ml.Replay, rng: np.random.Generator) -> None:
    """Sample groups, ask the memory for advantages, and walk along the gradient, in place."""
    prompts = rng.permutation(PROMPTS)[:BATCH]
    policy = np.exp(logits[prompts])
    policy /= policy.sum(axis=1, keepdims=True)
    answers = np.array([rng.choice(ANSWERS, N, p=row) for row in policy])
    advantages = memory.advantages(REWARDS[answers], prompts, answers=answers)
    # The gradient of log pi(answer) is the answer's indicator less the policy; g = (1/n) sum_i A_i s_i.
    gradient = -advantages.sum(axis=1, keepdims=True) * policy
    for row in range(BATCH):
        np.add.at(gradient[row], answers[row], advantages[row])
    logits[prompts] += STEP_SIZE * gradient / N


def measured(logits: Float, memory: ml.Replay) -> list[str]:
    """Means over the prompts of success and efficiencies, and the largest relative bias, as shown."""
    rows = []
    for prompt in range(PROMPTS):

        def replay(rewards: Float, k: int, prompt: int = prompt) -> Float:
            # Groups of one prompt see one history, which nothing is added to.
            found: Float = memory.advantages(rewards, [prompt] * len(rewards), k=k, remember=False)
            return found

        def choosing(rewards: Float, k: int, prompt: int = prompt) -> Float:
            # The choice is made from earlier answers, so any will do for these.
            same, rollouts = [prompt] * len(rewards), np.zeros(rewards.shape, dtype=int)
            found: Float = memory.advantages(rewards, same, answers=rollouts, k=k, remember=False)
            return found

        levels = ml.RewardLevels.from_softmax(logits[prompt], REWARDS)
        floor = ml.variance_floor(levels, n=N, k=K)
        moments = [ml.exact_moments(rule, levels, n=N, k=K) for rule in ("maxpo", replay, choosing)]
        bias = max(each.relative_bias for each in moments)
        rows.append([levels.probabilities[-1], *(each.efficiency(floor) for each in moments), bias])
    table = np.array(rows)
    return [*(f"{each:.2f}" for each in table[:, :-1].mean(axis=0)), f"{table[:, -1].max():.0e}"]


def main() -> None:
    """Train, save, resume, and measure."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(PROMPTS, ANSWERS))
    memory = ml.Replay(K, keep=64, half_life=40)
    table = Table("steps", "success", "maxpo", "replay", "replay, answers", "largest bias", box=None)
    for number in range(LATE + 1):
        if number in (EARLY, LATE):
            table.add_row(str(number), *measured(logits, memory))
        if number == LATE // 2:
            state = memory.state_dict()  # of NumPy arrays: np.savez takes it
            memory = ml.Replay(K, keep=64, half_life=40)
            memory.load_state_dict(state)
        step(logits, memory, rng)
    console = Console(width=100)
    console.print(f"Variance floor over trace covariance, max@{K} of groups of {N}; 1 is the best there is")
    console.print(table)
    console.print({name: round(value, 2) for name, value in memory.metrics.items()})


if __name__ == "__main__":
    main()
