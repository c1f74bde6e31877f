"""The claims of the field: every number against a definition, every counterexample by hand, every verdict.

The witnesses here share no line with the engine: groups are 0/1 patterns, advantages the papers' definitions
by subsets in rationals, gradients written out for answers that are equally likely inside each class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cache, cmp_to_key
from itertools import combinations, product
from math import acos, comb, hypot, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.output import report
from analysis.studies.batches.prompts import Space
from analysis.studies.field_claims import STUDY, readme
from analysis.studies.field_claims.claim import Case, above, below, equal, tends, unequal
from analysis.studies.field_claims.james_stein import beta_rates, noise_over_rloo
from analysis.studies.field_claims.published import CLAIMS
from analysis.studies.field_claims.study import COUNTEREXAMPLE, SEARCHED, SHOWN, Cell, as_fraction, measure
from analysis.studies.field_claims.verdicts import CONDITION, DEFINITION, FALSE, TRUE, decide, verdicts

F = Fraction
Group = tuple[int, ...]
Advantages = Callable[[Group, int], list]


# The rules, by definition.
def mean_of(values: Sequence) -> Fraction:
    return F(sum(values), len(values))


def best(group: Group, k: int, *, among: list[int], with_: int | None = None) -> Fraction:
    """Mean over subsets of ``among`` of the maximum, ``with_`` added to each."""
    own = [] if with_ is None else [group[with_]]
    size = k - len(own)
    found = [max([group[i] for i in subset] + own, default=0) for subset in combinations(among, size)]
    return mean_of(found)


def rest(group: Group, i: int) -> list[int]:
    return [j for j in range(len(group)) if j != i]


@cache
def group_mean(group: Group, k: int) -> list:
    return [r - mean_of(group) for r in group]


@cache
def rloo(group: Group, k: int) -> list:
    return [group[i] - mean_of([group[j] for j in rest(group, i)]) for i in range(len(group))]


@cache
def grpo(group: Group, k: int) -> list:
    m = mean_of(group)
    spread = sqrt(mean_of([(r - m) ** 2 for r in group]))
    return [float(r - m) / spread if spread else 0.0 for r in group]


@cache
def s(group: Group, k: int) -> list:
    return [k * best(group, k, among=rest(group, i), with_=i) for i in range(len(group))]


@cache
def s_loo(group: Group, k: int) -> list:
    n = len(group)
    return [a - F(k * n, n - 1) * best(group, k, among=rest(group, i)) for i, a in enumerate(s(group, k))]


@cache
def s_loo1(group: Group, k: int) -> list:
    return [a - k * best(group, k - 1, among=rest(group, i)) for i, a in enumerate(s(group, k))]


@cache
def leave_two_out(group: Group, k: int) -> list:
    """``K h`` less the mean over j of ``K h_j`` in the group without i."""
    own = s_loo1(group, k)
    without = [s_loo1(tuple(group[j] for j in rest(group, i)), k) for i in range(len(group))]
    return [a - mean_of(others) for a, others in zip(own, without, strict=True)]


@cache
def maxrl(group: Group, k: int) -> list:
    return [(r - mean_of(group)) / mean_of(group) if any(group) else 0 for r in group]


@cache
def maxrl_kept(group: Group, k: int) -> list:
    return maxrl(group, k) if any(group) else [-1 for _ in group]


# Moments of one prompt, by its number of successes.
def groups(n: int, p: Fraction) -> Iterator[tuple[Group, Fraction]]:
    for c in range(n + 1):
        yield (1,) * c + (0,) * (n - c), comb(n, c) * p**c * (1 - p) ** (n - c)


def weight(rule: Advantages, n: int, p: Fraction, k: int = 1) -> Fraction:
    """f(p), E g = f grad p: scores are 1-p and -p times one vector on average."""
    total = sum(
        chance * sum(a * (r - p) for a, r in zip(rule(group, k), group, strict=True))
        for group, chance in groups(n, p)
    )
    return total / n / (p * (1 - p))


def trace(rule: Advantages, case: Case, n: int | None = None) -> Fraction:
    """tr Cov(g), the mean of a class's score and the spread about it written out."""
    n, p, k = n or case.n, case.p, case.k
    right, wrong = F(case.good), F(case.arms - case.good)
    length, spread = 1 / right + 1 / wrong, {1: 1 - 1 / right, 0: 1 - 1 / wrong}
    second = F(0)
    for group, chance in groups(n, p):
        found = rule(group, k)
        along = sum(a * (r - p) for a, r in zip(found, group, strict=True))
        across = sum(a * a * spread[r] for a, r in zip(found, group, strict=True))
        second += chance * (along**2 * length + across) / n**2
    return second - (weight(rule, n, p, k) * p * (1 - p)) ** 2 * length


