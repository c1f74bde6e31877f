"""Rules on one prompt: the library's own moments, also of enumerated verdicts and of each history."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

import maxpo_lab as ml
from analysis.measure import one_prompt
from analysis.measure.one_prompt import REMEMBERING, UNBIASED, Prompt, comparable, compare

PROMPT = Prompt(n=6, k=3, success=0.3, correct=4, outcomes=20)


def outcomes(prompt: Prompt, p: float, *, noisy: bool) -> ml.RewardLevels:
    """The policy outcome by outcome, each with either verdict: probabilities, scores, rewards."""
    right = np.arange(prompt.outcomes) < prompt.correct
    share = np.where(right, p / prompt.correct, (1 - p) / (prompt.outcomes - prompt.correct))
    scores = np.eye(prompt.outcomes) - share
    fp, fn = (prompt.false_positives, prompt.false_negatives) if noisy else (0.0, 0.0)
    rows = []
    for answer, passed in product(range(prompt.outcomes), (0, 1)):
        chance = (1 - fn if right[answer] else fp) if passed else (fn if right[answer] else 1 - fp)
        if chance:
            rows.append((share[answer] * chance, scores[answer], float(passed)))
    chances, vectors, rewards = zip(*rows, strict=True)
    return ml.RewardLevels.from_outcomes(chances, vectors, rewards)


@pytest.mark.parametrize("rule", ["maxpo", "pkpo-loo1", "pkpo-s", "grpo", "rloo"])
def test_numbers_are_the_librarys_own(rule: str) -> None:
    rows = compare(PROMPT, [rule])
    assert set(rows[rows.part == "k"].k) == {
        k for k in range(1, 7) if ml.get_estimator(rule).why_not(6, k) is None
    }
    for row in rows.iloc[:: max(1, len(rows) // 9)].itertuples():
        levels = outcomes(PROMPT, row.success, noisy=False)
        moments = ml.exact_moments(rule, levels, n=6, k=row.k)
        floor = ml.variance_floor(levels, n=6, k=row.k)
        assert row.scale == pytest.approx(moments.scale, rel=1e-10)
        assert row.trace_covariance == pytest.approx(moments.trace_covariance, rel=1e-8)
        own = floor.trace_covariance * moments.scale**2 / moments.trace_covariance
        assert row.efficiency == pytest.approx(own, rel=1e-8)
        assert row.sum_rms == pytest.approx(moments.advantage_sum_rms, rel=1e-9, abs=1e-12)
        assert row.dead == pytest.approx(moments.dead_group_probability, rel=1e-9, abs=1e-12)


def test_verdicts_that_err_are_those_of_every_answer_with_either_verdict() -> None:
    prompt = replace(PROMPT, false_positives=0.05, false_negatives=0.2)
    levels = outcomes(prompt, 0.3, noisy=True)
    assert prompt.passes(0.3) == pytest.approx(0.3 * 0.8 + 0.7 * 0.05)
    true = outcomes(prompt, 0.3, noisy=False)
    gradient = ml.max_at_k_gradient(true, 3)
    found = compare(prompt, ["maxpo", "pkpo-loo1"]).query("part == 'here'")
    for row in found.itertuples():
        moments = ml.exact_moments(row.rule, levels, n=6, k=3)
        scale = moments.mean @ gradient / (gradient @ gradient)
        assert row.scale == pytest.approx(scale, rel=1e-10)
        assert row.trace_covariance == pytest.approx(moments.trace_covariance, rel=1e-10)
        efficiency = moments.efficiency(ml.variance_floor(levels, n=6, k=3))
        assert row.efficiency == pytest.approx(efficiency, rel=1e-10)
    # The weight that is left of pass@K, as the loop's spectrum has it in rationals.
    loop = ml.loop_spectrum("maxpo", n=6, k=3, false_positives=0.05, false_negatives=0.2)
    assert found.scale.iloc[0] == pytest.approx(float(loop.weight_function(0.3)) / (3 * 0.7**2), rel=1e-10)


@pytest.mark.parametrize("rule", ["replay", "plug-in-floor"])
def test_a_history_is_averaged_over_all_that_it_can_be(rule: str) -> None:
    prompt = replace(PROMPT, history=5)
    (row,) = compare(prompt, [rule]).query("part == 'here'").itertuples()
    levels = outcomes(prompt, 0.3, noisy=False)
    trace = 0.0
    for successes in range(6):
        y = (np.arange(5) < successes) * 1.0

        def after(rewards: np.ndarray, k: int, y: np.ndarray = y) -> np.ndarray:
            return ml.advantages(rewards, k, estimator=rule, history=[y] * len(rewards))

        moments = ml.exact_moments(after, levels, n=6, k=3)
        assert moments.relative_bias < 1e-9  # so that covariances average
        trace += binom.pmf(successes, 5, 0.3) * moments.trace_covariance
    assert row.trace_covariance == pytest.approx(trace, rel=1e-9)
    assert row.scale == pytest.approx(1.0, rel=1e-9)
    assert row.unbiased


def test_what_is_compared_unless_told() -> None:
    assert tuple(compare(PROMPT).rule.unique()) == UNBIASED
    assert {"replay", "plug-in-floor"} < set(compare(replace(PROMPT, history=3)).rule)
    at_n = compare(replace(PROMPT, k=6)).query("part == 'here'")
    assert set(at_n.rule) == {"pkpo-loo1", "predictive"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k": 7}, "k=7: max@k needs 1 <= k <= n = 6"),
        ({"success": 1.0}, "success=1: it must be above 0 and below 1, e.g. success=0.1"),
        ({"success": float("nan")}, "success=nan: it must be above 0"),
        ({"n": 100_000}, "n=100000: at most 512"),
        ({"correct": 20}, "correct=19 is the nearest"),
        ({"correct": 0}, "correct=1 is the nearest"),
        ({"outcomes": 10**6}, "outcomes=1000000: at most 100000"),
        ({"outcomes": 1}, "outcomes=1: at least 2"),
        ({"history": -1}, "history=-1: it must be at least 0"),
        ({"history": 10_000}, "history=10000: at most 1024 in groups of n=6"),
        ({"n": 64, "history": 300}, "history=300: at most 128 in groups of n=64"),
        ({"n": 129, "history": 1}, "history=1: at most 0 in groups of n=129"),
        ({"false_positives": float("nan")}, "false_positives=nan"),
        ({"n": 300, "k": 300, "success": 0.95}, r"k=300, success=0.95: pass@300 is 1 but for \(1-p\)\^300"),
        ({"n": 300, "k": 300, "success": 0.01, "false_positives": 0.94}, "pass@300 is 1 but for"),
        ({"false_positives": 0.6, "false_negatives": 0.4}, "both together below 1"),
    ],
)
def test_what_there_cannot_be_is_refused_by_name(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(PROMPT, **change)


def test_what_is_offered_is_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of the catalogue: compared, or refused for its kind; and nothing refused is proposed."""
    monkeypatch.setattr(one_prompt, "_RATES", (0.3,))
    offered = set(comparable())
    for name in ml.list_estimators("all"):
        prompt = Prompt(n=6, k=3, success=0.3, history=2 * (name in REMEMBERING))
        if name in offered:
            assert set(compare(prompt, [name]).rule) == {name}
        else:
            with pytest.raises(ValueError, match=r"a rule of a group is needed here.*, replay, centered-"):
                compare(prompt, [name])
    for unknown in ("nothing of the kind", "trl-batc"):
        with pytest.raises(ValueError, match="known: ") as error:
            compare(PROMPT, [unknown])
        assert set(str(error.value).partition("known: ")[2].split(", ")) == offered
    for near in ("maxp", "repla"):
        with pytest.raises(ValueError, match="did you mean") as error:
            compare(PROMPT, [near])
        assert set(str(error.value).partition("mean ")[2].rstrip("?").split(" or ")) <= offered


