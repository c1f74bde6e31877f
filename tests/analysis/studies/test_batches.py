"""The study of batches: its own numbers against the library's, brute force and the published ones."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.studies.batches import STUDY, shrinkage
from analysis.studies.batches.figure import table
from analysis.studies.batches.given_others import given_others
from analysis.studies.batches.prompts import Space
from analysis.studies.batches.study import BETA, Cell, measure
from envs import SparseBandit

MANY = Space(1000, 100)


@pytest.fixture(scope="module")
def smoke() -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for cell in STUDY.cells("smoke") for row in STUDY.measure(cell)])


@pytest.mark.parametrize("success", [0.02, 0.7])
def test_a_prompt_of_one_parameter_has_the_moments_of_its_bandit(success: float) -> None:
    bandit = SparseBandit(30, 4, success)
    whole = ml.exact_moments("maxpo", bandit.levels(bandit.theta), n=6, k=3)
    (levels,) = Space(30, 4).batch(np.array([success]))
    found = ml.exact_moments("maxpo", levels, n=6, k=3)
    assert found.trace_covariance == pytest.approx(whole.trace_covariance, rel=1e-11)
    assert np.linalg.norm(found.mean) == pytest.approx(np.linalg.norm(whole.mean), rel=1e-11)


@pytest.mark.parametrize("k", [1, 3])
def test_the_table_of_empirical_bayes_is_the_rule(k: int) -> None:
    rng = np.random.default_rng(0)
    rewards = (rng.random((5, 6)) < rng.random((5, 1))).astype(float)
    counts = rewards.sum(axis=1).astype(int)
    advantages = shrinkage.empirical_bayes_rule(rewards, k)
    baselines = shrinkage.empirical_bayes(counts[None], 6)
    weight = shrinkage.keep(6, k)
    for prompt, reward in itertools.product(range(5), (0, 1)):
        c = counts[prompt]
        for found in advantages[prompt][rewards[prompt] == reward]:
            baseline = (baselines.failure, baselines.success)[reward][0, prompt, c]
            assert found == pytest.approx(weight[c - reward] * (reward - baseline), abs=1e-13)


def test_empirical_bayes_is_what_its_formula_says() -> None:
    rewards = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1.0]])
    # Of the first prompt: the others have m = 2/3, 0, 1, e = 2 * 1 / (3 * 2), 0, 0.
    mu, within = 5 / 9, 1 / 9
    spread = ((2 / 3 - mu) ** 2 + mu**2 + (1 - mu) ** 2) / 2 - within / 3
    lam = within / (within + 2 * spread)
    found = ml.batch_rule(shrinkage.empirical_bayes_rule)(rewards, 2)[0]
    # n = 3, K = 2: K h(0) = 2, K h(1) = 1.
    assert found[0] == pytest.approx(2 * (1 - lam * mu), rel=1e-13)
    assert found[1] == pytest.approx(-((1 - lam) / 2 + lam * mu), rel=1e-13)


@pytest.mark.parametrize("success", [(0.02, 0.4, 0.9), (0.3, 0.3, 0.3)])
def test_empirical_bayes_is_unbiased_decided(success: tuple[float, ...]) -> None:
    found = ml.batch_moments(
        ml.batch_rule(shrinkage.empirical_bayes_rule), MANY.batch(np.array(success)), n=4, k=3, batch=None
    )
    assert found.method == "product"
    assert found.relative_bias < 1e-13


@pytest.mark.parametrize(("name", "k"), [("jspo", 1), ("jspo-plus-plus", 1), ("empirical-bayes", 2)])
def test_moments_given_the_others_are_those_of_the_product(name: str, k: int) -> None:
    success, n = np.array([0.05, 0.5, 0.8]), 3
    rule = ml.batch_rule(shrinkage.empirical_bayes_rule) if name == "empirical-bayes" else name
    exact = ml.batch_moments(rule, MANY.batch(success), n=n, k=k, batch=None, target="max@k")
    counts = np.random.default_rng(1).binomial(n, success, (20_000, 3))
    at = np.broadcast_to(success, counts.shape)
    found = given_others({name: shrinkage.RULES[name]}, at, counts, n=n, k=k, space=MANY)[name]
    ratio, error = found.ratio(exact.trace_covariance)
    assert abs(ratio - 1) < 4 * error < 0.1
    off = found.means - found.gradients
    bias = np.linalg.norm(off.mean(axis=0) - (exact.mean - exact.gradient) * 3)
    assert bias < 4 * np.sqrt(np.sum(off.var(axis=0)) / len(off)) + 1e-14
    assert (exact.relative_bias > 1e-3) == (name == "jspo-plus-plus")


def test_angles_of_the_whitened_rule() -> None:
    """As in the derivation: K = 4, log-spaced prompts from .003 to .9."""
    for (prompts, n), angle in {(2, 8): 0.2711, (8, 8): 0.0955, (2, 16): 1.1619, (8, 16): 0.0404}.items():
        rows = measure(Cell("mixed", "100 of 1,000", prompts, n, 4, 256))
        (found,) = {row.angle_to_plain for row in rows if row.rule == "whitened:maxpo"}
        assert found == pytest.approx(angle, abs=5e-5)


def test_ratios_of_james_stein() -> None:
    """Of success ~ Beta(.5, 2) and 64 prompts, to .002 and four standard errors."""
    published = {("100 of 1,000", 2): 0.732, ("1 of 10", 2): 0.583, ("100 of 1,000", 4): 0.903}
    for (space, n), ratio in published.items():
        rows = {row.rule: row for row in measure(Cell(BETA, space, 64, n, 1, 1 << 14))}
        assert abs(rows["jspo"].ratio - ratio) < 0.002 + 4 * rows["jspo"].ratio_error
        assert rows["jspo"].ratio_error < 0.005
        assert rows["rloo"].ratio == 1


def test_rows_say_what_is_exact(smoke: pd.DataFrame) -> None:
    drawn = smoke.method == "given others"
    assert {*smoke.rule[drawn & (smoke.difficulty != BETA)]} == {*shrinkage.RULES}
    assert (smoke.ratio_error[~drawn] == 0).all()
    plain = smoke[smoke.rule.isin(["maxpo"])]
    assert (plain.ratio == 1).all()
    assert (plain.angle_to_plain < 1e-12).all()


def test_the_table_has_a_line_for_each_rule_that_is_compared(smoke: pd.DataFrame) -> None:
    found = table(smoke)
    assert not found.duplicated(["prompts", "correct", "n", "K", "rule"]).any()
    line = found[(found.prompts == "mixed") & (found.rule == "whitened:maxpo")].iloc[0]
    assert line["rad, P = 2"] == "0.27"
    assert line["rad, P = 8"] == "0.096"
    assert math.isclose(float(line["noise, P = 8"]), 0.886, abs_tol=5e-4)
