"""The study of training speed: its exact parts against enumeration, its forecasts against known dynamics."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path as File
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom

import maxpo_lab as ml
from analysis.studies.training_speed import predicted, subjects
from analysis.studies.training_speed.design import LIMIT, REGIMES, cells
from analysis.studies.training_speed.figure import pairs_of
from analysis.studies.training_speed.measured import Curves, at_best, ratio, resampled, times
from analysis.studies.training_speed.path import Noise, Path, noise_at, planted_amount
from analysis.studies.training_speed.predicted import Cloud, Run, forecast, steps_at
from analysis.studies.training_speed.stationary import (
    GROUPS,
    K,
    N,
    closed_form,
    exact_chain,
    opposed,
    steps_of,
)
from analysis.studies.training_speed.subjects import (
    AGAIN,
    LOOPS,
    PLANTED,
    _with,
    noisier,
    others_best,
    remembered,
)
from analysis.studies.training_speed.worlds import Subject
from analysis.trainer import SGD, Adam
from maxpo_lab import rules
from maxpo_lab.moments.exact import moments_under

SMALL = opposed((1.0, 0.7))
SUBJECT = Subject(SMALL, SMALL.levels)
AWAY = np.array([0.4, -0.3])
ROWS = File(__file__).parents[3] / "results" / "training-speed" / "rows.parquet"


# --- the planted rule


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_best_of_the_others_is_that_of_all_their_subsets(k: int) -> None:
    rewards = np.random.default_rng(k).choice([0.0, 0.3, 1.0], size=(20, 5))
    for group, found in zip(rewards, others_best(rewards, k), strict=True):
        for i in range(5):
            others = np.delete(group, i)
            subsets = [max(each) for each in combinations(others, k - 1)] if k > 1 else [0.0]
            assert found[i] == pytest.approx(np.mean(subsets), abs=1e-14)


def test_the_planted_rule_is_unbiased_and_has_the_variance_that_was_asked_for() -> None:
    amount = planted_amount(SUBJECT, "maxpo", 1.25, n=4, k=2)
    start = SMALL.start.numpy()
    trace = {
        rule: np.trace(noise_at(SUBJECT, start, each, n=4, k=2)[1])
        for rule, each in (("maxpo", "maxpo"), (PLANTED, noisier("maxpo", amount)))
    }
    assert trace[PLANTED] == pytest.approx(1.25 * trace["maxpo"], rel=1e-12)
    for theta in (start, AWAY):
        mean = noise_at(SUBJECT, theta, noisier("maxpo", amount), n=4, k=2)[0]
        gradient = np.mean([ml.max_at_k_gradient(each, 2) for each in SMALL.levels(theta)], axis=0)
        assert np.allclose(mean, gradient, atol=1e-14)


def test_a_planted_rule_that_sees_its_own_reward_is_caught() -> None:
    def own(rewards: np.ndarray, k: int) -> np.ndarray:
        return np.asarray(rules.resolve("maxpo", 4, k)(rewards, k)) + 0.3 * k * rewards**2 * (1 - rewards / 2)

    levels = SMALL.levels(AWAY)[0]
    for rule, unbiased in ((noisier("maxpo", 0.3), True), (own, False)):
        mean = ml.exact_moments(rule, levels, n=4, k=2).mean
        assert np.allclose(mean, ml.max_at_k_gradient(levels, 2), atol=1e-12) == unbiased


# --- noise


def test_noise_has_the_trace_of_the_batch_moments() -> None:
    for rule in ("maxpo", "pkpo-loo1", "rloo"):
        moments = ml.batch_moments(rule, SMALL.levels(AWAY), n=4, k=2, batch=1)
        mean, covariance = noise_at(SUBJECT, AWAY, rule, n=4, k=2)
        assert np.trace(covariance) == pytest.approx(moments.trace_covariance, rel=1e-12)
        assert np.allclose(mean, moments.mean, atol=1e-14)


@pytest.mark.parametrize("name", ["replay", "centered-replay"])
def test_two_histories_have_the_second_moment_of_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Advantages are linear in a history's counts, so two counts with its mean and variance tell the same."""
    keep = 6
    monkeypatch.setattr(subjects, "KEEP", keep)
    levels = SMALL.levels(AWAY)[0]
    chances = binom.pmf(np.arange(keep + 1), keep, levels.probabilities[1])

    def second(rule: object) -> np.ndarray:
        (moments,) = moments_under([levels], rule, n=4, k=2, covariance=True)
        return moments.covariance + np.outer(moments.mean, moments.mean)

    every = [second(_with(name, levels.values, np.array([keep - c, c]))) for c in range(keep + 1)]
    two = [second(rule) for rule in remembered(name, levels.probabilities, levels.values)]
    assert np.allclose(np.mean(two, axis=0), np.tensordot(chances, every, axes=1), rtol=1e-10, atol=1e-13)


