"""Group rules of the second catalogue written as training code has them: loops, torch, no line of ours."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch

Array = np.ndarray
#: ``(rewards of one group) -> advantages``.
OfGroup = Callable[[torch.Tensor], torch.Tensor]


def batched(rule: OfGroup) -> Callable[[Array], Array]:
    """The rule of one group, over the rows of a batch; a row that was asked before is looked up."""
    known: dict[bytes, Array] = {}

    def rows(rewards: Array) -> Array:
        for row in rewards:
            if row.tobytes() not in known:
                known[row.tobytes()] = rule(torch.tensor(row, dtype=torch.float64)).numpy()
        return np.array([known[row.tobytes()] for row in rewards])

    rows.__name__ = rule.__name__
    return rows


def rs_grpo(r: torch.Tensor, beta: float = 2.0) -> torch.Tensor:
    soft = (torch.logsumexp(beta * r, dim=0) - np.log(len(r))) / beta
    return (torch.exp(beta * (r - soft)) - 1) / beta


def opmd(r: torch.Tensor, tau: float = 1.0) -> torch.Tensor:
    return r - tau * (torch.logsumexp(r / tau, dim=-1) - np.log(len(r)))


def riskpo(r: torch.Tensor, std: bool = True) -> torch.Tensor:
    down, up = torch.quantile(r, 0.1), torch.quantile(r, 0.9)
    a = torch.clamp(r - down, min=0) - torch.clamp(r - up, min=0) + down - up
    a = a / (up - down + 1e-6)
    return a / (torch.std(r) + 1e-6) if std else a


def w_reinforce(r: torch.Tensor, weight: float = 0.1) -> torch.Tensor:
    a = r.clone()
    a[r == 1] *= weight
    a[r == 0] -= 1
    return a


def asymre(r: torch.Tensor, shift: float = -0.1) -> torch.Tensor:
    return r - (torch.mean(r) + shift)


def grpo_lead(r: torch.Tensor) -> torch.Tensor:
    def logistic(x: float) -> float:
        return 0.4 + (1.5 - 0.4) / (1 + float(np.exp(10.0 * (x - 0.75))))

    ratio = sum(int(each > 0) for each in r) / len(r)
    out = []
    for each in r:
        a = (each - r.mean()) / (r.std() + 1e-6)
        out.append(a * (logistic(ratio) if a > 0 else logistic(1 - ratio)))
    return torch.stack(out)


def krpo(r: torch.Tensor) -> torch.Tensor:
    x, p, out = 0.0, 1.0, []
    for each in r:
        predicted = p + 1e-5
        gain = predicted / (predicted + 1e-2)
        x = x + gain * (float(each) - x)
        p = (1 - gain) * predicted
        out.append((float(each) - x) / (p**0.5 + 1e-8))
    return torch.tensor(out, dtype=torch.float64)


def pods(r: torch.Tensor, keep: int = 4) -> torch.Tensor:
    down = r.argsort(descending=True, stable=True)
    chosen = down[:keep]
    for top in range(keep):
        other = torch.cat([down[:top], down[len(r) - keep + top :]])
        if r[other].var() > r[chosen].var() * (1 + 1e-12):
            chosen = other
    a = torch.zeros_like(r)
    a[chosen] = (r[chosen] - r[chosen].mean()) / (r[chosen].std() + 1e-4)
    return a


def torchrl_grpo(r: torch.Tensor) -> torch.Tensor:
    return (r - r.mean()) / r.std().clamp_min(1e-6)


def rloo_standardised(r: torch.Tensor) -> torch.Tensor:
    n = len(r)
    return (r * n / (n - 1) - r.mean() * n / (n - 1)) / (r.std() + 1e-4)


def ei_group_mean(r: torch.Tensor) -> torch.Tensor:
    gain = torch.stack(
        [(each - torch.cat([r[:i], r[i + 1 :]]).max()).clamp_min(0) for i, each in enumerate(r)]
    )
    return gain - gain.mean()


PLAIN: dict[str, OfGroup] = {
    "rs-grpo": rs_grpo,
    "opmd": opmd,
    "riskpo": riskpo,
    "w-reinforce": w_reinforce,
    "asymre": asymre,
    "grpo-lead": grpo_lead,
    "krpo": krpo,
    "pods": pods,
    "torchrl-grpo": torchrl_grpo,
    "rloo-standardised": rloo_standardised,
    "ei-group-mean": ei_group_mean,
}


def greatest_variance(r: Array, keep: int) -> float:
    """Of all subsets of that size."""
    return max(float(np.var([r[i] for i in chosen], ddof=1)) for chosen in combinations(range(len(r)), keep))


# Near misses: each is one slip away from the rule of its name.


def _with_mean_of_others(r: torch.Tensor) -> torch.Tensor:
    e = torch.exp(2 * r)
    return (e / ((e.sum() - e) / (len(r) - 1)) - 1) / 2


def _without_scale(r: torch.Tensor) -> torch.Tensor:
    return 2 * rs_grpo(r)


def _log_sum(r: torch.Tensor) -> torch.Tensor:
    return r - torch.logsumexp(r, dim=-1)


def _nearest_quantile(r: torch.Tensor) -> torch.Tensor:
    down, up = (torch.quantile(r, q, interpolation="nearest") for q in (0.1, 0.9))
    a = torch.clamp(r, down, up) - up
    return a / (up - down + 1e-6) / (torch.std(r) + 1e-6)


def _no_penalty(r: torch.Tensor) -> torch.Tensor:
    return torch.where(r == 1, 0.1, 0.0).to(r.dtype)


def _shift_up(r: torch.Tensor) -> torch.Tensor:
    return asymre(r, 0.1)


def _weighted_by_the_mean(r: torch.Tensor) -> torch.Tensor:
    a = grpo_lead((r > r.min()).to(r.dtype))
    own = (r - r.mean()) / (r.std() + 1e-6)
    return own * a.abs() / own.abs().clamp_min(1e-12)


def _gain_of_the_last(r: torch.Tensor) -> torch.Tensor:
    """The state before it has seen its own reward."""
    x, p, out = 0.0, 1.0, []
    for each in r:
        predicted = p + 1e-5
        gain = predicted / (predicted + 1e-2)
        p = (1 - gain) * predicted
        out.append((float(each) - x) / (p**0.5 + 1e-8))
        x = x + gain * (float(each) - x)
    return torch.tensor(out, dtype=torch.float64)


def _best_alone(r: torch.Tensor) -> torch.Tensor:
    chosen = r.argsort(descending=True, stable=True)[:4]
    a = torch.zeros_like(r)
    a[chosen] = (r[chosen] - r[chosen].mean()) / (r[chosen].std() + 1e-4)
    return a


def _over_the_group(r: torch.Tensor) -> torch.Tensor:
    return torch.where(pods(r) != 0, (r - r.mean()) / (r.std() + 1e-4), 0.0)


def _eps_added(r: torch.Tensor) -> torch.Tensor:
    return (r - r.mean()) / (r.std() + 1e-6)


def _population(r: torch.Tensor) -> torch.Tensor:
    n = len(r)
    return (r - r.mean()) * n / (n - 1) / (r.std(unbiased=False) + 1e-4)


def _raw_gain(r: torch.Tensor) -> torch.Tensor:
    return ei_group_mean(r) - ei_group_mean(r).min()


MUTANTS: list[tuple[str, OfGroup]] = [
    ("rs-grpo", _with_mean_of_others),
    ("rs-grpo", _without_scale),
    ("opmd", _log_sum),
    ("riskpo", _nearest_quantile),
    ("w-reinforce", _no_penalty),
    ("asymre", _shift_up),
    ("grpo-lead", _weighted_by_the_mean),
    ("krpo", _gain_of_the_last),
    ("pods", _best_alone),
    ("pods", _over_the_group),
    ("torchrl-grpo", _eps_added),
    ("rloo-standardised", _population),
    ("ei-group-mean", _raw_gain),
]


def name_of(case: Any) -> str:
    """For test ids."""
    return case if isinstance(case, str) else case.__name__.strip("_")
