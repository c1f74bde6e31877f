"""Rules written in JAX, in float32 and in bfloat16, get the verdicts that they deserve."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.auditing.audit_rule import decide
from maxpo_lab.core.precision import BFLOAT16, FLOAT32, recognise

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("jax") is None, reason="JAX is an extra: make test-integrations"),
]


def written(kind: str, fault: str = "") -> Callable[[Any, int], Any]:
    """Leave-Two-Out from sorted rewards and sums of their gaps, computed and returned in a type of JAX."""
    import jax.numpy as jnp

    made = getattr(jnp, kind)

    def rule(rewards: Any, k: int) -> Any:
        values = jnp.asarray(rewards, dtype=made)
        n, chosen = values.shape[1], k - (fault == "K-1")
        ranked = jnp.sort(values, axis=1)
        gaps = ranked[:, 1:] - ranked[:, :-1]
        m = range(1, n)
        above = [math.comb(each, chosen) / math.comb(n - 1, chosen) for each in m]
        below = [
            math.comb(each - 1, chosen - 1) / math.comb(n - 1, chosen - 1) * (n - each) / (n - chosen)
            for each in m
        ]
        zero = jnp.zeros_like(values[:, :1])
        gained = jnp.concatenate([zero, jnp.cumsum(gaps * jnp.asarray(above, dtype=made), axis=1)], axis=1)
        lost = jnp.cumsum((gaps * jnp.asarray(below, dtype=made))[:, ::-1], axis=1)[:, ::-1]
        lost = jnp.concatenate([lost, zero], axis=1)
        place = (values[:, :, None] >= ranked[:, None, :]).sum(axis=2) - 1
        scale = {"n/K": n, "no K": 1}.get(fault, k)
        return jnp.take_along_axis((gained - lost) * made(scale), place, axis=1)

    rule.__name__ = f"jax_{kind}"
    return rule


@pytest.mark.parametrize(("kind", "made"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
@pytest.mark.parametrize("n", [3, 7, 12])
def test_correct_rules_pass_and_near_misses_fail(kind: str, made: Any, n: int) -> None:
    claims = ("unbiased", "centered", "equals:maxpo")
    for k in range(1, n) if n < 12 else (2, 6, 11):
        found = decide(written(kind), n=n, k=k, claims=claims)
        assert found.passed, (k, found)
        for fault in ("n/K", *(("K-1", "no K") if k > 1 else ())):
            missed = decide(written(kind, fault), n=n, k=k, claims=("unbiased",))
            assert missed.claims[0].holds is False, (k, fault, missed)
    assert recognise(written(kind), n, 2) == made


def test_the_whole_report_is_made() -> None:
    report = ml.audit(written("bfloat16"), n=8, k=4)
    assert report.passed
    assert report.precision == "bfloat16"
    assert report.nearest is not None
    assert report.nearest.name in ("maxpo", "canonical")


def test_exact_moments_take_jax_rules() -> None:
    levels = ml.RewardLevels.from_softmax(np.zeros(10), [1.0, *[0.0] * 9])
    ours, theirs = (ml.exact_moments(rule, levels, n=6, k=3) for rule in ("maxpo", written("float32")))
    assert theirs.trace_covariance == pytest.approx(ours.trace_covariance, rel=1e-5)
