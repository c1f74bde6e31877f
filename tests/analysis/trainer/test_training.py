"""The trainer: worlds against oracles, gradients in the mean, shared numbers, and what must be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import maxpo_lab as ml
from analysis.measure.power import paired
from analysis.trainer import EXACT, SGD, Adam, Arm, objective, signal, train, world_of
from analysis.trainer.arms import ArmRules
from analysis.trainer.protocol import Uniforms, World
from envs import ChainSum, CombinationLock, GaussianBandit, Maze, PromptBandit, SparseBandit
from envs.base.specimen import ExactSpecimen
from envs.networks.architectures import Transformer, TransformerConfig
from envs.networks.sequence import SequencePolicy
from maxpo_lab.integrations.schedules import KSteps

#: False alarms of this file's statistical tests, in all.
ALARM = 1e-6
UNBIASED = ("reinforce", "rloo", "pkpo-s", "pkpo-loo", "pkpo-loo1", "maxpo", "canonical", "predictive")


def transformer() -> SequencePolicy:
    task = ChainSum(base=3, digits=1, prompts=2, verifier="chain")
    config = TransformerConfig(vocabulary=3, positions=2, width=4, heads=1, layers=1)
    return SequencePolicy(task, Transformer(config, torch.Generator().manual_seed(0)))


SPECIMENS: dict[str, Callable[[], ExactSpecimen]] = {
    "bandit": lambda: SparseBandit(arms=7, good=3, success=0.2, grades=(0.5, 1.0)),
    "prompts": lambda: PromptBandit(prompts=3, arms=5, good=2, hardest=0.1, easiest=0.4),
    "lock": lambda: CombinationLock(length=3, choices=3, codes=2),
    "chain": lambda: ChainSum(base=3, digits=2, prompts=4, credit=0.25),
    "maze": lambda: Maze("#######\n#S.1..#\n#.#.#.#\n#S...G#\n#######", horizon=6),
    "slippery maze": lambda: Maze("#####\n#S.1#\n#..G#\n#####", horizon=4, slip=0.3),
    "transformer": transformer,
}


@cache
def made(name: str) -> tuple[ExactSpecimen, World]:
    """A specimen and its world, from parameters with no two alike."""
    specimen = SPECIMENS[name]()
    noise = np.random.default_rng(7).normal(size=specimen.theta.shape)
    return specimen, world_of(specimen, specimen.theta + 0.5 * noise)


def stacked(world: World, seeds: int = 1) -> torch.Tensor:
    return world.start.expand(1, seeds, -1).clone()


def outcomes(specimen: ExactSpecimen, theta: np.ndarray, prompt: int) -> Iterator[tuple[float, float]]:
    """Probability and reward of every outcome, one after the other: a walk down the tree, or all outputs."""
    if isinstance(specimen, SequencePolicy):
        yield from zip(specimen.probabilities(theta, prompt), specimen.rewards(prompt), strict=True)
        return
    mdp = specimen.mdp
    table = np.exp(theta.reshape(mdp.observations, mdp.actions))
    policy = table / table.sum(axis=1, keepdims=True)

    def walk(state: int, step: int, chance: float, gained: float) -> Iterator[tuple[float, float]]:
        for edge in np.flatnonzero((mdp.source == state) & (mdp.probability > 0)):
            own = chance * policy[mdp.observation[state], mdp.action[edge]] * mdp.probability[edge]
            reward = gained + mdp.reward[edge]
            if mdp.terminated[edge] or step + 1 == mdp.horizon:
                yield own, reward
            else:
                yield from walk(int(mdp.target[edge]), step + 1, own, reward)

    for state, share in mdp.starts[prompt].items():
        yield from walk(state, 0, share, 0.0)


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize("k", [1, 3])
def test_the_world_agrees_with_the_oracle(name: str, k: int) -> None:
    """Two recursions, one in NumPy: sums of at most 6 steps x 1000 edges of size 1, hence 1e-12."""
    specimen, world = made(name)
    theta = stacked(world).requires_grad_()
    value = objective(world.values, world.masses(theta), k)
    point = world.start.numpy().reshape(specimen.theta.shape)
    assert value.item() == pytest.approx(specimen.max_at_k(point, k), abs=1e-12)
    (gradient,) = torch.autograd.grad(value.sum(), theta)
    expected = specimen.max_at_k_gradient(point, k)
    np.testing.assert_allclose(gradient.numpy().ravel(), expected.ravel(), atol=1e-12)


@pytest.mark.parametrize("name", SPECIMENS)
def test_masses_entropy_and_diversity_by_enumeration(name: str) -> None:
    specimen, world = made(name)
    theta = world.start.numpy().reshape(specimen.theta.shape)
    found, spread = world.measured(stacked(world))
    masses = found[0, 0].numpy()
    assert torch.equal(found, world.masses(stacked(world)))
    entropies, effective, tops = [], [], []
    for prompt in range(specimen.prompts):
        chance, rewards = np.array(list(outcomes(specimen, theta, prompt))).T
        for value, mass in zip(world.values.numpy(), masses[prompt], strict=True):
            assert mass == pytest.approx(chance[np.abs(rewards - value) < 1e-9].sum(), abs=1e-12)
        correct = chance[rewards > rewards.max() - 1e-9]
        entropies.append(stats.entropy(chance))
        effective.append(np.exp(stats.entropy(correct)))
        tops.append(rewards.max())
    assert spread.entropy.item() == pytest.approx(np.mean(entropies), rel=1e-11)
    assert spread.diversity.item() == pytest.approx(np.mean(effective), rel=1e-11)
    assert world.optimum == pytest.approx(np.mean(tops), abs=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.integration if name == "transformer" else ())  # seconds
        for name in SPECIMENS
    ],
)
def test_mean_updates_of_unbiased_rules_are_the_exact_gradient(name: str) -> None:
    """At fixed theta, along the gradient and along two directions at random.

    A mean of 6000 updates is normal to well within the bound; false alarms are split evenly between the
    z-tests. That the test has eyes: a rule on another scale, and one that climbs the mean, are told apart.
    """
    n, k, seeds, groups = 6, 3, 3000, 2
    specimen, world = made(name)
    names = (*UNBIASED, "pkpo-mean-centered")
    arms = [Arm(rule=rule, step_size=1.0, schedule=KSteps({0: k})) for rule in names]
    theta = world.start.expand(len(arms), seeds, -1)
    blocks = [world.rollouts(theta, groups, n, Uniforms(range(i, i + seeds))) for i in (0, seeds)]
    rules = ArmRules.of(arms, [k] * len(arms), n)
    updates = np.concatenate([each.gradient(rules(each.rewards)).numpy() for each in blocks], axis=1)
    point = world.start.numpy().reshape(specimen.theta.shape)
    top, mean = (specimen.max_at_k_gradient(point, each).ravel() for each in (k, 1))
    directions = [top, *np.random.default_rng(0).normal(size=(2, top.size))]
    bound = stats.norm.isf(ALARM / 2 / (len(SPECIMENS) * len(arms) * len(directions)))
    for arm, update in zip(arms, updates, strict=True):
        target = mean if arm.rule in ("reinforce", "rloo") else top
        scores = []
        for direction in directions:
            seen = update @ direction
            scores.append((seen.mean() - target @ direction) / (seen.std(ddof=1) / np.sqrt(len(seen))))
        if arm.rule == "pkpo-mean-centered":
            assert abs(scores[0]) > bound
        else:
            assert np.abs(scores).max() < bound, arm.rule
    climbs_the_mean = updates[arms.index(next(arm for arm in arms if arm.rule == "rloo"))] @ top
    error = climbs_the_mean.std(ddof=1) / np.sqrt(len(climbs_the_mean))
    assert abs(climbs_the_mean.mean() - top @ top) > bound * error


@pytest.mark.parametrize("name", ["bandit", "slippery maze", "chain", "transformer"])
def test_variance_of_the_updates_is_the_exact_one(name: str) -> None:
    """The trace of the covariance, which says that groups are independent and prompts are drawn.

    Of 4000 seeds the mean squared deviation is normal; its error is estimated from the same sample.
    """
    n, k, seeds, groups = 6, 3, 4000, 2
    specimen, world = made(name)
    arm = Arm(rule="maxpo", step_size=1.0, schedule=KSteps({0: k}))
    rollouts = world.rollouts(stacked(world, seeds), groups, n, Uniforms(range(seeds)))
    update = rollouts.gradient(ArmRules.of([arm], [k], n)(rollouts.rewards))[0].numpy()
    point = world.start.numpy().reshape(specimen.theta.shape)
    levels = [specimen.levels(point, prompt) for prompt in range(specimen.prompts)]
    expected = ml.batch_moments("maxpo", levels, n=n, k=k, batch=groups)
    squares = ((update - expected.mean) ** 2).sum(axis=1)
    z = (squares.mean() - expected.trace_covariance) / (squares.std(ddof=1) / np.sqrt(seeds))
    assert abs(z) < stats.norm.isf(ALARM / 8)
    power = float(expected.mean @ expected.mean)
    found = signal(specimen, point, "maxpo", n=n, k=k, groups=groups)
    assert found.snr == pytest.approx(power / expected.trace_covariance, rel=1e-9)
    assert found.cosine == pytest.approx(1.0, abs=1e-9)


def test_the_signal_of_a_biased_rule_points_elsewhere() -> None:
    specimen, world = made("prompts")
    theta = world.start.numpy()
    grpo = signal(specimen, theta, "grpo", n=6, k=3, groups=4)
    assert 0 < grpo.cosine < 0.9999
    assert signal(specimen, theta, "grpo", n=6, k=3, groups=8).snr == pytest.approx(2 * grpo.snr, rel=1e-12)


@pytest.mark.parametrize("name", SPECIMENS)
def test_small_exact_steps_rise_monotonically(name: str) -> None:
    """To rounding: near the optimum J_K no longer changes in its last bits."""
    _, world = made(name)
    points = range(61)
    trace = run(world, [Arm(rule=EXACT, step_size=0.1, schedule=KSteps({0: 3}))], steps=60, points=points)
    rises = np.diff(trace.objective[0, 0])
    assert (rises > -4e-16).all()
    assert rises[:10].min() > 0


def run(world: World, arms: list[Arm], **changes: object):
    settings: dict[str, object] = {
        "n": 6,
        "groups": 2,
        "steps": 12,
        "seeds": range(3),
        "optimiser": SGD(),
        "evaluate_k": 3,
        "points": (0, 6, 12),
    }
    return train(world, arms, **(settings | changes))


def arms_of(*rules: str, k: int = 3, step_size: float = 0.5) -> list[Arm]:
    return [Arm(rule=rule, step_size=step_size, schedule=KSteps({0: k})) for rule in rules]


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_same_seeds_give_the_same_bits(name: str) -> None:
    _, world = made(name)
    rules = arms_of("maxpo", "grpo", "pkpo-s")
    once, again = run(world, rules), run(world, rules)
    other = run(world, rules, seeds=range(3, 6))
    assert once.objective.tobytes() == again.objective.tobytes()
    assert once.entropy.tobytes() == again.entropy.tobytes()
    assert once.objective.tobytes() != other.objective.tobytes()


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_run_does_not_depend_on_those_beside_it(name: str) -> None:
    """Sums of other shapes differ in their last bits, and 12 small steps do not make them large."""
    _, world = made(name)
    together = run(world, arms_of("grpo", "maxpo", "pkpo-s"), seeds=[5, 9, 2])
    alone = run(world, arms_of("maxpo"), seeds=[9])
    np.testing.assert_allclose(alone.objective[0, 0], together.objective[1, 1], rtol=1e-10)


def test_arms_of_one_policy_see_the_same_rollouts() -> None:
    _, world = made("maze")
    rollouts = world.rollouts(world.start.expand(3, 4, -1), 2, 6, Uniforms(range(4)))
    assert torch.equal(rollouts.rewards[0], rollouts.rewards[1])
    assert not torch.equal(rollouts.rewards[0, 0], rollouts.rewards[0, 1])
    # A small change of the policy changes few of them.
    moved = world.start.expand(1, 4, -1) + 1e-3
    again = world.rollouts(moved, 2, 6, Uniforms(range(4)))
    assert (again.rewards[0] == rollouts.rewards[0]).double().mean() > 0.9


def test_uniform_numbers_of_a_seed_are_its_own() -> None:
    assert torch.equal(Uniforms([4, 8])(3, 2)[1], Uniforms([8])(3, 2)[0])
    many = Uniforms(range(50))(200).flatten().numpy()
    assert stats.kstest(many, "uniform").pvalue > ALARM


def test_rules_together_are_the_rules_apart() -> None:
    rewards = torch.tensor(np.random.default_rng(0).integers(2, size=(7, 4, 2, 8)).astype(float))
    names = ("maxpo", "grpo", "passk-training", "grpo", "pkpo-s", "maxrl", "maxpo")
    ks = (3, 2, 3, 3, 2, 3, 2)
    arms = [Arm(rule=name, step_size=1.0, schedule=KSteps({0: k})) for name, k in zip(names, ks, strict=True)]
    found = ArmRules.of(arms, ks, 8)(rewards)
    for i, (name, k) in enumerate(zip(names, ks, strict=True)):
        expected = ml.get_estimator(name)(rewards[i], k)
        np.testing.assert_allclose(found[i].numpy(), expected.numpy(), atol=1e-14)


@pytest.mark.parametrize("rule", ["trl-batch", "whitened:maxpo", "jspo", "mine"])
def test_a_rule_of_batches_sees_one_arm_and_one_seed(rule: str) -> None:
    """Its batch is the groups of a step; arms and seeds are an axis that it cannot cross."""

    def written(rewards: torch.Tensor, k: int) -> torch.Tensor:
        return (rewards - rewards.mean()) / (rewards.std() + 1)

    given = ml.batch_rule(written) if rule == "mine" else rule
    rewards = torch.tensor(np.random.default_rng(0).integers(2, size=(3, 4, 5, 8)).astype(float))
    arm = Arm(rule=given, step_size=1.0, schedule=KSteps({0: 2}))
    together = ArmRules.of([arm] * 3, [2] * 3, 8, groups=5, seeds=4)(rewards)
    alone = written if rule == "mine" else ml.get_estimator(rule)
    for where in np.ndindex(3, 4):
        np.testing.assert_allclose(together[where].numpy(), alone(rewards[where], 2).numpy(), atol=1e-14)
    moved = rewards.clone()
    moved[:, 1:] = 1 - moved[:, 1:]
    again = ArmRules.of([arm] * 3, [2] * 3, 8, groups=5, seeds=4)(moved)
    assert torch.equal(again[:, 0], together[:, 0])
    assert not torch.equal(again[:, 1], together[:, 1])


def test_training_by_a_rule_of_batches_does_not_depend_on_the_other_seeds() -> None:
    world = world_of(SparseBandit(arms=6, good=2, success=0.3))
    settings: dict[str, Any] = {"n": 4, "groups": 3, "steps": 5, "evaluate_k": 2, "points": (0, 5)}
    arms = [Arm(rule="whitened:maxpo", step_size=0.5, schedule=KSteps({0: 2}))]
    many = train(world, arms, seeds=[0, 1, 2], optimiser=SGD(), **settings)
    alone = train(world, arms, seeds=[1], optimiser=SGD(), **settings)
    np.testing.assert_allclose(many.objective[:, 1], alone.objective[:, 0], rtol=1e-12)
    one = [Arm(rule="jspo", step_size=0.5, schedule=KSteps({0: 2}))]
    with pytest.raises(ValueError, match="jspo needs a batch of at least 2 prompts"):
        train(world, one, seeds=[0], optimiser=SGD(), **(settings | {"groups": 1}))


def test_a_rule_of_a_wrong_shape_is_named() -> None:
    def broken(rewards: torch.Tensor, k: int) -> torch.Tensor:
        return rewards[:, :1]

    with pytest.raises(
        ValueError, match=r"broken returned shape \((\d+), 1\) for rewards of shape \(\1, 6\)"
    ):
        run(made("bandit")[1], [Arm(rule=broken, step_size=1.0, schedule=KSteps({0: 2}))])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(), lambda p: torch.optim.SGD(p, lr=0.3, maximize=True)),
        (Adam(), lambda p: torch.optim.Adam(p, lr=0.3, maximize=True)),
        (
            Adam(beta1=0.5, beta2=0.9, eps=1e-3),
            lambda p: torch.optim.Adam(p, lr=0.3, betas=(0.5, 0.9), eps=1e-3, maximize=True),
        ),
    ],
    ids=["sgd", "adam", "adam with settings"],
)
def test_optimisers_are_those_of_torch(ours: SGD | Adam, theirs: Callable) -> None:
    gradients = torch.tensor(np.random.default_rng(0).normal(size=(9, 2, 3, 4)))
    leaf = torch.zeros(2, 3, 4, dtype=torch.float64, requires_grad=True)
    optimiser, direction, theta = theirs([leaf]), ours.begin(), torch.zeros(2, 3, 4, dtype=torch.float64)
    for gradient in gradients:
        leaf.grad = gradient.clone()
        optimiser.step()
        theta = theta + 0.3 * direction(gradient)
    # Nine steps of a few roundings each.
    np.testing.assert_allclose(theta.numpy(), leaf.detach().numpy(), rtol=1e-13, atol=1e-13)


def test_optimisers_remember_one_run_at_a_time() -> None:
    adam, gradient = Adam(), torch.ones(2, dtype=torch.float64)
    first = adam.begin()
    first(5 * gradient)
    assert torch.equal(adam.begin()(gradient), Adam().begin()(gradient))


def test_an_annealed_schedule_is_each_k_in_its_phase() -> None:
    _, world = made("chain")
    annealed = Arm(rule="maxpo", step_size=2.0, schedule=KSteps({0: 5, 4: 1}))
    points = tuple(range(9))
    found = run(world, [annealed], steps=8, points=points, keep=(4,))
    high, low = (
        run(world, arms_of("maxpo", k=k, step_size=2.0), steps=8, points=points).objective for k in (5, 1)
    )
    np.testing.assert_allclose(found.objective[..., :5], high[..., :5], rtol=1e-12)
    assert not np.allclose(found.objective[..., 5:], high[..., 5:], rtol=1e-3)
    assert not np.allclose(found.objective[..., :5], low[..., :5], rtol=1e-3)
    # From the switch on, K = 1 with the numbers that follow.
    exact = [Arm(rule=EXACT, step_size=2.0, schedule=KSteps(starts)) for starts in ({0: 5, 4: 1}, {0: 1})]
    start = run(world, exact[:1], steps=8, points=points, keep=(4,), seeds=[0])
    onward = world_of(made("chain")[0], start.theta[4][0, 0].reshape(made("chain")[0].theta.shape))
    after = run(onward, exact[1:], steps=4, points=range(5), seeds=[0])
    np.testing.assert_allclose(after.objective[0, 0], start.objective[0, 0, 4:], rtol=1e-12)


def noisy(spread: float) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """MaxPO times ``1 +- spread`` a group: unbiased, its second moment multiplied by nearly 1 + spread^2.

    The sign is that of the first rollout that differs from its mirror image in the group, 0 where there is
    none: whatever the counts, half of their other arrangements have either.
    """
    maxpo = ml.get_estimator("maxpo")

    def rule(rewards: torch.Tensor, k: int) -> torch.Tensor:
        differs = (rewards - rewards.flip(-1)).sign()
        first = (differs != 0).double().argmax(dim=-1, keepdim=True)
        return torch.as_tensor(maxpo(rewards, k)) * (1 + spread * differs.gather(-1, first))

    return rule


def test_the_planted_variance_is_what_it_is_said_to_be() -> None:
    specimen = ChainSum(base=3, digits=2, prompts=4)
    levels = specimen.levels(specimen.theta, 0)
    plain = ml.exact_moments("maxpo", levels, n=8, k=3)
    planted = ml.exact_moments(lambda r, k: noisy(3.0)(torch.tensor(r), k), levels, n=8, k=3)
    assert planted.relative_bias < 1e-12
    second, others = (each.trace_covariance + each.mean @ each.mean for each in (planted, plain))
    assert 9 < second / others < 10


def areas(rule: str | Callable, seeds: range) -> np.ndarray:
    specimen = ChainSum(base=3, digits=2, prompts=4)
    arm = Arm(rule=rule, step_size=16.0, schedule=KSteps({0: 3}))
    trace = run(world_of(specimen), [arm], n=8, steps=32, seeds=seeds, points=range(0, 33, 4))
    return trace.area()[0]


def test_a_planted_difference_is_found() -> None:
    """Ten times the variance trains worse: the difference of the areas lies above 0, seed by seed."""
    assert paired(areas("maxpo", range(30)) - areas(noisy(3.0), range(30)), confidence=0.999).low > 0


def test_a_rule_does_not_improve_on_itself() -> None:
    """Other seeds, fixed ones; an interval of 99.9 % covers 0."""
    found = paired(areas("maxpo", range(30)) - areas("maxpo", range(30, 60)), confidence=0.999)
    assert found.low < 0 < found.high
    # And with the factor switched off the planted rule is MaxPO.
    np.testing.assert_array_equal(areas("maxpo", range(5)), areas(noisy(0.0), range(5)))


@pytest.mark.parametrize("name", ["bandit", "maze", "transformer"])
def test_diverged_runs_are_counted_and_harm_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, world = made(name)
    calls, advantages = 0, ArmRules.__call__

    def breaks(self: ArmRules, rewards: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """In the fourth step infinite, for the second arm's first seed."""
        nonlocal calls
        calls += 1
        found = advantages(self, rewards, prompts)
        if calls == 4:
            found[1, 0, 0, 0] = torch.inf
        return found

    monkeypatch.setattr(ArmRules, "__call__", breaks)
    trace = run(world, arms_of("maxpo", "maxpo"), points=(0, 3, 6, 12))
    assert trace.diverged.tolist() == [[False] * 3, [True, False, False]]
    assert np.isfinite(trace.objective[1, 0, :2]).all()
    for curve in (trace.objective, trace.mean_reward, trace.entropy, trace.diversity):
        assert np.isnan(curve[1, 0, 2:]).all()
    assert np.isnan(trace.area()[1, 0])
    assert np.isnan(trace.steps_to(0.0)[1]).sum() == 0, "it got there before it diverged"
    np.testing.assert_allclose(trace.objective[1, 1:], trace.objective[0, 1:], rtol=1e-10)


