"""Claims about the rules themselves: unbiased, centered, of what order, how large on which group."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import maxpo_lab as ml
from maxpo_lab import RankLinear, theory
from maxpo_lab.estimators import group_estimator

from .claim import Case, Claim, Reading, below, equal


def _sizes(least_k: int, largest: int = 8) -> Iterator[Case]:
    for n in range(2, largest + 1):
        for k in range(least_k, n + 1):
            yield Case(n=n, k=k)


def _rank_linear(name: str) -> RankLinear:
    rule = group_estimator(name)
    assert isinstance(rule, RankLinear)  # noqa: S101 - what theory.decide takes
    return rule


def _maxpo(case: Case) -> Iterator[Reading]:
    inside = case.k < case.n
    if inside:
        decided = theory.decide(_rank_linear("maxpo"), n=case.n, k=case.k)
        yield equal("unbiased", float(decided.unbiased), 1.0)
        yield equal("centered", float(decided.centered), 1.0)
    if case.n <= 8:
        exists = theory.unbiased_and_centered(case.n, case.k).consistent
        yield equal("unbiased and centered advantages exist", float(exists), 1.0, inside=inside)


CENTERED = Claim(
    name="leave-two-out-centered",
    source="arXiv 2606.06080 (MaxPO), abstract",
    statement=(
        "The Leave-Two-Out baseline keeps the gradient unbiased and makes the advantages sum to exactly 0."
    ),
    condition="K <= n - 1",
    remark="At K = n no advantage of rewards alone is both: decided by linear algebra over the rationals.",
    judge=_maxpo,
    shown={n: [Case(n=n, k=k) for k in range(1, n + 1)] for n in (4, 3, 6, 8)},
    searched=lambda: _sizes(1),
)


def _pkpo(case: Case) -> Iterator[Reading]:
    decided = theory.decide(_rank_linear("pkpo-loo1"), n=case.n, k=case.k)
    yield equal("unbiased", float(decided.unbiased), 1.0)
    yield equal("centered", float(decided.centered), 0.0)


NOT_CENTERED = Claim(
    name="leading-method-not-centered",
    source="arXiv 2606.06080 (MaxPO), abstract, of PKPO's s_loo-1",
    statement="The advantages of the leading method are unbiased, but do not sum to 0.",
    condition="",
    remark="They are never negative, so the sum is 0 only where all of them are.",
    judge=_pkpo,
    shown={n: [Case(n=n, k=k) for k in range(2, n + 1)] for n in (4, 3, 8, 16)},
    searched=lambda: _sizes(2),
)

KEPT = "maxrl-keep-failures"


def _order(case: Case) -> Iterator[Reading]:
    """Largest T with a spectrum of 1, 1/2, .., 1/T and nothing beyond, in rationals."""
    weights = ml.pass_at_k_spectrum(case.rule, n=case.n, k=1).weights
    order = next((t for t in range(len(weights)) if weights[t] != Fraction(1, t + 1)), len(weights))
    found = order if not any(weights[order:]) else 0
    yield equal("order T of the objective climbed", found, case.n, inside=case.rule == KEPT)


def _both(sizes: range) -> Iterator[Case]:
    return (Case(n=n, rule=rule) for n in sizes for rule in (KEPT, "maxrl"))


MAXRL = Claim(
    name="maxrl-unbiased",
    source="arXiv 2602.02710 (MaxRL), abstract",
    statement="n rollouts give a simple unbiased gradient estimate of log p, truncated after pass@n / n.",
    condition="failures get -1 in a group where all fail",
    remark=(
        "With 0 there, as ported to prime-rl and SkyRL, the last term is lost: it is unbiased for the order "
        "n - 1."
    ),
    judge=_order,
    shown={n: list(_both(range(n, n + 1))) for n in (4, 2, 8, 16, 32)},
    searched=lambda: _both(range(2, 13)),
    axis="group size",
    label="order T that MaxRL climbs",
    curve=lambda case: case.rule,
)


def _passk(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rewards of every count of successes, (n+1, n), and what Pass@k Training gives them."""
    rewards = (np.arange(n) < np.arange(n + 1)[:, None]).astype(float)
    return rewards, np.asarray(group_estimator("passk-training")(rewards, k))


PASS_1, PASS_K = (f"share right where sum |A| peaks, Pass@{k}" for k in "1k")


def _peak(case: Case) -> Iterator[Reading]:
    _, advantages = _passk(case.n, case.k)
    peak = float(np.abs(advantages).sum(axis=1).argmax()) / case.n
    if case.k == 1:
        yield equal(PASS_1, peak, 0.5)
    else:
        yield equal(PASS_K, peak, 0.25, inside=case.k == 4)


PEAK = Claim(
    name="pass-at-k-training-peak",
    source="arXiv 2508.10751, section 4.1.1, of Pass@1 and Pass@8 Training, 32 rollouts",
    statement=(
        "The sum of |A| is greatest for Pass@1 Training on prompts of 50% accuracy, for Pass@k Training on "
        "those of 25%."
    ),
    condition="K = 4",
    remark="The peak is near 1/K: at K = 8, of which the paper speaks, it is at 12.5%.",
    judge=_peak,
    shown={n: [Case(n=n, k=k) for k in (1, 2, 4, 8) if k < n] for n in (32, 8, 16, 64)},
    searched=lambda: (Case(n=n, k=k) for n in range(4, 33, 4) for k in range(1, n)),
    axis="K",
    label="share right where sum |A| peaks",
    drawn=(PASS_1, PASS_K),
)


def _shrinks(case: Case) -> Iterator[Reading]:
    rewards, now = _passk(case.n, case.k)
    later = _passk(case.n, case.k + 1)[1]
    right = rewards > 0
    # Success advantages fall to 0 where every K-subset holds a success.
    alive = (now * right).max(axis=1) > 0
    alive[[0, -1]] = False
    for what, where in (("success", right), ("failure", ~right)):
        ratio = (np.abs(later) * where).max(axis=1)[alive] / (np.abs(now) * where).max(axis=1)[alive]
        yield below(f"|A| of a {what} at K+1 over K, at most", float(ratio.max()), 1.0)


SHRINKS = Claim(
    name="larger-k-smaller-advantage",
    source="arXiv 2508.10751, section 3.4",
    statement="In Pass@k Training a larger k brings smaller advantages, so shorter steps.",
    condition="",
    remark=(
        "For the unbiased rules it is the other way round on hard prompts: there the weight is K (1-p)^(K-1)."
    ),
    judge=_shrinks,
    shown={n: [Case(n=n, k=k) for k in (1, 2, 4, 8, 15) if k < n - 1] for n in (8, 16, 32)},
    searched=lambda: (Case(n=n, k=k) for n in range(3, 17) for k in range(1, n - 1)),
)


CLAIMS = (CENTERED, NOT_CENTERED, MAXRL, PEAK, SHRINKS)