# --- forecasts


def quadratic(d: int = 2, length: float = 3.0) -> Path:
    """``J = 1 - sum h_i x_i^2 / 2`` along x_1 from its start to 0."""
    rates = np.linspace(0.2, 0.3, d)
    at = np.linspace(length, 0.01, 40)
    theta = np.zeros((40, d))
    theta[:, 0] = at
    return Path(
        theta=theta,
        objective=1 - rates[0] * at**2 / 2,
        length=length - at,
        gradient=-rates * theta,
        curvature=np.broadcast_to(np.diag(rates), (40, d, d)).copy(),
        surface=lambda points: (1 - points**2 @ rates / 2, -rates * points),
    )


def noise(path: Path, covariance: np.ndarray) -> Noise:
    return Noise(path.gradient, np.broadcast_to(covariance, path.curvature.shape).copy())


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_a_forecast_is_exact_where_j_is_a_quadratic(decay: float) -> None:
    """Independent: mean and variance of a linear recursion, one direction at a time."""
    path, first, groups = quadratic(), 0.7, 4
    covariance = np.diag([0.3, 0.5])
    rates, mean, variance = np.array([0.2, 0.3]), np.array([3.0, 0.0]), np.zeros(2)
    values = [1 - 0.2 * 3.0**2 / 2]
    for step in range(60):
        size = first / (1 + decay * first * step)
        mean = (1 - size * rates) * mean
        variance = (1 - size * rates) ** 2 * variance + size**2 * np.diag(covariance) / groups
        values.append(1 - np.sum(rates * (mean**2 + variance)) / 2)
    target = 0.9
    after = next(i for i, value in enumerate(values) if value >= target)
    expected = after - 1 + (target - values[after - 1]) / (values[after] - values[after - 1])
    run = Run(groups=groups, target=target, decay=decay)
    found = steps_at(path, noise(path, covariance), np.array([first]), run)
    assert found.steps[0] == pytest.approx(expected, rel=1e-10)


def test_sigma_points_know_how_j_bends() -> None:
    """``J = cos x`` of a normal x: E J is cos(mean) exp(-v/2), and E g the same of -sin, to O(v^2)."""
    cloud = Cloud(1, SGD(), np.array([[0.4]]), np.array([[[0.01]]]), np.zeros((1, 1)))
    points = cloud.points()[0, :, 0]
    factor = np.exp(-0.005)
    assert np.cos(points).mean() == pytest.approx(np.cos(0.4) * factor, abs=0.01**2 / 8)
    assert np.sin(points).mean() == pytest.approx(np.sin(0.4) * factor, abs=0.01**2 / 8)


def test_sigma_points_have_the_mean_and_the_covariance() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 4, 4))
    law = Cloud(4, SGD(), rng.standard_normal((3, 4)), root @ root.swapaxes(1, 2), np.zeros((3, 4)))
    points = law.points()
    away = points - points.mean(axis=1, keepdims=True)
    assert np.allclose(points.mean(axis=1), law.mean, atol=1e-13)
    assert np.allclose(np.einsum("epi,epj->eij", away, away) / 8, law.covariance, atol=1e-12)


