"""Rules of rewards and ratios: off-policy max@K against all groups, its bias and its price by lag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from update_witness import tree, updates

import maxpo_lab as ml
from maxpo_lab.losses import definitions, get_loss, off_policy_advantages
from maxpo_lab.moments.updates import ratio_classes

#: Sums of some thousand products of numbers of size 1.
ROUNDING = 1e-12
OFF_POLICY = ml.ratio_rule(off_policy_advantages)
BARE = ml.ratio_rule(partial(off_policy_advantages, baseline="none"), name="off-policy q")
#: Behaviour, proximal and reference all differ; and the pair that importance weights are exact for.
THREE, PAIR = tree(1, tokens=2, parameters=5), tree(2, tokens=2, parameters=5, others=("behaviour",))
#: The bandit of the notes: three right answers of six.
LOGITS, RIGHT = np.log([0.12, 0.06, 0.02, 0.4, 0.3, 0.1]), np.array([1.0, 1, 1, 0, 0, 0])


def enumerated(k: int) -> Callable[[ml.Outcomes, np.ndarray], np.ndarray]:
    """Advantages by subsets, with ratios from the chances of whole outcomes."""

    def rule(policy: ml.Outcomes, group: np.ndarray) -> np.ndarray:
        now = np.prod(np.where(policy.mask, policy.probabilities.reshape(policy.mask.shape), 1.0), axis=1)
        ratios = now[group] / policy.drawn[group]
        return np.array(definitions.off_policy(policy.rewards[group].tolist(), ratios.tolist(), k))

    return rule


def lagged(divergence: float, k: int) -> ml.Outcomes:
    gradient = ml.max_at_k_gradient(ml.RewardLevels.from_softmax(LOGITS, RIGHT), k)

    def moved(step: float) -> ml.Outcomes:
        return ml.Outcomes.from_softmax(LOGITS + step * gradient, RIGHT, behaviour=LOGITS)

    return moved(
        brentq(lambda step: moved(step).divergence - divergence, 1e-6, 50, xtol=1e-13) if divergence else 0.0
    )


@pytest.mark.parametrize("name", ["off-policy", "ppo", "importance:level=sequence", "kl:over=token-mean"])
@pytest.mark.parametrize(
    "settings", [{}, {"dead_groups": "redraw"}, {"duplicates": 0.3}, {"dead_groups": "drop"}], ids=str
)
def test_moments_equal_enumeration(name: str, settings: dict[str, Any]) -> None:
    for policy in (THREE, lagged(0.02, 2)):
        if name == "kl:over=token-mean" and policy.reference is None:
            continue
        found = ml.update_moments(OFF_POLICY, name, policy, n=3, k=2, **settings)
        truth = updates(enumerated(2), get_loss(name), [policy], n=3, k=2, **settings)
        assert np.allclose(found.mean, truth.mean, rtol=0, atol=ROUNDING)
        assert found.trace_covariance == pytest.approx(truth.trace, rel=ROUNDING, abs=ROUNDING)


def test_a_batch_of_prompts_has_classes_of_each() -> None:
    prompts = [PAIR, tree(3, tokens=2, parameters=5, others=("behaviour",))]
    found = ml.update_moments(OFF_POLICY, "ppo:over=token-mean", prompts, n=2, k=1)
    truth = updates(enumerated(1), get_loss("ppo:over=token-mean"), prompts, n=2, k=1)
    assert np.allclose(found.mean, truth.mean, rtol=0, atol=ROUNDING)
    assert found.trace_covariance == pytest.approx(truth.trace, abs=ROUNDING)
    assert found.alive == pytest.approx(ml.update_moments("rloo", "ppo", prompts, n=2, k=1).alive, abs=1e-15)


@pytest.mark.parametrize("rule", [OFF_POLICY, BARE], ids=lambda rule: rule.name)
def test_it_is_unbiased_at_the_new_policy_at_any_lag(rule: Any) -> None:
    """As arXiv 2510.23393 says; MaxPO with a ratio of its own rollout alone is not."""
    for policy, n, k in ((PAIR, 4, 3), *((lagged(each, 4), 8, 4) for each in (0.0, 0.001, 0.01, 0.1))):
        found = ml.update_moments(rule, "off-policy", policy, n=n, k=k)
        assert found.relative_bias < 10 * found.bias_resolution < 1e-11
        own = ml.update_moments("maxpo", "off-policy", policy, n=n, k=k)
        assert (own.relative_bias > 0.05) == (policy.divergence > 1e-4)


@pytest.mark.parametrize(
    ("divergence", "noise", "bare"),
    [(0.0, 1.147, 6.81), (0.001, 1.171, 7.95), (0.01, 1.293, 11.72), (0.1, 7.76, 69.5)],
)
def test_its_price_grows_with_the_lag(divergence: float, noise: float, bare: float) -> None:
    """``tr Cov / |grad J|^2``, n = 8, K = 4. Fresh it is MaxPO's."""
    policy = lagged(divergence, 4)
    for rule, expected in ((OFF_POLICY, noise), (BARE, bare)):
        found = ml.update_moments(rule, "off-policy", policy, n=8, k=4)
        price = found.trace_covariance / (found.gradient @ found.gradient)
        assert price == pytest.approx(expected, rel=1e-3)
    if not divergence:
        maxpo = ml.update_moments("maxpo", "off-policy", policy, n=8, k=4)
        assert maxpo.trace_covariance / (maxpo.gradient @ maxpo.gradient) == pytest.approx(noise, rel=1e-3)


