"""Predicted against realised: ratios of variance along an exact path, and of the rollouts to a target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from maxpo_lab.core.arrays import Float

from . import stationary
from .design import ELSEWHERE, LIMIT, REGIMES, STATIONARY, Cell, cells
from .expected import Expected, expected
from .measured import Curves, Ratio, at_best, ratio, resampled, times
from .rows import Row
from .runs import Runs, elsewhere, runs
from .subjects import AGAIN, LOOPS
from .worlds import Subject, subject

__all__ = ["Cell", "Row", "cells", "measure"]


def measure(cell: Cell) -> list[Row]:
    """What exact moments say of the cell, then its runs, then both side by side."""
    if cell.regime == STATIONARY:
        return stationary.measure(cell)
    regime = REGIMES[cell.regime]
    own = subject(regime.world)
    names = (*cell.rules, *(rule for rule in ELSEWHERE if cell.loops))
    said = expected(replace(cell, rules=names), regime, own)
    base = Row(
        kind="path",
        regime=cell.regime,
        policy=cell.policy,
        rule=regime.reference,
        against=regime.reference,
        n=regime.n,
        k=regime.k,
        groups=regime.groups,
        seeds=cell.seeds,
    )
    found = {rule: runs(cell, own, said, rule) for rule in (*cell.rules, *cell.loops)}
    rows = list(_path_rows(base, own, said))
    for rule, own_runs in found.items():
        rows += _rule_rows(base, said, rule, own_runs)
        if rule != regime.reference:
            rows += _pair_rows(base, said, rule, found)
    for rule in names[len(cell.rules) :]:
        ended, size = elsewhere(cell, own, said, rule)
        rows.append(replace(_ended(base, rule, ended), size=size, note="climbs something else"))
    return rows


def _path_rows(base: Row, own: Subject, said: Expected) -> Iterator[Row]:
    path, groups = said.path, said.regime.groups
    with torch.no_grad():
        masses, spread = own.world.measured(torch.from_numpy(path.theta)[None])
    success = masses[0, :, :, -1].mean(dim=-1).tolist()
    diversity, curved = spread.diversity[0].tolist(), path.curved()
    for rule in said.noises:
        bent, trace = said.traces(rule)
        for i, height in enumerate(path.objective.tolist()):
            yield replace(
                base,
                rule=rule,
                x=height,
                signal=float(path.slope[i] ** 2),
                trace=float(trace[i] / groups),
                curved_trace=float(bent[i] / groups),
                noise_share=float(bent[i] / groups / curved[i]),
                success=success[i],
                diversity=diversity[i],
            )


def _ended(base: Row, rule: str, ended: Runs) -> Row:
    best, mean, diversity = (None if np.isnan(each) else each for each in ended.ends)
    return replace(
        base,
        kind="rule",
        rule=rule,
        seeds=ended.own.seeds,
        max_at_k=best,
        mean_reward=mean,
        diversity=diversity,
        steps=ended.last,
        diverged=ended.diverged,
    )


def _rule_rows(base: Row, said: Expected, rule: str, ended: Runs) -> Iterator[Row]:
    target, weights = said.regime.target, resampled(ended.own.seeds, stream=0)
    of = LOOPS[rule].rule if rule in LOOPS else rule
    size, steps, _ = said.forecasts[of].best
    best, at = at_best(ended.own, target, weights)
    low, high = np.nanquantile(best[1:], (0.025, 0.975)) if np.isfinite(best[1:]).any() else (np.nan, np.nan)
    yield replace(
        _ended(base, rule, ended),
        predicted=_finite(steps),
        realised=_finite(best[0]),
        low=_finite(low),
        high=_finite(high),
        predicted_size=size / (LOOPS[rule].epochs if rule in LOOPS else 1),
        size=_finite(at[0]),
    )
    realised = times(ended.own, target, weights[:1])[0]
    # What clipped epochs or a lag make of a step no forecast says.
    foretold = np.full(len(realised), np.inf) if rule in LOOPS else said.steps(rule, ended.own.sizes)
    for each, before, time in zip(ended.own.sizes, foretold, realised, strict=True):
        yield replace(
            base, kind="size", rule=rule, x=float(each), predicted=_finite(before), realised=_finite(time)
        )


def _pair_rows(base: Row, said: Expected, rule: str, found: dict[str, Runs]) -> Iterator[Row]:
    """At the rule's and the reference's own best step sizes, and at the shared one."""
    regime, of = said.regime, LOOPS[rule].rule if rule in LOOPS else rule
    seeds = min(found[each].own.seeds for each in (rule, regime.reference))
    one, other = (_first(found[each], seeds) for each in (rule, regime.reference))
    weights = resampled(seeds, stream=1)
    # The reference's second self has seeds of its own, which are drawn by themselves.
    others = resampled(seeds, stream=2) if rule == AGAIN else weights
    target = regime.target
    own = ratio(at_best(one.own, target, weights)[0], at_best(other.own, target, others)[0])
    with np.errstate(invalid="ignore"):
        shared = ratio(times(one.shared, target, weights)[:, 0], times(other.shared, target, others)[:, 0])
    common = replace(
        _variances(base, said, of),
        kind="pair",
        rule=rule,
        seeds=seeds,
        expected_resolvable=_finite(said.resolvable(of, seeds)),
    )
    yield _said(common, said.ratio(of), own, reached=_reached(one.own, other.own, target=target))
    at_shared = replace(common, policy=f"{base.policy}, shared", expected_resolvable=None)
    yield _said(
        at_shared, said.ratio_at_shared(of), shared, reached=_reached(one.shared, other.shared, target=target)
    )


def _variances(row: Row, said: Expected, rule: str) -> Row:
    """With ratios along the path; none of tr(H Sigma) where noise does not cost: J is not concave there."""
    weights, reference = said.weights(), said.regime.reference
    (bent, trace), (bent_of, trace_of) = said.traces(rule), said.traces(reference)
    there = (weights > 0) & (bent_of > 0)
    row = replace(
        row,
        trace_ratio=float(weights @ trace / (weights @ trace_of)),
        noise_share=float(weights @ bent_of / said.regime.groups / (weights @ said.path.curved())),
    )
    if not said.noise_costs:
        return row
    each = bent[there] / bent_of[there]
    return replace(
        row,
        variance_ratio=float(weights @ bent / (weights @ bent_of)),
        variance_ratio_low=float(each.min()),
        variance_ratio_high=float(each.max()),
    )


def _reached(*curves: Curves, target: float) -> bool:
    """Whether both reach the target at some size."""
    return all(np.isfinite(times(each, target, np.ones((1, each.seeds)))).any() for each in curves)


def _said(row: Row, predicted: float, found: Ratio | None, *, reached: bool) -> Row:
    reason = None
    if row.variance_ratio is None:
        reason = "noise does not cost"
    elif not REGIMES[row.regime].bowl:
        reason = "no bowl"
    elif (row.noise_share or 0.0) < LIMIT:
        reason = "signal's curvature"
    if found is None:
        return replace(
            row, predicted=_finite(predicted), note="not resolved" if reached else "target not reached"
        )
    return replace(
        row,
        predicted=_finite(predicted),
        realised=found.estimate,
        low=found.low,
        high=found.high,
        error=found.error,
        resolvable=found.resolvable,
        note=reason,
    )


def _first(found: Runs, seeds: int) -> Runs:
    """The runs of the first seeds."""

    def cut(values: Float) -> Float:
        return values[:, :seeds]

    return replace(
        found,
        own=replace(found.own, values=cut(found.own.values)),
        shared=replace(found.shared, values=cut(found.shared.values)),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