@pytest.mark.parametrize(
    "case", [Case(n=3, k=2, rates=(F(2, 5),), arms=4, good=1), Case(n=2, rates=(F(1, 3),), arms=3)]
)
def test_the_witness_of_variances_is_that_of_all_draws_of_answers(case: Case) -> None:
    """Every draw of answers, with softmax scores ``e_a - pi`` in rationals."""
    right, p = case.good, case.p
    pi = [p / right] * right + [(1 - p) / (case.arms - right)] * (case.arms - right)
    for rule in (rloo, s_loo1) if case.k > 1 else (rloo, group_mean):
        first, second = [F(0)] * case.arms, F(0)
        for answers in product(range(case.arms), repeat=case.n):
            chance = np.prod([pi[a] for a in answers])
            found = rule(tuple(int(a < right) for a in answers), case.k)
            g = [
                sum(a * ((answer == j) - pi[j]) for a, answer in zip(found, answers, strict=True)) / case.n
                for j in range(case.arms)
            ]
            first = [x + chance * y for x, y in zip(first, g, strict=True)]
            second += chance * sum(y * y for y in g)
        assert trace(rule, case) == second - sum(x * x for x in first)


# What each claim measures, by hand: what is read, and its number.
def biased(case: Case) -> dict[str, float]:
    n, p = case.n, case.p
    live = 1 - p**n - (1 - p) ** n
    plain = weight(group_mean, n, p) * n / F(n - 1)
    return {
        "mean of a group with both": sum(w * mean_of(g) for g, w in groups(n, p) if 0 < sum(g) < n) / live,
        "weight, every group used": plain,
        "weight, dead groups drawn again": plain / live,
    }


def over_half(rule: Advantages, case: Case) -> float:
    return float(weight(rule, case.n, case.p)) / float(weight(rule, case.n, F(1, 2)))


def of_grpo(case: Case) -> dict[str, float]:
    return {"weight over that at p = 1/2": over_half(grpo, case)}


def suppressed(case: Case) -> dict[str, float]:
    """Sum |A| of a group with c right is 2 sqrt(c (n-c))."""
    n = case.n
    size = {p: sum(w * 2 * sqrt(sum(g) * (n - sum(g))) for g, w in groups(n, p)) for p in (case.p, F(1, 2))}
    return of_grpo(case) | {
        "mean |A| over that at p = 1/2": size[case.p] / size[F(1, 2)],
        "length of E g over that at p = 1/2": over_half(grpo, case) * 4 * float(case.p * (1 - case.p)),
    }


def own_reward(case: Case) -> dict[str, float]:
    return {"weight": F(case.n - 1, case.n), "weight over that at p = 1/2": 1}


def vanishing(case: Case) -> dict[str, float]:
    k, p = case.k, case.p
    return {
        "gradient at p/2 over that at p": (p / 2) * (1 - p / 2) ** k / (p * (1 - p) ** k),
        "gradient over that of pass@1": k * (1 - p) ** (k - 1),
    }


def interference(case: Case) -> dict[str, float]:
    hard, easy = case.rates
    update = (easy * case.k * (1 - easy) ** case.k - hard * case.k * (1 - hard) ** case.k) / 2
    return {"first-order change of mean pass@1": update * (easy * (1 - easy) - hard * (1 - hard)) / 2}


