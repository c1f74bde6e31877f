"""The log-linear world against loops over its outcomes, and its sampled gradient against exact moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chi2

import maxpo_lab as ml
from analysis.trainer import EXACT, SGD, Arm, objective, train
from analysis.trainer.linear import LinearWorld
from analysis.trainer.protocol import Uniforms
from maxpo_lab.integrations.schedules import KSteps

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((3, 5, 2))
REWARDS = RNG.choice([0.0, 0.5, 1.0], size=(3, 5))
REWARDS[:, 0] = 1.0
START = np.array([0.3, -0.4])
WORLD = LinearWorld.of(FEATURES, REWARDS, START)


def policy(theta: np.ndarray, prompt: int) -> np.ndarray:
    weight = np.exp([FEATURES[prompt, a] @ theta for a in range(5)])
    return weight / weight.sum()


def test_masses_spread_and_levels_are_those_of_a_loop_over_outcomes() -> None:
    theta = np.array([[START, [1.0, 2.0]]])
    masses, spread = WORLD.measured(torch.tensor(theta))
    assert torch.equal(masses, WORLD.masses(torch.tensor(theta)))
    for seed in range(2):
        entropies, effective = [], []
        for prompt in range(3):
            chance = policy(theta[0, seed], prompt)
            for level, value in enumerate(WORLD.values.tolist()):
                expected = chance[REWARDS[prompt] == value].sum()
                assert masses[0, seed, prompt, level] == pytest.approx(expected, abs=1e-14)
            entropies.append(-np.sum(chance * np.log(chance)))
            right = chance[REWARDS[prompt] == 1.0]
            right /= right.sum()
            effective.append(np.exp(-np.sum(right * np.log(right))))
        assert float(spread.entropy[0, seed]) == pytest.approx(np.mean(entropies), rel=1e-13)
        assert float(spread.diversity[0, seed]) == pytest.approx(np.mean(effective), rel=1e-13)


def test_the_levels_have_the_gradient_of_the_masses() -> None:
    """Independent: autograd through the masses, and the scores' means of the levels."""
    leaf = torch.tensor(START, requires_grad=True)
    value = objective(WORLD.values, WORLD.masses(leaf[None, None]), 3)[0, 0]
    (gradient,) = torch.autograd.grad(value, leaf)
    levels = WORLD.levels(START)
    assert np.mean([ml.max_at_k(each, 3) for each in levels]) == pytest.approx(
        float(value.detach()), rel=1e-13
    )
    assert np.allclose(
        np.mean([ml.max_at_k_gradient(each, 3) for each in levels], axis=0), gradient, atol=1e-14
    )


def test_rollouts_and_gradients_are_those_of_a_loop() -> None:
    theta = torch.tensor(np.array([[START, [1.0, 2.0]], [START, [-1.0, 0.5]]]))
    drawn = WORLD.rollouts(theta, 4, 3, Uniforms([7, 8]))
    again = WORLD.rollouts(theta[:1], 4, 3, Uniforms([7, 8]))
    # Arms of one policy see the same rollouts, whichever other arms there are.
    assert torch.equal(drawn.place[0], again.place[0])
    assert torch.equal(drawn.place[0, 0], drawn.place[1, 0])
    uniforms = Uniforms([7, 8])
    prompts, numbers = (uniforms(4) * 3).long(), uniforms(12)
    advantages = torch.tensor(RNG.standard_normal(drawn.rewards.shape))
    found = drawn.gradient(advantages)
    for arm in range(2):
        for seed in range(2):
            point, total = theta[arm, seed].numpy(), np.zeros(2)
            for group in range(4):
                prompt = int(prompts[seed, group])
                chance = policy(point, prompt)
                for i in range(3):
                    outcome = int(np.searchsorted(np.cumsum(chance), float(numbers[seed, 3 * group + i])))
                    assert drawn.rewards[arm, seed, group, i] == REWARDS[prompt, outcome]
                    score = FEATURES[prompt, outcome] - chance @ FEATURES[prompt]
                    total += float(advantages[arm, seed, group, i]) * score / 12
            assert np.allclose(found[arm, seed], total, atol=1e-14)


def test_tokens_have_the_scores_of_another_policy() -> None:
    theta, later = (torch.tensor(each)[None, None] for each in (START, np.array([1.0, 2.0])))
    drawn = WORLD.rollouts(theta, 4, 3, Uniforms([7]))
    leaf = later.clone().requires_grad_()
    weights = torch.tensor(RNG.standard_normal((1, 1, 4, 3, 1)))
    (expected,) = torch.autograd.grad(
        (WORLD.log_probabilities(leaf, drawn.place)[..., None] * weights).sum(), leaf
    )
    at = drawn.tokens(later)
    assert torch.allclose(at.gradient(weights), expected, atol=1e-13)
    assert torch.allclose(at.logs[..., 0], WORLD.log_probabilities(later, drawn.place), atol=1e-14)
    assert drawn.mask.shape == at.logs.shape


