"""Claims about the weight of a prompt: what the expected update multiplies grad p by."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

import maxpo_lab as ml
from maxpo_lab.estimators import group_estimator
from maxpo_lab.moments.states import count_table

from .cases import RATES, grid, opposed, policy
from .claim import Case, Claim, Reading, above, below, equal, unequal

HALF = Fraction(1, 2)
#: GRPO with the standard deviation of the group itself, and without an epsilon worth the name.
GRPO = "grpo:eps=1e-15,ddof=0"
UNEQUAL = tuple(p for p in RATES if p != HALF)
HARD = tuple(p for p in RATES if p < HALF)
SIZES = (8, 2, 4, 32)


def weight(rule: str, case: Case, p: Fraction | None = None) -> float:
    """``f(p)`` with ``E g = f(p) grad p``: all that a rule of groups does on one 0/1 prompt."""
    return _weight(rule, case.n, case.k, case.p if p is None else p)


@lru_cache(maxsize=1 << 15)
def _weight(rule: str, n: int, k: int, p: Fraction) -> float:
    levels = policy(Case(n=n, rates=(p,)))
    return ml.exact_moments(rule, levels, n=n, k=k, target="mean").scale


def over_half(rule: str, case: Case) -> float:
    """A prompt's weight over that of a prompt with p = 1/2."""
    return weight(rule, case) / weight(rule, case, HALF)


def _shown(rates: tuple[Fraction, ...], sizes: tuple[int, ...] = SIZES, k: int = 1) -> dict[int, list[Case]]:
    return {n: [Case(n=n, k=k, rates=(p,)) for p in rates] for n in sizes}


def _unequal(*, hard: bool = False) -> Iterator[Case]:
    for case in grid(sizes=range(2, 7), denominator=6):
        if case.p < HALF or (not hard and case.p > HALF):
            yield case


def _live_group(case: Case) -> Iterator[Reading]:
    """Hard prompts: too little; easy ones: too much. Told of the baseline, and of two updates."""
    compare, other = (below, above) if case.p < HALF else (above, below)
    counts, chance = count_table(case.n, policy(case).probabilities)
    share = counts[:, 1] / case.n
    live = (share > 0) & (share < 1)
    yield other(
        "mean of a group with both", float(chance[live] @ share[live] / chance[live].sum()), float(case.p)
    )
    plain = weight("batch-mean", case) * case.n / (case.n - 1)
    yield compare("weight, every group used", plain, 1.0)
    found = ml.exact_moments("batch-mean", policy(case), n=case.n, k=1, target="mean")
    yield compare("weight, dead groups drawn again", plain / (1 - found.dead_group_probability), 1.0)


BIASED = Claim(
    name="group-advantage-biased",
    source="arXiv 2601.08521, abstract; Theorem 1",
    statement=(
        "The group-relative advantage is inherently biased: too small on hard prompts, too large on easy "
        "ones."
    ),
    condition="of the advantage given a group with both outcomes; never of the update",
    remark=(
        "Where every group is used, R - m is (1 - 1/n) times the exact gradient, on every prompt; if dead "
        "groups are drawn again, hard prompts get more weight, not less."
    ),
    judge=_live_group,
    shown=_shown(UNEQUAL),
    searched=_unequal,
    axis="success rate",
    label="weight of grad p over 1 - 1/n",
    drawn=("weight, every group used", "weight, dead groups drawn again"),
)


def _std(case: Case) -> Iterator[Reading]:
    yield above("weight over that at p = 1/2", over_half(GRPO, case), 1.0, inside=case.n >= 4)


OVERWEIGHTS = Claim(
    name="std-overweights-extremes",
    source="arXiv 2503.20783 (Dr. GRPO), section 3.1",
    statement=(
        "Dividing by the group's standard deviation gives questions that are too easy or too hard a higher "
        "weight."
    ),
    condition="n >= 4",
    remark=(
        "The weight is bounded by the group: it never comes near 1 / (2 sqrt(p (1-p))), which holds for "
        "infinite groups alone; with n = 2 and 3 there is no such bias at all."
    ),
    judge=_std,
    shown=_shown(UNEQUAL),
    searched=_unequal,
    axis="success rate",
    label="GRPO's weight over that at p = 1/2",
)


