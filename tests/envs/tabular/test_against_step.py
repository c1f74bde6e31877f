"""Every toy-text world with every option steps as its table says, and one that does not is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import pytest
from toy_text_steps import near_optimal, stepped_by_gymnasium

from envs import check_step, from_gymnasium
from envs.tabular.mdp import TabularMDP
from envs.tabular.toy_text import GymnasiumWorld

OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        ("FrozenLake-v1", {"map_name": size, "is_slippery": slips})
        for size in ("4x4", "8x8")
        for slips in (True, False)
    ),
    ("FrozenLake-v1", {"success_rate": 0.7}),
    ("FrozenLake-v1", {"reward_schedule": (5, -2, 1)}),
    ("CliffWalking-v1", {}),
    ("CliffWalking-v1", {"is_slippery": True}),
    ("CliffWalkingSlippery-v1", {}),
    ("Taxi-v4", {}),
    ("Taxi-v4", {"is_rainy": True, "fickle_passenger": True}),
)
#: Taxi with its options one by one, which take a second each.
MORE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Taxi-v4", {"fickle_passenger": True}),
    ("Taxi-v4", {"is_rainy": True}),
    ("Taxi-v4", {"fickle_passenger": True, "fickle_probability": 1.0}),
    ("Taxi-v4", {"is_rainy": True, "rainy_probability": 0.5}),
)


@pytest.mark.parametrize(
    ("name", "settings"),
    [*OPTIONS, *(pytest.param(*each, marks=pytest.mark.integration) for each in MORE)],
    ids=str,
)
def test_toy_text_worlds_step_by_their_tables(name: str, settings: dict[str, Any]) -> None:
    world = from_gymnasium(name, horizon=6, **settings)
    visits = 1 if name.startswith("Taxi") else 20
    check_step(world.env, world.mdp, visits=visits, steps=4, seed=1)


@pytest.fixture(scope="module")
def plain() -> GymnasiumWorld:
    return from_gymnasium("Taxi-v4", horizon=40)


@pytest.fixture(scope="module")
def theta(plain: GymnasiumWorld) -> np.ndarray:
    return near_optimal(plain)


@pytest.mark.parametrize("chance", [pytest.param(0.3, marks=pytest.mark.integration), 1.0])
def test_a_fickle_passenger_is_in_the_oracle(chance: float, plain: GymnasiumWorld, theta: np.ndarray) -> None:
    """The mean return of a policy that heads for the destination, against the environment's own steps."""
    world = from_gymnasium("Taxi-v4", horizon=40, fickle_passenger=True, fickle_probability=chance)
    exact = world.max_at_k(theta, 1)
    returns = stepped_by_gymnasium(world, theta, 2000, seed=3)
    error = returns.std() / np.sqrt(len(returns))
    assert abs(returns.mean() - exact) <= 4.5 * error
    assert abs(plain.max_at_k(theta, 1) - exact) > 6 * error  # what the table alone says is another number
    assert world.theta.shape == (500, 6)


def test_a_passenger_who_is_never_fickle_is_plain_taxi() -> None:
    plain = from_gymnasium("Taxi-v4", horizon=12)
    never = from_gymnasium("Taxi-v4", horizon=12, fickle_passenger=True, fickle_probability=0.0)
    theta = np.random.default_rng(2).normal(size=plain.theta.shape)
    assert never.max_at_k(theta, 2) == pytest.approx(plain.max_at_k(theta, 2), rel=1e-12)


class Rewards(gymnasium.RewardWrapper[Any, Any]):
    """Twice the reward, and none for the end."""

    def reward(self, reward: Any) -> float:
        return 2 * float(reward) - 1


