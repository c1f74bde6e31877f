"""What a loop climbs on 0/1 rewards, against enumeration in rationals and the update's own moments."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from math import comb
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions

P = Fraction(3, 10)


def weight(
    rule: str, n: int, k: int, p: Fraction, *, dead_groups: str, delta: Fraction, fn: Fraction, fp: Fraction
) -> Fraction:
    """``E[(1/n) sum_i A_i s_i]``, s the derivative by p, over every group, copy and verdict."""
    total = alive = Fraction(0)
    for copies in range(1, n + 1):
        chance = comb(n - 1, copies - 1) * delta ** (copies - 1) * (1 - delta) ** (n - copies)
        if not chance:
            continue
        for truth in product((0, 1), repeat=n - copies + 1):
            for seen in product((0, 1), repeat=n - copies + 1):
                own = chance
                for right, passed in zip(truth, seen, strict=True):
                    verdict = 1 - fn if right else fp
                    own *= (p if right else 1 - p) * (verdict if passed else 1 - verdict)
                rewards = [seen[0]] * copies + list(seen[1:])
                dead = len(set(rewards)) == 1
                alive += own * (not dead)
                if own and not (dead and dead_groups != "keep"):
                    advantages = definitions.BY_NAME[rule](rewards, k)
                    right = [truth[0]] * copies + list(truth[1:])
                    scores = [1 / p if each else -1 / (1 - p) for each in right]
                    total += own * sum(a * s for a, s in zip(advantages, scores, strict=True)) / n
    return total / alive if dead_groups == "redraw" else total


@pytest.mark.parametrize("dead_groups", ["keep", "drop", "redraw"])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 5)])
@pytest.mark.parametrize(("fn", "fp"), [(Fraction(0), Fraction(0)), (Fraction(1, 10), Fraction(1, 20))])
@pytest.mark.parametrize("rule", ["maxpo", "pkpo-s", "pkpo-loo1"])
def test_weights_equal_enumeration_in_rationals(
    rule: str, dead_groups: Any, delta: Fraction, fn: Fraction, fp: Fraction
) -> None:
    found = ml.loop_spectrum(
        rule, n=4, k=2, dead_groups=dead_groups, duplicates=delta, false_negatives=fn, false_positives=fp
    )
    assert found.climbed.exact
    truth = weight(rule, 4, 2, P, dead_groups=dead_groups, delta=delta, fn=fn, fp=fp)
    assert found.weight_function(float(P)) == pytest.approx(float(truth), rel=1e-13)
    floats = ml.loop_spectrum(
        rule,
        n=4,
        k=2,
        dead_groups=dead_groups,
        duplicates=float(delta),
        false_negatives=float(fn),
        false_positives=float(fp),
    )
    assert floats.weight_function(float(P)) == pytest.approx(float(truth), rel=1e-13)


def test_without_a_loop_it_is_the_spectrum() -> None:
    found, plain = ml.loop_spectrum("grpo", n=6, k=1), ml.pass_at_k_spectrum("grpo", n=6, k=1)
    assert np.array_equal(found.climbed.weights, plain.weights)
    assert found.alive(0.3) == 1


@pytest.mark.parametrize(
    ("rule", "weights"), [("maxpo", (50.24, 2.46)), ("rloo", (12.94, 1.20)), ("grpo", (31.59, 2.37))]
)
def test_redrawing_hard_prompts_makes_every_rule_climb_log_p(rule: str, weights: tuple[float, float]) -> None:
    found = ml.loop_spectrum(rule, n=8, k=4, dead_groups="redraw")
    assert np.allclose(found.weight_function([0.01, 0.2]), weights, rtol=0, atol=6e-3)
    won = ml.advantages(np.eye(8)[:1], 4, estimator=rule)[0, 0]
    assert found.weight_function(1e-6) * 1e-6 == pytest.approx(won / 8, rel=1e-4)


def test_duplicates_and_verdicts_of_the_theory() -> None:
    plain = ml.loop_spectrum("maxpo", n=8, k=4)
    copied = ml.loop_spectrum("maxpo", n=8, k=4, duplicates=0.1)
    p = [0.05, 0.5, 0.8]
    ratio = copied.weight_function(p) / plain.weight_function(p)
    assert np.allclose(ratio, [0.90, 1.06, 1.78], rtol=0, atol=6e-3)
    p = [0.001, 0.05, 0.2, 0.5]
    for rule, expected in (("maxpo", [0.39, 0.43, 0.58, 1.77]), ("rloo", [0.85] * 4)):
        judged = ml.loop_spectrum(rule, n=32, k=16, false_positives=0.05, false_negatives=0.1)
        ratio = judged.weight_function(p) / ml.loop_spectrum(rule, n=32, k=16).weight_function(p)
        assert np.allclose(ratio, expected, rtol=0, atol=6e-3)


@pytest.mark.parametrize(
    "settings", [{"duplicates": 0.2}, {"dead_groups": "redraw"}, {"duplicates": 0.3, "dead_groups": "drop"}]
)
def test_it_is_the_mean_of_the_update(settings: dict[str, Any]) -> None:
    arms = ml.Outcomes.from_softmax(np.log([0.1, 0.2, 0.7]), [1.0, 1.0, 0.0])
    found = ml.update_moments("pkpo-loo1", "identity", arms, n=5, k=3, target="mean", **settings)
    weight = ml.loop_spectrum("pkpo-loo1", n=5, k=3, **settings).weight_function(0.3)
    assert np.allclose(found.mean, weight * found.gradient, rtol=0, atol=1e-14)


def test_fixed_points_are_where_the_update_turns() -> None:
    def hesitant(rewards: np.ndarray, k: int) -> np.ndarray:
        """Climbs below two thirds, descends above."""
        rate = rewards.mean(axis=1, keepdims=True)
        return (rewards - rate) * (2 / 3 - rate)

    found = ml.loop_spectrum(hesitant, n=12, k=1)
    (point,) = found.fixed_points()
    assert point.stable
    before, after = found.weight_function([point.success - 1e-9, point.success + 1e-9])
    assert before > 0 > after
    flipped = ml.loop_spectrum(lambda rewards, k: -hesitant(rewards, k), n=12, k=1)
    assert [each.stable for each in flipped.fixed_points()] == [False]
    assert not ml.loop_spectrum("maxpo", n=12, k=4).fixed_points()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duplicates": 1.0}, "duplicates=1.0: it must be in [0, 1)"),
        ({"duplicates": "0.1"}, "is a str"),
        ({"false_negatives": 0.6, "false_positives": 0.5}, "add up to 1.1"),
        ({"dead_groups": "replace"}, "dead_groups='replace'"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        ml.loop_spectrum("maxpo", n=8, k=4, **settings)