def test_the_cloud_of_adam_is_that_of_many_runs() -> None:
    """Independent: 8,000 runs of torch's Adam on a quadratic, with normal noise in their gradients.

    The forecast takes the running mean of squares at its own mean; here, over 300 steps, that is less than
    the four standard errors that are allowed. A cloud without momentum, or with ten times as much, is caught.
    """
    rates, spread, size, steps, runs = torch.tensor([0.2, 0.3]), torch.tensor([1.5, 0.7]), 0.02, 300, 8_000
    generator = torch.Generator().manual_seed(0)
    theta = torch.tensor([3.0, 0.0]).repeat(runs, 1).requires_grad_()
    optimiser = torch.optim.Adam([theta], lr=size)
    for _ in range(steps):
        theta.grad = rates * theta.detach() + spread * torch.randn(runs, 2, generator=generator)
        optimiser.step()
    mean, variance = theta.detach().mean(dim=0).numpy(), theta.detach().var(dim=0).numpy()
    for beta1, right in ((0.9, True), (0.0, False), (0.99, False)):
        cloud = Cloud.at(np.array([3.0, 0.0]), 1, Adam(beta1=beta1))
        for _ in range(steps):
            points = cloud.points()
            drift = -rates.numpy() * points[..., :2]
            cloud = cloud.moved(points, drift, np.diag(spread.numpy() ** 2)[None], np.array([size]))
        away = np.abs(cloud.mean[0, :2] - mean) / np.sqrt(variance / runs)
        wider = np.abs(np.diag(cloud.covariance[0])[:2] / variance - 1) / np.sqrt(2 / runs)
        assert bool((away < 4).all() and (wider < 4).all()) == right


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_in_the_diffusion_limit_the_ratio_of_times_is_that_of_the_variances(decay: float) -> None:
    path, base = quadratic(), np.diag([2.0, 3.3])
    run = Run(groups=1, target=0.93, decay=decay)
    least = [forecast(path, noise(path, c * base), run).best[1] for c in (1.0, 1.25, 2.0)]
    assert least[1] / least[0] == pytest.approx(1.25, rel=0.04)
    assert least[2] / least[0] == pytest.approx(2.0, rel=0.06)


def test_where_the_signal_curves_the_ratio_is_nearer_to_1() -> None:
    path, base = quadratic(), np.diag([0.3, 0.5])
    ratios = []
    for groups in (1, 8, 1000):
        one, two = (
            forecast(path, noise(path, c * base), Run(groups=groups, target=0.9)).best[1] for c in (1.0, 2.0)
        )
        ratios.append(two / one)
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[2] == pytest.approx(1.0, abs=0.02)


def test_what_stalls_does_not_arrive() -> None:
    """At this step size noise leaves more than is allowed, for ever."""
    path = quadratic()
    run = Run(groups=1, target=0.99)
    assert np.isinf(steps_at(path, noise(path, np.diag([0.3, 0.5])), np.array([1.0]), run).steps[0])