def test_area_and_steps_to_a_level_by_hand() -> None:
    _, world = made("bandit")
    trace = run(world, arms_of("maxpo"), points=(0, 4, 12))
    a, b, c = trace.objective[0, 0]
    assert trace.area()[0, 0] == pytest.approx(((a + b) / 2 * 4 + (b + c) / 2 * 8) / 12, rel=1e-14)
    assert trace.steps_to(a)[0, 0] == 0
    assert trace.steps_to(b)[0, 0] == (4 if b > a else 0)
    assert np.isnan(trace.steps_to(2.0)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, "seeds=\\[\\]: at least one"),
        ({"seeds": [1, 1]}, "no two alike"),
        ({"steps": 0, "points": (0,)}, "steps=0: at least 1"),
        ({"groups": 0}, "groups=0: at least 1"),
        ({"evaluate_k": 0}, "evaluate_k=0: at least 1"),
        (
            {"points": (0, 13)},
            r"points=\[0, 13\]: ascending steps are needed, the first 0 and the last steps=12",
        ),
        ({"points": (0, 6)}, "the last steps=12"),
        ({"points": (6, 12)}, "the first 0"),
        ({"points": (6, 0)}, "ascending steps"),
        ({"points": ()}, "ascending steps"),
        ({"keep": (5,)}, r"keep=\[5\]: only points can be kept, \[0, 6, 12\]"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(made("bandit")[1], arms_of("maxpo"), **changes)


def test_what_is_counted_is_a_whole_number() -> None:
    """A point between two steps would be left out of the curve, and stand among its points."""
    for changes in ({"points": (0, 2.5, 12)}, {"evaluate_k": 2.5}):
        with pytest.raises(TypeError, match=r"=2\.5 is a float: it must be an int"):
            run(made("bandit")[1], arms_of("maxpo"), **changes)


def test_rules_are_refused_where_they_are_not_defined() -> None:
    world = made("bandit")[1]
    with pytest.raises(ValueError, match="arms are empty"):
        run(world, [])
    with pytest.raises(ValueError, match="maxrl is defined for 0/1 rewards alone"):
        run(world, arms_of("maxrl"))
    with pytest.raises(ValueError, match="pkpo-loo1 needs k >= 2"):
        run(world, [Arm(rule="pkpo-loo1", step_size=1.0, schedule=KSteps({0: 4, 6: 1}))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": 0.0}, "step_size=0.0: must be positive"),
        ({"step_size": float("nan")}, "step_size=nan"),
    ],
)
def test_wrong_arms_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arm(**({"rule": "maxpo", "step_size": 1.0, "schedule": KSteps({0: 2})} | changes))


def test_a_world_needs_enumerable_rewards_and_a_start_that_fits() -> None:
    with pytest.raises(TypeError, match="GaussianBandit cannot be trained here"):
        world_of(GaussianBandit())
    with pytest.raises(ValueError, match=r"start has shape \(3,\): expected \(100,\)"):
        world_of(SparseBandit(), np.zeros(3))
