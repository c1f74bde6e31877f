"""What a rule must pass. The tests run these checks on the catalogue, the mutants on broken copies of it.

Each check takes a rule, any callable ``(rewards (B, n), k) -> (B, n)``, and the name that it goes by: the
catalogue's entry of that name says what is claimed. It raises AssertionError, or returns the largest
error it saw as a share of its tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from math import comb, isqrt
from typing import Any

import numpy as np
from brute_force import Policy, moments, objective, random_policy

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions

Rule = Callable[[Any, int], Any]

EPS = float(np.finfo(np.float64).eps)
#: Size of the subset whose maximum is the objective.
OBJECTIVE_SIZE: dict[str, Callable[[int, int], int]] = {
    "max@k": lambda _n, k: k,
    "mean": lambda _n, _k: 1,
    "max@n": lambda n, _k: n,
}
#: The rules of arbitrary real rewards: these sums and enumerations ask nothing of them.
REAL = tuple(
    name for name in ml.list_estimators() if getattr(ml.get_estimator(name), "domain", "real") == "real"
)
RANK_LINEAR = tuple(name for name in REAL if isinstance(ml.get_estimator(name), ml.RankLinear))
#: Those whose objective is a maximum: the claim of unbiasedness is about ``J_K`` for a K known here.
OF_A_MAXIMUM = tuple(name for name in RANK_LINEAR if ml.get_estimator(name).objective in OBJECTIVE_SIZE)


def valid_k(name: str, n: int) -> list[int]:
    """Every K the rule is defined at, beyond n too where it is."""
    rule = ml.get_estimator(name)
    return [k for k in range(1, rule.largest_k(n) + 1) if rule.why_not(n, k) is None]


def objective_size(name: str, n: int, k: int) -> int:
    return OBJECTIVE_SIZE[ml.get_estimator(name).objective](n, k)


@cache
def has_offset(name: str) -> bool:
    """Whether the level of the rewards, and not their gaps alone, moves the advantages."""
    rule = ml.get_estimator(name)
    if not isinstance(rule, ml.RankLinear):
        return False
    return any(rule.coefficients(n, k, exact=True).offset for n in (2, 3, 4) for k in valid_k(name, n))


def error_scale(name: str, rewards: np.ndarray, k: int) -> np.ndarray:
    """What errors are relative to, (..., 1): K * range, K * max|R| with an offset, range / std for grpo."""
    spread = np.ptp(rewards, axis=-1, keepdims=True)
    if name == "grpo":
        return spread / (rewards.std(axis=-1, ddof=1, keepdims=True) + 1e-6)
    rule, n = ml.get_estimator(name), rewards.shape[-1]
    size = OBJECTIVE_SIZE[rule.objective](n, k) if rule.objective in OBJECTIVE_SIZE else k
    return size * (np.abs(rewards).max(axis=-1, keepdims=True) if has_offset(name) else spread)


def rounding(name: str, rewards: np.ndarray, k: int) -> np.ndarray:
    """A bound on the rounding of the float64 kernel, (..., 1), in the units of ``error_scale``.

    Rank-linear: 2n additions of two prefix sums and at most 2n + 64 roundings in a coefficient (two a
    step of a recurrence of n steps or 32), each eps/2 of a sum that is at most 2 K range.
    grpo: a mean of n (n eps), a root of a sum of n squares of it (n eps), and |A| < sqrt(n) times
    the relative error of the denominator.
    """
    n = rewards.shape[-1]
    terms = 2 * n * (1 + np.sqrt(n)) + 16 if name == "grpo" else 4 * n + 80
    return terms * EPS * error_scale(name, rewards, k)


def _root(x: Fraction) -> Fraction:
    """A square root to 200 bits."""
    return Fraction(isqrt((x.numerator << 400) // x.denominator), 1 << 200)


@cache
def definition(name: str, group: tuple[float, ...], k: int) -> tuple[Fraction, ...]:
    """The rule's definition in rationals; grpo's root to 200 bits."""
    if name != "grpo":
        return tuple(definitions.BY_NAME[name](group, k))
    exact = [Fraction(r) for r in group]
    mean = sum(exact) / len(exact)
    deviation = _root(sum((r - mean) ** 2 for r in exact) / (len(exact) - 1))
    return tuple((r - mean) / (deviation + Fraction(1e-6)) for r in exact)


def sample_groups(n: int) -> np.ndarray:
    """Groups (B, n): random, near 1000, tied, binary, one success, flat."""
    rng = np.random.default_rng(n)
    rows = [
        rng.normal(size=n),
        1000 + rng.random(n),
        rng.integers(-1, 2, n),
        rng.integers(0, 2, n),
        np.arange(n) == n // 2,
        np.full(n, 0.7),
    ]
    return np.array(rows, dtype=np.float64)


def worst_share(error: np.ndarray, tolerance: np.ndarray, what: str) -> float:
    """Assert error <= tolerance everywhere, 0 <= 0 included; the largest error / tolerance."""
    error, tolerance = np.broadcast_arrays(np.abs(error), tolerance)
    share = np.divide(error, tolerance, out=np.where(error > 0, np.inf, 0.0), where=tolerance > 0)
    assert np.isfinite(error).all(), f"{what}: not finite"
    largest = float(share.max(initial=0.0))
    assert largest <= 1, f"{what}: {largest:.3g} times the tolerance"
    return largest


def check_equals_definition(rule: Rule, name: str, sizes: Sequence[int] = range(1, 8)) -> float:
    """Equal to the enumeration at every K: within 1e-13 of the error scale."""
    worst = 0.0
    for n in sizes:
        groups = sample_groups(n)
        for k in valid_k(name, n):
            got = np.asarray(rule(groups, k), dtype=np.float64)
            exact = [definition(name, tuple(group), k) for group in groups.tolist()]
            pairs = [zip(row, truth, strict=True) for row, truth in zip(got.tolist(), exact, strict=True)]
            error = np.array([[float(Fraction(a) - b) for a, b in row] for row in pairs])
            tolerance = 1e-13 * error_scale(name, groups, k)
            worst = max(worst, worst_share(error, tolerance, f"{name} at n={n}, k={k}"))
    return worst


def increments(n: int, size: int) -> list[Fraction]:
    """``K C(n-1-c, K-1) / C(n-1, K-1)`` for c = 0..n-1: what a success adds beside c others."""
    return [Fraction(size * comb(n - 1 - c, size - 1), comb(n - 1, size - 1)) for c in range(n)]


def check_claims_by_coefficients(rule: ml.RankLinear, name: str, up_to: int = 12) -> None:
    """Decide centered and unbiased in rational arithmetic, at every n and K."""
    centered = unbiased = True
    for n in range(1, up_to + 1):
        for k in valid_k(name, n):
            made = rule.coefficients(n, k, exact=True)
            above, below = [made.offset, *made.above], [*made.below, 0]
            assert all(isinstance(x, (int, Fraction)) for x in above + below), f"{name}: not exact"
            sums = [(n - m) * above[m] + m * below[m - 1] for m in range(1, n)]
            centered &= made.offset == 0 and not any(sums)
            gains = [above[n - 1 - c] - below[n - c - 1] for c in range(n)]
            size = objective_size(name, n, k)
            unbiased &= size <= n and gains == increments(n, size)  # beyond n no rule of a group is
    claims = ml.get_estimator(name).claims
    assert centered == claims.centered, f"{name}: centered is {centered}, claimed {claims.centered}"
    assert unbiased == claims.unbiased, f"{name}: unbiased is {unbiased}, claimed {claims.unbiased}"


def _cells(name: str, sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(n, k, size of the objective's subset) wherever the rule is defined."""
    for n in sizes:
        for k in valid_k(name, n):
            yield n, k, objective_size(name, n, k)