def _magnitude(case: Case) -> Iterator[Reading]:
    counts, chance = count_table(case.n, policy(case).probabilities)
    rewards = (np.arange(case.n) < counts[:, 1:]).astype(float)
    size = np.abs(np.asarray(group_estimator(GRPO)(rewards, 1))).mean(axis=1)
    half = count_table(case.n, policy(Case(n=case.n, rates=(HALF,))).probabilities)[1]
    yield below("mean |A| over that at p = 1/2", float(chance @ size) / float(half @ size), 1.0)
    yield below(
        "length of E g over that at p = 1/2",
        over_half(GRPO, case) * float(4 * case.p * (1 - case.p)),
        1.0,
    )
    yield below("weight over that at p = 1/2", over_half(GRPO, case), 1.0)


SUPPRESSES = Claim(
    name="std-suppresses-hard",
    source="arXiv 2601.20614 (MathForge), abstract",
    statement="GRPO's updates are smaller on harder questions.",
    condition="of the size of the update; not of what a gradient is multiplied by",
    remark=(
        "Both this and the claim of Dr. GRPO are right, of two numbers: grad p itself is small on hard "
        "questions."
    ),
    judge=_magnitude,
    shown=_shown(HARD),
    searched=lambda: _unequal(hard=True),
    axis="success rate",
    label="GRPO, over the same at p = 1/2",
    drawn=("mean |A| over that at p = 1/2", "weight over that at p = 1/2"),
)


def _normalised(case: Case) -> Iterator[Reading]:
    yield unequal("weight over that at p = 1/2", over_half(GRPO, case), 1.0, inside=case.n >= 4)


LOCAL = Claim(
    name="local-normalisation-biased",
    source="arXiv 2501.03262 (REINFORCE++), abstract",
    statement="Normalising advantages within a prompt's group is a biased estimator.",
    condition="n >= 4",
    remark=(
        "Groups of 2 and 3 have one standard deviation where they are alive, so that GRPO there is RLOO "
        "times a constant."
    ),
    judge=_normalised,
    shown=_shown(UNEQUAL),
    searched=_unequal,
)


def _own_reward(case: Case) -> Iterator[Reading]:
    yield below("weight", weight("batch-mean", case), 1.0)
    yield unequal("weight over that at p = 1/2", over_half("batch-mean", case), 1.0)


OWN_REWARD = Claim(
    name="own-reward-in-baseline",
    source="ms-swift 4.4 documentation, RLOO, 'Why leave-one-out?'",
    statement=(
        "A baseline that contains the rollout's own reward, as the group's mean does, biases the gradient."
    ),
    condition="of the step's length; not of its direction, nor of prompts against each other",
    remark="It is the factor 1 - 1/n, for every prompt and policy: a matter of the learning rate.",
    judge=_own_reward,
    shown=_shown(UNEQUAL),
    searched=_unequal,
)


def _vanishing(case: Case) -> Iterator[Reading]:
    """Hard: below 1 / (K+1), where the gradient of pass@K is longest."""
    longest = Fraction(1, case.k + 1)
    if case.p <= longest:
        length = [_length(case.k, p) for p in (case.p / 2, case.p)]
        yield below("gradient at p/2 over that at p", length[0] / length[1], 1.0)
        yield below("gradient over that of pass@1", length[1] / _length(1, case.p), 1.0)


def _length(k: int, p: Fraction) -> float:
    return float(np.linalg.norm(ml.max_at_k_gradient(policy(Case(n=1, rates=(p,))), k)))


