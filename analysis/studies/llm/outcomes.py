"""What follows from the stored rows: the ends of rules, how far apart they are, and what was predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...measure.power import paired
from .design import REFERENCE, SETTINGS, UNBIASED

#: Quantities of the end of a run in which rules are compared; of the rollouts the logarithm is.
QUANTITIES = ("pass_at_1", "pass_at_k", "area", "rollouts", "diversity")


def ends(rows: pd.DataFrame, size: int = 1) -> pd.DataFrame:
    """The ends of the reported runs, at a size of the model, in the order of their seeds."""
    return rows[(rows.kind == "run") & (rows["size"] == size)].sort_values("seed")


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """The curves of the reported runs, at size 1."""
    return rows[(rows.kind == "curve") & (rows["size"] == 1)]


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of each quantity over the seeds of a rule with its t interval: estimate, low, high."""
    found = []
    for (verifier, rule), own in ends(rows).groupby(["verifier", "rule"], sort=False):
        for quantity in QUANTITIES:
            scores = own[quantity].astype(float).dropna().to_numpy()
            if len(scores):
                found.append((verifier, rule, quantity, len(scores), *_interval(scores)[:3]))
    return pd.DataFrame(found, columns=["verifier", "rule", "quantity", "seeds", "estimate", "low", "high"])


def leads(rows: pd.DataFrame, size: int = 1) -> pd.DataFrame:
    """How far apart each two rules of a setting end, seed by seed: ``rule`` less ``over``.

    ``estimate`` with its t interval, a difference, or of the rollouts a ratio; ``visible`` what these runs
    could have seen in 80 % of studies at the level of 5 %, by the spread of their own differences; and
    ``spread`` that. Two rules without the same seeds are left out.
    """
    return _apart(ends(rows, size))


def _apart(ends: pd.DataFrame) -> pd.DataFrame:
    """Each two rules of each setting, as ``leads`` says."""
    found = []
    for verifier, own in ends.groupby("verifier", sort=False):
        by_rule = {rule: each.set_index("seed") for rule, each in own.groupby("rule")}
        for rule, one in by_rule.items():
            for over, other in by_rule.items():
                if rule == over or not one.index.equals(other.index):
                    continue
                for quantity in QUANTITIES:
                    x, y = (each[quantity].astype(float).to_numpy() for each in (one, other))
                    if np.isnan(x - y).any():
                        continue
                    logarithms = quantity == "rollouts"
                    apart = np.log(x) - np.log(y) if logarithms else x - y
                    numbers = np.array(_interval(apart))
                    shown = np.exp(numbers) if logarithms else numbers
                    spread = float(apart.std(ddof=1)) if len(apart) > 1 else float("nan")
                    found.append((verifier, rule, over, quantity, len(apart), *shown.tolist(), spread))
    columns = [
        "verifier",
        "rule",
        "over",
        "quantity",
        "seeds",
        "estimate",
        "low",
        "high",
        "visible",
        "spread",
    ]
    return pd.DataFrame(found, columns=columns)


def predictions(rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted ratio of rollouts of each two rules without bias at each checkpoint; ``adam``: its root."""
    found = []
    for (verifier, at), own in rows[rows.kind == "prediction"].groupby(
        ["verifier", "checkpoint"], sort=False
    ):
        moment = own.set_index("rule").second_moment.to_dict()
        for rule in UNBIASED:
            for over in UNBIASED:
                if rule != over and {rule, over} <= set(moment):
                    ratio = moment[rule] / moment[over]
                    found.append((verifier, at, rule, over, ratio, ratio**0.5))
    return pd.DataFrame(found, columns=["verifier", "checkpoint", "rule", "over", "predicted", "adam"])


def against(rows: pd.DataFrame, verifier: str, over: str = REFERENCE) -> pd.DataFrame:
    """pass@K along the curves less that of ``over``, seed by seed: rule, step, estimate, low, high."""
    own = curves(rows)
    own = own[own.verifier == verifier]
    wide = own.pivot_table(index=["rule", "step"], columns="seed", values="pass_at_k")
    found = []
    for rule in wide.index.unique("rule"):
        if rule == over or over not in wide.index.unique("rule"):
            continue
        apart = wide.loc[rule] - wide.loc[over]
        found += [(rule, step, *_interval(apart.loc[step].to_numpy())[:3]) for step in apart.index]
    return pd.DataFrame(found, columns=["rule", "step", "estimate", "low", "high"])


def chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """The tuned step size of each rule in each setting, and whether it lies at an end of what was tried."""
    found = ends(rows).groupby(["verifier", "rule"], sort=False).learning_rate.first().reset_index()
    sizes = [SETTINGS[verifier].sizes for verifier in found.verifier]
    edge = [rate in (min(tried), max(tried)) for rate, tried in zip(found.learning_rate, sizes, strict=True)]
    return found.assign(edge=edge)


def diversities(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean diversity of the right completions by setting, rule and step, and its share of the start's."""
    found = curves(rows).groupby(["verifier", "rule", "step"], sort=False).diversity.mean().reset_index()
    first = found[found.step == 0].set_index(["verifier", "rule"]).diversity
    start = found.join(first.rename("start"), on=["verifier", "rule"]).start
    return found.assign(share=found.diversity / start)


def _interval(scores: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, ends of its t interval, and what a t test of these could have seen; NaN from one run."""
    if len(scores) < 2 or not np.isfinite(scores).all():
        return float(np.mean(scores)), float("nan"), float("nan"), float("nan")
    found = paired(scores)
    return found.estimate, found.low, found.high, found.smallest
