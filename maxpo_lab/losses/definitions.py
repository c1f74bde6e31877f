"""The slow truth: every loss as its source defines it, in plain loops over tokens.

Nothing here shares a line with the fast forms. Losses are written as published, a minimum of products and so
on, and their gradient follows the branch that the minimum takes. Log-ratios off the mask are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, inf, log, prod
from typing import Any

Rows = Sequence[Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Batch:
    """Nested lists: advantages [group][rollout], the others [group][rollout][token]."""

    advantages: Sequence[Sequence[float]]
    mask: Rows
    old: Rows
    behaviour: Rows
    reference: Rows
    log_probs: Rows


@dataclass
class Rollout:
    """The counted tokens of one rollout: where they are, and what the policies say of them."""

    group: int
    place: int
    advantage: float
    times: list[int]
    old: list[float]
    behaviour: list[float]
    reference: list[float]
    log_probs: list[float]


#: Of one rollout: the weights of its tokens, and its losses, one a token or one in all; not yet averaged.
Terms = tuple[list[float], list[float]]
OfRollout = Callable[[Rollout], Terms]
Mean = Callable[[Batch, Rollout], float]


def rollouts(batch: Batch) -> Iterator[Rollout]:
    """Every rollout, padding left out."""
    for group, members in enumerate(batch.advantages):
        for place, advantage in enumerate(members):
            times = [time for time, counts in enumerate(batch.mask[group][place]) if counts]
            picked = [
                [rows[group][place][time] for time in times]
                for rows in (batch.old, batch.behaviour, batch.reference, batch.log_probs)
            ]
            yield Rollout(group, place, advantage, times, *picked)


def evaluate(batch: Batch, terms: OfRollout, mean: Mean) -> tuple[list[list[list[float]]], float]:
    """Weights [group][rollout][token] and the loss."""
    weights = [[[0.0 for _ in row] for row in rows] for rows in batch.mask]
    loss, count = 0.0, 0
    for rollout in rollouts(batch):
        factor = mean(batch, rollout)
        each, losses = terms(rollout)
        for time, weight in zip(rollout.times, each, strict=True):
            weights[rollout.group][rollout.place][time] = factor * weight
        for part in losses:
            loss += factor * part
        count += 1
    return weights, loss / count


# -- means


def _size(batch: Batch) -> int:
    return sum(1 for _ in rollouts(batch))


def sequence_mean(_: Batch, rollout: Rollout) -> float:
    """One over a rollout's length; one without tokens has nothing to weigh."""
    return 1.0 / len(rollout.times) if rollout.times else 0.0


def group_token_mean(batch: Batch, rollout: Rollout) -> float:
    """The group's size over its tokens."""
    own = [other for other in rollouts(batch) if other.group == rollout.group]
    return len(own) / sum(len(other.times) for other in own)


def token_mean(batch: Batch, _: Rollout) -> float:
    """The batch's size over its tokens."""
    return _size(batch) / sum(len(other.times) for other in rollouts(batch))


def token_sum(batch: Batch, _: Rollout) -> float:
    """The batch's size."""
    return float(_size(batch))


def over(length: float) -> Mean:
    """One over a constant."""
    return lambda _batch, _rollout: 1.0 / length


def padded(batch: Batch, rollout: Rollout) -> float:
    """One over the width of the batch."""
    return 1.0 / len(batch.mask[rollout.group][rollout.place])


def without_empty(mean: Mean) -> Mean:
    """Rollouts of no tokens are not counted."""

    def made(batch: Batch, rollout: Rollout) -> float:
        full = sum(1 for other in rollouts(batch) if other.times)
        return mean(batch, rollout) * _size(batch) / full

    return made


#: By the kind of an aggregation.
MEANS: dict[str, Mean] = {
    "sequence-sum": over(1),
    "sequence-mean": sequence_mean,
    "group-token-mean": group_token_mean,
    "token-mean": token_mean,
    "token-sum": token_sum,
    "padded": padded,
}


# -- ratios


def reinforce(rollout: Rollout) -> Terms:
    """``-A log pi``."""
    a = rollout.advantage
    return [a for _ in rollout.times], [-a * p for p in rollout.log_probs]


@dataclass(frozen=True)
class Bounds:
    """PPO's epsilons, the bound of the dual clip, and TRL's delta."""

    low: float = inf
    high: float = inf
    dual: float = inf
    delta: float = inf


def _clipped(a: float, r: float, bounds: Bounds) -> tuple[float, float]:
    """A token's slope by log r, and its loss: ``-min(min(r, delta) A, clip(r) A)``, above ``dual A``."""
    low, high, dual, delta = bounds.low, bounds.high, bounds.dual, bounds.delta
    first, second = min(r, delta), max(1 - low, min(r, 1 + high))
    branch = 0 if first * a < second * a else 1
    objective = (first * a, second * a)[branch]
    moves = (r <= delta, 1 - low <= r <= 1 + high)[branch]
    if first == second == r:
        moves = True
    if a < 0 and objective < dual * a:
        objective, moves = dual * a, False
    return (r * a if moves else 0.0), -objective


