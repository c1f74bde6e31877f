"""``pass_at_k``: what it takes, what it refuses and in which words, and what it says of its numbers."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import combinations, permutations
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.evaluation import list_measures
from maxpo_lab.evaluation.across_prompts.intervals import mean_interval

REWARDS = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0]])


def test_one_k_or_several_in_any_array() -> None:
    expected = ml.pass_at_k(REWARDS, (1, 2, 4))
    for given in (REWARDS.tolist(), REWARDS.astype(np.float32), REWARDS.astype(bool), REWARDS.astype(int)):
        np.testing.assert_array_equal(ml.pass_at_k(given, [1, 2, 4]).estimate, expected.estimate)
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool):
        given = torch.tensor(REWARDS).to(dtype)
        np.testing.assert_array_equal(ml.pass_at_k(given, np.array([1, 2, 4])).estimate, expected.estimate)
    single = ml.pass_at_k(REWARDS, 2)
    assert single.k.tolist() == [2]
    assert single.estimate[0] == expected.estimate[1]
    np.testing.assert_array_equal(ml.pass_at_k(REWARDS.reshape(3, 1, 4), 2).estimate, single.estimate)
    big = torch.tensor([[2**40 + 1, 0, 0], [0, 0, 2**40 + 3]])  # beyond float32
    assert ml.pass_at_k(big, 3).estimate[0] == 2**40 + 2


def test_groups_by_id_are_rows_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(12)
    ids = np.repeat(["a", "b", "c"], 4)[order]
    found = ml.pass_at_k(REWARDS.ravel()[order], (1, 4), group_ids=ids.tolist())
    by_id = dict(zip(found.prompt_ids.tolist(), found.per_prompt.tolist(), strict=True))
    assert by_id == dict(zip("abc", ml.pass_at_k(REWARDS, (1, 4)).per_prompt.tolist(), strict=True))


def test_a_threshold_is_an_argument() -> None:
    graded = np.array([[0.2, 0.5, 0.9, 0.4], [0.1, 0.0, 0.49, 0.5]])
    found = ml.pass_at_k(graded, (1, 2), threshold=0.5)
    np.testing.assert_array_equal(found.per_prompt, ml.pass_at_k(graded >= 0.5, (1, 2)).per_prompt)
    assert found.bounds == (0.0, 1.0)
    assert ml.pass_at_k(graded, 1).bounds == (0.0, 0.9)
    assert "range of the rewards" in " ".join(ml.pass_at_k(graded, 1).notes)
    assert not ml.pass_at_k(graded, 1, bounds=(0, 1)).notes
    wider = ml.pass_at_k(graded, 1, bounds=(0, 2))
    assert wider.high[0] > ml.pass_at_k(graded, 1).high[0]
    with pytest.raises(ValueError, match=r"bounds=\(0, 0.5\): rewards reach from 0 to 0.9"):
        ml.pass_at_k(graded, 1, bounds=(0, 0.5))


def test_unscorable_rollouts_are_refused_or_left_out() -> None:
    holes = REWARDS.copy()
    holes[0, 1] = holes[1] = np.nan
    with pytest.raises(ValueError, match=r"rewards\[0, 1\] is nan.*nan_policy='omit'"):
        ml.pass_at_k(holes, 1)
    with pytest.raises(ValueError, match=r"1 of 3 prompts have fewer.*no scored rollout"):
        ml.pass_at_k(holes, 1, nan_policy="omit")
    found = ml.pass_at_k(holes, (1, 3, 4), nan_policy="omit", small_groups="leave-out")
    np.testing.assert_array_equal(found.rollouts, [3, 0, 4])
    np.testing.assert_array_equal(found.prompts, [2, 2, 1])
    np.testing.assert_array_equal(found.left_out, [1, 1, 2])
    np.testing.assert_array_equal(found.per_prompt[0, :2], ml.pass_at_k([[0.0, 0, 1]], (1, 3)).per_prompt[0])
    masked = np.ma.array(np.nan_to_num(holes), mask=np.isnan(holes))
    again = ml.pass_at_k(masked, (1, 3, 4), nan_policy="omit", small_groups="leave-out")
    np.testing.assert_array_equal(again.per_prompt, found.per_prompt)
    by_id = ml.pass_at_k(
        holes.ravel(),
        (1, 3),
        group_ids=np.repeat([7, 8, 9], 4),
        nan_policy="omit",
        small_groups="leave-out",
    )
    np.testing.assert_array_equal(by_id.per_prompt, found.per_prompt[:, :2])
    np.testing.assert_array_equal(by_id.prompt_ids, [7, 8, 9])
    infinite = np.where(np.isnan(holes), np.inf, holes)
    for options in ({}, {"threshold": 0.5}, {"nan_policy": "omit"}):
        with pytest.raises(ValueError, match=r"rewards\[0, 1\] is inf"):
            ml.pass_at_k(infinite, 1, **options)


def test_a_k_beyond_the_rollouts_is_an_error_with_a_way_out() -> None:
    ids = [1, 1, 1, 1, 2, 2, 3, 3, 3]
    rewards = np.arange(9) % 2
    with pytest.raises(
        ValueError,
        match=r"pass@3 needs k=3 rollouts of each prompt: 1 of 3 prompts have fewer \(the first is 2, with "
        r"2\); small_groups='leave-out' drops and counts them, k <= 2 keeps all",
    ):
        ml.pass_at_k(rewards, (1, 3), group_ids=ids)
    nothing = np.full((2, 3), np.nan)
    with pytest.raises(ValueError, match="of the 2 none has a scored one: every reward is missing"):
        ml.pass_at_k(nothing, 1, nan_policy="omit", small_groups="leave-out")
    with pytest.raises(ValueError, match=r"none of the 3 has more than 4.*ask for k <= 4"):
        ml.pass_at_k(rewards, 5, group_ids=ids, small_groups="leave-out")
    found = ml.pass_at_k(rewards, (1, 3), group_ids=ids, small_groups="leave-out")
    assert "k=3: 1 of 3 prompts have fewer rollouts and are left out" in found.notes
    assert np.isnan(found.per_prompt[1, 1])


def test_an_error_with_fixed_prompts_exists_from_2k_rollouts_on() -> None:
    found = ml.pass_at_k(REWARDS, (1, 2, 3))
    np.testing.assert_array_equal(np.isnan(found.fixed_prompts_error), [False, False, True])
    assert found.notes == ("k=3: no error with fixed prompts, which needs 2k rollouts of every prompt",)
    spread = REWARDS.var(axis=1, ddof=1) / 4
    np.testing.assert_allclose(found.fixed_prompts_error[0], np.sqrt(spread.sum()) / 3, rtol=1e-14)
    single = ml.pass_at_k(REWARDS[:1], 1)
    assert np.isnan([single.standard_error[0], single.low[0], single.high[0]]).all()
    assert single.fixed_prompts_error[0] > 0
    assert "single prompt tells no error" in " ".join(single.notes)


def test_clusters_are_units() -> None:
    rng = np.random.default_rng(2)
    base = (rng.random((20, 6)) < rng.random((20, 1))) * 1.0
    doubled = np.repeat(base, 2, axis=0)
    alone = ml.pass_at_k(base, (1, 3))
    together = ml.pass_at_k(doubled, (1, 3), clusters=np.repeat(np.arange(20), 2))
    np.testing.assert_allclose(together.standard_error, alone.standard_error, rtol=1e-13)
    np.testing.assert_allclose(together.high, alone.high, rtol=1e-12)
    assert together.clusters == 20
    rows = {"group_ids": np.repeat(np.arange(40), 6), "clusters": np.repeat(np.arange(40) // 2, 6)}
    by_row = ml.pass_at_k(doubled.ravel(), (1, 3), **rows)
    np.testing.assert_array_equal(by_row.standard_error, together.standard_error)
    rows["clusters"][3] = 9
    with pytest.raises(ValueError, match=r"clusters\[3\] puts prompt 0 into a second cluster"):
        ml.pass_at_k(doubled.ravel(), 1, **rows)
    with pytest.raises(ValueError, match=r"clusters has 3 entries, there are 40 prompts"):
        ml.pass_at_k(doubled, 1, clusters=[1, 2, 3])
    with pytest.raises(ml.GroupIdError, match=r"clusters\[1\] is missing"):
        ml.pass_at_k(REWARDS, 1, clusters=["a", None, "b"])


def test_unequal_clusters_count_for_as_many_equal_ones_as_weigh_as_much() -> None:
    rewards = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])
    found = ml.pass_at_k(rewards, 1, clusters=["a", "a", "a", "b", "c"])
    units = np.array([25 / 11])  # of 3, 1 and 1 prompts
    sums = np.array([0.2, -0.6, 0.4])
    np.testing.assert_allclose(found.standard_error, np.sqrt(3 / 2 * (sums @ sums)) / 5, rtol=1e-13)
    limits = mean_interval(found.estimate, found.standard_error, units, confidence=0.95, bounds=(0, 1))
    np.testing.assert_allclose([found.low, found.high], limits, rtol=1e-13)


def test_a_comparison_is_paired_by_id() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random((30, 5)) < 0.5, rng.random((30, 8)) < 0.4
    by_row = ml.pass_at_k(first, (1, 4), compare=second).comparison
    assert by_row is not None
    differences = ml.pass_at_k(first, (1, 4)).per_prompt - ml.pass_at_k(second, (1, 4)).per_prompt
    np.testing.assert_allclose(by_row.difference, differences.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(
        by_row.standard_error, differences.std(axis=0, ddof=1) / np.sqrt(30), rtol=1e-13
    )
    order = rng.permutation(30)
    other = ml.pass_at_k(second[order].ravel(), (1, 4), group_ids=np.repeat(order, 8))
    by_id = ml.pass_at_k(first.ravel(), (1, 4), group_ids=np.repeat(np.arange(30), 5), compare=other)
    np.testing.assert_array_equal(by_id.comparison.low, by_row.low)
    fewer = ml.pass_at_k(second[1:].ravel(), (1, 4), group_ids=np.repeat(np.arange(1, 30), 8))
    with pytest.raises(ValueError, match=r"1 prompts of the rewards are not in compare \(0\)"):
        ml.pass_at_k(first.ravel(), (1, 4), group_ids=np.repeat(np.arange(30), 5), compare=fewer)
    with pytest.raises(ValueError, match=r"1 prompts of compare are not in the rewards \(29\)"):
        ml.pass_at_k(first[:29], (1, 4), compare=second)
    texts = ml.pass_at_k(second.ravel(), (1, 4), group_ids=np.repeat(np.arange(30).astype(str), 8).tolist())
    with pytest.raises(ValueError, match=r"ids of one are int and of the other str"):
        ml.pass_at_k(first, (1, 4), compare=texts)
    with pytest.raises(ValueError, match=r"compare has ks=\[1\], this has \[1, 4\]"):
        ml.pass_at_k(first, (1, 4), compare=ml.pass_at_k(second, 1))
    with pytest.raises(ValueError, match=r"compare has threshold=0.5, this has None"):
        ml.pass_at_k(first, (1, 4), compare=ml.pass_at_k(second, (1, 4), threshold=0.5))
    with pytest.raises(TypeError, match=r"group_ids.*compare=pass_at_k"):
        ml.pass_at_k(first.ravel(), 1, group_ids=np.repeat(np.arange(30), 5), compare=second)


def majority(answers: tuple[object, ...], rewards: dict[object, Fraction]) -> Fraction:
    """The worth of the most frequent answer, equals by lot."""
    given = [answer for answer in answers if answer is not None]
    if not given:
        return Fraction(0)
    most = max(given.count(answer) for answer in given)
    winners = [answer for answer in set(given) if given.count(answer) == most]
    return mean(rewards[answer] for answer in winners)


@pytest.mark.parametrize(
    "answers",
    ["abca", "aabbcc", "aaaa", "abcdef", "aab b", "   ", "abbc ca", "a  ba  "],
)
def test_majorities_are_means_over_subsets(answers: str) -> None:
    votes = [None if answer == " " else answer for answer in answers]
    worth = {"a": Fraction(1), "b": Fraction(0), "c": Fraction(1, 4), "d": Fraction(1)}
    rewards = {answer: worth.get(answer, Fraction(0)) for answer in set(votes)}
    ks = range(1, len(votes) + 1)
    expected = [float(mean(majority(s, rewards) for s in combinations(votes, k))) for k in ks]
    given = [[float(rewards[answer]) for answer in votes]]
    found = ml.pass_at_k(given, ks, measure="majority@k", answers=votes)
    np.testing.assert_allclose(found.estimate, expected, rtol=0, atol=1e-14)


def test_answers_come_in_the_shape_of_the_rewards() -> None:
    rows = [["a", "b", "a"], ["c", "c", None]]
    rewards = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    expected = ml.pass_at_k(rewards, (1, 3), measure="majority@k", answers=[*rows[0], *rows[1]]).per_prompt
    for given in (rows, np.array(rows, dtype=object), tuple(map(tuple, rows))):
        found = ml.pass_at_k(rewards, (1, 3), measure="majority@k", answers=given)
        np.testing.assert_array_equal(found.per_prompt, expected)
    np.testing.assert_allclose(expected, [[2 / 3, 1.0], [0.0, 0.0]], atol=1e-15)
    numbers = ml.pass_at_k(rewards, 3, measure="majority@k", answers=torch.tensor([[1, 2, 1], [3, 3, 4]]))
    np.testing.assert_array_equal(numbers.per_prompt[:, 0], [1.0, 0.0])


def test_an_answer_of_several_rewards_is_worth_their_mean() -> None:
    answers, rewards = list("aab"), [1.0, 0.0, 0.5]
    values = []
    for order in permutations(range(3)):
        two = order[:2]  # of a tie one by lot, of an answer one of its rollouts drawn
        kinds = {answers[place] for place in two}
        values.append(np.mean([np.mean([rewards[p] for p in two if answers[p] == a]) for a in sorted(kinds)]))
    found = ml.pass_at_k([rewards], 2, measure="majority@k", answers=answers)
    assert found.estimate[0] == pytest.approx(np.mean(values), abs=1e-15)


def test_a_subset_without_an_answer_is_worth_0() -> None:
    answers = [["a", None, None, None]] * 20
    rewards = 1.0 + np.arange(20)[:, None] % 2 * np.ones(4)
    found = ml.pass_at_k(rewards, (1, 4), measure="majority@k", answers=answers)
    assert found.bounds == (0.0, 2.0)
    np.testing.assert_allclose(found.estimate, [0.375, 1.5])
    assert (found.low < found.estimate).all()
    flat = ml.pass_at_k(np.full((20, 4), 3.0), 1, measure="majority@k", answers=answers)
    assert flat.low[0] < 0.75 < flat.high[0]  # others may answer always, or never
    with pytest.raises(ValueError, match=r"reach -2 and answers are missing.*more than a wrong one"):
        ml.pass_at_k(-rewards, 1, measure="majority@k", answers=answers)


@pytest.mark.integration
def test_majorities_stay_within_the_rewards_and_within_float64() -> None:
    answers = ["abc"[place % 3] for place in range(59)]  # of which three k rounded beyond 1
    found = ml.pass_at_k(np.ones((3, 59)), range(1, 60), measure="majority@k", answers=answers * 3)
    assert found.per_prompt.max() == 1.0
    assert np.isfinite([found.low, found.high]).all()
    large = ml.pass_at_k([[1e150] * 1000], 500, measure="majority@k", answers=["a", "b"] * 500)
    assert large.estimate[0] == pytest.approx(1e150)
    with pytest.raises(ValueError, match="square float64 does not hold"):
        ml.pass_at_k([[1e200, 0.0]], 1, measure="majority@k", answers=["a", "b"])


def test_measures_of_successes_need_successes() -> None:
    assert list_measures() == ("pass@k", "pass^k", "g-pass@k:0.5", "mg-pass@k", "majority@k")
    for measure in ("pass^k", "g-pass@k:0.5", "mg-pass@k"):
        with pytest.raises(ValueError, match=r"counts successes.*reach from 0.2 to 0.9; threshold=..."):
            ml.pass_at_k([[0.2, 0.9]], 1, measure=measure)
        perfect = ml.pass_at_k(np.ones((4, 7)), range(1, 8), measure=measure)
        assert (perfect.estimate == 1.0).all()  # of odd k too
        assert (perfect.fixed_prompts_error[:3] == 0.0).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ks": 0}, ValueError, "k=0"),
        ({"ks": 1.5}, TypeError, "k=1.5"),
        ({"ks": ()}, ValueError, "ks is empty"),
        ({"ks": (1, 2, 1)}, ValueError, "names a k twice"),
        ({"ks": 10**30}, ValueError, "none of the 3 has more than 4.*ask for k <= 4"),
        ({"ks": 10**9, "measure": "pass^k"}, ValueError, "ask for k <= 4"),
        ({"measure": "pass@n"}, ValueError, "did you mean pass@k"),
        ({"measure": "g-pass@k:2"}, ValueError, "0 < tau <= 1"),
        ({"measure": "g-pass@k:x"}, ValueError, "0 < tau <= 1"),
        ({"measure": "majority@k"}, ValueError, "needs answers"),
        ({"answers": ["a"] * 12}, ValueError, "does not look at them"),
        ({"measure": "majority@k", "answers": ["a"]}, ValueError, "1 entries, there are 12 rewards"),
        ({"nan_policy": "drop"}, ValueError, "'raise' or 'omit'"),
        ({"small_groups": "zero"}, ValueError, "'raise' or 'leave-out'"),
        ({"measure": "majority@k", "answers": [1, *"abcdefghijk"]}, ValueError, r"answers\[1\] is 'a'"),
        ({"clusters": [0.5, 1.0, 2.0]}, ml.GroupIdError, r"clusters\[0\] is 0.5"),
        ({"confidence": 95}, ValueError, "below 1"),
        ({"confidence": "high"}, TypeError, "confidence='high'"),
        ({"threshold": float("nan")}, ValueError, "threshold=nan"),
        ({"bounds": 1}, TypeError, "two numbers"),
        ({"bounds": (0, 10), "threshold": 0.5}, ValueError, "changes nothing beside threshold"),
        ({"group_ids": [1, 2, 3]}, ValueError, r"shape \(B,\)"),
    ],
)
def test_arguments_are_refused_by_name(options: dict, error: type[Exception], message: str) -> None:
    ks = options.pop("ks", (1, 2))
    with pytest.raises(error, match=message):
        ml.pass_at_k(REWARDS, ks, **options)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, torch.float32, torch.bfloat16])
def test_a_threshold_and_bounds_are_rounded_as_the_rewards_are(dtype: Any) -> None:
    """0.7 is below 0.7 in float32, and 0.3 above 0.3."""
    rows = [[0.7, 0.7], [0.3, 0.7]]
    rewards = torch.tensor(rows, dtype=dtype) if isinstance(dtype, torch.dtype) else np.array(rows, dtype)
    found = ml.pass_at_k(rewards, (1, 2), threshold=0.7)
    np.testing.assert_array_equal(found.per_prompt, [[1.0, 1.0], [0.5, 1.0]])
    assert found.threshold == 0.7
    voted = ml.pass_at_k(rewards, 1, threshold=0.7, measure="majority@k", answers=list("aabc"))
    np.testing.assert_array_equal(voted.per_prompt[:, 0], [1.0, 0.5])
    np.testing.assert_allclose(ml.pass_at_k(rewards, 1, bounds=(0.3, 0.7)).bounds, (0.3, 0.7), rtol=4e-3)
    assert np.isfinite(ml.pass_at_k(rewards, 1, bounds=(-1e300, 1e300)).high[0])
    assert ml.pass_at_k(rewards, 1, threshold=1e300).estimate[0] == 0.0


def test_rewards_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match="square float64 does not hold"):
        ml.pass_at_k([[1e200, 0.0], [0.0, 1.0]], 1)


def test_it_prints_as_lines() -> None:
    found = ml.pass_at_k(REWARDS, (1, 4))
    first, second, note = str(found).splitlines()
    assert first.startswith("pass@1  0.4167 +- 0.2205  [")
    assert second.startswith("pass@4  0.6667 +- ")
    assert note == found.notes[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_memory_beyond_the_rewards_is_the_prompts_own_numbers(dtype: type) -> None:
    rewards = np.random.default_rng(0).random((100_000, 16)).astype(dtype)
    ml.pass_at_k(rewards[:100], (1, 2, 4, 8, 16))  # imports and tables
    tracemalloc.start()
    ml.pass_at_k(rewards, (1, 2, 4, 8, 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.2 * rewards.nbytes


def test_answers_that_are_numbers_are_equal_by_value() -> None:
    rewards = [[1.0, 1.0, 0.0]]
    found = ml.pass_at_k(rewards, 3, measure="majority@k", answers=[[18, 18.0, 7.5]])
    assert found.estimate[0] == 1.0


def test_clusters_of_a_comparison_are_given_where_it_is_made() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.random((12, 4)) < 0.5, rng.random((12, 4)) < 0.4
    clusters = np.arange(12) // 3
    with pytest.raises(ValueError, match="compare has clusters, this has none"):
        ml.pass_at_k(first, 1, compare=ml.pass_at_k(second, 1, clusters=clusters))
    found = ml.pass_at_k(first, 1, clusters=clusters, compare=ml.pass_at_k(second, 1)).comparison
    d = (first.mean(axis=1) - second.mean(axis=1)).reshape(4, 3).mean(axis=1)
    assert found.standard_error[0] == pytest.approx(d.std(ddof=1) / 2, rel=1e-12)
    assert (found.prompts[0], found.units[0]) == (12, 4.0)
    half = found.high[0] - found.difference[0]
    variance = d.var(ddof=1)
    quantile = 3.182446305283708  # Student's, 3 degrees of freedom
    assert half == pytest.approx(quantile * np.sqrt((3 * variance + 1) / (4 * 5)), rel=1e-9)


def test_a_difference_lies_within_the_bounds_of_both_models() -> None:
    rng = np.random.default_rng(9)
    first, second = rng.random((30, 4)), 5 * rng.random((30, 4))
    found = ml.pass_at_k(first, 1, bounds=(0, 1), compare=ml.pass_at_k(second, 1, bounds=(0, 5)))
    narrow = ml.pass_at_k(first / 5, 1, bounds=(0, 1), compare=ml.pass_at_k(second / 5, 1, bounds=(0, 1)))
    np.testing.assert_allclose(found.comparison.low, 5 * narrow.comparison.low, rtol=1e-12)


def test_equal_rewards_of_unknown_bounds_have_no_interval() -> None:
    found = ml.pass_at_k(np.full((20, 4), 0.3), 1)
    assert np.isnan([found.low[0], found.high[0]]).all()
    assert "every reward is 0.3: no interval" in found.notes[-1]
    given = ml.pass_at_k(np.full((20, 4), 0.3), 1, bounds=(0, 1))
    assert given.low[0] < 0.3 < given.high[0]
    with pytest.raises(ValueError, match=r"reach no further than 1e-170.*multiply"):
        ml.pass_at_k([[0.0, 1e-170], [0.0, 0.0]], 1)


def test_ks_come_in_any_row_and_messages_say_whose_rewards() -> None:
    expected = ml.pass_at_k(REWARDS, (1, 2)).estimate
    for ks in (torch.tensor([1, 2]), {1: 0, 2: 0}, np.array([1, 2]), iter((1, 2))):
        np.testing.assert_array_equal(ml.pass_at_k(REWARDS, ks).estimate, expected)
    with pytest.raises(ValueError, match=r"^compare: rewards\[0, 0\] is nan"):
        ml.pass_at_k(REWARDS, 1, compare=np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="clusters has no entries"):
        ml.pass_at_k(REWARDS, 1, clusters=np.array(1))
    flags = ml.pass_at_k([1.0, 0.0], 1, group_ids=[True, False])
    with pytest.raises(ValueError, match="ids of one are bool and of the other int"):
        ml.pass_at_k([1.0, 0.0], 1, group_ids=[1, 0], compare=flags)


def test_graded_rewards_are_labelled_max_and_a_comparison_is_printed() -> None:
    graded = np.random.default_rng(1).random((30, 4))
    found = ml.pass_at_k(graded, (1, 4), compare=graded / 2)
    lines = str(found).splitlines()
    assert lines[0].startswith("max@1  0.")
    assert "less the other model" in lines
    assert lines[-1].startswith("max@4  +0.")
    aligned = str(ml.pass_at_k((np.random.default_rng(2).random((30, 16)) < 0.3), (1, 16))).splitlines()
    assert aligned[0].index("+-") == aligned[1].index("+-")
