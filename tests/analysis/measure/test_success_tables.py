"""Tables of 0/1 rules against the library's own moments, history by history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from analysis.measure.success_tables import NUMPY, bandit, chances, group_table, success_table
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.pooled import pooled
from maxpo_lab.estimators.history.replay import replay


@pytest.mark.parametrize("rule", [replay, centered_replay, pooled])
def test_moments_of_each_history_are_those_of_the_rule_after_it(rule: Any) -> None:
    n, k, m, levels = 5, 3, 4, bandit(30, 7, 0.3)
    table = success_table(rule, n=n, k=k, m=m)
    for successes in range(m + 1):
        y = (np.arange(m) < successes).astype(float)

        def after(rewards: np.ndarray, k: int, y: np.ndarray = y) -> np.ndarray:
            shape = (len(rewards), m)
            return rule(NUMPY, rewards, k, np.broadcast_to(y, shape), np.ones(shape))

        moments = ml.exact_moments(after, levels, n=n, k=k)
        second = moments.trace_covariance + moments.mean @ moments.mean
        assert table.second_moment(levels)[successes] == pytest.approx(second, rel=1e-12)
        assert table.weight(0.3)[successes] == pytest.approx(k * 0.7 ** (k - 1) * moments.scale, rel=1e-12)


def test_a_rule_without_history_is_one_row() -> None:
    levels = bandit(10, 1, 0.6)
    table = group_table(ml.get_estimator("grpo"), n=6, k=2)
    moments = ml.exact_moments("grpo", levels, n=6, k=2)
    second = moments.trace_covariance + moments.mean @ moments.mean
    assert table.second_moment(levels) == pytest.approx([second], rel=1e-12)


def test_a_history_of_nothing_but_successes_has_a_chance() -> None:
    assert chances(3, 1.0).tolist() == [0, 0, 0, 1]
    assert chances(3, 0.5) == pytest.approx([1 / 8, 3 / 8, 3 / 8, 1 / 8])
