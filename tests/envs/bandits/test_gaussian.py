"""GaussianBandit: quadrature against closed forms, other quadrature, differences and samples."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from checks import OBJECTIVE_SIZE, REAL, objective_size, valid_k
from scipy import stats

import maxpo_lab as ml
from envs import GaussianBandit

PLACES = [(0.1, 0.5), (0.1, 1.2), (0.1, -0.3), (0.02, 0.95), (2.0, 0.0)]


def mean_reward(sigma: float, mean: float) -> float:
    """``E[x^2; 0 <= x <= 1]``, from the moments of a truncated normal law."""
    law = stats.truncnorm(-mean / sigma, (1 - mean) / sigma, loc=mean, scale=sigma)
    inside = stats.norm.cdf((1 - mean) / sigma) - stats.norm.cdf(-mean / sigma)
    return float(inside * (law.var() + law.mean() ** 2))


@pytest.mark.parametrize(("sigma", "mean"), PLACES)
def test_mean_reward_has_a_closed_form(sigma: float, mean: float) -> None:
    bandit = GaussianBandit(sigma, mean)
    # truncnorm takes its moments from differences: 1e-8 relative far in its tail.
    assert bandit.max_at_k(bandit.theta, 1) == pytest.approx(mean_reward(sigma, mean), rel=1e-7)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize(("sigma", "mean"), PLACES)
def test_objective_equals_an_integral_over_the_best_action(sigma: float, mean: float, k: int) -> None:
    """Over the law of the best of K rewards itself, by a plain sum over a grid: no parts, no panels."""
    bandit = GaussianBandit(sigma, mean)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    panels = np.arange(200)[:, None]
    x, weights = ((panels + (nodes + 1) / 2) / 200).ravel(), np.tile(weights / 400, 200)
    law = stats.norm(mean, sigma)
    miss = law.cdf(x) + law.sf(1.0)
    density = k * miss ** (k - 1) * law.pdf(x)
    # 20 nodes on a quarter of the least sigma, or less: nothing but rounding, of sums of K powers.
    assert bandit.max_at_k(bandit.theta, k) == pytest.approx(weights @ (x**2 * density), rel=1e-10)
    slope = -law.pdf(x) + law.pdf(1.0)  # of miss, in the mean
    falling = -weights @ (2 * x * k * miss ** (k - 1) * slope)
    size = weights @ (2 * x * k * miss ** (k - 1) * (law.pdf(x) + law.pdf(1.0)))
    assert bandit.max_at_k_gradient(bandit.theta, k)[0] == pytest.approx(falling, abs=1e-10 * size)


@pytest.mark.parametrize("k", [1, 2, 16, 1000])
@pytest.mark.parametrize(("sigma", "mean"), PLACES)
def test_gradient_equals_differences(sigma: float, mean: float, k: int) -> None:
    bandit = GaussianBandit(sigma, mean)
    step = 1e-3 * sigma
    up, down, up2, down2 = (bandit.max_at_k([mean + j * step], k) for j in (1, -1, 2, -2))
    difference = (8 * (up - down) - (up2 - down2)) / (12 * step)
    # Five points: an error of step^4 J^(5) / 30, where each derivative brings at most 10 / sigma for these K
    # (a quantile of 1 / K), 1e5 1e-12 / 30; and the promised 1e-10 of J over the step, 3e-7.
    size = bandit.max_at_k(bandit.theta, k) / sigma
    assert bandit.max_at_k_gradient(bandit.theta, k)[0] == pytest.approx(difference, abs=4e-7 * size)


def test_the_best_mean_takes_more_risk_as_k_grows() -> None:
    bandit = GaussianBandit()
    means = np.linspace(0.5, 1.2, 71)
    best = [means[np.argmax([bandit.max_at_k([mean], k) for mean in means])] for k in (1, 2, 4, 16, 64)]
    np.testing.assert_allclose(best, [0.86, 0.90, 0.94, 0.99, 1.00], rtol=0, atol=1e-12)
    slopes = [bandit.max_at_k_gradient([0.95], k)[0] for k in (1, 2, 4, 16, 64)]
    assert [slope > 0 for slope in slopes] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("sigma", "mean"), [(1e-6, 0.5), (1e-6, 1 + 3e-6), (1e3, -5.0), (0.1, -2.9), (0.1, 40.0)]
)
def test_extreme_policies_keep_their_accuracy_or_say_so(sigma: float, mean: float) -> None:
    bandit = GaussianBandit(sigma, mean)
    value = bandit.max_at_k(bandit.theta, 4)
    assert 0 <= value <= 1
    assert np.isfinite(bandit.max_at_k_gradient(bandit.theta, 4)).all()


def test_quadrature_that_cannot_reach_its_accuracy_says_so() -> None:
    bandit = GaussianBandit(1e-6, 1.0)
    with pytest.raises(RuntimeError, match="relative 1e-10"):
        bandit.max_at_k_gradient([1.0], 10**6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mean", [0.5, 1.05])
def test_samples_have_the_oracles_objective_and_gradient(device: str, mean: float) -> None:
    bandit = GaussianBandit(mean=mean)
    k, groups = 4, 100_000
    generator = torch.Generator(device).manual_seed(11)
    rewards, scores = bandit.sampler([mean], device)(groups, k, generator=generator)
    best = rewards.max(dim=1, keepdim=True).values
    terms = scores.weighted_sum(best.expand(-1, k))[:, 0]  # best-of-K times the sum of its scores
    # Two means in two places, a false alarm rate of 1e-6 for all four: 5.2 standard errors each.
    error = best.std() / groups**0.5
    assert abs(best.mean() - bandit.max_at_k([mean], k)) <= 5.2 * error
    assert abs(terms.mean() - bandit.max_at_k_gradient([mean], k)[0]) <= 5.2 * terms.std() / groups**0.5


def test_rules_that_claim_to_be_unbiased_have_the_scale_of_the_quadrature() -> None:
    """The only continuous rewards, and an oracle of another kind: 5 standard errors for each rule."""
    bandit, n, k = GaussianBandit(mean=0.7), 8, 3
    sampler, sizes = bandit.sampler(bandit.theta), {}
    for name in REAL:
        rule = ml.get_estimator(name)
        if rule.claims.unbiased and rule.objective in OBJECTIVE_SIZE and k in valid_k(name, n):
            sizes.setdefault(objective_size(name, n, k), []).append(name)
    assert sum(map(len, sizes.values())) >= 8
    for size, names in sizes.items():
        gradient = bandit.max_at_k_gradient(bandit.theta, size)
        asked = [*names, "grpo"]
        result = ml.monte_carlo_moments(asked, sampler, n=n, k=k, groups=60_000, seed=size, gradient=gradient)
        for name in names:
            scale = result[name].scale
            assert abs(scale.value - 1) <= 5 * scale.standard_error < 0.1, name
        # Standardised advantages are some other multiple of it.
        scale = result["grpo"].scale
        assert abs(scale.value - 1) > 5 * scale.standard_error


@pytest.mark.parametrize("device", DEVICES)
def test_implicit_scores_equal_explicit_ones(device: str) -> None:
    bandit = GaussianBandit(sigma=0.3)
    sampler = bandit.sampler([0.8], device)
    assert (sampler.device.type, sampler.parameters) == (device, 1)
    generator = torch.Generator(device).manual_seed(0)
    rewards, scores = sampler(6, 5, generator=generator)
    assert rewards.dtype == torch.float64
    advantages = torch.randn(3, 6, 5, dtype=torch.float64, generator=generator, device=device)
    # Where it pays, an action is the root of its reward.
    x, pays = rewards.sqrt(), rewards > 0
    torch.testing.assert_close(scores.scores[pays], ((x - 0.8) / 0.09)[pays], rtol=0, atol=1e-13)
    sums = (advantages * scores.scores).sum(dim=-1)
    close = {"rtol": 1e-13, "atol": 1e-13}
    torch.testing.assert_close(scores.weighted_sum(advantages), sums[..., None], **close)
    torch.testing.assert_close(scores.squared_norm(advantages), sums**2, **close)
    direction = torch.tensor([-2.0], dtype=torch.float64, device=device)
    torch.testing.assert_close(scores.dot(advantages, direction), -2 * sums, **close)
    torch.testing.assert_close(scores.total(advantages), sums.sum(dim=-1, keepdim=True), **close)


def test_episode_and_its_edges() -> None:
    env = gymnasium.make("maxpo/GaussianBandit-v0").unwrapped
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.array([0.5]))
    for action, reward in ((0.0, 0.0), (0.5, 0.25), (1.0, 1.0), (1.0 + 1e-12, 0.0), (-0.5, 0.0)):
        assert env.reset() == (0, {"prompt": 0})
        assert env.step(np.array([action]))[1:4] == (reward, True, False)


def test_vector_form_ends_and_starts_anew() -> None:
    vector = gymnasium.make_vec("maxpo/GaussianBandit-v0", num_envs=2, sigma=0.2)
    with pytest.raises(RuntimeError, match="reset"):
        vector.step(np.zeros((2, 1)))
    vector.reset(seed=1)
    _, rewards, ended, cut, _ = vector.step(np.array([[0.5], [2.0]]))
    np.testing.assert_array_equal(rewards, [0.25, 0.0])
    assert ended.all()
    assert not cut.any()
    _, rewards, ended, _, _ = vector.step(np.array([[0.5], [0.5]]))
    assert not ended.any()
    assert not rewards.any()
    assert vector.step(np.array([[1.0], [0.5]]))[1].tolist() == [1.0, 0.25]


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"sigma": 0.0}, "sigma=0.0"),
        ({"sigma": float("nan")}, "sigma=nan"),
        ({"mean": float("inf")}, "mean=inf"),
        ({"render_mode": "human"}, "render_mode='human'"),
    ],
)
def test_bad_parameters_are_refused(settings: dict, fragment: str) -> None:
    with pytest.raises(ValueError, match=fragment):
        GaussianBandit(**settings)


@pytest.mark.parametrize("settings", [{"sigma": "a"}, {"sigma": True}, {"mean": None}, {"mean": 1j}])
def test_wrong_types_are_refused(settings: dict) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(TypeError, match=f"{name}={value!r} is a .*must be a real number"):
        GaussianBandit(**settings)


def test_bad_requests_are_refused() -> None:
    bandit = GaussianBandit()
    bandit.reset()
    for action in (0.5, np.array([np.nan]), np.zeros(2)):
        with pytest.raises(ValueError, match=r"finite numbers of shape \(1,\)"):
            bandit.step(action)
    with pytest.raises(ValueError, match="prompt=1: GaussianBandit has prompts 0 to 0"):
        bandit.reset(options={"prompt": 1})
    with pytest.raises(ValueError, match=r"options=.*the only one is 'prompt'"):
        bandit.reset(options={"promt": 0})
    with pytest.raises(ValueError, match=r"expected \(1,\)"):
        bandit.max_at_k(0.5, 2)
    with pytest.raises(ValueError, match="k=0"):
        bandit.max_at_k([0.5], 0)
    with pytest.raises(ValueError, match="prompt=1"):
        bandit.sampler([0.5], prompt=1)
    with pytest.raises(ValueError, match="num_envs=0"):
        gymnasium.make_vec("maxpo/GaussianBandit-v0", num_envs=0)