def test_where_nothing_is_left_to_move_a_curve_ends() -> None:
    """At p = 0.95, where curves end, 0.05^299 is 1e-389; and 0.05^220 is 6e-287, which float64 holds."""
    rows = compare(Prompt(n=300, k=300, success=0.01), ["pkpo-loo1"])
    curve = rows[rows.part == "success"]
    assert 0.85 < curve.success.max() < 0.95
    assert set(rows[rows.part == "k"].k) == set(range(2, 301))
    assert rows.scale.to_numpy() == pytest.approx(1.0, rel=1e-9)
    assert (rows.efficiency / rows.efficiency.clip(0.0, 1.0)).to_numpy() == pytest.approx(1.0, rel=1e-9)
    assert Prompt(n=221, k=221, success=0.95).moves(221, 0.95)


@pytest.mark.parametrize("success", [1e-9, 0.5, 0.999999])
def test_a_curve_reaches_the_prompts_own_rate_in_small_steps(success: float) -> None:
    curve = compare(replace(PROMPT, success=success), ["pkpo-loo1"]).query("part == 'success'").success
    odds = np.log(curve) - np.log1p(-curve)
    assert success in set(curve)
    assert odds.diff().max() < 1.5


def test_rules_that_cannot_be_compared_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="maxpo needs k <= n-1"):
        compare(replace(PROMPT, k=6), ["maxpo"])
    with pytest.raises(ValueError, match="replay looks at earlier rewards"):
        compare(PROMPT, ["replay"])
    with pytest.raises(ValueError, match="trl-batch"):
        compare(PROMPT, ["trl-batch"])
    with pytest.raises(ValueError, match="n=1: none of maxpo, pkpo-loo1, predictive is defined"):
        compare(replace(PROMPT, n=1, k=1))
    with pytest.raises(TypeError, match="history"):
        replace(PROMPT, history=1.5)