def orders(case: Case) -> dict[str, float]:
    """The T for which f(p) is sum over k <= T of (1-p)^(k-1), at more rates than f has coefficients."""
    rule = maxrl_kept if case.rule == "maxrl-keep-failures" else maxrl
    at = [F(i, case.n + 2) for i in range(1, case.n + 2)]
    fits = [
        t
        for t in range(1, case.n + 1)
        if all(weight(rule, case.n, p) == sum((1 - p) ** (k - 1) for k in range(1, t + 1)) for p in at)
    ]
    return {"order T of the objective climbed": fits[0]}


def passk_training(n: int, c: int, k: int) -> tuple[float, float]:
    """Equations 14 and 15 of arXiv 2508.10751, with the 1e-6 of its code."""
    rho = 1 - F(comb(n - c, k), comb(n, k))
    sigma = sqrt(rho * (1 - rho)) + 1e-6
    failure = 1 - rho - (F(comb(n - c - 1, k - 1), comb(n - 1, k - 1)) if c < n else 0)
    return float(1 - rho) / sigma, float(failure) / sigma


def peaks(case: Case) -> dict[str, float]:
    n, k = case.n, case.k
    sums = []
    for c in range(n + 1):
        success, failure = passk_training(n, c, k)
        sums.append(c * abs(success) + (n - c) * abs(failure))
    what = "Pass@1" if k == 1 else "Pass@k"
    return {f"share right where sum |A| peaks, {what}": F(sums.index(max(sums)), n)}


def shrinking(case: Case) -> dict[str, float]:
    n, k = case.n, case.k
    pairs = [(passk_training(n, c, k), passk_training(n, c, k + 1)) for c in range(1, n - k + 1)]
    return {
        f"|A| of a {what} at K+1 over K, at most": max(abs(after[i] / before[i]) for before, after in pairs)
        for i, what in enumerate(("success", "failure"))
    }


def lower(case: Case) -> dict[str, float]:
    return {"variance over pkpo-loo1's": trace(leave_two_out, case) / trace(s_loo1, case)}


def lowest(case: Case) -> dict[str, float]:
    own = trace(s_loo1, case)
    return {"variance over s's": own / trace(s, case), "variance over s_loo's": own / trace(s_loo, case)}


def oracle(case: Case) -> dict[str, float]:
    known = trace(lambda group, k: [r - case.p for r in group], case)
    return {"variance, oracle over RLOO": known / trace(rloo, case)}


def two_prompts(case: Case) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Fraction]]:
    """Both groups, as 0/1 patterns, and their chance."""
    for x, y in product(product((0, 1), repeat=case.n), repeat=2):
        yield (
            x,
            y,
            np.prod([p if r else 1 - p for group, p in zip((x, y), case.rates, strict=True) for r in group]),
        )


def james_stein(case: Case) -> dict[str, float]:
    n, right, wrong = case.n, F(case.good), F(case.arms - case.good)
    length, spread = 1 / right + 1 / wrong, {1: 1 - 1 / right, 0: 1 - 1 / wrong}
    noise = {"jspo": F(0), "rloo": F(0)}
    for x, y, chance in two_prompts(case):
        for group, other, p in ((x, y, case.rates[0]), (y, x, case.rates[1])):
            m = mean_of(other)
            v = sum((r - m) ** 2 for r in other) / F(n - 1) / n
            share = v / (v + F(1, 10**6))
            for name in noise:
                found = rloo(group, 1)
                if name == "jspo":
                    found = [
                        r - ((1 - share) * (r - a) + share * m) for r, a in zip(group, found, strict=True)
                    ]
                along = sum(a * (r - p) for a, r in zip(found, group, strict=True))
                across = sum(a * a * spread[r] for a, r in zip(found, group, strict=True))
                noise[name] += chance * (along**2 * length + across) / n**2
    gradients = sum((p * (1 - p)) ** 2 * length for p in case.rates)
    return {"variance over RLOO's": (noise["jspo"] - gradients) / (noise["rloo"] - gradients)}