def test_short_steps_taken_together_arrive_little_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step lessens the distance by ``-ln(1 - x)``, x the size by the curvature, m as one by ``-ln(1 - m x)``.

    So they arrive sooner by ``(m - 1) x / 2``, which is at most half of SHORT.
    """
    path, covariance, size = quadratic(), np.diag([0.3, 0.5]), np.array([0.005])
    run = Run(groups=64, target=0.9)
    found = {}
    for short in (predicted.SHORT, 0.0):
        monkeypatch.setattr(predicted, "SHORT", short)
        found[short] = steps_at(path, noise(path, covariance), size, run)
    together, one_by_one = found.values()
    sooner = 1 - together.steps[0] / one_by_one.steps[0]
    assert 0.0 < sooner < max(found) / 2
    assert together.spread[0] == pytest.approx(one_by_one.spread[0], rel=max(found))


def test_step_by_step_and_in_a_bowl_agree_where_steps_are_small() -> None:
    path, covariance = quadratic(), np.diag([0.3, 0.5])
    sizes, target = np.array([0.02]), 0.8
    found = [
        steps_at(path, noise(path, covariance), sizes, Run(groups=64, target=target, bowl=bowl)).steps[0]
        for bowl in (True, False)
    ]
    assert found[0] == pytest.approx(found[1], rel=0.02)


# --- measured times


def curves(best: float, seeds: int, rng: np.random.Generator, spread: float = 0.3) -> Curves:
    """Runs whose mean curves reach 1 at ``1 / (s (1 - s / 2))`` times ``best``, s the size: least at 1."""
    sizes, steps = 2.0 ** np.linspace(-1.25, 0.25, 7), np.linspace(0.0, 3 * best, 61)
    rates = sizes * (2 - sizes) / best
    noises = spread * rng.standard_normal((len(sizes), seeds, 1)) * np.sqrt(steps / best)
    return Curves(sizes, steps, rates[:, None, None] * steps + noises)


def test_a_time_is_where_the_mean_curve_passes_the_target() -> None:
    made = curves(10.0, 4, np.random.default_rng(0), spread=0.0)
    found = times(made, 1.0, np.ones((1, 4)))[0]
    assert np.allclose(found, 10.0 / (made.sizes * (2 - made.sizes)), rtol=1e-12)
    assert np.isinf(times(made, 100.0, np.ones((1, 4)))).all()
    lost = Curves(made.sizes, made.steps, np.where(made.steps > 5, np.nan, made.values))
    assert np.isinf(times(lost, 1.0, np.ones((1, 4)))).all()


def test_the_best_size_and_its_time_are_found() -> None:
    made = curves(10.0, 4, np.random.default_rng(0), spread=0.0)
    time, size = at_best(made, 1.0, np.ones((1, 4)))
    assert time[0] == pytest.approx(10.0, rel=1e-3)
    assert size[0] == pytest.approx(1.0, rel=0.02)


def test_intervals_of_ratios_cover_as_often_as_they_say() -> None:
    """Two independent rules with a true ratio of 1.2, 60 times over: 95 % to four standard errors of it."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(60):
        one, other = (curves(best, 32, rng) for best in (12.0, 10.0))
        found = ratio(
            at_best(one, 1.0, resampled(32, stream=1)[:120])[0],
            at_best(other, 1.0, resampled(32, stream=2)[:120])[0],
        )
        assert found is not None
        covered += found.low <= 1.2 <= found.high
    assert covered / 60 > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 60)


def test_power_is_that_of_the_normal_law() -> None:
    found = ratio(np.exp(np.linspace(-0.1, 0.1, 101)), np.ones(101))
    assert found is not None
    z = NormalDist().inv_cdf
    assert np.log(found.resolvable) == pytest.approx((z(0.975) + z(0.8)) * found.error)
    assert ratio(np.array([np.nan, 1.0]), np.ones(2)) is None
    assert ratio(np.r_[1.0, np.full(10, np.nan)], np.ones(11)) is None


# --- the loss of a constant step size


def test_the_chains_steps_have_the_exact_mean_and_variance() -> None:
    world = opposed((1.0,))
    for rule in ("maxpo", "pkpo-s"):
        for theta in (0.0, 0.7):
            moves, chances = steps_of(rule, np.array([theta]))
            mean, covariance = noise_at(Subject(world, world.levels), np.array([theta]), rule, n=N, k=K)
            assert chances.sum() == pytest.approx(1.0, abs=1e-13)
            assert (moves * chances).sum() == pytest.approx(mean[0], abs=1e-14)
            spread = (moves**2 * chances).sum() - mean[0] ** 2
            assert spread == pytest.approx(covariance[0, 0] / GROUPS, rel=1e-12)


