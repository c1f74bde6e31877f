"""Stepping through a process: Gymnasium's contract, many at a time, prompts, ends and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from episode_witness import grid, lock, process, purses
from gymnasium.envs import registration
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from envs.tabular.stepping import TabularEnv, TabularVectorEnv

PROCESSES: dict[str, Callable[[], TabularEnv]] = {
    "lock": lambda: process(lock(3, 3, lapse=0.2), [{0: 1.0}], 5),
    "grid": lambda: process(grid(), [{0: 0.5, 2: 0.5}], 6),
    "purses": lambda: process(purses(), [{0: 1.0}, {1: 0.5, 2: 0.5}], 4),
    "shared observations": lambda: process(
        grid(), [{0: 1.0}, {5: 1.0}, {7: 1.0}], 6, [0, 1, 1, 2, 0, 1, 1, 2, 0]
    ),
}


@pytest.fixture(params=PROCESSES)
def env(request: pytest.FixtureRequest) -> TabularEnv:
    return PROCESSES[request.param]()


def test_passes_gymnasiums_checker_with_warnings_as_errors(
    env: TabularEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "registry", registration.registry.copy())
    gymnasium.register("tests/Tabular-v0", entry_point=TabularEnv)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = gymnasium.make("tests/Tabular-v0", mdp=env.mdp, theta=env.theta)
        check_env(made.unwrapped)


def play(env: TabularEnv, seed: int) -> list[tuple]:
    actions = np.random.default_rng(seed).integers(env.mdp.actions, size=env.horizon)
    observation, info = env.reset(seed=seed)
    seen: list[tuple] = [(observation, info["prompt"])]
    for action in actions:
        step = env.step(action)
        seen.append(step[:4])
        if step[2] or step[3]:
            break
    return seen


def test_same_seed_same_episode(env: TabularEnv) -> None:
    first, again = ([play(env, seed) for seed in range(20)] for _ in range(2))
    assert first == again
    assert len({repr(episode) for episode in first}) > 1


def test_every_step_is_a_transition_of_the_process(env: TabularEnv) -> None:
    mdp, rng = env.mdp, np.random.default_rng(0)
    for _ in range(50):
        _, info = env.reset(seed=int(rng.integers(1 << 30)))
        assert mdp.starts[info["prompt"]][env.state] > 0
        for step in range(1, env.horizon + 1):
            before, action = env.state, rng.integers(mdp.actions)
            observation, reward, terminated, truncated, _ = env.step(action)
            possible = (mdp.source == before) & (mdp.action == action) & (mdp.target == env.state)
            possible &= (mdp.reward == reward) & (mdp.terminated == terminated) & (mdp.probability > 0)
            assert possible.any()
            assert observation == mdp.observation[env.state]
            assert observation in env.observation_space
            assert truncated == (step == env.horizon and not terminated)
            if terminated or truncated:
                break
        with pytest.raises(RuntimeError, match="call reset"):
            env.step(action)


def test_prompts_are_chosen_or_drawn_evenly() -> None:
    env = PROCESSES["shared observations"]()
    for prompt, state in enumerate((0, 5, 7)):
        _, info = env.reset(options={"prompt": prompt})
        assert (info["prompt"], env.state) == (prompt, state)
    draws = 3000
    env.reset(seed=0)
    counts = np.bincount([env.reset()[1]["prompt"] for _ in range(draws)], minlength=3)
    # Three counts, a false alarm of 1e-6 for all together: 5.1 standard errors each.
    assert (abs(counts - draws / 3) <= 5.1 * np.sqrt(draws * 2 / 9)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": 3}, "prompt=3.*prompts 0 to 2"),
        ({"promt": 0}, "the only one is 'prompt'"),
        ({"prompt": 0, "seed": 1}, "the only one is 'prompt'"),
        ({"prompt": None}, "3 prompts"),
    ],
)
def test_other_options_are_refused(options: dict, message: str) -> None:
    env = PROCESSES["shared observations"]()
    for form in (env, TabularVectorEnv(env, 2)):
        with pytest.raises(ValueError, match=message):
            form.reset(options=options)


def test_misuse_is_refused() -> None:
    env = PROCESSES["lock"]()
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(0)
    env.reset()
    for action in (3, -1, 0.5):
        with pytest.raises(ValueError, match=f"action={action}: must be 0 to 2"):
            env.step(action)
    with pytest.raises(ValueError, match="render_mode='human': must be None"):
        TabularEnv(env.mdp, env.theta, "human")
    with pytest.raises(ValueError, match=r"theta has shape \(2, 2\): 4 x 3 finite logits"):
        TabularEnv(env.mdp, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        TabularEnv(env.mdp, np.full((4, 3), np.nan))
    assert not env.theta.flags.writeable


def test_vector_form_refuses_misuse() -> None:
    env = PROCESSES["lock"]()
    with pytest.raises(ValueError, match="num_envs=0: at least one"):
        TabularVectorEnv(env, 0)
    with pytest.raises(TypeError, match=r"num_envs=2\.0 is a float"):
        TabularVectorEnv(env, 2.0)
    vector = TabularVectorEnv(env, 3)
    with pytest.raises(RuntimeError, match="call reset"):
        vector.step(np.zeros(3, dtype=int))
    vector.reset()
    for actions in ([0, 1], [0, 1, 3], [0.0, 1.0, 2.0]):
        with pytest.raises(ValueError, match="must be 3 integers from 0 to 2"):
            vector.step(np.array(actions))


def test_vector_form_starts_anew_at_the_next_step() -> None:
    """A lock of two dials that cannot lapse: what each of three copies sees is known."""
    vector = TabularVectorEnv(process(lock(2, 2), [{0: 1.0}], 3), 3)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, info = vector.reset(seed=0)
    assert observation.tolist() == [0, 0, 0]
    assert observation in vector.observation_space
    assert info["prompt"].tolist() == [0, 0, 0]
    assert info["_prompt"].all()
    # actions; observation, reward, terminated, truncated, started
    expected = [
        ([0, 0, 1], [1, 1, 0], [0, 0, 0], [False] * 3, [False] * 3, None),
        ([1, 0, 1], [2, 0, 0], [1, 0, 0], [True, False, False], [False] * 3, None),
        ([1, 1, 1], [0, 0, 0], [0, 0, 0], [False] * 3, [False, True, True], [True, False, False]),
        ([0, 0, 0], [1, 0, 0], [0, 0, 0], [False] * 3, [False] * 3, [False, True, True]),
        ([1, 0, 1], [2, 1, 0], [1, 0, 0], [True, False, False], [False] * 3, None),
    ]
    for actions, *want, started in expected:
        *got, info = vector.step(np.array(actions))
        assert [array.tolist() for array in got] == want
        assert (None if not info else info["_prompt"].tolist()) == started


def test_vector_form_is_the_single_form_in_law_and_in_seed() -> None:
    """Mean return of uniform actions, to 5 standard errors of the oracle's."""
    for name in ("lock", "grid", "purses"):
        env, size = PROCESSES[name](), 2000
        vector, rng = TabularVectorEnv(env, size), np.random.default_rng([0, 1])
        vector.reset(seed=1, options={"prompt": 0})
        total, over = np.zeros(size), np.zeros(size, dtype=bool)
        for _ in range(env.horizon):
            _, reward, terminated, truncated, _ = vector.step(rng.integers(env.mdp.actions, size=size))
            total += np.where(over, 0.0, reward)
            over |= terminated | truncated
        assert over.all()
        expected = env.levels(env.theta, 0, covariances=None)
        mean = expected.probabilities @ expected.values
        spread = np.sqrt(expected.probabilities @ (expected.values - mean) ** 2)
        assert abs(total.mean() - mean) <= 5 * spread / np.sqrt(size)
        again = TabularVectorEnv(env, size)
        first, second = (form.reset(seed=7)[0].tolist() for form in (vector, again))
        assert first == second