class Sticky(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The action before is repeated now and then: a state that no observation shows."""

    def step(self, action: Any) -> Any:
        repeated = getattr(self, "last", action) if self.unwrapped.np_random.random() < 0.25 else action
        self.last = action
        return self.env.step(repeated)


class Renamed(gymnasium.ObservationWrapper[Any, Any, Any]):
    """States counted from the other end."""

    def observation(self, observation: Any) -> int:
        return 15 - int(observation)


class Elsewhere(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Episodes start in another state."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        info = self.env.reset(seed=seed, options=options)[1]
        self.unwrapped.s = 14
        return 14, info


class Late(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The fourth step pays one more: a clock that no observation shows."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.taken = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        observed, reward, *rest = self.env.step(action)
        self.taken += 1
        return observed, reward + (self.taken == 4), *rest


class Impatient(Late):
    """Episodes are cut after two steps, by no TimeLimit."""

    def step(self, action: Any) -> Any:
        observed, reward, terminated, _, info = self.env.step(action)
        self.taken += 1
        return observed, reward, terminated, self.taken >= 2, info


def limited(env: Any) -> Any:
    return gymnasium.wrappers.TimeLimit(env, 3)


def halved(env: Any) -> Any:
    return gymnasium.wrappers.TransformAction(env, lambda action: action, gymnasium.spaces.Discrete(2))


def named(wrapper: Any, horizon: int = 5, **settings: Any) -> GymnasiumWorld:
    """The lake in a wrapper, by an id of its own."""
    name = f"maxpo-test/{wrapper.__name__}-v0"
    gymnasium.register(
        id=name, entry_point=lambda **given: wrapper(gymnasium.make("FrozenLake-v1", **settings, **given))
    )
    try:
        return from_gymnasium(name, horizon=horizon)
    finally:
        del gymnasium.registry[name]


@pytest.mark.parametrize(
    ("wrapper", "says"),
    [
        (Rewards, "step led from state .* and P says"),
        (Sticky, "step led from state .* and P says"),
        (Renamed, "reset led to state 15, and the table starts in state 0"),
        (Elsewhere, "reset led to state 14, and the table starts in state 0"),
        (Late, "step led from state .* with reward 1"),
        (Impatient, "step cut the episode after 2 of horizon=5 steps"),
        (limited, "a TimeLimit cuts episodes after 3 steps, before horizon=5: use horizon=3 or less"),
        (halved, r"action_space=Discrete\(2\), and the table's is Discrete\(4\)"),
        (gymnasium.wrappers.FlattenObservation, r"observation_space=Box.*the table's is Discrete\(16\)"),
        (gymnasium.wrappers.NormalizeReward, "step led from state .* and P says"),
    ],
)
def test_wrappers_that_change_the_world_are_refused(wrapper: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"maxpo-test/{wrapper.__name__}-v0: {says}"):
        named(wrapper, is_slippery=wrapper is Late)


def test_a_limit_under_the_horizon_is_seen_though_no_episode_reaches_it() -> None:
    """FrozenLake's own limit of 100 steps, under another wrapper: walks end long before."""
    with pytest.raises(ValueError, match="a TimeLimit cuts episodes after 100 steps, before horizon=300"):
        named(gymnasium.wrappers.RecordEpisodeStatistics, horizon=300)


def test_an_environment_that_goes_on_beyond_the_horizon_is_refused() -> None:
    world = from_gymnasium("FrozenLake-v1", horizon=2)
    with pytest.raises(ValueError, match="step did not cut the episode after 2 of horizon=2 steps"):
        check_step(world.env.unwrapped, world.mdp)


@pytest.mark.parametrize("fickle", [0.3, 1.0])
def test_the_plain_table_of_a_fickle_taxi_is_refused(plain: GymnasiumWorld, fickle: float) -> None:
    """What from_gymnasium took for exact before: the flag is drawn by the reset, seen in no observation."""
    world = from_gymnasium("Taxi-v4", horizon=40, fickle_passenger=True, fickle_probability=fickle)
    with pytest.raises(ValueError, match=r"Taxi-v4: step led from state \d+ by action \d to"):
        check_step(world.env, plain.mdp, visits=1, steps=2)


@pytest.mark.integration
def test_a_passenger_less_fickle_than_the_table_is_seen_over_all_states() -> None:
    """No state alone tells: a few visits to each of some hundred do together."""
    world, said = (
        from_gymnasium("Taxi-v4", horizon=40, fickle_passenger=True, fickle_probability=chance)
        for chance in (0.02, 0.5)
    )
    with pytest.raises(ValueError, match=r"the likeliest outcome.* more often than P says"):
        check_step(world.env, said.mdp, visits=2)


def test_starts_of_another_law_are_refused() -> None:
    world = from_gymnasium("Taxi-v4", horizon=3)
    chances = np.arange(1.0, 301.0) ** 4
    mdp = dataclasses.replace(
        world.mdp, starts=(dict(zip(world.mdp.starts[0], (chances / chances.sum()).tolist(), strict=True)),)
    )
    with pytest.raises(ValueError, match=r"an episode of prompt 0 starts in state \d+ .* often than P says"):
        check_step(world.env, mdp, visits=1)


@pytest.mark.parametrize("name", ["SparseBandit", "PromptBandit", "CombinationLock", "Maze", "ChainSum"])
def test_our_own_environments_step_by_their_tables(name: str) -> None:
    """By their Gymnasium ids: several prompts, states that look alike, no attribute to be put into one."""
    settings: dict[str, Any] = {"prompts": 4, "arms": 20, "good": 2} if name == "PromptBandit" else {}
    env = gymnasium.make(f"maxpo/{name}-v0", **settings)
    mdp = env.unwrapped.mdp
    check_step(env, mdp, visits=3)
    wrong = mdp.reward.copy()
    wrong[(mdp.probability > 0).argmax()] += 1.0
    with pytest.raises(ValueError, match=f"maxpo/{name}-v0: step led from state"):
        check_step(env, dataclasses.replace(mdp, reward=wrong), visits=30)


def test_an_environment_of_several_prompts_names_them() -> None:
    mdp = gymnasium.make("maxpo/PromptBandit-v0", prompts=3, arms=9, good=1).unwrapped.mdp
    env = gymnasium.make("maxpo/PromptBandit-v0", prompts=3, arms=9, good=1)

    class Silent(gymnasium.Wrapper[Any, Any, Any, Any]):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return self.env.reset(seed=seed, options=options)[0], {}

    with pytest.raises(ValueError, match=r"reset names no info\['prompt'\]: the table has prompts 0 to 2"):
        check_step(Silent(env), mdp)


def test_showing_every_try_is_refused() -> None:
    with pytest.raises(ValueError, match=r"render_mode='human'.*'rgb_array'"):
        from_gymnasium("FrozenLake-v1", horizon=3, render_mode="human")


def test_a_wrapper_that_changes_nothing_is_taken() -> None:
    gymnasium.register(
        id="maxpo-test/Counted-v0",
        entry_point=lambda **settings: gymnasium.wrappers.RecordEpisodeStatistics(
            gymnasium.make("FrozenLake-v1", **settings)
        ),
    )
    try:
        counted = from_gymnasium("maxpo-test/Counted-v0", horizon=5)
    finally:
        del gymnasium.registry["maxpo-test/Counted-v0"]
    plain = from_gymnasium("FrozenLake-v1", horizon=5)
    assert counted.max_at_k(counted.theta, 2) == plain.max_at_k(plain.theta, 2)


def test_wrong_chances_are_seen_where_every_outcome_is_possible() -> None:
    """A lake that slips less than the table says: only frequencies tell."""
    world = from_gymnasium("FrozenLake-v1", horizon=5, success_rate=0.6)
    said = from_gymnasium("FrozenLake-v1", horizon=5, success_rate=0.3).mdp
    with pytest.raises(ValueError, match=r"more often than P says|less often than P says"):
        check_step(world.env, said, visits=100)
    check_step(world.env, world.mdp, visits=100)


@pytest.mark.integration
def test_the_check_accepts_true_tables_at_its_rate() -> None:
    world = from_gymnasium("FrozenLake-v1", horizon=5)
    for seed in range(20):
        check_step(world.env, world.mdp, visits=10, seed=seed, false_alarm=1e-3)


def test_our_own_tables_are_taxis() -> None:
    """The augmented table against an unrolling by hand of two steps with the passenger aboard."""
    world = from_gymnasium("Taxi-v4", horizon=6, fickle_passenger=True, fickle_probability=1.0)
    mdp, taxi = world.mdp, world.env.unwrapped
    assert isinstance(mdp, TabularMDP)
    aboard = taxi.encode(2, 2, 4, 1)
    north = [
        (mdp.target[edge], mdp.probability[edge])
        for edge in np.flatnonzero((mdp.source == 500 + aboard) & (mdp.action == 1))
    ]
    assert dict(north) == pytest.approx({taxi.encode(1, 2, 4, other): 1 / 3 for other in (0, 2, 3)})
    at_wall = np.flatnonzero((mdp.source == 500 + taxi.encode(0, 0, 4, 1)) & (mdp.action == 1))
    assert mdp.target[at_wall].tolist() == [500 + taxi.encode(0, 0, 4, 1)]  # no move, no change of mind


@pytest.mark.parametrize(
    ("change", "says"),
    [({"visits": 0}, "visits=0"), ({"steps": 0}, "steps=0"), ({"false_alarm": 1.0}, "false_alarm=1.0")],
)
def test_bad_settings_are_named(change: dict[str, Any], says: str) -> None:
    world = from_gymnasium("FrozenLake-v1", horizon=3)
    with pytest.raises(ValueError, match=says):
        check_step(world.env, world.mdp, **change)


def test_numpy_integers_are_horizons() -> None:
    assert from_gymnasium("FrozenLake-v1", horizon=np.int64(5)).horizon == 5
    with pytest.raises(TypeError, match="horizon=True"):
        from_gymnasium("FrozenLake-v1", horizon=True)
