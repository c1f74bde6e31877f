"""Batch rules against the plain rule behind them: angle, weights, bias and variance by number of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

import maxpo_lab as ml
from envs.bandits.prompt_bandit import log_uniform_rates
from maxpo_lab.core.arrays import Float
from maxpo_lab.moments.against_gradient import against_gradient

from ...run.presets import Preset
from . import shrinkage
from .given_others import given_others
from .prompts import Space

SEED = 20261128
#: By K: the rules, each with the plain one that it is compared with. At K = 1 maxpo is rloo.
_MEANS = {
    "rloo": "rloo",
    "whitened:rloo": "rloo",
    "whitened:scale=std1,mean=1:rloo": "rloo",
    "trl-batch": "batch-mean",
    "verl-gpg": "batch-mean",
    "flash-reinforce": "reinforce",
}
RULES: Mapping[int, Mapping[str, str]] = {
    1: _MEANS | {"jspo": "rloo", "jspo-plus-plus": "rloo", "empirical-bayes": "rloo"},
    4: {
        "maxpo": "maxpo",
        "predictive": "maxpo",
        "whitened:maxpo": "maxpo",
        "whitened:scale=std1,mean=1:maxpo": "maxpo",
        "empirical-bayes": "maxpo",
    }
    | _MEANS,
}
#: Success rates of the hardest and the easiest prompt; log-uniform between.
DIFFICULTIES = {"hard": (0.003, 0.1), "mixed": (0.003, 0.9), "easy": (0.3, 0.9)}
#: Where success rates are drawn from a beta law with each batch, as in shared tables of James-Stein.
BETA = "beta(.5, 2)"
SPACES = {"100 of 1,000": Space(1000, 100), "1 of 10": Space(10, 1)}
#: States of a batch up to which all are looked at, and what it is called where the others are drawn.
STATES, METHOD = 20_000, "given others"


@dataclass(frozen=True, slots=True)
class Cell:
    """One batch: the law of its success rates, outcomes, number of prompts, group size and K.

    ``drawn``: groups that are drawn where not all states of the batch are looked at.
    """

    difficulty: str
    space: str
    prompts: int
    n: int
    k: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Row:
    """One rule on one prompt of a batch, with the batch's numbers repeated on every row of the rule.

    ``weight``: what the prompt's own gradient is multiplied by, relative to the plain rule. Angles, in
    radians, are of the expected batch gradient, to that of the plain rule and to the gradient of pass@K.
    ``noise`` is ``tr Cov / |c grad J|^2``, c the rule's scale, ``ratio`` that over the plain rule's. Errors
    are standard errors, from so many ``draws`` of the batch, both 0 where all is exact.
    """

    difficulty: str
    space: str
    prompts: int
    n: int
    k: int
    rule: str
    success: float
    weight: float
    angle_to_plain: float
    angle_to_gradient: float
    relative_bias: float
    bias_error: float
    noise: float
    ratio: float
    ratio_error: float
    draws: int
    method: str


def cells(preset: Preset) -> Sequence[Cell]:
    """Numbers of prompts from 2 on, at all difficulties; then James-Stein's batches of 64."""
    sizes = {"smoke": (2, 8), "standard": (2, 3, 8, 32), "paper": (2, 3, 4, 8, 16, 32, 64, 128)}[preset]
    drawn = {"smoke": 1 << 12, "standard": 1 << 14, "paper": 1 << 16}[preset]
    few = 1 if preset == "smoke" else None
    spaces, groups, shared = tuple(SPACES)[:few], (8, 16)[:few], (2, 4, 8, 16)[:few]
    return [
        *(
            Cell(difficulty, space, prompts, n, k, drawn)
            for difficulty in DIFFICULTIES
            for space in spaces
            for n in groups
            for k in RULES
            for prompts in sizes
        ),
        *(Cell(BETA, space, 64, n, 1, 4 * drawn) for space in spaces for n in shared),
    ]