VANISHING = Claim(
    name="pass-at-k-signal-vanishes",
    source="arXiv 2511.16231, abstract",
    statement=(
        "The pass@k objective has a vanishing learning signal where exploration matters most, on hard "
        "prompts."
    ),
    condition="in itself, as that of pass@1 has; not against pass@1",
    remark=(
        "Per prompt it is K (1-p)^(K-1) times the signal of pass@1: up to K times as much on hard prompts."
    ),
    judge=_vanishing,
    shown={k: [Case(n=k, k=k, rates=(p,)) for p in RATES if p <= Fraction(1, k + 1)] for k in (4, 2, 8, 16)},
    searched=lambda: grid(sizes=range(2, 7), denominator=8, ks=(2, 6)),
    axis="success rate",
    label="|grad pass@K| over |grad pass@1|",
    drawn=("gradient over that of pass@1",),
    curve=lambda case: f"K = {case.k}",
)


def _interference(case: Case) -> Iterator[Reading]:
    """The harder prompt must have the shorter gradient of pass@1 and the longer one of pass@K.

    All unbiased rules have this one expected update.
    """
    prompts = opposed(case)
    found = ml.batch_moments("pkpo-loo1", prompts, n=case.n, k=case.k, batch=None)
    mean = np.mean([ml.max_at_k_gradient(levels, 1) for levels in prompts], axis=0)
    hard, easy = (p * (1 - p) ** np.array([1, case.k]) for p in case.rates)
    yield below(
        "first-order change of mean pass@1",
        float(found.mean @ mean),
        0.0,
        inside=bool(hard[0] < easy[0] and hard[1] > easy[1]),
    )


def _pairs(sizes: tuple[tuple[int, int], ...]) -> dict[int, list[Case]]:
    easy = Fraction(4, 5)
    return {
        n: [Case(n=n, k=k, rates=(p, easy)) for p in RATES if p < easy and p != 1 - easy] for n, k in sizes
    }


INTERFERENCE = Claim(
    name="prompt-interference",
    source="arXiv 2602.21189, abstract",
    statement=(
        "Training for pass@k can lower pass@1, where hard prompts interfere negatively with the others."
    ),
    condition=(
        "two opposed prompts of which the harder has p (1-p) smaller and p (1-p)^K larger than the easier"
    ),
    remark=(
        "Opposition alone is not enough: a prompt that is much harder has no gradient to do harm with, one "
        "that is hardly harder no weight. The study of prompts has more than two, and networks."
    ),
    judge=_interference,
    shown=_pairs(((4, 4), (2, 2), (8, 8), (16, 16))),
    searched=lambda: grid(sizes=range(2, 4), denominator=7, ks=(2, 3), prompts=2),
    axis="success rate",
    label="change of pass@1 (easy: p = 4/5)",
    curve=lambda case: f"K = {case.k}",
)


def _same_rule(case: Case) -> Iterator[Reading]:
    rewards = (np.arange(case.n) < np.arange(case.n + 1)[:, None]).astype(float)
    rloo, plain = (np.asarray(group_estimator(rule)(rewards, 1)) for rule in ("rloo", "batch-mean"))
    most = float(np.abs(rloo - plain * case.n / (case.n - 1)).max())
    yield equal("largest difference in any group", most, 0.0)


SAME_RULE = Claim(
    name="rloo-is-scaled-group-mean",
    source="ms-swift 4.4 documentation, RLOO",
    statement="RLOO's advantage is n / (n-1) times the reward less the group's mean.",
    condition="",
    remark="Number for number; so 'RLOO is unbiased and the group's mean is not' is about a factor.",
    judge=_same_rule,
    shown={n: [Case(n=n)] for n in SIZES},
    searched=lambda: (Case(n=n) for n in range(2, 33)),
)

CLAIMS = (
    BIASED,
    OVERWEIGHTS,
    SUPPRESSES,
    LOCAL,
    OWN_REWARD,
    SAME_RULE,
    VANISHING,
    INTERFERENCE,
)