def clip(bounds: Bounds, bound: float = inf) -> OfRollout:
    """PPO's clip of every token's ratio."""

    def terms(rollout: Rollout) -> Terms:
        slopes, losses = [], []
        for x in rollout.old:
            slope, loss = _clipped(rollout.advantage, exp(max(-bound, min(x, bound))), bounds)
            slopes.append(slope if abs(x) <= bound else 0.0)
            losses.append(loss)
        return slopes, losses

    return terms


def clip_of_mean(bounds: Bounds, upper: float = inf) -> OfRollout:
    """PPO's clip of the geometric mean of a rollout's ratios, one loss for each of its tokens."""

    def terms(rollout: Rollout) -> Terms:
        length = len(rollout.times)
        if not length:
            return [], []
        x = sum(rollout.old) / length
        slope, loss = _clipped(rollout.advantage, exp(min(x, upper)), bounds)
        # The mean of T log-ratios moves by 1/T with each of them, and T tokens have the loss.
        each = slope if x <= upper else 0.0
        return [each] * length, [loss] * length

    return terms


def clip_of_product(bounds: Bounds) -> OfRollout:
    """PPO's clip of the ratio of rollouts, one loss a rollout."""

    def terms(rollout: Rollout) -> Terms:
        slope, loss = _clipped(rollout.advantage, prod(map(exp, rollout.old)), bounds)
        return [slope for _ in rollout.times], [loss]

    return terms


def bounded(floor: float, ceiling: float, *, product: bool = False) -> OfRollout:
    """``-A sg(bounded r) log pi``."""

    def terms(rollout: Rollout) -> Terms:
        a = rollout.advantage
        ratios = [exp(x) for x in rollout.old]
        if product:
            ratios = [prod(ratios)] * len(ratios)
        weights = [a * (floor if r < floor else min(r, ceiling)) for r in ratios]
        return weights, [-w * p for w, p in zip(weights, rollout.log_probs, strict=True)]

    return terms


def soft_gate(positive: float, negative: float) -> OfRollout:
    """``-A (4/tau) sigmoid(tau (r - 1))``."""

    def terms(rollout: Rollout) -> Terms:
        a = rollout.advantage
        tau = positive if a > 0 else negative
        slopes, losses = [], []
        for x in rollout.old:
            odds = exp(tau * (exp(x) - 1))
            losses.append(-a * 4 / tau * odds / (1 + odds))
            slopes.append(a * 4 * odds / (1 + odds) ** 2 * exp(x))
        return slopes, losses

    return terms


def gamma(k: tuple[float, float], decay: tuple[float, float]) -> OfRollout:
    """``-A sg(e^l w^k e^(-l w)) log pi``, w the product of a rollout's ratios."""

    def terms(rollout: Rollout) -> Terms:
        a = rollout.advantage
        side = 0 if a >= 0 else 1
        w = exp(max(log(1e-8), min(sum(rollout.old), 20.0)))
        phi = exp(decay[side]) * w ** k[side] * exp(-decay[side] * w)
        return [a * phi for _ in rollout.times], [-a * phi * p for p in rollout.log_probs]

    return terms


def clipped_mean(low: float, high: float) -> OfRollout:
    """``-A`` times the geometric mean of ratios clipped one by one."""

    def terms(rollout: Rollout) -> Terms:
        a, length = rollout.advantage, len(rollout.times)
        if not length:
            return [], []
        kept = [x <= high if a > 0 else x >= -low for x in rollout.old]
        held = [x if keep else (high if a > 0 else -low) for x, keep in zip(rollout.old, kept, strict=True)]
        mean = exp(sum(held) / length)
        return [a * mean if keep else 0.0 for keep in kept], [-a * mean] * length

    return terms


# -- corrections and penalties


def corrected(terms: OfRollout, level: str, lowest: float, highest: float, *, cut: bool) -> OfRollout:
    """Times ``pi_old/pi_behaviour`` of a token or a rollout, held in its bounds or cut to 0 beyond them."""

    def made(rollout: Rollout) -> Terms:
        ratios = [exp(x) for x in rollout.behaviour]
        if level == "sequence":
            ratios = [prod(ratios)] * len(ratios)
        factors = []
        for r in ratios:
            inside = lowest <= r <= highest
            factors.append(r if inside else 0.0 if cut else lowest if r < lowest else highest)
        weights, losses = terms(rollout)
        return (
            [weight * factor for weight, factor in zip(weights, factors, strict=True)],
            [loss * factor for loss, factor in zip(losses, factors, strict=True)],
        )

    return made


