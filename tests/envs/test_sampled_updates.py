"""Specimens whose rollouts are drawn for updates: tabular worlds, a network, a continuous bandit."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.losses import off_policy_advantages

torch = pytest.importorskip("torch")

from envs.networks.architectures import Transformer, TransformerConfig  # noqa: E402
from envs.networks.sequence import SequencePolicy  # noqa: E402
from envs.tabular.enumeration import drawn_episodes  # noqa: E402

#: A false alarm in 1e4 of a normal.
FAR = 4.0
WORLDS: dict[str, dict[str, Any]] = {
    "CombinationLock": {"length": 3, "choices": 3, "credit": "prefix"},
    "ChainSum": {"base": 2, "digits": 3, "credit": 0.3, "prompts": 1},
    "Maze": {"layout": "####\n#1S#\n#.G#\n####", "slip": 0.2, "horizon": 3},
    "SparseBandit": {"arms": 9, "good": 4, "grades": (0.25, 0.5, 1.0)},
}


def made(name: str, **settings: Any) -> Any:
    return gymnasium.make(f"maxpo/{name}-v0", **settings).unwrapped


def moved(specimen: Any, seed: int = 0, spread: float = 0.3) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    theta = specimen.theta + 0.4 * rng.normal(size=specimen.theta.shape)
    names = ("behaviour", "proximal", "reference")
    return theta, {name: theta + spread * rng.normal(size=theta.shape) for name in names}


def far(found: ml.SampledUpdates, truth: ml.UpdateMoments) -> float:
    own = found[found.names[0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.abs(own.mean - truth.mean) / own.mean_standard_errors
    close = np.isclose(own.mean, truth.mean, rtol=1e-9, atol=1e-15)
    trace = own.trace_covariance
    off = abs(trace.value - truth.trace_covariance) / trace.standard_error
    return max(float(np.where(close, 0.0, mean).max()), off)


@pytest.mark.parametrize("name", WORLDS)
def test_episodes_that_are_drawn_have_the_moments_of_those_listed(name: str) -> None:
    """Losses of tokens, and of whole rollouts, which decisions do not tell exactly."""
    world = made(name, **WORLDS[name])
    theta, beside = moved(world)
    listed, decided = world.outcomes(theta, **beside), world.decisions(theta, **beside)
    for loss in ("ppo:over=token-mean", "gspo", "kl", "sequence-mean"):
        found = ml.monte_carlo_updates("maxpo", loss, decided, n=4, k=2, updates=4000, seed=1)
        assert far(found, ml.update_moments("maxpo", loss, listed, n=4, k=2)) < FAR, loss
        assert found.alive.value == pytest.approx(
            ml.update_moments("maxpo", loss, listed, n=4, k=2).alive, abs=FAR * found.alive.standard_error
        )


@pytest.mark.parametrize("name", WORLDS)
def test_episodes_come_up_as_often_as_they_should(name: str) -> None:
    world = made(name, **WORLDS[name])
    theta, _ = moved(world)
    outcomes = world.outcomes(theta)
    decided = world.decisions(theta)
    size = 20_000
    drawn = drawn_episodes(decided.unrolled, decided.policy, np.random.default_rng(0), size)
    longest = outcomes.probabilities.shape[1]
    assert drawn.shape == (size, len(decided.unrolled.layers) + 1)
    tokens, rewards = decided.tokens(drawn), decided.rewards(drawn)
    for value in np.unique(outcomes.rewards):
        for length in range(1, longest + 1):
            chance = float(outcomes.drawn[(outcomes.rewards == value) & (outcomes.counts == length)].sum())
            share = float(np.mean((rewards == value) & (tokens.lengths == length)))
            assert abs(share - chance) <= FAR * np.sqrt(chance * (1 - chance) / size) + 1e-15


def test_a_long_maze_is_sampled_where_decisions_are_exact() -> None:
    world = made("Maze", layout="####\n#1S#\n#.G#\n####", slip=0.2, horizon=40)
    theta, beside = moved(world, spread=0.1)
    policy = world.decisions(theta, **beside)
    exact = ml.update_moments("maxpo", "dual-clip:over=group-token-mean", policy, n=4, k=2)
    found = ml.monte_carlo_updates(
        "maxpo", "dual-clip:over=group-token-mean", policy, n=4, k=2, updates=3000, seed=0
    )
    assert far(found, exact) < FAR
    assert np.allclose(found.gradient, exact.gradient, rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match=r"decisions alone\s+do not tell.*monte_carlo_updates"):
        ml.update_moments("maxpo", "gspo", policy, n=4, k=2)
    with pytest.raises(ValueError, match="monte_carlo_updates"):
        ml.update_moments(ml.ratio_rule(off_policy_advantages), "off-policy", policy, n=4, k=2)
    ml.monte_carlo_updates("maxpo", "gspo", policy, n=4, k=2, updates=64, seed=0)


class Rising:
    """Three of four tokens: rising pays 1, ending above the start half."""

    vocabulary, length = 4, 3
    prompt_tokens = np.zeros((1, 0), dtype=np.int64)

    def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
        rising = (np.diff(tokens, axis=1) > 0).all(axis=1)
        return np.where(rising, 1.0, 0.5 * (tokens[:, 0] < tokens[:, -1]))


def test_outputs_of_a_network_that_are_drawn() -> None:
    network = Transformer(
        TransformerConfig(vocabulary=4, positions=3, width=4, heads=2), torch.Generator().manual_seed(0)
    )
    specimen = SequencePolicy(Rising(), network)
    theta, beside = moved(specimen, spread=0.1)
    drawn = specimen.rollouts(theta, **beside)
    listed = specimen.outcomes(theta, **beside)
    every = specimen.outputs()

    # To rounding the same as the listed ones, output by output.
    tokens = drawn.tokens(every)
    assert tokens.log_ratios.keys() == listed.log_ratios().keys()
    for name, each in listed.log_ratios().items():
        assert np.allclose(tokens.log_ratios[name], each, rtol=0, atol=1e-12)
    assert np.allclose(tokens.rollout_log_ratios, listed.rollout_log_ratios, rtol=0, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=every.shape)
    sums = np.einsum("ot,otd->od", weights, listed.token_scores).reshape(16, 4, -1).sum(axis=1)
    assert np.allclose(drawn.weighted_scores(every, weights, 4), sums, rtol=0, atol=1e-11)

    gradient = specimen.max_at_k_gradient(theta, 2)
    found = ml.monte_carlo_updates(
        "maxpo", "gspo:low=0.1,high=0.1", drawn, n=4, k=2, updates=600, seed=0, gradient=gradient
    )
    truth = ml.update_moments("maxpo", "gspo:low=0.1,high=0.1", listed, n=4, k=2)
    own = found["maxpo"]
    assert own.scale is not None
    assert abs(own.scale.value - truth.scale) < FAR * own.scale.standard_error
    trace = own.trace_covariance
    assert abs(trace.value - truth.trace_covariance) < FAR * trace.standard_error
    again = ml.monte_carlo_updates(
        "maxpo", "gspo:low=0.1,high=0.1", drawn, n=4, k=2, updates=600, seed=0, gradient=gradient
    )
    assert np.array_equal(again["maxpo"].mean, own.mean)


def test_a_continuous_bandit() -> None:
    """Off-policy max@K is unbiased there too, MaxPO with one ratio is not; a lag of a third of sigma."""
    bandit = made("GaussianBandit", sigma=0.3, mean=0.6)
    theta, k = np.array([0.65]), 3
    policy = bandit.rollouts(theta, behaviour=bandit.theta)
    rule = ml.ratio_rule(off_policy_advantages)
    found = ml.monte_carlo_updates(
        [rule, "maxpo"],
        "off-policy",
        policy,
        n=5,
        k=k,
        updates=40_000,
        seed=0,
        gradient=bandit.max_at_k_gradient(theta, k),
    )
    own, other = (found[name].scale for name in found)
    assert own is not None
    assert other is not None
    assert abs(own.value - 1) < FAR * own.standard_error
    assert abs(other.value - 1) > FAR * other.standard_error
    fresh = bandit.rollouts(theta)
    assert not fresh.tokens(fresh.draw(np.random.default_rng(0), 5)).rollout_log_ratios.any()
