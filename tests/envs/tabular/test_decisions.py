"""Exact updates decision by decision, against those rollout by rollout."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import maxpo_lab as ml
from envs.tabular import oracle
from maxpo_lab.losses import list_losses

#: Sums of some thousand products of numbers of size 1.
ROUNDING = 1e-12
LAYOUT = "####\n#1S#\n#.G#\n####"


#: Losses whose coefficients are of whole rollouts.
WHOLE = {"off-policy", "trl:rloo", "verl:reinforce", "gspo", "verl:gspo", "verl:geo_mean", "trl:vespo"}


def maze(horizon: int) -> Any:
    return gymnasium.make("maxpo/Maze-v0", layout=LAYOUT, slip=0.2, horizon=horizon).unwrapped


WORLD = maze(3)


def policies(world: Any, seed: int = 3) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    theta = world.theta + 0.5 * rng.normal(size=world.theta.shape)
    names = ("behaviour", "proximal", "reference")
    return theta, {name: theta + 0.3 * rng.normal(size=theta.shape) for name in names}


def agree(found: ml.UpdateMoments, truth: ml.UpdateMoments) -> bool:
    each = ("mean", "gradient", "trace_covariance", "along_gradient_variance", "alive")
    return all(np.allclose(getattr(found, a), getattr(truth, a), rtol=0, atol=ROUNDING) for a in each)


@pytest.mark.parametrize("name", sorted(set(list_losses()) - WHOLE))
def test_decisions_equal_outcomes(name: str) -> None:
    theta, beside = policies(WORLD)
    listed, decided = WORLD.outcomes(theta, **beside), WORLD.decisions(theta, **beside)
    for rule in ("maxpo", "reinforce"):
        assert agree(*(ml.update_moments(rule, name, each, n=3, k=2) for each in (decided, listed)))
    assert decided.divergence == pytest.approx(listed.divergence, abs=ROUNDING)


@pytest.mark.parametrize("settings", [{"dead_groups": "redraw"}, {"duplicates": 0.3}, {}])
def test_a_batch_may_have_both(settings: dict[str, Any]) -> None:
    (theta, beside), (other, _) = policies(WORLD), policies(WORLD, seed=4)
    listed = WORLD.outcomes(theta, **beside), WORLD.outcomes(other)
    mixed = WORLD.decisions(theta, **beside), listed[1]
    name = "ppo:over=token-mean"
    assert agree(
        *(ml.update_moments("pkpo-loo1", name, each, n=2, k=2, **settings) for each in (mixed, listed))
    )


def test_a_fault_in_the_recursion_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    theta, beside = policies(WORLD)
    kept = oracle.score_rows
    monkeypatch.setattr(oracle, "score_rows", lambda policy: kept(policy) * 1.01)
    found = ml.update_moments("maxpo", "ppo", WORLD.decisions(theta, **beside), n=3, k=2)
    monkeypatch.undo()
    assert not agree(found, ml.update_moments("maxpo", "ppo", WORLD.outcomes(theta, **beside), n=3, k=2))


def test_episodes_beyond_listing_have_the_moments_of_the_levels() -> None:
    world = maze(40)
    with pytest.raises(ValueError, match="more than 100,000 episodes after"):
        world.outcomes(world.theta)
    found = ml.update_moments("maxpo", "identity", world.decisions(world.theta), n=4, k=2)
    known = ml.exact_moments("maxpo", world.levels(world.theta), n=4, k=2)
    assert np.allclose(found.mean, known.mean, rtol=0, atol=ROUNDING)
    assert found.trace_covariance == pytest.approx(known.trace_covariance, rel=1e-11)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_losses_of_whole_rollouts_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} looks at the ratio of a whole rollout"):
        ml.update_moments("maxpo", name, WORLD.decisions(WORLD.theta), n=3, k=2)


def test_what_does_not_go_with_decisions_is_refused() -> None:
    with pytest.raises(TypeError, match="behaviour goes with Outcomes"):
        ml.update_moments("maxpo", "ppo", WORLD.decisions(WORLD.theta), n=3, k=2, behaviour=[1.0])
    with pytest.raises(TypeError, match="needs a reference"):
        ml.update_moments("maxpo", "kl", WORLD.decisions(WORLD.theta), n=3, k=2)


def test_a_path_of_inner_epochs_takes_decisions() -> None:
    """To rounding the path of the listed episodes."""
    lock: Any = gymnasium.make("maxpo/CombinationLock-v0", length=3, choices=2).unwrapped
    settings: dict[str, Any] = {"n": 3, "k": 2, "step_size": 0.5, "epochs": 3}
    paths = [
        ml.update_path(
            "maxpo", "ppo", lambda theta, old, of=of: of(theta, behaviour=old), lock.theta, **settings
        )
        for of in (lock.outcomes, lock.decisions)
    ]
    for one, other in zip(*paths, strict=True):
        assert np.allclose(one.theta, other.theta, rtol=0, atol=1e-12)
        assert one.divergence == pytest.approx(other.divergence, abs=1e-12)