def check_unbiased_by_moments(rule: Rule, name: str) -> float:
    """``exact_moments`` agrees with the claim: at most max(1e-10, resolution) off, or visibly biased."""
    claimed, worst, biased = ml.get_estimator(name).claims.unbiased, 0.0, False
    for seed, rewards in enumerate([(0.0, 0.3, 1.0), (0.0, 0.0, 1.0), (-1.0, 0.5, 0.5, 2.0)]):
        levels = random_policy(rewards, seed=seed).levels()
        for n, k, size in _cells(name, (2, 4, 6)):
            seen = ml.exact_moments(rule, levels, n=n, k=k)
            # The rule may aim at another subset size than k: measure the bias against its own.
            off = np.linalg.norm(seen.mean - ml.max_at_k_gradient(levels, size))
            share = off / np.linalg.norm(ml.max_at_k_gradient(levels, size))
            allowed = max(1e-10, seen.bias_resolution)
            assert share <= allowed or not claimed, f"{name} at n={n}, k={k}: relative bias {share:.3g}"
            worst, biased = max(worst, share / allowed), biased or share > 1e-6
    assert biased != claimed, f"{name}: claimed to be biased, and no bias is seen"
    return worst if claimed else 0.0


def check_unbiased_by_enumeration(rule: Rule, name: str) -> float:
    """The same over all M^n outcomes and all M^K draws, with nothing of the library's but the rule."""
    claimed, worst, biased = ml.get_estimator(name).claims.unbiased, 0.0, False
    policy: Policy = random_policy((0.0, 0.4, 1.0), seed=3)
    for n, k, size in _cells(name, (3, 4)):
        seen, (_, gradient) = moments(rule, policy, n=n, k=k), objective(policy, size)
        error = np.linalg.norm(seen.mean - gradient)
        # M^n = 81 terms of n + 10 roundings each, and as many additions, of size sqrt(E|g|^2).
        tolerance = 128 * EPS * np.sqrt(seen.second_moment + gradient @ gradient)
        assert error <= tolerance or not claimed, f"{name} at n={n}, k={k}: bias {error:.3g}"
        worst, biased = max(worst, float(error / tolerance)), biased or error > 1e-6
    assert biased != claimed, f"{name}: claimed to be biased, and no bias is seen"
    return worst if claimed else 0.0