def angle(case: Case) -> dict[str, float]:
    """Two prompts, advantages over ``sqrt(mean A^2 + 1e-8)`` of the batch; alike, they get the same scale."""
    if len(case.rates) == 1:
        return {"angle to the plain gradient, rad": 0.0}
    update = np.zeros(2)
    for x, y, chance in two_prompts(case):
        found = [rloo(group, 1) for group in (x, y)]
        scale = sqrt(sum(a * a for each in found for a in each) / (2 * case.n) + 1e-8)
        for place, (group, p) in enumerate(zip((x, y), case.rates, strict=True)):
            update[place] += (
                float(chance)
                * float(sum(a * (r - p) for a, r in zip(found[place], group, strict=True)))
                / scale
            )
    gradient = np.array([float(p * (1 - p)) for p in case.rates])
    cosine = update @ gradient / (hypot(*update) * hypot(*gradient))
    return dict.fromkeys(
        ("angle to the gradient, rad", "angle to the plain gradient, rad"), acos(min(1.0, cosine))
    )


def group_size(case: Case) -> dict[str, float]:
    """Variance of a batch of budget / n drawn prompts, up to groups of 7 (it is convex in n)."""

    def best_of(rates: tuple[Fraction, ...]) -> int:
        length = F(1, case.good) + F(1, case.arms - case.good)
        gradients = [p * (1 - p) for p in rates]
        # Of one drawn prompt: a gradient of its own coordinate.
        between = (sum(g * g for g in gradients) / 2 - sum((g / 2) ** 2 for g in gradients)) * length
        found = {}
        for n in range(2, 8):
            own = [trace(rloo, Case(n=n, rates=(p,), arms=case.arms, good=case.good)) for p in rates]
            found[n] = n * (between + sum(own) / 2)
        return min(found, key=lambda n: (found[n], n))

    later = tuple((1 + p) / 2 for p in case.rates)
    return {
        "best group size, budget doubled": best_of(case.rates),
        "best group size, failures halved": best_of(later),
    }


def operations(case: Case) -> dict[str, float]:
    """How often each loop of both ways runs, and what Python's sort compares."""

    def compared(n: int) -> int:
        calls: list[int] = []
        compare = cmp_to_key(lambda one, other: calls.append(1) or (one > other) - (one < other))
        sorted((0.6180339887498949 * i % 1.0 for i in range(1, n + 1)), key=compare)
        return len(calls)

    def pairs(
        n: int,
    ) -> int:  # gaps; own and its weight; reached, its weight and the others; three at the end
        return compared(n) + (n - 1) + 2 * (n - 1) + 3 * n * (n - 1) + 3 * n

    def one_sort(n: int) -> int:  # gaps; two sums with their weights; their sum
        return compared(n) + (n - 1) + 4 * (n - 1) + n

    return {
        "operations at 2n over n, over all pairs": pairs(2 * case.n) / pairs(case.n),
        "operations at 2n over n, by one sort": one_sort(2 * case.n) / one_sort(case.n),
    }


WITNESSES: dict[str, Callable[[Case], dict[str, float]]] = {
    "group-advantage-biased": biased,
    "std-overweights-extremes": of_grpo,
    "std-suppresses-hard": suppressed,
    "local-normalisation-biased": of_grpo,
    "own-reward-in-baseline": own_reward,
    "rloo-is-scaled-group-mean": lambda case: {"largest difference in any group": 0.0},
    "pass-at-k-signal-vanishes": vanishing,
    "prompt-interference": interference,
    "leave-two-out-centered": lambda case: {
        "unbiased": 1,
        "centered": 1,
        "unbiased and centered advantages exist": int(case.k < case.n),
    },
    "leading-method-not-centered": lambda case: {"unbiased": 1, "centered": 0},
    "leave-two-out-quadratic": operations,
    "maxrl-unbiased": orders,
    "pass-at-k-training-peak": peaks,
    "larger-k-smaller-advantage": shrinking,
    "leave-two-out-lowers-variance": lower,
    "ten-times-lower-variance": lowest,
    "loo-minus-one-lowest-variance": lowest,
    "oracle-equivalence": oracle,
    "james-stein-lowers-variance": james_stein,
    "universal-group-size": group_size,
    "global-normalisation-vanishes": angle,
    "whitening-only-rescales": angle,
}