@pytest.mark.parametrize("rule", ["maxpo", "pkpo-loo1"])
def test_sampled_gradients_have_the_exact_mean_and_covariance(rule: str) -> None:
    """Hotelling's statistic of 4,000 steps, and their covariance to five of its standard errors."""
    seeds, groups, n, k = 4000, 2, 4, 2
    found = (
        train(
            WORLD,
            [Arm(rule=rule, step_size=1.0, schedule=KSteps({0: k}))],
            n=n,
            groups=groups,
            steps=1,
            seeds=range(seeds),
            optimiser=SGD(),
            evaluate_k=k,
            points=(0, 1),
            keep=(1,),
        ).theta[1][0]
        - START
    )
    levels = WORLD.levels(START)
    own = [ml.exact_moments(rule, each, n=n, k=k, covariance=True) for each in levels]
    means = np.stack([each.mean for each in own])
    covariance = np.mean([each.covariance for each in own], axis=0) + np.cov(means.T, bias=True)
    covariance /= groups
    apart = found.mean(axis=0) - np.mean([ml.max_at_k_gradient(each, k) for each in levels], axis=0)
    assert seeds * apart @ np.linalg.solve(covariance, apart) < chi2.ppf(1 - 1e-6, 2)
    outer = (found - found.mean(axis=0))[:, :, None] * (found - found.mean(axis=0))[:, None]
    error = outer.std(axis=0) / np.sqrt(seeds)
    assert (np.abs(outer.mean(axis=0) - covariance) < 5 * error).all()


def test_a_step_size_decays_as_it_says() -> None:
    arm = Arm(rule=EXACT, step_size=0.8, schedule=KSteps({0: 2}), decay=0.5)
    kept = train(
        WORLD,
        [arm],
        n=4,
        groups=1,
        steps=3,
        seeds=[0],
        optimiser=SGD(),
        evaluate_k=2,
        points=range(4),
        keep=range(4),
    ).theta
    for step in range(3):
        gradient = np.mean([ml.max_at_k_gradient(each, 2) for each in WORLD.levels(kept[step][0, 0])], axis=0)
        size = 0.8 / (1 + 0.5 * 0.8 * step)
        assert np.allclose(kept[step + 1][0, 0] - kept[step][0, 0], size * gradient, atol=1e-14)


def test_what_cannot_be_a_world_or_an_arm_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rewards and start have shapes .*: expected \(prompts, M, d\)"):
        LinearWorld.of(FEATURES, REWARDS, np.zeros(3))
    start = np.zeros(FEATURES.shape[-1])
    with pytest.raises(ValueError, match=r"rewards hold nan: every number must be finite"):
        LinearWorld.of(FEATURES, REWARDS * np.nan, start)
    with pytest.raises(ValueError, match=r"features hold inf: every number must be finite"):
        LinearWorld.of(FEATURES + np.inf, REWARDS, start)
    with pytest.raises(ValueError, match=r"rewards have shape \(0, .*: give at least one outcome"):
        LinearWorld.of(FEATURES[:0], REWARDS[:0], start)
    with pytest.raises(ValueError, match=r"decay=-1.0: must be 0 or more"):
        Arm(rule="maxpo", step_size=1.0, schedule=KSteps({0: 2}), decay=-1.0)


def test_groups_that_are_replaced_have_the_gradient_of_those_drawn_for_them() -> None:
    """Of the second arm alone; the weights of each group go to the rollouts that are in it."""
    theta = torch.tensor(np.array([[START, [1.0, 2.0]], [START, [-1.0, 0.5]]]))
    first, others = (
        WORLD.rollouts(each, 4, 3, Uniforms([s, s + 1])) for each, s in ((theta, 7), (theta[1:], 9))
    )
    where = torch.tensor([[[True, False, True, False], [False, False, True, True]]])
    found = first.replaced(others, [1], where)
    assert torch.equal(found.rewards[0], first.rewards[0])
    assert torch.equal(found.rewards[1][where[0]], others.rewards[0][where[0]])
    assert not torch.equal(found.prompts[1], found.prompts[0])
    advantages = torch.tensor(RNG.standard_normal(first.rewards.shape))
    gone, came = advantages.clone(), advantages[1:] * where[..., None]
    gone[1:] *= ~where[..., None]
    expected = first.gradient(gone)
    expected[1:] += others.gradient(came)
    assert torch.allclose(found.gradient(advantages), expected, atol=1e-14)
