"""RolloutSampler: whole first episodes, replayed step by step; their law, their scores, their seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from gymnasium.vector import AutoresetMode
from scipy import stats
from torch import nn

import maxpo_lab as ml
from envs import CombinationLock
from envs.networks import rollouts
from envs.networks.architectures import initialise
from envs.networks.rollouts import RolloutSampler
from examples import cartpole


class Walk(gymnasium.Env[np.ndarray, np.int64]):
    """Left or right from a start; ends at -2 or 2; each step pays where it leads to. Actions are 5 and 6."""

    observation_space = gymnasium.spaces.Box(-99.0, 99.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2, start=5)

    def __init__(self, spread: int = 0) -> None:
        self.spread = spread

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(-self.spread, self.spread + 1))
        return np.array([self.at, 1.0], dtype=np.float32), {}

    def step(self, action: np.int64) -> Any:
        assert self.action_space.contains(action)
        self.at += 1 if action == 6 else -1
        return np.array([self.at, 1.0], dtype=np.float32), float(self.at), abs(self.at) == 2, False, {}


@pytest.fixture(scope="module", autouse=True)
def walk() -> Iterator[None]:
    gymnasium.register("test/Walk-v0", Walk, max_episode_steps=5, disable_env_checker=True)
    yield
    del gymnasium.registry["test/Walk-v0"]


def perceptron(observed: int, actions: int, seed: int = 0) -> nn.Sequential:
    module = nn.Sequential(nn.Linear(observed, 6), nn.Tanh(), nn.Linear(6, actions))
    initialise(module, torch.Generator().manual_seed(seed))
    return module


def cartpoles(device: str = "cpu", **settings: Any) -> RolloutSampler:
    return RolloutSampler("CartPole-v1", perceptron(4, 2), device=device, **{"horizon": 30, **settings})


def walks(**settings: Any) -> RolloutSampler:
    return RolloutSampler("test/Walk-v0", perceptron(2, 2), **{"horizon": 4, "spread": 1, **settings})


def drawn(sampler: RolloutSampler, groups: int = 4, n: int = 3, seed: int = 0) -> Any:
    return sampler(groups, n, generator=torch.Generator(sampler.device).manual_seed(seed))


def episodes(scores: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Observations and actions of the steps of each rollout."""
    flat = [part.flatten(0, 1).cpu().numpy() for part in scores.rollouts]
    for observations, actions, taken in zip(*flat, strict=True):
        length = int(taken.sum())
        assert taken[:length].all()
        yield observations[:length], actions[:length]


# What an episode is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [1024, 5], ids=["at once", "in batches"])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_episodes_replay_in_a_single_environment(copies: int, mode: AutoresetMode) -> None:
    sampler = walks(copies=copies, horizon=9, vector_kwargs={"autoreset_mode": mode})
    returns, scores = drawn(sampler, 20, 3)
    env = gymnasium.make("test/Walk-v0", spread=1)
    lengths = []
    for total, (observations, actions) in zip(returns.flatten(), episodes(scores), strict=True):
        env.reset()
        env.unwrapped.at = int(observations[0, 0])
        paid, ended = 0.0, False
        for t, action in enumerate(actions):
            assert not ended
            assert observations[t, 0] == env.unwrapped.at
            _, reward, terminated, truncated, _ = env.step(action + 5)
            paid, ended = paid + reward, terminated or truncated
        assert ended
        assert paid == total
        lengths.append(len(actions))
    assert set(lengths) > {2, 5}  # both ends by themselves and at the environment's own limit


def test_the_way_of_resetting_changes_nothing() -> None:
    """A rollout is a first episode: what follows it must not matter."""
    modes = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)
    found = [drawn(walks(vector_kwargs={"autoreset_mode": mode})) for mode in modes]
    assert torch.equal(found[0][0], found[1][0])
    pairs = zip(episodes(found[0][1]), episodes(found[1][1]), strict=True)
    assert all((a == b).all() for one, other in pairs for a, b in zip(one, other, strict=True))


def test_cartpole_pays_one_a_step_and_obeys_its_physics() -> None:
    returns, scores = drawn(cartpoles())
    env = gymnasium.make("CartPole-v1")
    for total, (observations, actions) in zip(returns.flatten(), episodes(scores), strict=True):
        assert total == len(actions)
        env.reset()
        env.unwrapped.state = observations[0]
        for seen, action in zip(observations, actions, strict=True):
            # Started from 32-bit observations, whose errors of 1e-7 grow by a little a step.
            np.testing.assert_allclose(env.unwrapped.state, seen, atol=1e-4)
            _, _, ended, _, _ = env.step(action)
        assert ended or total == 30
    assert 8 <= returns.min() < returns.max() <= 30