def test_a_rule_that_takes_all_ratios_for_one_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ratio_classes.RatioClasses.of
    monkeypatch.setattr(
        ratio_classes.RatioClasses,
        "of",
        classmethod(lambda _, policy: replace(kept(policy), log_ratios=0 * kept(policy).log_ratios)),
    )
    found = ml.update_moments(OFF_POLICY, "off-policy", lagged(0.02, 2), n=3, k=2)
    assert found.relative_bias > 0.05


def test_a_users_rule_of_ratios() -> None:
    """Foreign but right: the same numbers by another way."""

    def mine(rewards: Any, k: int, *, log_ratios: Any) -> Any:
        return np.stack(
            [
                definitions.off_policy(group, np.exp(logs).tolist(), k)
                for group, logs in zip(rewards.tolist(), log_ratios, strict=True)
            ]
        )

    one, other = (
        ml.update_moments(rule, "off-policy", PAIR, n=3, k=2) for rule in (ml.ratio_rule(mine), OFF_POLICY)
    )
    assert np.allclose(one.mean, other.mean, rtol=0, atol=ROUNDING)
    assert one.rule == "mine"


def test_inner_epochs_stay_on_the_gradient() -> None:
    """Every epoch's expected update is grad J where it is made, from rollouts of the first policy."""
    path = ml.update_path(
        OFF_POLICY,
        "off-policy",
        lambda theta, old: ml.Outcomes.from_softmax(theta, RIGHT, behaviour=old),
        LOGITS,
        n=4,
        k=2,
        step_size=0.5,
        epochs=3,
    )
    theta = LOGITS
    for step in path:
        assert np.allclose(step.theta, theta, rtol=0, atol=ROUNDING)
        theta = theta + 0.5 * ml.max_at_k_gradient(ml.RewardLevels.from_softmax(theta, RIGHT), 2)
    assert path[-1].divergence > 0.001


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ml.ratio_rule(3), "f=3 is a int"),  # type: ignore[arg-type]
        (lambda: ml.ratio_rule(ml.get_estimator("maxpo")), "is a RankLinear"),
        (lambda: ml.ratio_rule(OFF_POLICY), "is a RatioRule"),
        (lambda: ml.advantages(np.ones((2, 3)), 2, estimator=OFF_POLICY), "use update_moments"),
        (lambda: ml.audit(OFF_POLICY, n=3, k=2), "use update_moments"),
        (lambda: ml.exact_moments(OFF_POLICY, PAIR.levels(), n=3, k=2), "use update_moments"),  # type: ignore[arg-type]
        (lambda: ml.update_moments(OFF_POLICY, "off-policy", PAIR, n=3, k=3), "k <= n-1 = 2"),
        (lambda: ml.update_moments(OFF_POLICY, "off-policy", PAIR, n=3, k=4), "k=4"),
        (
            lambda: ml.update_moments(OFF_POLICY, "off-policy", PAIR, n=9, k=4, max_states=50),
            r"classes of reward and ratio, more than max_states=50.*monte_carlo_updates",
        ),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