def witnessed(name: str) -> list[Case]:
    """Cases small enough for the witness: the first of the search, and of those that are shown."""
    searched = [case for _, case in zip(range(24), CLAIMS[name].searched(), strict=False) if case.n <= 8]
    shown = [case for size, cases in CLAIMS[name].shown.items() if size <= 8 for case in cases]
    if name in ("james-stein-lowers-variance", "global-normalisation-vanishes", "whitening-only-rescales"):
        return [case for case in searched if len(case.rates) == 2][:12]
    if name == "universal-group-size":
        return searched[:3]
    return searched + shown[:: 6 if len(shown) > 40 else 1]


def test_every_claim_has_a_witness_and_says_where_it_is_from() -> None:
    assert set(WITNESSES) == set(CLAIMS)
    assert len(CLAIMS) >= 20
    for claim in CLAIMS.values():
        assert re.search(r"arXiv \d{4}\.\d{5}|[\w-]+/[\w-]+|documentation", claim.source), claim.name
        assert claim.statement.endswith(".")
        assert claim.remark


@pytest.mark.parametrize("name", CLAIMS)
def test_numbers_are_those_of_the_definitions(name: str) -> None:
    compared = 0
    for case in witnessed(name):
        by_hand = WITNESSES[name](case)
        for reading in CLAIMS[name].judge(case):
            assert reading.measured == pytest.approx(float(by_hand[reading.what]), rel=1e-10, abs=1e-10), case
            compared += 1
    assert compared >= 3


@pytest.fixture(scope="module")
def stored() -> pd.DataFrame:
    return report.read("field-claims", report.place("paper"))[0]


FAILS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda measured, claimed: measured >= claimed - 1e-9,
    ">": lambda measured, claimed: measured <= claimed + 1e-9,
    "=": lambda measured, claimed: abs(measured - claimed) > 1e-9,
    "!=": lambda measured, claimed: abs(measured - claimed) <= 1e-9,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_every_counterexample_is_one_by_hand_and_no_simpler_case_is(name: str, stored: pd.DataFrame) -> None:
    """The search once more, in which the witness decides; the claim has a say only in what is claimed."""
    by_hand = WITNESSES[name]
    left = {
        row.what: row for row in stored[(stored.claim == name) & (stored.kind == COUNTEREXAMPLE)].itertuples()
    }
    for case in CLAIMS[name].searched():
        if not left:
            break
        here = {what for what, row in left.items() if is_at(row, case)}
        if name == "james-stein-lowers-variance" and not here:
            continue  # no simpler case: below
        for reading in CLAIMS[name].judge(case):
            if reading.what not in left:
                continue
            number = by_hand(case)[reading.what]
            if reading.relation == "->":
                later = by_hand(Case(**(asdict(case) | {"n": 2 * case.n})))[reading.what]
                fails = abs(later - reading.claimed) >= abs(number - reading.claimed) > 1e-9
            else:
                fails = FAILS[reading.relation](float(number), reading.claimed)
            assert fails == (reading.what in here), (case, reading)
            if fails:
                exact = left.pop(reading.what).exact
                assert not exact or not isinstance(number, F) or F(exact) == number
    assert not left


def is_at(row: Any, case: Case) -> bool:
    """Whether a row is of this case."""
    rates = ", ".join(map(str, case.rates))
    numbers = (case.n, case.k, case.arms, case.good, case.copies)
    return (row.rates, row.rule) == (rates, case.rule) and (
        row.n,
        row.k,
        row.arms,
        row.good,
        row.copies,
    ) == numbers


@pytest.mark.integration
def test_two_prompts_of_up_to_six_answers_and_two_rollouts_are_no_counterexample_to_james_stein() -> None:
    """In floats; the first counterexample has three rollouts."""
    for case in CLAIMS["james-stein-lowers-variance"].searched():
        if case.n == 2:
            rates = tuple(map(float, case.rates))
            rough = Case(n=2, rates=rates, arms=case.arms, good=case.good)  # type: ignore[arg-type]
            assert james_stein(rough)["variance over RLOO's"] < 1 - 1e-9