def check_sums(rule: Rule, name: str) -> float:
    """Centered rules sum to 0 in every group to rounding; the others somewhere do not."""
    claimed, worst, nonzero = ml.get_estimator(name).claims.centered, 0.0, False
    for n in (2, 3, 5, 8, 64):
        groups = sample_groups(n)
        for k in valid_k(name, n):
            total = np.asarray(rule(groups, k)).sum(axis=1, keepdims=True)
            tolerance = n * rounding(name, groups, k)  # n advantages, each within the bound
            nonzero |= bool((np.abs(total) > 1e-6).any())
            if claimed:
                worst = max(worst, worst_share(total, tolerance, f"sum of {name}, n={n}, k={k}"))
    assert nonzero != claimed, f"{name}: claimed centered {claimed}, a sum other than 0 seen {nonzero}"
    return worst


def check_symmetries(rule: Rule, name: str) -> float:
    """Fixed examples of the laws below, for broken rules; the tests draw theirs at random."""
    worst = 0.0
    for n in (2, 5, 6):
        rng = np.random.default_rng(n)
        for group in (rng.integers(-64, 65, n) / 16, rng.integers(0, 2, n) / 1.0):
            for k in valid_k(name, n):
                worst = max(worst, check_permutation(rule, name, group, rng.permutation(n), k))
                worst = max(worst, check_ties(rule, name, group, k), check_shift(rule, name, group, 3.25, k))
    return worst


def check_permutation(rule: Rule, name: str, group: np.ndarray, order: np.ndarray, k: int) -> float:
    """Permuting the rollouts permutes their advantages."""
    straight, moved = rule(group[None], k)[0], rule(group[order][None], k)[0]
    return worst_share(moved - straight[order], 2 * rounding(name, group, k), f"{name} permuted, k={k}")


def check_ties(rule: Rule, name: str, group: np.ndarray, k: int) -> float:
    """Tied rewards get equal advantages: to the bit, a gap of 0 adds nothing."""
    given = rule(np.concatenate([group, group])[None], k)[0]
    assert (given[: len(group)] == given[len(group) :]).all(), f"{name}: ties differ in {given}"
    return 0.0


def check_shift(rule: Rule, name: str, group: np.ndarray, shift: float, k: int) -> float:
    """Adding a constant moves the advantages by offset * constant. Group and shift must be dyadic."""
    estimator, moved = ml.get_estimator(name), group + shift
    offset = estimator.coefficients(len(group), k).offset if isinstance(estimator, ml.RankLinear) else 0
    error = rule(moved[None], k)[0] - rule(group[None], k)[0] - float(offset) * shift
    tolerance = rounding(name, group, k) + rounding(name, moved, k)
    return worst_share(error, tolerance, f"{name} shifted by {shift}, k={k}")


def binomials(k: int, top: int) -> list[int]:
    """``C(m, k)`` for m = 0..top, by exact integer steps: a thousand times faster than ``math.comb``."""
    row = [0] * (top + 1)
    if k <= top:
        row[k] = 1
    for m in range(k + 1, top + 1):
        row[m] = row[m - 1] * m // (m - k)
    return row


def check_share(share: Callable[[int, int], Any], n: int, k: int) -> float:
    """``C(m,k)/C(n-1,k)`` within 1e-13, over all values that are normal floats."""
    row = binomials(k, n - 1)
    # An int divided by an int rounds once, whatever their lengths.
    return check_weights(share(n, k), [c / row[-1] for c in row], 1e-13, f"share at n={n}, k={k}")


def check_weights(got: Any, exact: Sequence[float], tolerance: Any, what: str) -> float:
    """Relative errors over the normal floats; what lies below them stays below them."""
    got, truth, tiny = np.asarray(got, dtype=np.float64), np.array(exact), np.finfo(np.float64).tiny
    normal = np.abs(truth) >= tiny
    assert (np.abs(got[~normal]) <= tiny).all(), f"{what}: underflow gives {np.abs(got[~normal]).max()}"
    allowed = np.broadcast_to(tolerance, truth.shape) * np.abs(truth)
    return worst_share((got - truth)[normal], allowed[normal], what)
