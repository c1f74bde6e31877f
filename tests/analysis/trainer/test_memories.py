"""An arm that replays: one memory a seed, and what it learns with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from analysis.studies.learning.design import (
    GROUPS,
    TASKS,
    evaluation_points,
    starting_point,
)
from analysis.trainer import SGD, Arm, train, world_of
from analysis.trainer.memories import Memories
from envs import PromptBandit
from maxpo_lab.integrations.schedules import KSteps
from maxpo_lab.memory.replay import Replay


@pytest.mark.parametrize("settings", [{}, {"weight": "fair"}, {"half_life": 3.0, "keep": 20}], ids=str)
def test_memories_are_a_replay_for_each_seed(settings: dict) -> None:
    """In float64, whose products are summed in another order."""
    rng = np.random.default_rng(0)
    together, apart = Memories(Replay(2, **settings)), [Replay(2, **settings) for _ in range(3)]
    for step in range(6):
        prompts = torch.tensor(rng.integers(0, 4, (3, 5)))
        rewards = torch.tensor(rng.integers(0, 3, (3, 5, 8)) / 2)
        k = 2 + step // 4
        found = together(rewards, prompts, k)
        wanted = [one.advantages(*pair, k=k) for one, *pair in zip(apart, rewards, prompts, strict=True)]
        torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-12)
        assert found.any()


def arm(rule: object, step_size: float = 4.0) -> Arm:
    return Arm(rule=rule, step_size=step_size, schedule=KSteps({0: 2}))  # type: ignore[arg-type]


def test_training_by_a_memory_does_not_depend_on_the_arms_and_seeds_beside_it() -> None:
    world = world_of(PromptBandit(prompts=3, arms=5, good=2, hardest=0.1, easiest=0.4))
    settings = {"n": 4, "groups": 4, "steps": 12, "optimiser": SGD(), "evaluate_k": 2, "points": (0, 6, 12)}
    memory = Replay(2)
    both = train(world, [arm("maxpo"), arm(memory), arm(memory)], seeds=[3, 7], **settings)
    alone = train(world, [arm(memory)], seeds=[7], **settings)
    np.testing.assert_allclose(both.objective[1, 1:], alone.objective[0], rtol=0, atol=1e-12)
    assert np.array_equal(both.objective[1], both.objective[2])
    assert not np.allclose(both.objective[0, :, -1], both.objective[1, :, -1], rtol=0, atol=1e-6)
    assert memory.step == 0, "an arm has a memory of its own"


def test_a_memory_that_cannot_be_trained_with_is_refused() -> None:
    world = world_of(PromptBandit(prompts=2, arms=4, good=1, hardest=0.1, easiest=0.4))
    settings = {"groups": 2, "steps": 1, "optimiser": SGD(), "evaluate_k": 2, "points": (0, 1), "seeds": [0]}
    with pytest.raises(ValueError, match="seeds would learn from each other"):
        train(world, [arm(Replay(2, weight="others"))], n=4, **settings)
    with pytest.raises(ValueError, match="k=2"):
        train(world, [arm(Replay(2))], n=1, **settings)


#: Step sizes from where nothing is learned to where the task is solved within a few steps.
SIZES = {"bandit, many correct": (4.0, 8.0, 16.0, 32.0, 64.0), "prompts": (16.0, 32.0, 64.0, 128.0, 256.0)}
#: Student's t at 95%, one-sided, of 64 pairs.
T95 = 1.6694


@pytest.mark.integration
@pytest.mark.parametrize("name", SIZES)
def test_replay_learns_no_worse_than_maxpo_where_many_answers_are_right(name: str) -> None:
    """The one-sided 95% bound of the difference of areas, 64 paired seeds, is above -1% of the optimum."""
    specimen, theta = starting_point(name)
    world, steps = world_of(specimen, theta), TASKS[name].steps
    for size in SIZES[name]:
        rules = [Arm(rule=rule, step_size=size, schedule=KSteps({0: 4})) for rule in ("maxpo", ml.Replay(4))]
        trace = train(
            world,
            rules,
            n=16,
            groups=GROUPS,
            steps=steps,
            seeds=range(64),
            optimiser=SGD(),
            evaluate_k=4,
            points=evaluation_points(steps),
        )
        plain, replay = trace.area()
        apart = replay - plain
        bound = apart.mean() - T95 * apart.std(ddof=1) / 8
        assert bound > -0.01 * world.optimum, (size, plain.mean(), apart.mean(), bound)
