"""Broken rules: each must be caught, by the checks that are said to catch it and by no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from checks import (
    check_claims_by_coefficients,
    check_equals_definition,
    check_share,
    check_sums,
    check_symmetries,
    check_unbiased_by_enumeration,
    check_unbiased_by_moments,
)
from scipy.special import gammaln

import maxpo_lab as ml
from maxpo_lab.core.coefficients import Coefficients, subset_share

CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "definition": lambda rule, name: check_equals_definition(rule, name, range(2, 6)),
    "claims": lambda rule, name: check_claims_by_coefficients(rule, name, 6),
    "moments": check_unbiased_by_moments,
    "enumeration": check_unbiased_by_enumeration,
    "sums": check_sums,
    "symmetries": check_symmetries,
}
#: Bias shows in all of these.
BIAS = {"definition", "claims", "moments", "enumeration"}


@dataclass(frozen=True)
class Mutant:
    """A broken rule, the name it goes by, and the checks that must see it."""

    what: str
    name: str
    rule: Any
    caught_by: set[str]


def table(name: str, change: Callable[[Coefficients, int, int], Coefficients]) -> ml.RankLinear:
    """The rule of this name with its coefficients changed, in float64 and in rationals alike."""
    right = ml.get_estimator(name)
    return replace(right, table=lambda n, k, exact: change(right.table(n, k, exact), n, k))


def drop_k(c: Coefficients, n: int, k: int) -> Coefficients:
    return replace(c, above=c.above / k, below=c.below / k)


def drop_offset(c: Coefficients, n: int, k: int) -> Coefficients:
    return replace(c, offset=0, penalties=None)


def drop_below(c: Coefficients, n: int, k: int) -> Coefficients:
    return replace(c, below=0 * c.below, penalties=None)


def flip_below(c: Coefficients, n: int, k: int) -> Coefficients:
    return replace(c, below=-c.below)


def subtract_group_mean(c: Coefficients, n: int, k: int) -> Coefficients:
    """The mean over all members, oneself included, as baseline."""
    m = np.arange(1, n)
    mean = ((n - m) * c.above + m * c.below) / n
    return replace(c, offset=0, above=c.above - mean, below=c.below - mean, penalties=None)


def rank_too_low(c: Coefficients, n: int, k: int) -> Coefficients:
    """``C(m-1, K)`` where ``C(m, K)`` is meant: the credit of the gap below."""
    return replace(c, above=np.concatenate([0 * c.above[:1], c.above[:-1]]))


def rank_too_high(c: Coefficients, n: int, k: int) -> Coefficients:
    """``C(m, K-1)`` where ``C(m-1, K-1)`` is meant."""
    return replace(c, below=np.concatenate([c.below[1:], 0 * c.below[:1]]))


def group_size_for_others(c: Coefficients, n: int, k: int) -> Coefficients:
    """``C(n, K)`` where ``C(n-1, K)`` is meant."""
    return replace(c, above=c.above * (n - k) / n, below=c.below * (n - k) / n)


def one_draw_too_few(right: ml.RankLinear) -> ml.RankLinear:
    """K - 1 for K."""
    return replace(right, table=lambda n, k, exact: right.table(n, max(k - 1, 1), exact))


def other_baseline() -> ml.RankLinear:
    """Also unbiased, also not centered (at K = n): nothing but the definition tells it apart."""
    right, canonical = ml.get_estimator("pkpo-loo1"), ml.get_estimator("canonical")
    return replace(right, table=lambda n, k, exact: (canonical if k < n else right).table(n, k, exact))


def not_put_back(rewards: np.ndarray, k: int) -> np.ndarray:
    """Advantages left in the order of the sort."""
    return ml.advantages(np.sort(rewards, axis=-1), k)


def reversed_ranks(rewards: np.ndarray, k: int) -> np.ndarray:
    """Sorted the wrong way round: the advantage of the minimum."""
    return -ml.advantages(-rewards, k)


def ties_by_index(rewards: np.ndarray, k: int) -> np.ndarray:
    """Ties broken by a little more for the later one."""
    return ml.advantages(rewards + 1e-7 * np.arange(rewards.shape[-1]), k)


def in_float32(rewards: np.ndarray, k: int) -> np.ndarray:
    return ml.advantages(rewards.astype(np.float32), k).astype(np.float64)


def by_subtraction(rewards: np.ndarray, k: int) -> np.ndarray:
    """``K q - K v`` by subtraction: near 1000 the difference keeps three digits less."""
    others = np.stack([np.delete(rewards, i, axis=-1) for i in range(rewards.shape[-1])], axis=-2)
    return ml.advantages(rewards, k, estimator="pkpo-s") - k * ml.value_estimate(others, k)


def by_neighbour(rewards: np.ndarray, k: int) -> np.ndarray:
    """Unbiased for the mean, and centered, but it is not RLOO."""
    return rewards - np.roll(rewards, 1, axis=-1)


MUTANTS = [
    Mutant("K dropped", "maxpo", table("maxpo", drop_k), BIAS),
    Mutant("K dropped", "pkpo-loo1", table("pkpo-loo1", drop_k), BIAS),
    Mutant("with-self baseline", "rloo", table("reinforce", subtract_group_mean), BIAS),
    Mutant("with-self baseline", "maxpo", table("pkpo-s", subtract_group_mean), BIAS),
    Mutant("off-by-one rank above", "maxpo", table("maxpo", rank_too_low), BIAS | {"sums"}),
    Mutant("off-by-one rank below", "canonical", table("canonical", rank_too_high), BIAS | {"sums"}),
    Mutant("off-by-one rank", "pkpo-loo1", table("pkpo-loo1", rank_too_low), BIAS),
    Mutant("wrong sign below", "maxpo", table("maxpo", flip_below), BIAS | {"sums"}),
    Mutant("wrong sign below", "rloo", table("rloo", flip_below), BIAS | {"sums"}),
    Mutant("C(n, K) for C(n-1, K)", "maxpo", table("maxpo", group_size_for_others), BIAS),
    Mutant("n for n-1", "rloo", table("rloo", lambda c, n, _k: drop_k(c, n, n / (n - 1))), BIAS),
    Mutant("K-1 for K", "maxpo", one_draw_too_few(ml.get_estimator("maxpo")), BIAS),
    Mutant("offset dropped", "pkpo-s", table("pkpo-s", drop_offset), BIAS | {"symmetries"}),
    Mutant("below dropped", "pkpo-loo", table("pkpo-loo", drop_below), BIAS),
    Mutant("sum convention", "pkpo-loo1", table("pkpo-loo1", lambda c, n, _k: drop_k(c, n, n)), BIAS),
    # Unbiased all the same, so that no bias check can see them.
    Mutant("v(K) for v(K-1), K < n", "pkpo-loo1", other_baseline(), {"definition"}),
    Mutant("baseline scale dropped", "pkpo-loo", replace(ml.get_estimator("canonical"), name="pkpo-loo"),
           {"definition", "claims", "sums", "symmetries"}),
    Mutant("neighbour as baseline", "rloo", by_neighbour, {"definition", "symmetries"}),
    # Not rank-linear: there are no coefficients to decide by.
    Mutant("not put back", "maxpo", not_put_back, {"definition", "moments", "enumeration", "symmetries"}),
    Mutant("ranks reversed", "maxpo", reversed_ranks, {"definition", "moments", "enumeration"}),
    # Their rounding alone breaks the sums: of flat groups, where nothing but 0 is allowed.
    Mutant("ties by index", "maxpo", ties_by_index, set(CHECKS) - {"claims"}),
    Mutant("float32 inside", "maxpo", in_float32, {"definition", "moments", "enumeration", "sums"}),
    Mutant("q - v by subtraction", "maxpo", by_subtraction, {"definition", "sums"}),
    Mutant("ddof 0", "grpo", replace(ml.get_estimator("grpo"), ddof=0), {"definition"}),
    Mutant("another epsilon", "grpo", replace(ml.get_estimator("grpo"), eps=1e-4), {"definition"}),
    Mutant("reward not centered", "grpo", lambda r, _k: r / (r.std(axis=-1, ddof=1, keepdims=True) + 1e-6),
           {"definition", "sums", "symmetries"}),
]  # fmt: skip


def applicable(rule: Any, name: str) -> dict[str, Callable[[Any, str], Any]]:
    """The checks that can be asked: claims need coefficients, bias a claim about a maximum."""
    asked = dict(CHECKS)
    if not isinstance(rule, ml.RankLinear):
        del asked["claims"]
    return asked


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.name}: {m.what}")
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    caught = set()
    for label, check in applicable(mutant.rule, mutant.name).items():
        try:
            check(mutant.rule, mutant.name)
        except AssertionError:
            caught.add(label)
    assert caught == mutant.caught_by


@pytest.mark.parametrize("name", sorted({mutant.name for mutant in MUTANTS}))
def test_the_right_rule_passes(name: str) -> None:
    rule = ml.get_estimator(name)
    for check in applicable(rule, name).values():
        check(rule, name)


def by_log_gamma(n: int, k: int) -> np.ndarray:
    m = np.arange(k, n)
    logs = gammaln(m + 1) - gammaln(m - k + 1) - gammaln(n) + gammaln(n - k)
    return np.concatenate([np.zeros(k), np.exp(logs)])


SHARES = {
    "by log-gamma": by_log_gamma,
    "in float32": lambda n, k: subset_share(n, k).astype(np.float32),
    "one gap too high": lambda n, k: np.append(subset_share(n, k)[1:], 1.0),
    "one draw too few": lambda n, k: subset_share(n, k - 1),
    "of n, not n-1": lambda n, k: subset_share(n, k) * (n - k) / n,
}


@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def test_a_broken_share_is_caught(share: Callable[[int, int], Any]) -> None:
    with pytest.raises(AssertionError):
        check_share(share, 16384, 256)
    check_share(subset_share, 16384, 256)
