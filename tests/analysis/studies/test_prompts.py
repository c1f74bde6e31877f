"""Prompts that share parameters: the moments, a criterion for two of them, the gradients of a network."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.studies.prompts import STUDY, trained
from analysis.studies.prompts.shared import changes_of_pass_at_1, linked
from analysis.studies.prompts.study import EASY, PAIR, Linked, measure


def cosines(rows: list) -> pd.Series:
    frame = pd.DataFrame([asdict(row) for row in rows])
    return frame.groupby(["estimator", "similarity"]).change.sum()


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_gradients_of_linked_prompts_are_as_similar_as_they_are_said_to_be(rho: float) -> None:
    first, second, third = (ml.max_at_k_gradient(x, 1) for x in linked([0.1, 0.5, 0.9], [1, 1, -1], rho))
    unit = [x / np.linalg.norm(x) for x in (first, second, third)]
    assert unit[0] @ unit[1] == pytest.approx(rho, abs=1e-12)
    assert unit[0] @ unit[2] == pytest.approx(-rho, abs=1e-12)
    # p (1-p) times the distance of the means of the right and the wrong arms.
    assert np.linalg.norm(first) == pytest.approx(0.09 * np.sqrt(0.4), rel=1e-12)


@pytest.mark.parametrize("hard", [0.02, 0.1, 0.5])
def test_pass_at_1_falls_where_the_criterion_of_two_prompts_says(hard: float) -> None:
    r"""With weights w and gradients a, b: ``w_1 a^2 + w_2 b^2 + s a b (w_1 + w_2) < 0``."""
    k = 4
    found = cosines(measure(Linked(PAIR, (hard, EASY), (1, 1), k, 39)))["maxpo"]
    w, length = (
        (k * (1 - np.array([hard, EASY])) ** (k - 1)),
        np.array([hard * (1 - hard), EASY * (1 - EASY)]),
    )
    critical = -(w @ length**2) / (np.prod(length) * w.sum())
    for (low, below), (high, above) in pairwise(found.items()):
        if below < 0 <= above:
            assert low < critical <= high
    assert (found < 0).any() == (critical > -0.95)
    assert (found < 0).any() == (hard < 0.2)


def test_the_update_of_linked_prompts_is_that_of_the_library() -> None:
    cell = Linked("hard against easy", (0.01, 0.2, 0.7), (-1, -1, 1), 4, 2)
    prompts = linked(cell.rates, cell.sides, 0.95)
    for name in ("maxpo", "grpo", "passk-training"):
        update = ml.batch_moments(name, prompts, n=16, k=4, batch=None, target="max@k").mean
        rows = [row for row in measure(cell) if row.estimator == name and row.similarity == 0.95]
        np.testing.assert_allclose(
            [row.change for row in rows], changes_of_pass_at_1(update, prompts), rtol=1e-9
        )


def test_changes_are_first_order_changes_of_success() -> None:
    prompts = linked([0.05, 0.6], [-1, 1], 0.8)
    update = np.random.default_rng(0).normal(size=prompts[0].mean_scores.shape[1])
    own = np.stack([ml.max_at_k_gradient(x, 1) for x in prompts])
    changes = changes_of_pass_at_1(update, prompts)
    cosine = update @ own.mean(axis=0) / np.linalg.norm(update) / np.linalg.norm(own.mean(axis=0))
    assert changes.sum() == pytest.approx(cosine, rel=1e-12)
    assert changes[0] / changes[1] == pytest.approx((own[0] @ update) / (own[1] @ update), rel=1e-12)


def test_without_shared_parameters_no_unbiased_rule_lowers_pass_at_1() -> None:
    rows = pd.DataFrame([asdict(row) for row in STUDY.measure(STUDY.cells("smoke")[0])])
    assert (rows[rows.estimator.isin(["maxpo", "pkpo-loo1"])].change > 0).all()


def test_a_network_on_its_way_gains_what_its_gradient_says() -> None:
    first, second = trained.path(0, 2)
    own = np.stack([ml.max_at_k_gradient(levels, 1) for levels in first.prompts])
    gain = np.mean([ml.max_at_k(x, 1) for x in second.prompts]) - np.mean(
        [ml.max_at_k(x, 1) for x in first.prompts]
    )
    # Second order: some 15% of a step of this length.
    assert gain == pytest.approx(trained.STEP * np.linalg.norm(own.mean(axis=0)), rel=0.3)
    assert first.opposed == sum(own @ own.mean(axis=0) < 0)
    assert -1 < first.similarity < 1
