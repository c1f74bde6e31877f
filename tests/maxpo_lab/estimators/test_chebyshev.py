"""Max@K for K above n: the rule's vectors, spectrum and bias in rationals, and that no rule does without."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.estimators.definitions import groups as definitions
from maxpo_lab.estimators.families.chebyshev import increments, largest_bias, power_series

RULE = ml.get_estimator("chebyshev")
F = Fraction


def power(n: int, k: int) -> list[Fraction]:
    """The first n Chebyshev terms of ``x^(K-1)`` by powers of x, each from the cosine of a multiple angle."""
    degree, found = k - 1, [F(0)] * n
    for j in range(min(n, k)):
        share = F(comb(2 * degree, degree - j) * (1 if j == 0 else 2), 4**degree)
        for s in range(j + 1):
            term = F((-1) ** (j - s) * 4**s * j * comb(j + s, 2 * s), j + s) if j else F(1)
            found[s] += share * term
    return found


def test_by_hand() -> None:
    want = [F(1503, 256), F(-687, 256), F(243, 256), F(-27, 256)]
    assert list(increments(4, 6)[::-1]) == want
    assert definitions.chebyshev((0, 0, 0, 1), 6)[3] - definitions.chebyshev((0, 0, 0, 0), 6)[3] == want[0]


@pytest.mark.parametrize(("n", "k"), [(4, 6), (8, 12), (16, 32), (5, 10), (6, 4), (7, 7), (3, 1), (2, 4)])
def test_spectrum_in_rationals(n: int, k: int) -> None:
    seen = ml.pass_at_k_spectrum("chebyshev", n=n, k=k)
    want = power(n, k)
    assert power_series(n, k) == want
    assert seen.exact
    assert list(seen.weights) == [k * b / (j + 1) for j, b in enumerate(want)]
    assert list(seen.increments) == list(increments(n, k))


@pytest.mark.parametrize(("n", "k"), [(4, 6), (8, 12), (16, 32)])
def test_weight_by_enumeration_of_the_others(n: int, k: int) -> None:
    """``f(p)`` from the rule's own advantages on 0/1 groups, against the cut power, both exact."""
    made = RULE.coefficients(n, k, exact=True)
    success, failure = [made.offset, *made.above], [*made.below, 0]
    for p in (F(1, 100), F(1, 3), F(9, 10)):
        got = sum(
            comb(n - 1, c) * p**c * (1 - p) ** (n - 1 - c) * (success[n - 1 - c] - failure[n - 1 - c])
            for c in range(n)
        )
        assert got == k * sum(b * (1 - p) ** s for s, b in enumerate(power(n, k)))


@pytest.mark.parametrize(
    ("n", "k", "bias", "largest"),
    [
        (16, 20, "6.7e-08", "1.00"),
        (16, 24, "1.8e-06", "1.00"),
        (16, 32, "5.8e-05", "2.85"),
        (8, 12, "8.6e-04", "1.00"),
        (8, 16, "5.2e-03", "1.09"),
        (16, 64, "5.5e-03", "91.95"),
    ],
)
def test_sup_bias_and_size(n: int, k: int, bias: str, largest: str) -> None:
    exact = largest_bias(n, k)
    assert f"{float(exact / k):.1e}" == bias
    assert f"{float(max(abs(increments(n, k)))) / k:.2f}" == largest
    b = power_series(n, k)
    errors = [abs(k * sum(c * x**s for s, c in enumerate(b)) - k * x ** (k - 1)) for x in map(F, GRID)]
    assert max(errors) == errors[-1] == exact  # at x = 1 - p = 1


GRID = [F(i, 64) for i in range(65)]


@pytest.mark.parametrize("n", range(2, 9))
def test_within_the_group_it_is_the_known_rule(n: int) -> None:
    for k in range(1, n + 1):
        known = ml.get_estimator("pkpo-loo1" if k > 1 else "rloo")
        for exact in (False, True):
            ours, theirs = (rule.coefficients(n, k, exact=exact) for rule in (RULE, known))
            assert ours.offset == theirs.offset
            assert list(ours.above) == list(theirs.above)
            assert list(ours.below) == list(theirs.below)
        assert largest_bias(n, k) == 0


@pytest.mark.parametrize(("n", "k"), [(2, 3), (2, 4), (3, 5), (4, 6), (4, 8), (5, 7)])
def test_it_climbs_the_mixture_of_maxima_on_real_rewards(n: int, k: int) -> None:
    """E[g] over all groups of three levels is sum_j lambda_j times the gradient of max@j, exactly."""
    values, p = (F(0), F(1, 3), F(2)), (F(1, 2), F(1, 3), F(1, 6))
    got, want = ([F(0)] * 3 for _ in "gw")
    for draw in product(range(3), repeat=n):
        chance = F(1)
        for level in draw:
            chance *= p[level]
        advantages = definitions.chebyshev([values[level] for level in draw], k)
        for level, a in zip(draw, advantages, strict=True):
            got[level] += chance * a / n
    cumulative = [sum(p[: m + 1]) for m in range(2)]
    for s, b in enumerate(power_series(n, k)):
        # grad max@j = sum over thresholds of gap j F^(j-1) times the mean scores above it; j = s + 1.
        for m, step in enumerate((values[1] - values[0], values[2] - values[1])):
            for level in range(m + 1, 3):
                want[level] += k * b * step * cumulative[m] ** s * p[level]
    excess = {(a - b) / share for a, b, share in zip(got, want, p, strict=True)}
    assert len(excess) == 1


def test_exact_moments_show_the_bias_of_a_rare_success() -> None:
    """Weight of a prompt relative to the true one: 1 less the sup bias as p goes to 0."""
    levels = ml.RewardLevels.from_softmax(np.log([1e-9, 0.4, 0.6]), [1.0, 0.0, 0.0])
    for n, k in ((4, 6), (8, 12)):
        seen = ml.exact_moments("chebyshev", levels, n=n, k=k)
        wanted = increments(n, k)[-1] / k
        assert 1 - seen.scale == pytest.approx(float(largest_bias(n, k) / k), rel=1e-5)
        assert float(1 - wanted) == pytest.approx(float(largest_bias(n, k) / k), rel=1e-12)


def test_where_it_ends_it_names_what_goes_on() -> None:
    assert RULE.why_not(8, 16) is None
    assert "pooled" in str(RULE.why_not(8, 17))
    with pytest.raises(ValueError, match=r"k=17.*pooled.*k=16"):
        ml.advantages(np.zeros(8), 17, estimator="chebyshev")
    with pytest.raises(ValueError, match="k <= n = 8"):
        ml.exact_moments("maxpo", ml.RewardLevels.from_softmax([0.0, 0.0], [0.0, 1.0]), n=8, k=9)
    assert ml.advantages(np.arange(4.0), 7, estimator="chebyshev").shape == (4,)