@pytest.mark.parametrize(("prompts", "n"), [(2, 2), (2, 4), (3, 2), (3, 3)])
@pytest.mark.parametrize("space", [Space(1000, 100), Space(10, 1)])
def test_james_stein_of_any_number_of_prompts_is_that_of_all_batches(
    prompts: int, n: int, space: Space
) -> None:
    """A law of two success rates: the mean over all batches of its prompts, each a product of all states."""
    rates, chances = np.array([0.15, 0.7]), np.array([0.6, 0.4])
    noise = {"jspo": 0.0, "rloo": 0.0}
    for places in product((0, 1), repeat=prompts):
        chosen = space.batch(rates[list(places)])
        for name in noise:
            found = ml.batch_moments(name, chosen, n=n, k=1, batch=None)
            noise[name] += float(np.prod(chances[list(places)])) * found.within_prompt_trace
    measured = noise_over_rloo(space, n=n, prompts=prompts, rates=rates, chances=chances)
    assert measured == pytest.approx(noise["jspo"] / noise["rloo"], rel=1e-11)


def test_the_nodes_stand_for_beta() -> None:
    """Moments of Beta(1/2, 2): E p = 1/5, E p^2 = 3/35, and (1/2)_j / (5/2)_j at every degree."""
    rates, chances = beta_rates()
    moment = 1.0
    for degree in range(40):
        assert chances @ rates**degree == pytest.approx(moment, rel=1e-12)
        moment *= (0.5 + degree) / (2.5 + degree)


def test_relations_are_strict_beyond_rounding() -> None:
    assert below("", 0.9, 1.0).holds
    assert not below("", 1.0 - 1e-12, 1.0).holds
    assert not above("", 1.0 + 1e-12, 1.0).holds
    assert equal("", 1.0 + 1e-12, 1.0).holds
    assert not unequal("", 1.0 + 1e-12, 1.0).holds
    assert tends("", 0.5, 0.7, 1.0).holds
    assert not tends("", 0.5, 0.5, 1.0).holds
    assert tends("", 1.0, 1.0, 1.0).holds
    assert as_fraction(0.1 + 0.2) == "3/10"
    assert as_fraction(sqrt(0.5)) == ""


def judged(*rows: tuple[str, str, int, int]) -> str:
    return decide(pd.DataFrame(rows, columns=["kind", "what", "inside", "holds"]))


def test_verdicts_follow_from_the_rows() -> None:
    fine, outside = (SHOWN, "a", 1, 1), (SHOWN, "a", 0, 0)
    assert judged(fine) == TRUE
    assert judged(fine, (COUNTEREXAMPLE, "a", 0, 0)) == CONDITION
    assert judged(fine, outside) == CONDITION
    assert judged(fine, (SHOWN, "a", 1, 0)) == FALSE
    assert judged(fine, (COUNTEREXAMPLE, "a", 1, 0), (SEARCHED, "a", 1, 1)) == FALSE
    assert judged(fine, (SHOWN, "b", 1, 0)) == DEFINITION
    # What is only searched, and never fails, is a number that never fails.
    assert judged((SHOWN, "b", 1, 0), (SEARCHED, "a", 1, 1), (SEARCHED, "b", 1, 0)) == DEFINITION


def test_the_verdicts_of_the_repository(stored: pd.DataFrame) -> None:
    found = verdicts(stored)
    assert list(found) == list(CLAIMS)
    by_verdict = {
        v: {name for name, each in found.items() if each.verdict == v} for v in (TRUE, DEFINITION, FALSE)
    }
    assert by_verdict[TRUE] == {
        "rloo-is-scaled-group-mean",
        "leading-method-not-centered",
        "larger-k-smaller-advantage",
        "global-normalisation-vanishes",
    }
    assert by_verdict[DEFINITION] == {
        "group-advantage-biased",
        "std-suppresses-hard",
        "own-reward-in-baseline",
        "pass-at-k-signal-vanishes",
    }
    assert by_verdict[FALSE] == {"ten-times-lower-variance"}
    for name, each in found.items():
        own = stored[stored.claim == name]
        assert bool(CLAIMS[name].condition) == (each.verdict != TRUE)
        if each.verdict == CONDITION:
            # Neither side of the condition is empty.
            assert (own[own.kind != SEARCHED].inside == 1).any()
            assert ((own.inside == 0) & (own.holds == 0)).any()
            assert each.counterexamples


