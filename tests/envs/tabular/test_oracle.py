"""The oracle of tabular episodes against every history, autograd, differences, closed forms and rationals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from brute_force import moments
from episode_witness import Table, enumerated, grid, histories, lock, process, purses, softmax

import maxpo_lab as ml
from envs.tabular import oracle
from envs.tabular.mdp import TabularMDP
from envs.tabular.stepping import TabularEnv


def world(name: str) -> Table:
    return gymnasium.make(name).unwrapped.P


CORRIDOR = [0, 1, 1, 2, 2, 0]  # six states that show three observations
SHARED = {
    s: {a: [(0.5, (s + a + 1) % 6, 0.0, False), (0.5, (s + 2) % 6, float(a == s % 2), s > 3)] for a in (0, 1)}
    for s in range(6)
}
#: table, starts of each prompt, horizon, observation of each state
PROCESSES: dict[str, tuple[Table, Sequence[Mapping[int, float]], int, Sequence[int] | None]] = {
    "lock": (lock(3, 3), [{0: 1.0}], 6, None),
    "lock that lapses": (lock(3, 2, lapse=0.3), [{0: 1.0}], 6, None),
    "grid": (grid(), [{0: 1.0}], 5, None),
    "grid, several starts": (grid(), [{0: 0.5, 2: 0.25, 6: 0.25}], 4, None),
    "frozen lake": (world("FrozenLake-v1"), [{0: 1.0}], 6, None),
    "cliff": (world("CliffWalking-v1"), [{36: 1.0}], 6, None),
    "slippery cliff": (world("CliffWalkingSlippery-v1"), [{35: 0.5, 36: 0.5}], 4, None),
    "purses": (purses(), [{0: 0.75, 2: 0.25}], 5, None),
    "shared observations": (SHARED, [{0: 1.0}, {3: 0.5, 1: 0.5}, {5: 1.0}], 5, CORRIDOR),
}


def setting(name: str, scale: float = 1.0) -> SimpleNamespace:
    table, starts, horizon, seen = PROCESSES[name]
    specimen = process(table, starts, horizon, seen)
    theta = scale * np.random.default_rng(3).normal(size=specimen.theta.shape)
    return SimpleNamespace(
        specimen=specimen, theta=theta, table=table, starts=starts, horizon=horizon, seen=seen
    )


def assert_levels_agree(got: ml.RewardLevels, want: ml.RewardLevels, *, tolerance: float = 1e-12) -> None:
    """Everything relative to its own level: at most 6 steps of sums over a few hundred terms, eps each."""
    np.testing.assert_array_equal(got.values, want.values)
    np.testing.assert_allclose(got.probabilities, want.probabilities, rtol=tolerance, atol=0)
    np.testing.assert_allclose(got.score_second_moments, want.score_second_moments, rtol=tolerance, atol=0)
    size = np.sqrt(want.score_second_moments)
    off = np.abs(got.mean_scores - want.mean_scores).max(axis=1)
    assert (off <= tolerance * size).all()
    if got.score_covariances is not None:
        off = np.abs(got.score_covariances - want.score_covariances).max(axis=(1, 2))
        assert (off <= tolerance * size**2).all()
    norms = np.linalg.norm(want.mean_scores, axis=1)
    off = np.abs(got.projected_covariances - want.projected_covariances)
    assert (off <= 4 * tolerance * size[:, None, None] ** 2 * norms[:, None] * norms).all()


@pytest.mark.parametrize("name", PROCESSES)
def test_levels_are_those_of_every_history(name: str) -> None:
    s = setting(name)
    for prompt, start in enumerate(s.starts):
        want = enumerated(s.table, start, s.horizon, softmax(s.theta), s.seen).levels("full")
        projected = s.specimen.levels(s.theta, prompt)
        assert_levels_agree(projected, want)
        assert projected.score_covariances is None
        assert_levels_agree(s.specimen.levels(s.theta, prompt, covariances="full"), want)
        bare = s.specimen.levels(s.theta, prompt, covariances=None)
        np.testing.assert_array_equal(bare.mean_scores, projected.mean_scores)
        assert bare.projected_covariances is None


MUTANTS: dict[str, tuple[str, Callable]] = {
    "scores without their expectation": ("score_rows", lambda policy: np.tile(np.eye(3), (4, 1))),
    "the past is forgotten": ("_carry", lambda layer, weight: 0.0 * carry(layer, weight)),
    "steps count for nothing": ("_made", lambda layer, flow, d: 0.0 * made(layer, flow, d)),
    "steps count for 1.001": ("_made", lambda layer, flow, d: 1.001 * made(layer, flow, d)),
    "the future is uncertain": ("_backward", lambda *arguments: [0.999 * x for x in backward(*arguments)]),
    "directions are not scores": ("mean_scores", lambda mass, scores: scores),
}
carry, made, backward = oracle._carry, oracle._made, oracle._backward


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_recursions_are_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s = setting("lock")
    want = enumerated(s.table, s.starts[0], s.horizon, softmax(s.theta)).levels("full")
    assert_levels_agree(s.specimen.levels(s.theta), want)
    monkeypatch.setattr(oracle, *MUTANTS[mutant])
    with pytest.raises((AssertionError, ValueError)):
        assert_levels_agree(s.specimen.levels(s.theta), want)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("name", PROCESSES)
def test_objective_and_gradient_are_those_of_the_levels_and_of_autograd(name: str, k: int) -> None:
    s = setting(name)
    theta = torch.tensor(s.theta, requires_grad=True)
    policy = torch.softmax(theta, dim=1)
    each = [maximum_by_recursion(s, start, policy, k) for start in s.starts]
    value = torch.stack(each).mean()
    (gradient,) = torch.autograd.grad(value, theta)
    got = s.specimen.max_at_k_gradient(s.theta, k)
    assert got.shape == s.theta.shape
    assert s.specimen.max_at_k(s.theta, k) == pytest.approx(value.item(), rel=1e-12)
    size = np.linalg.norm(gradient.numpy())
    np.testing.assert_allclose(got, gradient.numpy(), rtol=0, atol=1e-12 * size)
    every = [s.specimen.levels(s.theta, p, covariances=None) for p in range(len(s.starts))]
    mean = np.mean([ml.max_at_k_gradient(levels, k) for levels in every], axis=0)
    np.testing.assert_allclose(got.ravel(), mean, rtol=0, atol=1e-12 * size)


def maximum_by_recursion(
    s: SimpleNamespace, start: Mapping[int, float], policy: torch.Tensor, k: int
) -> torch.Tensor:
    """``J_K = sum r (F(r)^K - F(r-)^K)``, differentiable, by a dictionary of states and returns."""
    ended: dict = defaultdict(float)
    going: dict = {(state, Fraction(0)): chance for state, chance in start.items()}
    for step in range(s.horizon):
        after: dict = defaultdict(float)
        for (state, total), chance in going.items():
            shown = state if s.seen is None else s.seen[state]
            for action, outcomes in s.table[state].items():
                for probability, target, reward, terminated in outcomes:
                    share = chance * policy[shown, action] * probability
                    earned = total + Fraction(str(reward))
                    if terminated or step == s.horizon - 1:
                        ended[earned] = ended[earned] + share
                    else:
                        after[target, earned] = after[target, earned] + share
        going = after
    below = value = torch.zeros((), dtype=torch.float64)
    for reward in sorted(ended):
        upto = below + ended[reward]
        value = value + float(reward) * (upto**k - below**k)
        below = upto
    return value


@pytest.mark.parametrize("name", ["lock", "grid", "purses", "shared observations"])
def test_gradient_is_that_of_central_differences(name: str) -> None:
    s = setting(name)
    step, k = 1e-5, 3
    got = s.specimen.max_at_k_gradient(s.theta, k).ravel()
    for index in range(s.theta.size):
        shift = step * np.eye(s.theta.size)[index].reshape(s.theta.shape)
        ends = [s.specimen.max_at_k(s.theta + sign * shift, k) for sign in (1, -1)]
        # Truncation: at most J''' h^2 / 6, about (K T)^3 h^2; rounding: eps / h.
        assert got[index] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def chain(right: Sequence[float]) -> TabularEnv:
    """One chance: a wrong action ends it all. Success has one history, of probability prod(right)."""
    length = len(right)
    table = {
        state: {
            0: [(1.0, state + 1, float(state == length - 1), state == length - 1)],
            1: [(1.0, length, 0.0, True)],
        }
        for state in range(length)
    }
    specimen = process(table, [{0: 1.0}], length)
    theta = np.zeros((length + 1, 2))
    theta[:length, 0], theta[:length, 1] = np.log(right), np.log1p(-np.asarray(right))
    return TabularEnv(specimen.mdp, theta)


@pytest.mark.parametrize("right", [[0.1] * 9, [1e-3] * 5, [1e-150] * 2, [1e-9, 1 - 1e-9]])
def test_rare_success_keeps_its_digits(right: list[float]) -> None:
    """p = prod q_i; each step has score (1 - q, -(1 - q)); a failure at step i has those before and -q, q."""
    env, q = chain(right), np.asarray(right)
    levels = env.levels(env.theta, covariances="projected")
    p = float(np.prod(q))
    success = np.zeros(env.theta.shape)
    success[: len(q)] = (1 - q)[:, None] * [1, -1]
    # theta itself is rounded: errors of |log q| eps in each of the factors.
    rounding = 1e-15 * (len(q) + np.abs(np.log(q)).sum())
    np.testing.assert_allclose(levels.probabilities[1], p, rtol=rounding)
    np.testing.assert_allclose(levels.mean_scores[1], success.ravel(), rtol=1e-12, atol=0)
    np.testing.assert_allclose(levels.mean_scores[0], -p / (1 - p) * success.ravel(), rtol=1e-12, atol=0)
    np.testing.assert_allclose(levels.score_second_moments[1], (success**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(env.max_at_k(env.theta, 4), -np.expm1(4 * np.log1p(-p)), rtol=rounding)
    gradient = 4 * (1 - p) ** 3 * p * success
    np.testing.assert_allclose(env.max_at_k_gradient(env.theta, 4), gradient, rtol=1e-12, atol=0)
    fail = np.array([np.prod(q[:i]) * (1 - q[i]) for i in range(len(q))]) / (1 - p)
    explicit = np.tril(np.ones((len(q), len(q))), -1)[:, :, None] * success[: len(q)]
    explicit[np.arange(len(q)), np.arange(len(q))] = q[:, None] * [-1, 1]
    seen = explicit.reshape(len(q), -1) @ success[: len(q)].ravel()
    variance = fail @ seen**2 - (fail @ seen) ** 2
    scale = np.array([-p / (1 - p), 1.0])
    expected = variance * np.outer(scale, scale)
    np.testing.assert_allclose(levels.projected_covariances[0], expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("gap", [5, 25, 60, 400])
def test_a_nearly_certain_policy_keeps_its_digits(gap: float) -> None:
    """Against rationals, though the squared norm of a score is as small as exp(-2 gap)."""
    table, horizon = lock(2, 2, lapse=0.25), 4
    specimen = process(table, [{0: 1.0}], horizon)
    theta = np.zeros((3, 2))
    theta[0], theta[1] = [gap, 0.0], [-0.5 * gap, 0.0]
    odds = [[Fraction(x) for x in np.exp(row - row.max())] for row in theta]
    policy = [[x / sum(row) for x in row] for row in odds]
    exact_table = {
        s: {a: [(Fraction(p), t, r, end) for p, t, r, end in row] for a, row in actions.items()}
        for s, actions in table.items()
    }
    ended = histories(exact_table, {0: Fraction(1)}, horizon, policy)
    levels = specimen.levels(theta, covariances="full")
    for level, value in enumerate(levels.values):
        mine = [(chance, decisions) for (total, decisions), chance in ended.items() if total == value]
        mass = sum(chance for chance, _ in mine)
        scores = [
            [
                sum(Fraction(int(a == b)) - policy[o][b] for s, a in decisions if s == o)
                for o in range(3)
                for b in range(2)
            ]
            for _, decisions in mine
        ]
        weights = [chance / mass for chance, _ in mine]
        mean = [sum(w * s[i] for w, s in zip(weights, scores, strict=True)) for i in range(6)]
        second = sum(w * sum(x * x for x in s) for w, s in zip(weights, scores, strict=True))
        assert levels.probabilities[level] == pytest.approx(float(mass), rel=1e-13)
        np.testing.assert_allclose(levels.mean_scores[level], np.array(mean, float), rtol=1e-12, atol=0)
        assert levels.score_second_moments[level] == pytest.approx(float(second), rel=1e-12)


def test_occupancy_counts_the_steps_at_each_observation() -> None:
    s = setting("shared observations")
    for prompt, start in enumerate(s.starts):
        ended = histories(s.table, start, s.horizon, softmax(s.theta), s.seen)
        visits = np.zeros(3)
        for (_, decisions), chance in ended.items():
            for observation, _ in decisions:
                visits[observation] += chance
        np.testing.assert_allclose(s.specimen.occupancy(s.theta, prompt), visits, rtol=1e-13)


def test_levels_feed_exact_moments() -> None:
    """The variance of an unbiased rule on episodes, against all M^n groups of a tiny lock."""
    small = process(lock(2, 2), [{0: 1.0}], 2)
    theta = np.array([[0.3, -0.2], [0.1, 0.4], [0.0, 0.0]])
    everything = enumerated(lock(2, 2), {0: 1.0}, 2, softmax(theta))
    rule = ml.get_estimator("maxpo")
    want = moments(rule, everything, n=3, k=2)
    got = ml.exact_moments(rule, small.levels(theta, covariances="full"), n=3, k=2, covariance=True)
    np.testing.assert_allclose(got.mean, want.mean, rtol=0, atol=1e-14)
    np.testing.assert_allclose(got.covariance, want.covariance, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("theta", "prompt", "fragments"),
    [
        (np.zeros((3, 3)), 0, ["theta has shape (3, 3)", "expected (3, 2)"]),
        (np.full((3, 2), np.nan), 0, ["theta must be finite"]),
        (np.zeros((3, 2)), None, ["TabularEnv has 3 prompts", "levels(theta, prompt=0)"]),
        (np.zeros((3, 2)), 3, ["prompt=3", "prompts 0 to 2"]),
        (np.zeros((3, 2)), -1, ["prompt=-1"]),
    ],
)
def test_bad_arguments_are_refused(theta: np.ndarray, prompt: int | None, fragments: list[str]) -> None:
    specimen = setting("shared observations").specimen
    for method in (specimen.levels, specimen.occupancy):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - fragments are matched below
            method(theta, prompt)
        for fragment in fragments:
            assert fragment in str(caught.value)


def test_other_bad_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    s = setting("shared observations")
    with pytest.raises(TypeError, match=r"prompt=1\.0 is a float"):
        s.specimen.levels(s.theta, 1.0)
    with pytest.raises(ValueError, match="covariances='half'"):
        s.specimen.levels(s.theta, 0, covariances="half")
    with pytest.raises(ValueError, match="k=0"):
        s.specimen.max_at_k(s.theta, 0)
    monkeypatch.setattr(oracle, "MAX_NUMBERS", 40)
    with pytest.raises(ValueError, match='more than 40: pass covariances="projected" or None'):
        s.specimen.levels(s.theta, 0, covariances="full")


def test_a_process_that_always_pays_the_same_has_one_level() -> None:
    mdp = TabularMDP.from_table({0: {0: [(1.0, 0, 2.0, False)], 1: [(1.0, 0, 2.0, False)]}}, [1.0], horizon=3)
    levels = TabularEnv(mdp, np.array([[0.0, 1.0]])).levels([[0.0, 1.0]], covariances="full")
    assert levels.values.tolist() == [6.0]
    np.testing.assert_array_equal(levels.mean_scores, [[0.0, 0.0]])
    pi = 1 / (1 + np.e)
    np.testing.assert_allclose(levels.score_second_moments, [3 * 2 * pi * (1 - pi)], rtol=1e-14)