def measure(cell: Cell) -> list[Row]:
    """Every rule of the cell's K that its number of prompts is enough for."""
    if cell.difficulty == BETA:
        return _james_stein(cell)
    success = log_uniform_rates(cell.prompts, *DIFFICULTIES[cell.difficulty])
    batch = SPACES[cell.space].batch(success)
    plain = {name: _moments(cell, name, batch) for name in dict.fromkeys(RULES[cell.k].values())}
    found = _exact(cell, batch, plain) | _estimated(cell, success, plain["rloo" if cell.k == 1 else "maxpo"])
    return [
        Row(
            difficulty=cell.difficulty,
            space=cell.space,
            prompts=cell.prompts,
            n=cell.n,
            k=cell.k,
            rule=name,
            success=float(p),
            weight=float(weight / before),
            angle_to_plain=against_gradient(of_rule.mean, plain[beside].mean).angle,
            angle_to_gradient=against_gradient(of_rule.mean, plain[beside].gradient).angle,
            relative_bias=of_rule.relative_bias,
            bias_error=of_rule.bias_error,
            noise=of_rule.noise,
            ratio=of_rule.ratio,
            ratio_error=of_rule.ratio_error,
            draws=of_rule.draws,
            method=of_rule.method,
        )
        for name, beside in RULES[cell.k].items()
        if (of_rule := found.get(name))
        for p, weight, before in zip(success, of_rule.weights, plain[beside].weights, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """What rows say of one rule on the whole batch, however it was found."""

    mean: Float
    weights: Float
    relative_bias: float
    bias_error: float
    noise: float
    ratio: float
    ratio_error: float
    draws: int
    method: str


def _moments(cell: Cell, rule: str | ml.BatchRule, batch: Sequence[ml.RewardLevels]) -> ml.BatchMoments:
    return ml.batch_moments(rule, batch, n=cell.n, k=cell.k, batch=None, target="max@k")


def _noise(found: ml.BatchMoments) -> float:
    return float(found.trace_covariance / (found.scale**2 * np.sum(found.gradient**2)))


def _is_drawn(cell: Cell, name: str) -> bool:
    return name in shrinkage.RULES and (cell.n + 1) ** cell.prompts > STATES


def _exact(
    cell: Cell, batch: Sequence[ml.RewardLevels], plain: Mapping[str, ml.BatchMoments]
) -> dict[str, _Found]:
    """Rules whose moments need no draws."""
    found = {}
    for name, beside in RULES[cell.k].items():
        if _is_drawn(cell, name) or cell.prompts < shrinkage.SMALLEST.get(name, 1):
            continue
        rule = ml.batch_rule(shrinkage.empirical_bayes_rule) if name == "empirical-bayes" else name
        exact = plain[name] if name in plain else _moments(cell, rule, batch)
        noise = _noise(exact)
        found[name] = _Found(
            mean=exact.mean,
            weights=exact.weights,
            relative_bias=exact.relative_bias,
            bias_error=0.0,
            noise=noise,
            ratio=noise / _noise(plain[beside]),
            ratio_error=0.0,
            draws=0,
            method=exact.method,
        )
    return found


def _estimated(cell: Cell, success: Float, plain: ml.BatchMoments) -> dict[str, _Found]:
    """Rules of which the other prompts are drawn; the plain one is unbiased."""
    rules = {
        name: rule
        for name, rule in shrinkage.RULES.items()
        if name in RULES[cell.k] and _is_drawn(cell, name)
    }
    draws = max(256, cell.drawn // cell.prompts)
    counts = _generator(cell).binomial(cell.n, success, (draws, cell.prompts))
    at = np.broadcast_to(success, counts.shape)
    space, found = SPACES[cell.space], {}
    for name, drawn in given_others(rules, at, counts, n=cell.n, k=cell.k, space=space).items():
        mean = drawn.means.mean(axis=0) / cell.prompts
        scale = float(mean @ plain.gradient / np.sum(plain.gradient**2))
        ratio, error = (each / scale**2 for each in drawn.ratio(plain.trace_covariance))
        bias, bias_error = drawn.relative_bias
        found[name] = _Found(
            mean=mean,
            weights=drawn.weights,
            relative_bias=bias,
            bias_error=bias_error,
            noise=ratio * _noise(plain),
            ratio=ratio,
            ratio_error=error,
            draws=draws,
            method=METHOD,
        )
    return found


def _generator(cell: Cell) -> np.random.Generator:
    return np.random.default_rng([SEED, cell.prompts, cell.n])


def _james_stein(cell: Cell) -> list[Row]:
    """Each batch with success rates of its own, drawn from the beta law."""
    rng = _generator(cell)
    success = rng.beta(0.5, 2.0, (cell.drawn // cell.prompts, cell.prompts))
    counts = rng.binomial(cell.n, success)
    subjects = {"rloo": shrinkage.rloo, "reinforce": shrinkage.nothing, **shrinkage.RULES}
    found = given_others(subjects, success, counts, n=cell.n, k=cell.k, space=SPACES[cell.space])
    signal = float(np.mean(found["rloo"].gradients ** 2)) / cell.prompts
    rows = []
    for name, own in found.items():
        ratio, error = own.ratio(found["rloo"])
        rows.append(
            Row(
                difficulty=cell.difficulty,
                space=cell.space,
                prompts=cell.prompts,
                n=cell.n,
                k=cell.k,
                rule=name,
                success=nan,
                weight=nan,
                angle_to_plain=nan,
                angle_to_gradient=nan,
                relative_bias=nan,
                bias_error=nan,
                noise=own.trace / signal,
                ratio=ratio,
                ratio_error=error,
                draws=len(success),
                method=METHOD,
            )
        )
    return rows
