"""Arms that draw dead groups again: the mean step against exact moments, what is counted, and the bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from analysis.trainer import EXACT, SGD, Adam, Arm, Trace, train, world_of
from analysis.trainer.ascent import Ascent, Batches
from analysis.trainer.protocol import Uniforms
from envs import PromptBandit
from envs.networks.architectures import Transformer, TransformerConfig
from envs.networks.sequence import SequencePolicy
from maxpo_lab.integrations.schedules import KSteps

N, K = 4, 2


class Equal:
    """Two prompts of two tokens of three: one wants them equal, the other both the last."""

    vocabulary, length = 3, 2
    prompt_tokens = np.array([[0], [1]])

    def verify(self, prompt: int, tokens: np.ndarray) -> np.ndarray:
        equal = tokens[:, 0] == tokens[:, 1]
        return (equal & (tokens[:, 0] == 2) if prompt else equal).astype(np.float64)


def network() -> SequencePolicy:
    config = TransformerConfig(vocabulary=3, positions=3, width=4, heads=2)
    return SequencePolicy(Equal(), Transformer(config, torch.Generator().manual_seed(0)))


SPECIMENS: dict[str, Callable[[], Any]] = {
    "prompts": cache(lambda: PromptBandit(prompts=3, arms=5, good=2, hardest=0.02, easiest=0.5)),
    "network": cache(network),
}


def arm(rule: Any = "maxpo", *, draws: int = 1, size: float = 1.0, loss: str = "identity") -> Arm:
    return Arm(rule=rule, step_size=size, schedule=KSteps({0: K}), draws=draws, loss=loss)


def traced(specimen: Any, arms: list[Arm], **settings: Any) -> Trace:
    every = {"n": N, "groups": 3, "steps": 6, "seeds": [0, 1], "optimiser": SGD(), "evaluate_k": K}
    settings = {"points": range(settings.get("steps", 6) + 1), **every, **settings}
    return train(world_of(specimen), arms, **settings)


def dead_share(specimen: Any) -> float:
    """Chance that the group of a prompt drawn uniformly has equal rewards."""
    rates = [specimen.levels(specimen.theta, x).probabilities[-1] for x in range(specimen.prompts)]
    return float(np.mean([p**N + (1 - p) ** N for p in rates]))


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize("rule", ["maxpo", "grpo", "pkpo-s"])
def test_the_mean_step_is_that_of_exact_moments(name: str, rule: str) -> None:
    """Of two draws a group lives with chance 1 - d^2, and is then one of ``replace``'s mixture.

    Else it is a dead one, E[g; dead] = E g - (1 - d) E[g | alive]. So are its second moments, hence the
    standard error of the mean of 100,000 groups, of which four are allowed.
    """
    specimen, draws, groups = SPECIMENS[name](), 2, 100_000
    world = world_of(specimen)
    ascent = Ascent(world, (arm(rule, draws=draws),), Uniforms([5]), n=N, groups=groups, batches=Batches())
    found = ascent.gradient(world.start.expand(1, 1, -1).clone(), 0)[0, 0].numpy()
    outcomes = [specimen.outcomes(specimen.theta, x) for x in range(specimen.prompts)]

    def moments(policy: Any, how: str) -> tuple[np.ndarray, float]:
        known = ml.update_moments(rule, "identity", policy, n=N, k=K, dead_groups=how)
        size = len(policy) if how == "replace" else 1
        return known.mean, size * known.trace_covariance + known.mean @ known.mean

    alone = [moments([each], "keep") for each in outcomes]
    plain, alive = np.mean([mean for mean, _ in alone], axis=0), moments(outcomes, "replace")
    d = dead_share(specimen)
    left = d**draws

    def bounded(kept: Any, living: Any) -> Any:
        return (1 - left) * living + left * (kept - (1 - d) * living) / d

    expected = bounded(plain, alive[0])
    within = 4 * np.sqrt(bounded(np.mean([second for _, second in alone]), alive[1]) / groups)
    assert np.linalg.norm(found - expected) < within
    # The test would have seen a loop that draws once, one without a bound, and one that keeps the prompt.
    others = [plain, alive[0]]
    if name == "prompts":
        others.append(bounded(plain, moments(outcomes, "redraw")[0]))
    for other in others:
        assert np.linalg.norm(other - expected) > 2 * within
    tries = ascent.spent.rollouts.item() / N / groups
    spread = np.sqrt(sum((t - 1) ** 2 * d ** (t - 1) for t in range(1, draws + 1)) / groups)
    assert abs(tries - (1 - d**draws) / (1 - d)) < 5 * spread


@pytest.mark.parametrize("name", SPECIMENS)
def test_an_arm_that_redraws_trains_as_alone_and_changes_no_other(name: str) -> None:
    specimen = SPECIMENS[name]()
    plain = [arm("maxpo"), arm("grpo", size=2.0), Arm(rule=EXACT, step_size=1.0, schedule=KSteps({0: K}))]
    redraws = [arm("maxpo", draws=4), arm("grpo", draws=2), arm("maxpo", draws=4, loss="ppo")]
    for settings in ({}, {"epochs": 2, "lag": 1}):
        before = traced(specimen, plain, **settings)
        both = traced(specimen, [*plain, *redraws], **settings)
        if not settings:
            # A loss asks for the tokens' own path: equal to rounding there, to the bit without one.
            both = traced(specimen, [*plain, *redraws[:2]])
        for field in ("objective", "rollouts", "first_success", "diversity"):
            assert np.array_equal(getattr(both, field)[:3], getattr(before, field), equal_nan=True), field
        for i, each in enumerate(redraws[: len(both.objective) - 3]):
            alone = traced(specimen, [each], seeds=[1], **settings)
            assert np.array_equal(alone.objective[0, 0], both.objective[3 + i, 1])
            assert np.array_equal(alone.rollouts[0, 0], both.rollouts[3 + i, 1])
        again = traced(specimen, [*plain, *redraws[: len(both.objective) - 3]], **settings)
        assert np.array_equal(again.objective, both.objective)
        assert not np.array_equal(both.objective[0], both.objective[3])


def test_rollouts_are_counted() -> None:
    specimen = SPECIMENS["prompts"]()
    arms = [arm(), arm(draws=3), Arm(rule=EXACT, step_size=1.0, schedule=KSteps({0: K}))]
    found = traced(specimen, arms, steps=4)
    assert found.rollouts[0].tolist() == [[12.0 * step for step in range(5)]] * 2
    assert not found.rollouts[2].any()
    spent = np.diff(found.rollouts[1])
    assert (spent >= 12).all()
    assert (spent <= 36).all()
    assert (spent % N == 0).all()
    assert spent.max() > 12
    used_again = traced(specimen, [arm()], steps=5, epochs=2)
    assert used_again.rollouts[0, 0].tolist() == [0, 12, 12, 24, 24, 36]


@pytest.mark.parametrize("optimiser", [SGD(), Adam()], ids=["sgd", "adam"])
def test_a_run_ends_with_its_budget(optimiser: Any) -> None:
    """Beyond it nothing is drawn and nothing moves; up to there all is as without one."""
    specimen = SPECIMENS["prompts"]()
    settings = {"steps": 8, "epochs": 2, "optimiser": optimiser}
    arms = [arm(), arm(draws=3)]
    free, bound = traced(specimen, arms, **settings), traced(specimen, arms, budget=30, **settings)
    for i in range(2):
        for seed in range(2):
            last = int((free.rollouts[i, seed] < 30).sum()) - 1
            end = 2 * (last // 2 + 1)  # the batch before which less had been spent is used to the end
            assert np.array_equal(bound.objective[i, seed, : end + 1], free.objective[i, seed, : end + 1])
            assert np.ptp(bound.objective[i, seed, end:]) == 0
            assert bound.rollouts[i, seed, -1] == bound.rollouts[i, seed, end] >= 30
    assert np.ptp(free.objective[0, 0, -3:]) > 0


def test_first_successes_follow_the_law_of_the_start() -> None:
    """Steps of 1e-12 leave the policy where it is: a prompt is solved in a batch with chance 1 - (1-q/X)^G.

    q = 1 - (1-p)^n. The mean over 400 seeds of the number of batches, within five standard errors.
    """
    specimen = SPECIMENS["prompts"]()
    found = traced(specimen, [arm(size=1e-12)], steps=150, seeds=range(400), points=[0, 150])
    batches = found.first_success[0] / (3 * N)
    assert np.isnan(batches).mean() < 0.2
    for x in range(3):
        p = specimen.levels(specimen.theta, x).probabilities[-1]
        fails = (1 - (1 - (1 - p) ** N) / 3) ** 3
        expected = (1 - fails**150) / (1 - fails)  # of the number within 150, those that fail counted as 150
        own = np.where(np.isnan(batches[:, x]), 150, batches[:, x])
        assert abs(own.mean() - expected) < 5 * own.std(ddof=1) / 20
        assert own.min() == 1


def test_a_memory_is_told_the_prompts_that_were_drawn_in_the_end() -> None:
    """Replay with redraws: what it remembers are the live groups, under their own prompts."""
    specimen = SPECIMENS["prompts"]()
    trace = traced(specimen, [arm(ml.Replay(K), draws=50), arm("maxpo", draws=50)], steps=4)
    assert np.isfinite(trace.objective).all()
    assert np.array_equal(trace.objective[0, :, 1], trace.objective[1, :, 1]), "the first step has no history"
    assert not np.array_equal(trace.objective[0, :, -1], trace.objective[1, :, -1])


def test_parameters_on_a_spacing_forget_how_they_were_rounded() -> None:
    """Starts 1e-13 apart end in the same parameters, all multiples of the spacing, half of it off a step."""
    specimen, spacing = SPECIMENS["prompts"](), 2.0**-10
    world = world_of(specimen)
    shifted = world_of(specimen, specimen.theta + 1e-13)
    settings = {"n": N, "groups": 3, "steps": 5, "seeds": [0, 1], "optimiser": SGD(), "evaluate_k": K}
    found = [
        train(each, [arm("pkpo-s", size=8.0)], points=range(6), keep=[1, 5], spacing=size, **settings)
        for each, size in ((world, spacing), (shifted, spacing), (world, 0.0), (shifted, 0.0))
    ]
    assert np.array_equal(found[0].theta[5], found[1].theta[5])
    assert not np.array_equal(found[2].theta[5], found[3].theta[5])
    assert not (found[0].theta[5] / spacing % 1).any()
    assert 0 < np.abs(found[0].theta[1] - found[2].theta[1]).max() <= spacing / 2


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="draws=0: a group is drawn once at least"):
        arm(draws=0)
    with pytest.raises(ValueError, match="which draws nothing"):
        Arm(rule=EXACT, step_size=1.0, schedule=KSteps({0: K}), draws=2)
    with pytest.raises(ValueError, match="budget=0"):
        traced(SPECIMENS["prompts"](), [arm()], budget=0)
    with pytest.raises(ValueError, match="spacing=-1"):
        traced(SPECIMENS["prompts"](), [arm()], spacing=-1.0)
