"""All registered specimens, by the same questions: what is promised of one holds for each."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from backends import DEVICES
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from scipy import stats

import maxpo_lab as ml
from envs import ExactSpecimen, GaussianBandit, SparseBandit, Specimen

HEADINGS = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Episode End",
    "Exact Oracle",
    "Arguments",
    "References",
    "Version History",
]
IDS = sorted(name for name in gymnasium.registry if name.startswith("maxpo/"))
CASES: list[tuple[str, dict[str, Any]]] = [
    ("maxpo/SparseBandit-v0", {"arms": 12, "good": 3}),
    ("maxpo/SparseBandit-v0", {"arms": 9, "good": 4, "grades": (0.25, 0.5, 1.0), "within": "zipf"}),
    ("maxpo/PromptBandit-v0", {"prompts": 3, "arms": 8, "good": 3, "hardest": 0.02, "grades": (0.5, 1.0)}),
    ("maxpo/CombinationLock-v0", {"length": 3, "choices": 3}),
    ("maxpo/CombinationLock-v0", {"length": 4, "choices": 2, "codes": 2, "credit": "prefix"}),
    ("maxpo/Maze-v0", {"size": 3, "loops": 1, "horizon": 20}),
    ("maxpo/Maze-v0", {"layout": "#####\n#1SS#\n#.#5#\n#..G#\n#####", "slip": 0.2, "horizon": 12}),
    ("maxpo/ChainSum-v0", {"base": 3, "digits": 2, "prompts": 4, "verifier": "chain"}),
    ("maxpo/ChainSum-v0", {"base": 2, "digits": 3, "credit": 0.3}),
    ("maxpo/GaussianBandit-v0", {"sigma": 0.2, "mean": 0.8}),
]
NAMES = [f"{name.removeprefix('maxpo/').removesuffix('-v0')}-{i}" for i, (name, _) in enumerate(CASES)]
#: Two-sided probability of four standard errors. Fewer than 160 figures are compared below: together they
#: raise a false alarm in 1% of all choices of the seeds, which are fixed.
RARE = 2 * stats.norm.sf(4)

every_id = pytest.mark.parametrize("name", IDS)
every_case = pytest.mark.parametrize(("name", "settings"), CASES, ids=NAMES)


def make(name: str, settings: dict[str, Any]) -> Any:
    return gymnasium.make(name, **settings).unwrapped


def trained(specimen: Specimen) -> np.ndarray:
    """Parameters away from the start, as if partly trained."""
    width = specimen.sigma if isinstance(specimen, GaussianBandit) else 1.0
    return specimen.theta + np.random.default_rng(17).normal(scale=width, size=specimen.theta.shape)


def class_of(name: str) -> type:
    kind = gymnasium.envs.registration.load_env_creator(gymnasium.spec(name).entry_point)
    assert isinstance(kind, type)
    return kind


# What is written.


def test_every_registered_id_is_asked() -> None:
    assert {name for name, _ in CASES} == set(IDS)
    assert len(IDS) >= 6


@every_id
def test_docstring_has_the_headings_in_their_order(name: str) -> None:
    assert re.findall(r"^ *## (.*)$", class_of(name).__doc__, flags=re.MULTILINE) == HEADINGS


@every_id
def test_documented_call_names_all_settings_and_their_defaults(name: str) -> None:
    kind = class_of(name)
    text = kind.__doc__.split("## Arguments")[1]
    call = re.search(r"``gymnasium\.make\((.*?)\)``", text, flags=re.DOTALL)[1]
    asked, given = eval(f"(lambda name, **settings: (name, settings))({call})")
    assert asked == name
    parameters = inspect.signature(kind).parameters
    assert set(given) == set(parameters) - {"render_mode"}
    documented, default = make(name, given), make(name, {})
    np.testing.assert_array_equal(documented.theta, default.theta)
    assert documented.max_at_k(documented.theta, 3) == default.max_at_k(default.theta, 3)
    for setting, value in given.items():
        if parameters[setting].default is not None:
            assert value == parameters[setting].default, setting


# Gymnasium's contract.


@every_case
def test_options_that_are_no_dict_are_refused(name: str, settings: dict[str, Any]) -> None:
    for env in (make(name, settings), gymnasium.make_vec(name, num_envs=2, **settings)):
        with pytest.raises(TypeError, match="options=5 is a int: it must be a dict"):
            env.reset(options=5)


@every_case
def test_vector_form_says_which_prompts_start(name: str, settings: dict[str, Any]) -> None:
    vector, prompts = gymnasium.make_vec(name, num_envs=4, **settings), make(name, settings).prompts
    vector.action_space.seed(1)
    _, info = vector.reset(seed=1)
    starting, over, restarts = np.ones(4, dtype=bool), np.zeros(4, dtype=bool), 0
    for _ in range(60):
        assert set(info) == ({"prompt", "_prompt"} if starting.any() else set())
        if starting.any():
            np.testing.assert_array_equal(info["_prompt"], starting)
            assert ((info["prompt"] >= 0) & (info["prompt"] < prompts)).all()
        # Who ended at the last step starts at this one.
        starting, restarts = over, restarts + over.sum()
        *_, terminated, truncated, info = vector.step(vector.action_space.sample())
        over = terminated | truncated
    assert restarts > 4


@every_case
def test_passes_gymnasiums_checker_with_warnings_as_errors(name: str, settings: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(name, settings))


def recorded(env: Any, seed: int) -> list[Any]:
    """What is seen in a few episodes of random actions."""
    env.action_space.seed(seed)
    seen: list[Any] = []
    for episode in range(4):
        seen.append(env.reset(seed=seed if episode == 0 else None))
        over = False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            seen.append((observation, reward, terminated, truncated))
            over = terminated or truncated
    return seen


@every_case
def test_same_seed_same_episodes(name: str, settings: dict[str, Any]) -> None:
    first, second = (recorded(gymnasium.make(name, **settings), seed=5) for _ in range(2))
    assert first == second


@every_case
def test_vector_form_is_registered_and_reproducible(name: str, settings: dict[str, Any]) -> None:
    def rewards() -> list[list[float]]:
        vector = gymnasium.make_vec(name, num_envs=5, **settings)
        assert isinstance(vector, VectorEnv)
        assert not isinstance(vector, gymnasium.vector.SyncVectorEnv)
        assert vector.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        vector.action_space.seed(3)
        observation, info = vector.reset(seed=2)
        assert vector.observation_space.contains(observation)
        assert info["prompt"].shape == info["_prompt"].shape == (5,)
        return [vector.step(vector.action_space.sample())[1].tolist() for _ in range(30)]

    assert rewards() == rewards()


@every_id
def test_spec_can_be_written_down(name: str) -> None:
    spec = gymnasium.make(name).spec
    assert gymnasium.envs.registration.EnvSpec.from_json(spec.to_json()).id == name


@every_id
def test_importing_and_making_needs_no_torch(name: str) -> None:
    module = inspect.getsource(inspect.getmodule(class_of(name)))
    assert not re.search(r"^(import|from) torch", module, flags=re.MULTILINE)


# The policy and its oracle.


@every_case
def test_theta_is_read_only(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    with pytest.raises(ValueError, match="read-only"):
        specimen.theta[...] = 0.0
    assert specimen.theta.dtype == np.float64
    assert np.isfinite(specimen.theta).all()


@every_case
def test_bad_parameters_are_refused_everywhere(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    asked = [lambda x: specimen.max_at_k(x, 2), lambda x: specimen.max_at_k_gradient(x, 2), specimen.sampler]
    if isinstance(specimen, ExactSpecimen):
        asked.append(lambda x: specimen.levels(x, 0))
    for ask in asked:
        with pytest.raises(ValueError, match="expected"):
            ask(np.zeros(specimen.theta.size + 1))
        with pytest.raises(ValueError, match="finite"):
            ask(np.full(specimen.theta.shape, np.nan))
    with pytest.raises(ValueError, match=f"prompt={specimen.prompts}"):
        specimen.sampler(specimen.theta, prompt=specimen.prompts)


def check_gradient(specimen: Specimen, theta: np.ndarray, k: int) -> None:
    """``max_at_k_gradient`` equals differences of ``max_at_k`` along random directions."""
    gradient = specimen.max_at_k_gradient(theta, k)
    assert gradient.shape == specimen.theta.shape
    rng, step = np.random.default_rng(0), 1e-3
    for _ in range(4):
        direction = rng.normal(size=theta.shape)
        direction /= np.linalg.norm(direction)
        up, down, up2, down2 = (specimen.max_at_k(theta + j * step * direction, k) for j in (1, -1, 2, -2))
        difference = (8 * (up - down) - (up2 - down2)) / (12 * step)
        # Five points: an error of step^4 J^(5) / 30 with |J^(5)| < 1e5, and rounding of J over the step;
        # 1e-10 of J where it is an integral.
        tolerance = 1e-8 if isinstance(specimen, ExactSpecimen) else 1e-6
        assert abs(np.vdot(gradient, direction) - difference) < tolerance


@every_case
def test_gradient_equals_differences(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    for k in (1, 3):
        check_gradient(specimen, trained(specimen), k)


def exact_cases() -> Iterator[Any]:
    for label, (name, settings) in zip(NAMES, CASES, strict=True):
        if issubclass(class_of(name), ExactSpecimen):
            yield pytest.param(name, settings, id=label)


every_exact_case = pytest.mark.parametrize(("name", "settings"), list(exact_cases()))


@every_exact_case
def test_objective_is_that_of_the_levels(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    theta = trained(specimen)
    levels = [specimen.levels(theta, prompt) for prompt in range(specimen.prompts)]
    mean = np.mean([ml.max_at_k(each, 3) for each in levels])
    assert specimen.max_at_k(theta, 3) == pytest.approx(mean, rel=1e-13)
    gradient = np.mean([ml.max_at_k_gradient(each, 3) for each in levels], axis=0)
    # Sums over episodes of products of at most horizon scores, in another order.
    size = np.linalg.norm(gradient)
    np.testing.assert_allclose(
        specimen.max_at_k_gradient(theta, 3).ravel(), gradient, rtol=0, atol=1e-11 * size
    )


@every_exact_case
def test_rules_that_claim_to_be_unbiased_are(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    levels = specimen.levels(trained(specimen), specimen.prompts - 1)
    asked = 0
    for rule in map(ml.get_estimator, ml.list_estimators()):
        for n, k in ((4, 2), (6, 3)):
            if not rule.claims.unbiased or rule.why_not(n, k) or rule.why_not_rewards(levels.values):
                continue
            moments = ml.exact_moments(rule, levels, n=n, k=k, target=rule.objective)
            assert moments.relative_bias <= max(1e-9, moments.bias_resolution), (rule.name, n, k)
            asked += 1
    assert asked >= 20


# Four ways to the same rewards: one episode at a time, many, batched groups, and the oracle.


def returns_by_steps(
    name: str, settings: dict[str, Any], act: Callable[..., Any], episodes: int
) -> np.ndarray:
    env = gymnasium.make(name, **settings)
    rng, found = np.random.default_rng(1), []
    for episode in range(episodes):
        observation, _ = env.reset(seed=8 if episode == 0 else None)
        total, over = 0.0, False
        while not over:
            action = act(np.array([observation]), rng)[0]
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        found.append(total)
    return np.array(found)


def returns_by_vector(
    name: str, settings: dict[str, Any], act: Callable[..., Any], episodes: int
) -> np.ndarray:
    """The first episode of each copy: later ones would favour the short."""
    vector = gymnasium.make_vec(name, num_envs=episodes, **settings)
    rng = np.random.default_rng(2)
    observation, _ = vector.reset(seed=9)
    total, going = np.zeros(episodes), np.ones(episodes, dtype=bool)
    while going.any():
        observation, reward, terminated, truncated, _ = vector.step(act(observation, rng))
        total[going] += reward[going]
        going &= ~(terminated | truncated)
    return total


def actor(specimen: Any, theta: np.ndarray) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """The policy in NumPy, written here once more: observations (N,) to actions."""
    if isinstance(specimen, GaussianBandit):
        return lambda seen, rng: rng.normal(theta[0], specimen.sigma, size=(len(seen), 1))
    logits = theta.reshape(specimen.observation_space.n, specimen.action_space.n)

    def act(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (logits[seen] + rng.gumbel(size=(len(seen), logits.shape[1]))).argmax(axis=1)

    return act


def check_returns(specimen: Any, theta: np.ndarray, found: np.ndarray) -> None:
    """Sampled returns of episodes with uniform prompts have the oracle's law: each level, or the mean."""
    if not isinstance(specimen, ExactSpecimen):
        error = found.std(ddof=1) / np.sqrt(len(found))
        assert abs(found.mean() - specimen.max_at_k(theta, 1)) <= 4 * error
        return
    every = [specimen.levels(theta, prompt, covariances=None) for prompt in range(specimen.prompts)]
    values = np.unique(np.concatenate([levels.values for levels in every]))
    law = np.mean([levels.probabilities @ (levels.values[:, None] == values) for levels in every], axis=0)
    place = np.abs(found[:, None] - values).argmin(axis=1)
    np.testing.assert_allclose(found, values[place], rtol=0, atol=1e-12)
    for count, chance in zip(np.bincount(place, minlength=len(values)), law, strict=True):
        assert stats.binomtest(int(count), len(found), min(chance, 1.0)).pvalue >= RARE


