"""Every rule of the catalogue, of every kind, is recognised as what it is where its name is not told."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.entry import KINDS

pytestmark = pytest.mark.integration
#: Rules that are another for every K that an audit takes: the canonical form, and chebyshev up to n.
SAME = {"canonical": "maxpo", "chebyshev": "pkpo-loo1"}
#: Sizes at which L-statistics of few rewards are none of each other: a trimmed mean of 3 is their median.
AT = {"l-statistic:TrimM:1": (6, 5), "l-statistic:ReMin": (6, 5)}


def nameless(name: str) -> Any:
    """The rule as a callable of its kind that says nothing of where it is from."""
    rule = ml.get_estimator(name)
    if isinstance(rule, ml.MemoryEstimator):

        def update(state: Any, rewards: Any, k: int, prompts: Any) -> Any:
            return rule.update(state, rewards, k, prompts)

        return ml.memory_rule(rule.init, update)
    if getattr(rule, "takes_lengths", False):

        def of_lengths(rewards: Any, k: int, lengths: Any) -> Any:
            return rule(rewards, k, lengths=lengths)

        return ml.vector_rule(of_lengths, takes_lengths=True)

    def of_rewards(rewards: Any, k: int) -> Any:
        return rule(rewards, k)

    if rule.kind == "group":
        return of_rewards
    return ml.batch_rule(of_rewards) if rule.kind == "batch" else ml.vector_rule(of_rewards)


def test_these_are_all_kinds() -> None:
    every = [name for kind in KINDS for name in ml.list_estimators(kind)]
    assert sorted(every) == sorted(ml.list_estimators("all"))
    assert len(every) >= 85


@pytest.mark.parametrize("name", ml.list_estimators("all"))
def test_a_rule_is_recognised_without_its_name(name: str) -> None:
    rule = ml.get_estimator(name)
    sizes = ((n, k) for n, k in product((5, 6, 1), (3, 2, 1, 4)) if k <= n)
    n, k = AT.get(name) or next((n, k) for n, k in sizes if not rule.why_not(n, k))
    report = ml.audit(nameless(name), n=n, k=k, target="mean", seconds=60)
    assert report.rule != name
    near = report.nearest
    assert near is not None
    assert (near.k, near.scale, near.exact, near.reward_weights) == (k, 1.0, True, None)
    assert near.name == SAME.get(name, name)
    if name in SAME:
        assert name in near.alike
        groups = np.random.default_rng(0).normal(size=(64, n))
        np.testing.assert_allclose(ml.get_estimator(near.name)(groups, k), rule(groups, k), atol=1e-12)