def test_a_row_that_fails_inside_the_condition_changes_the_verdict(stored: pd.DataFrame) -> None:
    for name in CLAIMS:
        own = stored[stored.claim == name].copy()
        before = decide(own)
        own.loc[(own.kind == SHOWN) & (own.inside == 1), "holds"] = 0
        assert decide(own) == FALSE or before == DEFINITION, name


def test_what_the_repository_holds_is_what_is_measured(stored: pd.DataFrame) -> None:
    """The searches of quick claims, measured again."""
    for name in ("group-advantage-biased", "maxrl-unbiased", "pass-at-k-training-peak"):
        again = pd.DataFrame([asdict(row) for row in measure(Cell(name, None))])
        kept = stored[(stored.claim == name) & (stored.kind != SHOWN)]
        np.testing.assert_allclose(again.measured, kept.measured, rtol=1e-12)
        assert again.exact.tolist() == kept.exact.tolist()


def test_numbers_that_remarks_name(stored: pd.DataFrame) -> None:
    peak = stored[(stored.claim == "pass-at-k-training-peak") & (stored.n == 32) & (stored.k == 8)]
    assert set(peak.measured) == {0.125}
    shrunk = stored[(stored.claim == "james-stein-lowers-variance") & (stored.copies == 64)]
    ratio = shrunk.set_index(["good", "n"]).measured
    assert {n for n in (2, 4, 8) if ratio[100, n] <= 0.9} == {2}
    assert 0.9 < ratio[100, 4] < 0.91
    assert {n for n in (2, 4, 8) if ratio[1, n] <= 0.9} == {2, 4, 8}
    # As simulated for shared tables: success ~ Beta(1/2, 2), 64 prompts.
    assert ratio[100, 2] == pytest.approx(0.732, abs=2e-3)
    assert ratio[1, 8] == pytest.approx(0.860, abs=2e-3)
    of_many = stored[(stored.claim == "oracle-equivalence") & (stored.good == 100) & (stored.kind == SHOWN)]
    np.testing.assert_allclose(of_many.measured, 1 - 1 / of_many.n, atol=2e-3)


def test_numbers_that_the_findings_name(stored: pd.DataFrame) -> None:
    shown = stored[stored.kind == SHOWN].set_index(["claim", "n"]).sort_index()
    redrawn = shown.loc["group-advantage-biased", 8]
    redrawn = redrawn[(redrawn.rates == "1/1000") & redrawn.what.str.contains("again")]
    assert redrawn.measured.tolist() == [pytest.approx(125, abs=0.5)]
    extremes = [shown.loc["std-overweights-extremes", n].measured.max() for n in (8, 32)]
    assert extremes == [pytest.approx(1.4, abs=0.05), pytest.approx(2.8, abs=0.05)]
    two_out = shown.loc["leave-two-out-lowers-variance"].measured
    assert (round(two_out.min(), 2), round(two_out.max())) == (0.01, 97)
    against_loo = shown.loc["ten-times-lower-variance"]
    against_loo = against_loo[against_loo.what.str.contains("s_loo")].measured
    assert against_loo.max() == pytest.approx(3, abs=0.1)
    shrunk = (
        shown.loc["james-stein-lowers-variance"].reset_index().set_index(["good", "n", "copies"]).measured
    )
    worth = [[round(100 * (1 - shrunk[good, n, 64])) for n in (2, 4, 8)] for good in (100, 1)]
    assert worth == [[27, 10, 3], [42, 25, 14]]
    assert round(100 * (shrunk.max() - 1)) == 53


def test_the_table_of_the_readme_is_that_of_the_rows(stored: pd.DataFrame) -> None:
    page = readme.PAGE.read_text(encoding="utf-8")
    assert readme.updated(page, stored) == page, "python -m analysis.studies.field_claims rewrites it"
    with pytest.raises(ValueError, match="verdicts"):
        readme.updated("no place", stored)


@pytest.mark.integration
def test_figures_have_a_panel_for_each_claim_with_an_axis(stored: pd.DataFrame, tmp_path: Path) -> None:
    figure = STUDY.draw(stored)["figure"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert {title.partition("\n")[0] for title in titles} == {c.name for c in CLAIMS.values() if c.axis}