@every_case
def test_stepping_and_the_vector_form_agree_with_the_oracle(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    theta = trained(specimen)
    act = actor(specimen, theta)
    check_returns(specimen, theta, returns_by_steps(name, settings, act, 1_000))
    check_returns(specimen, theta, returns_by_vector(name, settings, act, 20_000))


@pytest.mark.parametrize("device", DEVICES)
@every_case
def test_batched_groups_agree_with_the_oracle(name: str, settings: dict[str, Any], device: str) -> None:
    specimen = make(name, settings)
    theta, groups, k = trained(specimen), 40_000, 4
    sampler = specimen.sampler(theta, device)
    assert (sampler.device.type, sampler.parameters) == (device, theta.size)
    rewards, scores = sampler(groups, k, generator=torch.Generator(device).manual_seed(4))
    assert (rewards.dtype, tuple(rewards.shape)) == (torch.float64, (groups, k))
    check_returns(specimen, theta, rewards[:, 0].cpu().numpy())  # one of a group: prompts are independent
    best = rewards.max(dim=1, keepdim=True).values.expand(-1, k).contiguous()
    value = best[:, 0].cpu().numpy()
    assert abs(value.mean() - specimen.max_at_k(theta, k)) <= 4 * value.std() / np.sqrt(groups)
    # The score function estimate along a direction: best of K times the sum of its scores.
    direction = np.random.default_rng(6).normal(size=theta.shape)
    along = scores.dot(best, torch.tensor(direction.ravel(), device=device)).cpu().numpy()
    expected = np.vdot(specimen.max_at_k_gradient(theta, k), direction)
    assert abs(along.mean() - expected) <= 4 * along.std() / np.sqrt(groups)


@pytest.mark.parametrize("device", DEVICES)
@every_case
def test_scores_of_several_rules_of_batches_and_in_another_order_are_sums(
    name: str, settings: dict[str, Any], device: str
) -> None:
    """A direction for each rule; members moved with their advantages; P groups as one, with all members."""
    specimen = make(name, settings)
    generator = torch.Generator(device).manual_seed(9)
    _, scores = specimen.sampler(specimen.theta, device)(6, 3, generator=generator)
    put = {"dtype": torch.float64, "device": device, "generator": generator}
    advantages, directions = torch.randn(2, 6, 3, **put), torch.randn(2, specimen.theta.size, **put)
    sums = scores.weighted_sum(advantages)
    # A sum of d terms of size |A s v|, in two orders.
    size = float(sums.abs().max() + 1) * float(directions.abs().max())
    close = {"rtol": 0, "atol": 64 * 2.0**-52 * specimen.theta.size * size}
    along = torch.einsum("rgd,rd->rg", sums, directions)
    torch.testing.assert_close(scores.dot(advantages, directions), along, **close)
    order = torch.rand(6, 3, **put).argsort(dim=-1)
    groups = torch.tensor([4, 1, 5], device=device)
    some = order[groups]
    moved = scores.reordered(3 * groups[:, None] + some)
    given = advantages[:, groups].gather(-1, some.expand(2, 3, 3))
    torch.testing.assert_close(moved.weighted_sum(given), sums[:, groups], **close)
    batches, given = scores.batched(3), advantages.reshape(2, 2, 9)
    together = sums.unflatten(1, (2, 3)).sum(dim=2)
    torch.testing.assert_close(batches.weighted_sum(given), together, **close)
    torch.testing.assert_close(batches.total(given), sums.sum(dim=1), **close)
    torch.testing.assert_close(batches.dot(given, directions), along.unflatten(1, (2, 3)).sum(dim=2), **close)
    close["atol"] *= float(sums.abs().max() + 1)
    torch.testing.assert_close(batches.squared_norm(given), together.square().sum(dim=-1), **close)
    for prompts in (4, 0):
        with pytest.raises(ValueError, match=f"prompts={prompts}: 6 groups cannot be divided"):
            scores.batched(prompts)


@every_case
def test_devices_that_are_not_here_are_refused(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    for device in ("gpu", "cuda:77", "meta"):
        with pytest.raises(ValueError, match=f"device='{device}': this machine has cpu"):
            specimen.sampler(specimen.theta, device)


@every_case
def test_torchs_global_stream_is_refused(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    with pytest.raises(TypeError, match=r"generator=None is a NoneType.* e\.g\. generator=torch\.Generator"):
        specimen.sampler(specimen.theta)(2, 3, generator=None)


@every_case
def test_same_generator_same_groups(name: str, settings: dict[str, Any]) -> None:
    specimen = make(name, settings)
    sampler = specimen.sampler(specimen.theta)
    first, second = (sampler(20, 3, generator=torch.Generator().manual_seed(1))[0] for _ in range(2))
    assert torch.equal(first, second)


# A specimen that lies is found out.


class WrongGradient(SparseBandit):
    def max_at_k_gradient(self, theta: Any, k: int) -> np.ndarray:
        return super().max_at_k_gradient(theta, k) / k


class WrongLevels(SparseBandit):
    def levels(self, theta: Any, prompt: int | None = None, **form: Any) -> ml.RewardLevels:
        return super().levels(1.1 * np.asarray(theta), prompt, **form)


def test_a_gradient_without_its_factor_k_is_caught() -> None:
    specimen = WrongGradient(**CASES[0][1])
    with pytest.raises(AssertionError):
        check_gradient(specimen, trained(specimen), 3)


def test_levels_of_another_temperature_are_caught() -> None:
    name, settings = CASES[0]
    specimen = WrongLevels(**settings)
    theta = trained(specimen)
    found = returns_by_vector(name, settings, actor(specimen, theta), 20_000)
    check_returns(SparseBandit(**settings), theta, found)
    with pytest.raises(AssertionError):
        check_returns(specimen, theta, found)


def test_rewards_that_no_level_has_are_caught() -> None:
    specimen = SparseBandit(**CASES[0][1])
    with pytest.raises(AssertionError):
        check_returns(specimen, specimen.theta, np.array([0.0, 1.0, 0.5]))
