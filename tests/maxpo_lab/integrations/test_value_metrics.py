"""pass@k as numbers to log: against enumeration, and what is not known is not there."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.integrations.value_metrics import as_ks, as_threshold, numbers_by_k, powers_of_two

NAN = float("nan")
REWARDS = np.array([[0.0, 1.0, 0.0, 0.5], [1.0, NAN, 0.0, 0.0], [NAN, NAN, NAN, 0.25], [NAN] * 4])
KNOWN = {"estimate", "standard_error", "low", "high", "prompts"}


def enumerated(k: int) -> list[float]:
    groups = [[float(value) for value in group if value == value] for group in REWARDS]  # noqa: PLR0124
    return [float(np.mean([max(c) for c in combinations(group, k)])) for group in groups if len(group) >= k]


def test_each_k_is_of_the_groups_that_have_as_many_scored_rollouts() -> None:
    found = numbers_by_k(REWARDS, (1, 2, 3, 4, 8))
    assert list(found) == [1, 2, 3, 4]
    for k, prompts in {1: 3, 2: 2, 3: 2, 4: 1}.items():
        each = enumerated(k)
        assert found[k]["prompts"] == len(each) == prompts
        assert found[k]["estimate"] == pytest.approx(np.mean(each), rel=1e-12)
        assert set(found[k]) >= {"estimate", "prompts"}
        assert (set(found[k]) == KNOWN) == (prompts > 1)
        if prompts > 1:
            error = np.std(each, ddof=1) / np.sqrt(prompts)
            assert found[k]["standard_error"] == pytest.approx(error, rel=1e-12)
            assert found[k]["low"] <= found[k]["estimate"] <= found[k]["high"]
    assert all(type(value) is float for numbers in found.values() for value in numbers.values())


def test_flat_rewards_with_ids_are_the_same() -> None:
    order = np.random.default_rng(0).permutation(REWARDS.size)
    ids = np.repeat(np.arange(4), 4)[order]
    found = numbers_by_k(REWARDS.reshape(-1)[order], (1, 2, 4), group_ids=list(ids))
    expected = numbers_by_k(REWARDS, (1, 2, 4))
    for k, numbers in expected.items():
        assert found[k] == pytest.approx(numbers, rel=1e-12)


def test_clusters_and_a_threshold_are_handed_on() -> None:
    rewards = np.random.default_rng(0).random((12, 4))
    clusters = np.arange(12) // 3
    found = numbers_by_k(rewards, (2,), threshold=0.7, clusters=clusters)[2]
    table = ml.pass_at_k(rewards, (2,), threshold=0.7, clusters=clusters)
    assert found == {name: float(getattr(table, name)[0]) for name in KNOWN}
    assert found["standard_error"] != numbers_by_k(rewards, (2,), threshold=0.7)[2]["standard_error"]


@pytest.mark.parametrize("rewards", [np.full((3, 4), NAN), np.zeros((0, 4))])
def test_nothing_scored_is_nothing_known(rewards: Any) -> None:
    assert numbers_by_k(rewards, (1, 2)) == {}


def test_powers_of_two() -> None:
    assert [powers_of_two(n) for n in (0, 1, 2, 3, 16)] == [(), (1,), (1, 2), (1, 2), (1, 2, 4, 8, 16)]


@pytest.mark.parametrize("given", [[4, 1, 2], (1, 2, 4), np.array([2, 4, 1])])
def test_ks_come_in_order(given: Any) -> None:
    found = as_ks(given, "ks")
    assert found == (1, 2, 4)
    assert {type(k) for k in found} == {int}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("1,2", TypeError, "ks='1,2' is a str: it must be a sequence"),
        (4, TypeError, "ks=4 is a int"),
        ([1, 2.0], TypeError, "k=2.0 is a float"),
        ([1, True], TypeError, "is a bool"),
        ([], ValueError, "at least one k"),
        ([2, 2], ValueError, "each once"),
        ([0], ValueError, "k >= 1"),
    ],
)
def test_ks_that_are_none(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_ks(given, "ks")


def test_thresholds() -> None:
    assert as_threshold(None, "threshold") is None
    assert as_threshold(1, "threshold") == 1.0
    with pytest.raises(TypeError, match="report_threshold=True is a bool"):
        as_threshold(True, "report_threshold")
    with pytest.raises(ValueError, match="threshold=inf: must be finite"):
        as_threshold(float("inf"), "threshold")