def test_horizon_cuts_and_steps_after_the_end_do_not_count() -> None:
    returns, scores = drawn(cartpoles(horizon=3))
    assert (returns == 3).all()
    assert scores.rollouts[1].shape == (4, 3, 3)
    _, scores = drawn(walks())
    taken = scores.rollouts[2]
    assert taken[..., 0].all()
    assert not taken.all()
    observations, actions = scores.rollouts[:2]
    changed = (torch.where(taken[..., None], observations, -3.0), torch.where(taken, actions, 1), taken)
    theta = scores.theta
    for part, other in zip(scores.rollouts, changed, strict=True):
        assert part.shape == other.shape
    same = scores.log_probability(theta, *(part.flatten(0, 1) for part in changed))
    assert torch.equal(same, scores.log_probability(theta, *(part.flatten(0, 1) for part in scores.rollouts)))


# Laws --------------------------------------------------------------------------------------------------


def law(policy: nn.Module, horizon: int) -> dict[float, float]:
    """Probabilities of the returns of a walk from 0, over all words of actions."""
    found: dict[float, float] = {}
    for word in itertools.product((0, 1), repeat=horizon):
        at, paid, chance, ended = 0, 0.0, 1.0, False
        for action in word:
            if ended:
                chance *= 0.5  # the rest of the word is not played: each of its words counts for a share
                continue
            logits = policy(torch.tensor([[at, 1.0]], dtype=torch.float64))[0]
            chance *= float(torch.softmax(logits.detach(), dim=0)[action])
            at += 1 if action else -1
            paid, ended = paid + at, abs(at) == 2
        found[paid] = found.get(paid, 0.0) + chance
    return found


def surprise(copies: int) -> float:
    """p-value of Pearson's test of 6,000 returns against their law."""
    policy = perceptron(2, 2)
    expected = law(policy, 4)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-14)
    returns, _ = drawn(RolloutSampler("test/Walk-v0", policy, horizon=4, copies=copies), 2000, 3, seed=4)
    values, chance = (np.array(part) for part in zip(*sorted(expected.items()), strict=True))
    counts = (returns.numpy().reshape(-1, 1) == values).sum(axis=0)
    assert counts.sum() == 6000
    assert (6000 * chance).min() > 5
    return float(stats.chi2.sf(((counts - 6000 * chance) ** 2 / (6000 * chance)).sum(), len(values) - 1))


@pytest.mark.parametrize("copies", [6000, 700])
def test_returns_have_their_law(copies: int) -> None:
    assert surprise(copies) > 1e-6  # the false alarm rate


def test_returns_of_a_lock_are_those_of_its_exact_oracle() -> None:
    lock = CombinationLock(length=3, choices=3, codes=2, credit="prefix")
    theta = np.random.default_rng(0).normal(size=lock.theta.shape)
    levels = lock.levels(theta)
    policy = nn.Embedding.from_pretrained(torch.tensor(theta), freeze=False)
    sampler = RolloutSampler(
        "maxpo/CombinationLock-v0", policy, horizon=3, length=3, choices=3, codes=2, credit="prefix"
    )
    returns, scores = drawn(sampler, 1000, 8)
    counts = (returns.numpy().reshape(-1, 1) == levels.values).sum(axis=0)
    assert counts.sum() == 8000
    expected = 8000 * levels.probabilities
    assert expected.min() > 5
    assert stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1) > 1e-6
    # The score at a wheel is the choice made there less the policy, whichever way it is computed.
    _, actions, _ = scores.rollouts
    chosen = nn.functional.one_hot(actions, 3) - torch.softmax(torch.tensor(theta), dim=-1)
    torch.testing.assert_close(scores.explicit(), chosen.flatten(2), rtol=0, atol=1e-14)


def test_a_sampler_that_is_too_sure_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = rollouts.draw
    monkeypatch.setattr(rollouts, "draw", lambda logits, uniform: original(1.3 * logits, uniform))
    assert surprise(6000) < 1e-6


def test_starts_are_drawn_anew_for_each_rollout() -> None:
    for sampler in (walks(spread=9, horizon=1), cartpoles(copies=5)):
        _, scores = drawn(sampler, 8, 8)
        starts = scores.rollouts[0][:, :, 0].flatten(0, 1)
        # 64 uniform draws from 19 starts leave out more than 9 with a probability below 1e-6.
        assert len(starts.unique(dim=0)) >= 10


