"""Claims about a batch of prompts: baselines that are shrunk, whitening, how many rollouts a group needs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import maxpo_lab as ml

from ..batches.prompts import Space
from .cases import MANY, SINGLE, batch, grid
from .claim import Case, Claim, Reading, below, equal, tends
from .james_stein import beta_rates, noise_over_rloo

#: Pairs of a hard and an easier prompt.
PAIRS = (
    (Fraction(1, 10), Fraction(1, 2)),
    (Fraction(1, 100), Fraction(1, 2)),
    (Fraction(1, 3), Fraction(2, 3)),
)


def _james_stein(case: Case) -> Iterator[Reading]:
    """Without rates: success ~ Beta(1/2, 2), prompts as many as ``copies``."""
    if case.rates:
        listed = [ml.batch_moments(rule, batch(case), n=case.n, k=1, batch=None) for rule in ("jspo", "rloo")]
        ratio, inside = listed[0].trace_covariance / listed[1].trace_covariance, False
    else:
        rates, chances = beta_rates()
        space = Space(case.arms, case.good)
        ratio = noise_over_rloo(space, n=case.n, prompts=case.copies, rates=rates, chances=chances)
        inside = case.copies >= 16
    yield below("variance over RLOO's", ratio, 1.0, inside=inside)


def _beta(sizes: dict[int, tuple[int, ...]]) -> dict[int, list[Case]]:
    return {
        n: [Case(n=n, arms=arms, good=good, copies=many) for arms, good in (MANY, SINGLE) for many in prompts]
        for n, prompts in sizes.items()
    }


JAMES_STEIN = Claim(
    name="james-stein-lowers-variance",
    source="arXiv 2511.03710 (JSPO), abstract",
    statement=(
        "A shrinkage baseline provably yields policy gradients of lower variance than the prompt's own mean."
    ),
    condition="prompts are many (16 and more, success ~ Beta(1/2, 2))",
    remark=(
        "With few prompts that differ it costs variance; worth 10% and more only in groups of 2 (and 4, just"
        " below it) where many answers are right, up to 8 where one is."
    ),
    judge=_james_stein,
    shown=_beta(
        {
            2: (2, 3, 4, 8, 16, 32, 64),
            4: (2, 3, 4, 8, 16, 32, 64),
            8: (2, 3, 4, 8, 16, 32, 64),
            16: (2, 3, 4, 8, 16),
        }
    ),
    searched=lambda: grid(sizes=range(2, 4), denominator=6, arms=6, prompts=2, half=True),
    axis="prompts",
    label="tr Cov, JSPO over RLOO",
    curve=lambda case: f"{case.good} of {case.arms:,}, n = {case.n}",
)

#: Rollouts that all group sizes of ``GROUPS`` divide.
BUDGET = 1920
GROUPS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32, 40, 48, 60, 64, 80, 96, 120, 128)


def _best(case: Case, rates: tuple[Fraction, ...], budget: int) -> int:
    """The group size of least variance when prompts are drawn and the budget of rollouts is fixed."""
    prompts = batch(Case(n=1, rates=rates, arms=case.arms, good=case.good))
    least = {
        n: ml.batch_moments("rloo", prompts, n=n, k=1, batch=budget // n, target="mean").trace_covariance
        for n in GROUPS
    }
    return min(least, key=lambda n: (round(least[n] / least[2], 12), n))


def _group_size(case: Case) -> Iterator[Reading]:
    """At twice the budget, and a little later: where each failure rate has been halved."""
    now = _best(case, case.rates, BUDGET)
    yield equal("best group size, budget doubled", _best(case, case.rates, 2 * BUDGET), now)
    later = tuple((1 + p) / 2 for p in case.rates)
    yield equal("best group size, failures halved", _best(case, later, BUDGET), now, inside=False)


def _policies(arms: int, good: int) -> list[Case]:
    return [Case(n=1, rates=rates, arms=arms, good=good) for rates in PAIRS]


GROUP_SIZE = Claim(
    name="universal-group-size",
    source="arXiv 2603.01162, abstract (a universal scaling law for the optimal group size)",
    statement="The optimal group size is universal: it depends neither on the budget nor on the iteration.",
    condition="the policy stays the same",
    remark="It moves little with the success rates, and much with how many different answers there are.",
    judge=_group_size,
    shown={1: _policies(*SINGLE), 2: _policies(*MANY), 3: _policies(30, 3)},
    searched=lambda: (
        case for case in grid(sizes=(1,), denominator=4, arms=3, prompts=2) if case.rates[1] <= Fraction(1, 2)
    ),
)


def _angle(case: Case, copies: int) -> float:
    repeated = Case(n=case.n, rates=case.rates, arms=case.arms, good=case.good, copies=copies)
    return ml.batch_moments(
        "whitened:rloo", batch(repeated), n=case.n, k=1, batch=None, target="mean"
    ).direction_error


def _mixes(sizes: tuple[int, ...], copies: tuple[int, ...]) -> dict[int, list[Case]]:
    return {n: [Case(n=n, rates=PAIRS[0], copies=many) for many in copies] for n in sizes}


def _global(case: Case) -> Iterator[Reading]:
    yield tends("angle to the gradient, rad", _angle(case, case.copies), _angle(case, 2 * case.copies), 0.0)


GLOBAL = Claim(
    name="global-normalisation-vanishes",
    source="arXiv 2501.03262 (REINFORCE++), abstract",
    statement=(
        "Normalising over the whole batch is effectively unbiased: the bias vanishes as the batch grows."
    ),
    condition="",
    remark="It falls as 1/P for a batch of the same mix. P counts prompts, not rollouts.",
    judge=_global,
    shown=_mixes((8, 4, 16), (1, 2, 4, 8, 16, 32)),
    searched=lambda: grid(sizes=range(2, 5), denominator=4, prompts=2),
    axis="prompts",
    label="angle of whitened RLOO, rad",
)


def _rescales(case: Case) -> Iterator[Reading]:
    yield equal(
        "angle to the plain gradient, rad", _angle(case, case.copies), 0.0, inside=len(set(case.rates)) == 1
    )


def _whitened() -> Iterator[Case]:
    """Batches of two prompts, alike or not."""
    for case in grid(sizes=range(2, 5), denominator=4, prompts=2):
        yield Case(n=case.n, rates=case.rates[:1], arms=case.arms, good=case.good, copies=2)
        yield case


RESCALES = Claim(
    name="whitening-only-rescales",
    source="liujch1998.github.io/2023/04/16/ppo-norm",
    statement=(
        "Whitening the rewards of a batch is a scale and a shift, which other parameters can do as well."
    ),
    condition="the prompts of the batch are equally hard (or infinitely many)",
    remark=(
        "The scale of a batch is known only when its rollouts are: it weighs batches, and so prompts, "
        "unequally."
    ),
    judge=_rescales,
    shown={
        n: [
            Case(n=n, rates=rates, copies=many)
            for rates, many in ((PAIRS[0], 1), (PAIRS[0], 16), (PAIRS[0][:1], 4))
        ]
        for n in (8, 4, 16)
    },
    searched=_whitened,
)

CLAIMS = (JAMES_STEIN, GROUP_SIZE, GLOBAL, RESCALES)
