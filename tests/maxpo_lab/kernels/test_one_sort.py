"""Several rules from one sort: each gives to the bit what it gives alone, rewards far apart included."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from backends import DEVICES

import maxpo_lab as ml
from maxpo_lab.integrations.schedules import KSteps
from maxpo_lab.monte_carlo.matrices import RuleMatrices
from maxpo_lab.monte_carlo.one_sort import OneSort, from_one_sort

torch = pytest.importorskip("torch")

from analysis.trainer import Arm  # noqa: E402
from analysis.trainer.arms import ArmRules  # noqa: E402

CPU = torch.device("cpu")
#: Of either sign, and groups whose rewards are 16 and more decimal orders apart.
REWARDS = torch.tensor(
    np.concatenate(
        [
            np.random.default_rng(0).normal(size=(40, 4)) - 0.5,
            np.array([[-1e16, 1.0, 3.0, 0.1], [1e16, 1.0, -3.0, 0.1], [-1e150, -1.0, 1e-150, 0.0]]),
            np.full((1, 4), 0.1),
        ]
    )
)


def real_rules(k: int) -> list[str]:
    rules = (ml.get_estimator(name) for name in ml.list_estimators())
    return [rule.name for rule in rules if from_one_sort(rule) and not rule.why_not(4, k)]


def test_there_are_rules_of_both_kinds_and_of_tables_with_penalties() -> None:
    made = [ml.get_estimator(name).coefficients(4, 2) for name in real_rules(2)]
    assert {bool(each.offset) for each in made} == {True, False}
    assert any(each.penalties is not None for each in made)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_rules_together_give_what_each_gives_alone(k: int) -> None:
    names = real_rules(k)
    together = OneSort.of([ml.get_estimator(name) for name in names], k)
    for name, found in zip(names, together(REWARDS), strict=True):
        assert torch.equal(found, ml.get_estimator(name)(REWARDS, k)), name
        if name == "reinforce" or (name == "pkpo-s" and k == 1):
            assert torch.equal(found, REWARDS), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_matrices_give_what_the_rules_give(k: int, device: str) -> None:
    """To a dozen roundings of each term: what is far larger in a group spoils nothing it has no share in."""
    names, rewards = real_rules(k), REWARDS.to(device).sort(dim=-1).values
    rules = [(place, ml.get_estimator(name)) for place, name in enumerate(names)]
    together = RuleMatrices.of(rules, 4, k, rewards.device)
    terms = replace(together, matrices=together.matrices.abs())(rewards)
    for name, found, size in zip(names, together(rewards), terms, strict=True):
        alone = ml.get_estimator(name)(rewards, k)
        assert ((found - alone).abs() <= 12 * 2.0**-52 * size).all(), name


def test_a_wrong_matrix_is_caught() -> None:
    made = RuleMatrices.of([(0, ml.get_estimator("maxpo"))], 4, 2, CPU)
    wrong = replace(made, matrices=made.matrices.roll(1, dims=1))
    rewards = REWARDS[:40].sort(dim=-1).values
    assert not torch.allclose(wrong(rewards)[0], ml.get_estimator("maxpo")(rewards, 2))


@pytest.mark.parametrize("alone", [False, True])
def test_arms_together_give_what_each_gives_alone(alone: bool) -> None:
    """Each arm on rewards of its own, with its own K, beside a rule that is called by itself."""
    pairs = [(name, k) for k in (1, 2, 4) for name in real_rules(k)]
    pairs = pairs[:1] if alone else [*pairs, ("grpo", 1)]
    arms = [Arm(rule=name, step_size=1.0, schedule=KSteps({0: k})) for name, k in pairs]
    rewards = torch.stack([REWARDS.roll(arm, 0) for arm in range(len(arms))])
    found = ArmRules.of(arms, [k for _, k in pairs], 4)(rewards)
    for (name, k), own, advantages in zip(pairs, rewards, found, strict=True):
        assert torch.equal(advantages, ml.get_estimator(name)(own, k)), (name, k)
        if name == "reinforce":
            assert torch.equal(advantages, own)


def test_every_rank_linear_rule_is_taken_once() -> None:
    rules = [ml.get_estimator(name) for name in ("reinforce", "grpo", "maxpo", "pkpo-s", "maxrl")]
    made = OneSort.of(rules, 2)
    assert (made.places, made.rules) == ([0, 2, 3], tuple((rules[place], 2) for place in (0, 2, 3)))
    assert made(REWARDS).shape == (3, *REWARDS.shape)
    assert OneSort.of(rules[1:2], 2).places == []


@pytest.mark.parametrize("method", ["__call__", "unchecked"])
def test_a_rank_linear_rule_answers_with_its_coefficients(method: str) -> None:
    """It is measured by them: another answer, coupled ones among them, would never be seen."""

    def whitened(self: ml.RankLinear, *given: object) -> object:
        found = getattr(super(ml.RankLinear, self), method)(*given)
        return found / found.std()

    with pytest.raises(TypeError, match=f"Whitened is a RankLinear with a {method} of its own.*Estimator"):
        type("Whitened", (ml.RankLinear,), {method: whitened})
    kind = type("Mine", (ml.RankLinear,), {"describe": lambda self: self.name})
    own = ml.get_estimator("maxpo")
    mine = kind(**{field.name: getattr(own, field.name) for field in fields(own)})
    assert torch.equal(mine(REWARDS, 2), own(REWARDS, 2))