# Scores ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_log_probability_and_scores_equal_a_recomputation_step_by_step(device: str) -> None:
    policy = perceptron(4, 2)
    sampler = RolloutSampler("CartPole-v1", policy, horizon=20, device=device)
    assert (sampler.device.type, sampler.parameters) == (device, 6 * 4 + 6 + 2 * 6 + 2)
    _, scores = drawn(sampler)
    logs = scores.log_probability(scores.theta, *(part.flatten(0, 1) for part in scores.rollouts)).cpu()
    explicit = scores.explicit().flatten(0, 1).cpu()
    for found, score, (observations, actions) in zip(logs, explicit, episodes(scores), strict=True):
        log = torch.zeros((), dtype=torch.float64)
        for seen, action in zip(observations, actions, strict=True):
            logits = policy(torch.tensor(seen))
            log = log + logits[action] - torch.logsumexp(logits, dim=0)
        parts = torch.autograd.grad(log, list(policy.parameters()))
        # Sums of at most 20 steps of some 30 products each: 20 30 eps relative to the largest.
        assert float(found) == pytest.approx(float(log.detach()), rel=1e-12)
        expected = torch.cat([part.ravel() for part in parts])
        torch.testing.assert_close(score, expected, rtol=0, atol=1e-12 * float(expected.norm()))


def test_theta_takes_the_place_of_the_modules_parameters() -> None:
    own = cartpoles()
    given = cartpoles(theta=own.theta.numpy())
    other = cartpoles(theta=own.theta.numpy() + 1)
    assert torch.equal(drawn(own)[0], drawn(given)[0])
    assert not torch.equal(drawn(own)[0], drawn(other)[0])


def test_sampled_moments_are_the_same_in_two_threads() -> None:
    settings = {"n": 4, "k": 2, "groups": 1100, "seed": 3}
    names = ["maxpo", "pkpo-loo1"]
    one, two = (ml.monte_carlo_moments(names, walks(), workers=workers, **settings) for workers in (1, 2))
    for name in names:
        np.testing.assert_array_equal(one[name].mean, two[name].mean)
        assert one[name].trace_covariance == two[name].trace_covariance
    assert one["maxpo"].advantage_sum_max < 1e-12 < one["pkpo-loo1"].advantage_sum_max


# Randomness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [cartpoles, walks])
def test_all_randomness_comes_from_the_generator(make: Any) -> None:
    sampler = make()
    first, scores = drawn(sampler, 16)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - what must not matter
    again, same = drawn(sampler, 16)
    assert torch.equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(scores.rollouts, same.rollouts, strict=True))
    assert not torch.equal(first, drawn(sampler, 16, seed=1)[0])
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(first, sampler(16, 3, generator=generator)[0])
    assert not torch.equal(first, sampler(16, 3, generator=generator)[0])


def test_settings_reach_the_environment() -> None:
    assert float(drawn(walks(spread=0))[1].rollouts[0][..., 0, 0].abs().max()) == 0
    with pytest.raises(TypeError, match="length"):
        walks(length=3)


# Bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "settings", "error", "message"),
    [
        ("CartPole-v1", {"horizon": 0}, ValueError, "horizon=0"),
        ("CartPole-v1", {"horizon": 2.5}, TypeError, "horizon=2.5"),
        ("CartPole-v1", {"copies": 0}, ValueError, "copies=0"),
        ("CartPole-v1", {"device": "gpu"}, ValueError, "device='gpu': this machine has cpu"),
        ("CartPole-v1", {"theta": np.zeros(3)}, ValueError, r"theta has shape \(3,\): .*\(44,\)"),
        ("CartPole-v1", {"theta": np.full(44, np.inf)}, ValueError, "finite"),
        ("CartPole-v1", {"policy": perceptron(4, 3)}, ValueError, r"\(1, 3\) for .*expected \(1, 2\)"),
        ("CartPole-v1", {"policy": torch.tanh}, TypeError, "torch.nn.Module"),
        ("Pendulum-v1", {}, TypeError, "Pendulum-v1 has actions Box"),
        ("Blackjack-v1", {}, TypeError, "Blackjack-v1 has observations Tuple"),
        (
            "test/Walk-v0",
            {"vector_kwargs": {"autoreset_mode": AutoresetMode.DISABLED}},
            ValueError,
            "does not reset by itself",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    env_id: str, settings: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        RolloutSampler(env_id, **{"policy": perceptron(4, 2), "horizon": 5} | settings)


def test_torchs_global_stream_is_refused() -> None:
    with pytest.raises(TypeError, match="generator=None is a NoneType"):
        walks()(2, 2, generator=None)


def test_a_return_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walk, "step", lambda *_: (np.zeros(2, np.float32), -np.inf, False, False, {}))
    with pytest.raises(ValueError, match="test/Walk-v0 gave a return that is not finite"):
        drawn(walks())


# The example -------------------------------------------------------------------------------------------


def test_the_example_prints_every_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(cartpole, "GROUPS", 32)
    cartpole.main()
    printed = capsys.readouterr().out
    assert all(f" {rule} " in printed for rule in cartpole.RULES)
    assert "±" in printed
