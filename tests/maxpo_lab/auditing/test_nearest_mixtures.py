"""The audit of mixtures: a user's own is named where it is asked for, and never by a name that it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import sums as sum_definitions


def own_mixture(rewards: Any, k: int) -> np.ndarray:
    """A user's 0.7 maxpo + 0.3 rloo, rloo written by hand."""
    values = np.asarray(rewards, dtype=float)
    n = values.shape[-1]
    rloo = (values - values.mean(axis=-1, keepdims=True)) * n / (n - 1)
    return 0.7 * np.asarray(ml.get_estimator("maxpo")(values, k)) + 0.3 * rloo


def own_pass_sum(rewards: Any, k: int) -> np.ndarray:
    """A user's sum of max@1..max@3: another table than that of the rule."""
    return np.asarray(sum(np.asarray(ml.get_estimator("canonical")(rewards, size)) for size in (1, 2, 3)))


def own_baseline(rewards: Any, k: int) -> np.ndarray:
    """The MaxRL repository's estimator with a leave-one-out baseline, T = 3."""
    signal = sum_definitions.maclaurin_baseline(3)
    return np.array([[float(each) for each in signal(row, k)] for row in np.asarray(rewards).tolist()])


def test_a_mixture_is_named_where_it_is_claimed_and_not_found_by_another_name() -> None:
    name = "0.7*maxpo+0.3*rloo"
    asked = ml.audit(
        own_mixture, n=5, k=3, target="0.7*max@k+0.3*mean", claims=("unbiased", f"equals:{name}")
    )
    assert asked.passed
    assert asked.nearest is not None
    assert (asked.nearest.name, asked.nearest.exact) == (name, True)
    alone = ml.audit(own_mixture, n=5, k=3)
    assert not alone.passed
    assert alone.nearest is not None
    assert not alone.nearest.exact
    assert alone.nearest.distance > 0.01
    assert alone.ascent is not None
    np.testing.assert_allclose(alone.ascent.spectrum, [0.3, 0, 0.7, 0, 0], atol=1e-12)


def test_a_target_of_more_rollouts_than_the_group_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target='max@8' looks at 8 rollouts.*n >= 8"):
        ml.audit("rloo", n=5, k=3, target="max@8")


def test_a_mixture_of_the_catalogue_is_itself() -> None:
    found = ml.audit("maxpo-0.1*rloo", n=5, k=3, target="max@k-0.1*mean")
    assert found.passed
    assert found.nearest is not None
    assert (found.nearest.name, found.nearest.exact) == ("maxpo-0.1*rloo", True)


@pytest.mark.parametrize(
    ("rule", "name", "rewards"),
    [(own_pass_sum, "pass-sum:3", "graded"), (own_baseline, "maclaurin-baseline:3", "binary")],
)
def test_sums_of_any_order_are_found(rule: Any, name: str, rewards: str) -> None:
    found = ml.audit(rule, n=4, k=2, target=ml.get_estimator(name).objective, rewards=rewards)
    assert found.nearest is not None
    assert (found.nearest.name, found.nearest.exact) == (name, True)
    assert found.passed == ml.get_estimator(name).claims.unbiased