def test_the_chains_law_is_that_of_many_steps() -> None:
    """Independent: a walk of 400 walkers, with steps of the same law."""
    size, rng, walkers = 2.0, np.random.default_rng(0), 400
    theta, kept = np.zeros(walkers), []
    for step in range(100):
        moves, chances = steps_of("maxpo", theta)
        chosen = (chances.cumsum(axis=1) > rng.random((walkers, 1))).argmax(axis=1)
        theta = theta + size * moves[np.arange(walkers), chosen]
        if step >= 40:
            success = 1 / (1 + np.exp(-theta))
            kept.append(((1 - success) ** K + success**K) / 2 - 0.5**K)
    losses = np.mean(kept, axis=0)
    error = losses.std() / np.sqrt(len(losses))
    assert abs(losses.mean() - exact_chain("maxpo", size, scale=0.4)) < 4 * error


@pytest.mark.parametrize("rule", ["maxpo", "pkpo-loo1"])
def test_the_closed_form_is_exact_to_first_order_in_the_step_size(rule: str) -> None:
    world = opposed((1.0,))
    covariance = noise_at(Subject(world, world.levels), np.zeros(1), rule, n=N, k=K)[1] / GROUPS
    curvature = np.array([[0.125]])  # of 1 - ((1-p)^2 + p^2) / 2 at p = 1/2, p' = 1/4
    excess = []
    for share in (0.01, 0.02, 0.04):
        size = share / curvature[0, 0]
        loss = closed_form(curvature, covariance, size)
        excess.append(exact_chain(rule, size, scale=float(np.sqrt(2 * loss / curvature[0, 0]))) / loss - 1)
    assert abs(excess[0]) < 0.005
    assert excess[1] / excess[0] == pytest.approx(2.0, rel=0.1)
    assert excess[2] / excess[1] == pytest.approx(2.0, rel=0.15)


# --- the study


def test_standard_cells_are_among_the_papers() -> None:
    assert set(cells("standard")) < set(cells("paper"))


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    return pairs_of(pd.read_parquet(ROWS))


def test_stored_pairs_say_what_they_could_have_seen(pairs: pd.DataFrame) -> None:
    said = pairs[pairs.realised.notna()]
    assert (said.resolvable > 1).all()
    assert set(pairs[pairs.realised.isna()].note) <= {"target not reached", "not resolved"}
    assert set(pairs.regime) == set(REGIMES)


def test_the_planted_ratio_is_covered_where_variance_rules(pairs: pd.DataFrame) -> None:
    """By the exact ratio at the target under SGD, by the forecast under Adam; and the reference covers 1."""
    limited = pairs[(pairs.noise_share >= LIMIT) & pairs.note.isna() & ~pairs.policy.str.contains("shared")]
    planted, again = (limited[limited.rule == rule] for rule in (PLANTED, AGAIN))
    truth = planted.at_target.where(planted.policy != "Adam", planted.predicted)
    assert len(planted) >= 8
    assert ((planted.low <= truth) & (truth <= planted.high)).all()
    assert ((again.low <= 1) & (again.high >= 1)).all()
    # Nor would 1 have been covered everywhere: the intervals tell the planted rule from its reference.
    # Where rewards are graded its 1.10 could not have been seen, and is not.
    seen = planted[(planted.policy != "Adam") & (planted.resolvable < truth)]
    assert len(seen) >= 5
    assert (seen.low > 1).all()


def test_forecasts_are_held_about_as_often_as_chance_allows(pairs: pd.DataFrame) -> None:
    """Of all pairs where noise rules: not fewer than a share of 0.95 gives once in a thousand times."""
    said = pairs[(pairs.noise_share >= LIMIT) & pairs.note.isna() & pairs.predicted.notna()]
    said = said[(said.rule != AGAIN) & ~said.rule.isin(LOOPS)]
    held = int(((said.low <= said.predicted) & (said.predicted <= said.high)).sum())
    assert len(said) >= 80
    assert binom.cdf(held, len(said), 0.95) > 1e-3
