"""The study of loops: its policy, its rows against moments of their own, its table and figures."""

from __future__ import annotations

from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.studies.loops.figure import draw, table
from analysis.studies.loops.study import LOOPS, RULES, Cell, Row, cells, measure
from analysis.studies.loops.subjects import at_histories
from analysis.studies.loops.words import RIGHT, words


def find(rows: list[Row], **want: object) -> Row:
    (row,) = (row for row in rows if want.items() <= asdict(row).items())
    return row


@pytest.mark.parametrize("lengths", RIGHT)
def test_words_are_a_policy_that_reaches_its_success_rate(lengths: str) -> None:
    task = words(4, lengths)
    assert len(task.rewards) == 2**5 - 1
    theta = task.start(0.2)
    policy = task.outcomes(theta)
    assert policy.drawn @ policy.rewards == pytest.approx(0.2, abs=1e-11)
    off = 1e-6
    for index in ((0, 1), (2, 0)):  # scores against differences of the log-probabilities
        moved = [theta.copy() for _ in range(2)]
        moved[0][index] += off
        moved[1][index] -= off
        logs = [np.log(task.outcomes(each).drawn) for each in moved]
        found = policy.total_scores.reshape(-1, *theta.shape)[:, *index]
        assert np.allclose((logs[0] - logs[1]) / (2 * off), found, rtol=0, atol=1e-8)


def test_a_lag_is_as_long_as_asked() -> None:
    policy = words(4, "right short").lagged(0.2, 0.01, 4)
    assert policy.divergence == pytest.approx(0.01, rel=1e-8)
    assert policy.drawn @ policy.rewards == pytest.approx(0.2, abs=1e-11)  # the old policy draws


def test_lengths_go_with_success_as_named() -> None:
    mean = {}
    for name in RIGHT:
        task = words(6, name)
        policy = task.outcomes(task.start(0.2))
        right = policy.drawn * task.rewards
        wrong = policy.drawn - right
        mean[name] = right @ task.lengths / right.sum() - wrong @ task.lengths / wrong.sum()
    assert mean["right short"] < mean["right as long as wrong"] < mean["right long"]
    assert mean["right short"] < 0 < mean["right long"]


def test_rows_of_a_group_rule_are_moments_of_the_update() -> None:
    rows = measure(Cell("lag", "", "ppo", 0.2, (0.003, 0.03)))
    policy = words(5, "right as long as wrong").lagged(0.2, 0.03, 4)
    for rule in ("maxpo", "pkpo-loo1"):
        row, found = (
            find(rows, rule=rule, x=0.03),
            ml.update_moments(rule, "ppo", policy, n=8, k=4),
        )
        assert row.angle == pytest.approx(found.direction_error, rel=1e-9)
        assert row.scale == pytest.approx(found.scale, rel=1e-9)
        noise = found.trace_covariance / (found.scale**2 * found.gradient @ found.gradient)
        assert row.noise == pytest.approx(noise, rel=1e-9)


def test_rules_with_history_are_averaged_over_fair_ones() -> None:
    """Every history of 3 rewards, one by one, against the mean over counts."""
    n, p, k = 3, 0.3, 2
    arms = ml.Outcomes.from_softmax(np.log([p / 2, p / 2, 1 - p]), [1.0, 1.0, 0.0])
    mean = 0.0
    for past in product((0.0, 1.0), repeat=n):
        chance = np.prod([p if each else 1 - p for each in past])

        def rule(rewards: np.ndarray, k: int, past: tuple[float, ...] = past) -> np.ndarray:
            return ml.advantages(rewards, k, estimator="centered-replay", history=[past] * len(rewards))

        mean = mean + chance * ml.update_moments(rule, "identity", arms, n=n, k=k).mean
    found = sum(
        chance * ml.update_moments(at, "identity", arms, n=n, k=k).mean
        for chance, at in at_histories("centered-replay", n=n, success=p)
    )
    assert np.allclose(found, mean, rtol=0, atol=1e-12)
    gradient = ml.update_moments("maxpo", "identity", arms, n=n, k=k).gradient
    assert np.allclose(found, gradient, rtol=0, atol=1e-12)  # unbiased over fair history


def test_off_policy_max_at_k_is_unbiased_at_a_price() -> None:
    rows = measure(Cell("off-policy", "", "off-policy", 0.2, (0.0001, 0.03)))
    for x in (0.0001, 0.03):
        row = find(rows, rule="off-policy max@k", x=x)
        assert row.scale == pytest.approx(1.0, abs=1e-12)
        assert row.angle < 1e-7
    assert find(rows, rule="maxpo", x=0.03).scale > 1.1
    near, far = (find(rows, rule="off-policy max@k", x=x).noise for x in (0.0001, 0.03))
    assert far > 1.2 * near


def test_weights_are_those_of_the_theory() -> None:
    rows = measure(Cell("weight", "10% duplicates", "", float("nan"), (0.05, 0.5, 0.8)))
    for p, ratio in ((0.05, 0.90), (0.5, 1.06), (0.8, 1.78)):
        assert find(rows, part="weight", rule="maxpo", x=p).scale == pytest.approx(ratio, abs=6e-3)
    dropped = measure(Cell("weight", "drop dead groups", "", float("nan"), (0.2,)))
    assert find(dropped, part="batch", rule="maxpo").angle == pytest.approx(0, abs=1e-12)
    assert find(dropped, part="batch", rule="replay").angle > 1e-3  # it pays dead groups
    assert {row.rule for row in dropped} == set(RULES)


def test_presets_grow_and_have_all_parts() -> None:
    sizes = [len(cells(preset)) for preset in ("smoke", "standard", "paper")]
    assert sizes == sorted(sizes)
    for preset in ("smoke", "standard", "paper"):
        every = cells(preset)
        assert {cell.part for cell in every} == {"lag", "off-policy", "clip", "length", "weight", "default"}
        assert len(set(every)) == len(every)


def test_table_and_figures_come_from_rows_alone() -> None:
    some = [
        cell for cell in cells("smoke") if cell.part in ("lag", "off-policy", "clip", "length", "default")
    ]
    chosen = [*some[:4], *(cell for cell in some if cell.part == "default")]
    chosen += [Cell("weight", name, "", float("nan"), (0.01, 0.5)) for name in LOOPS]
    rows = pd.DataFrame([asdict(row) for cell in chosen for row in measure(cell)])
    made = table(rows)
    assert set(made.loss) == {cell.loss for cell in chosen if cell.part == "default"}
    assert {"maxpo, fresh: rad", "maxpo, KL 0.01: scale"} <= set(made.columns)
    assert set(draw(rows)) == {"figure", "weights", "off_policy"}