def penalised(
    terms: OfRollout,
    kind: str,
    beta: float,
    *,
    weighted: bool = False,
    bounds: tuple[float, float] = (inf, inf),
) -> OfRollout:
    """Plus ``beta k(x)`` a token, times its ratio where ``weighted``; x = log pi - log pi_ref.

    x, and k, are held in bounds, beyond which nothing moves.
    """

    def made(rollout: Rollout) -> Terms:
        weights, losses = terms(rollout)
        for t, (x, y) in enumerate(zip(rollout.reference, rollout.old, strict=True)):
            value = {"k1": x, "k2": x**2 / 2, "k3": exp(-x) - 1 + x}[kind]
            slope = {"k1": 1.0, "k2": x, "k3": 1 - exp(-x)}[kind]
            if abs(x) > bounds[0] or abs(value) > bounds[1]:
                value, slope = min(value, bounds[1]), 0.0  # bounds[0] alone gives more than bounds[1]
            if weighted:
                slope, value = exp(y) * slope + exp(y) * value, exp(y) * value
            weights[t] -= beta * slope
            losses[t] += beta * value
        return weights, losses

    return made


_PPO = Bounds(0.2, 0.2)

#: What each name means without options: the terms of a rollout, and their mean.
BY_NAME: dict[str, tuple[OfRollout, Mean]] = {
    "identity": (reinforce, over(1)),
    "sequence-mean": (reinforce, sequence_mean),
    "group-token-mean": (reinforce, group_token_mean),
    "token-mean": (reinforce, token_mean),
    "constant": (reinforce, over(1024)),
    "importance": (clip(Bounds()), over(1)),
    "off-policy": (clip_of_product(Bounds()), over(1)),
    "ppo": (clip(_PPO), over(1)),
    "dual-clip": (clip(Bounds(0.2, 0.2, dual=3)), over(1)),
    "gspo": (clip_of_mean(Bounds(3e-4, 4e-4)), sequence_mean),
    "cispo": (bounded(0, 5), token_mean),
    "tis": (corrected(reinforce, "token", 0, 2, cut=False), over(1)),
    "decoupled": (corrected(clip(_PPO), "token", 0, inf, cut=False), over(1)),
    "kl": (penalised(reinforce, "k3", 0.001), over(1)),
    "trl:grpo": (clip(_PPO), sequence_mean),
    "trl:bnpo": (clip(_PPO), token_mean),
    "trl:dr_grpo": (clip(_PPO), over(512)),
    "trl:dapo": (clip(_PPO), token_mean),
    "trl:luspo": (clip(_PPO), over(1)),
    "trl:cispo": (bounded(0, 0.2), token_mean),
    "trl:sapo": (soft_gate(1, 1.05), sequence_mean),
    "trl:vespo": (gamma((2, 3), (3, 2)), token_mean),
    "trl:rloo": (clip_of_product(_PPO), over(1)),
    "verl:token-mean": (clip(Bounds(0.2, 0.2, dual=3), bound=20), token_mean),
    "verl:token-sum": (clip(Bounds(0.2, 0.2, dual=3), bound=20), token_sum),
    "verl:seq-mean-token-sum": (clip(Bounds(0.2, 0.2, dual=3), bound=20), over(1)),
    "verl:seq-mean-token-sum-norm": (clip(Bounds(0.2, 0.2, dual=3), bound=20), padded),
    "verl:seq-mean-token-mean": (clip(Bounds(0.2, 0.2, dual=3), bound=20), sequence_mean),
    "verl:gspo": (clip_of_mean(_PPO, upper=10), token_mean),
    "verl:cispo": (bounded(0.8, 1.2), token_mean),
    "verl:sapo": (soft_gate(1, 1.05), sequence_mean),
    "verl:gpg": (reinforce, token_mean),
    "verl:geo_mean": (clipped_mean(0.2, 0.2), sequence_mean),
    "verl:reinforce": (bounded(0, 2, product=True), token_mean),
}


def off_policy(rewards: Sequence[Any], ratios: Sequence[Any], k: int) -> list[Any]:
    """``K (q_i - v_i)`` by subsets, each weighed by its ratios. Any numbers that multiply: rationals too."""
    found = []
    for i in range(len(rewards)):
        others = [j for j in range(len(rewards)) if j != i]
        q = [
            prod(ratios[j] for j in s) * max(rewards[j] for j in (i, *s)) for s in combinations(others, k - 1)
        ]
        v = [prod(ratios[j] for j in s) * max(rewards[j] for j in s) for s in combinations(others, k)]
        found.append(k * (sum(q) / len(q) - sum(v) / len(v)))
    return found


def as_batch(**arrays: Any) -> Batch:
    """A batch of arrays as nested lists; absent log-ratios are 0."""
    lists = {name: each.tolist() for name, each in arrays.items()}
    zeros = [[[0.0 for _ in row] for row in rows] for rows in lists["mask"]]
    return Batch(
        **{name: lists.get(name, zeros) for name in ("old", "behaviour", "reference", "log_probs")},
        advantages=lists["advantages"],
        mask=lists["mask"],
    )
