"""The contestants: rules, what each remembers, and the planted rule whose variance is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
import torch

from maxpo_lab import rules
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.precision import as_numpy
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.replay import replay
from maxpo_lab.memory.replay import Replay

from ...measure.success_tables import NUMPY, HistoryRule

#: Rewards of a prompt that a rule with a memory keeps.
KEEP = 64
#: Rules that remember.
REMEMBERING: dict[str, HistoryRule] = {
    "replay": replay,
    "centered-replay": centered_replay,
    "plug-in-floor": plug_in_floor,
}
#: The reference with more noise, and the reference again under other random numbers.
PLANTED, AGAIN = "planted", "again"

Trained = str | rules.Rule | Replay


@cache
def noisier(base: str, amount: float) -> rules.Rule:
    r"""``base + amount K (1 - v_i) sqrt(m_i)``: of rewards between 0 and 1, with more variance.

    v_i is the mean over (K-1)-subsets of the others of their maximum, m_i their mean reward, drawn half a
    reward towards one half: what is added is a symmetric function of the others, so that the rule is unbiased
    wherever ``base`` is, for any ``amount``. It falls with success as the noise of ``base`` does, and the
    exact moments say how much more there is.
    """

    def made(rewards: torch.Tensor | Float, k: int) -> torch.Tensor | Float:
        host = np.asarray(as_numpy(rewards), dtype=np.float64)
        n = host.shape[-1]
        mean = (host.sum(axis=-1, keepdims=True) - host + 0.5) / n
        added = (1 - others_best(host, k)) * np.sqrt(mean)
        found = np.asarray(rules.resolve(base, n, k)(host, k)) + amount * k * added
        return torch.from_numpy(found) if isinstance(rewards, torch.Tensor) else found

    made.__name__ = f"{base}, noisier"
    return made


def others_best(rewards: Float, k: int) -> Float:
    """``v_i``: the mean over (K-1)-subsets of the others of their maximum, (B, n); 0 at K = 1."""
    n = rewards.shape[-1]
    if k == 1:
        return np.zeros_like(rewards)
    order = rewards.argsort(axis=-1)
    ranked = np.take_along_axis(rewards, order, axis=-1)
    weights = np.array([comb(r, k - 2) for r in range(n - 1)]) / comb(n - 1, k - 1)
    # Those below rank i keep their rank among the others, those above it have one less.
    below = np.cumsum(ranked[..., :-1] * weights, axis=-1)
    above = np.cumsum((ranked[..., 1:] * weights)[..., ::-1], axis=-1)[..., ::-1]
    found = np.zeros_like(ranked)
    found[..., 1:] += below
    found[..., :-1] += above
    made = np.empty_like(found)
    np.put_along_axis(made, order, found, axis=-1)
    return made


def remembered(name: str, chances: Float, values: Float) -> list[rules.Rule]:
    """A rule with a memory at fair histories of ``KEEP`` rewards, whose mean is over what a history may be.

    Of 0/1 rewards at the two counts that are one standard deviation from the expected one: exact for what is
    linear in the history, as advantages of replay and centered-replay are, and so for their second moments.
    Of graded rewards at the expected counts.
    """
    counts = [KEEP * chances]
    if len(values) == 2:
        error = np.sqrt(KEEP * chances.prod())
        shift = min(error, *(KEEP * chances)) * np.array([-1.0, 1.0])
        counts = [KEEP * chances + shift, KEEP * chances - shift]
    return [_with(name, values, each) for each in counts]


def _with(name: str, values: Float, counts: Float) -> Callable[[Float, int], Float]:
    function = REMEMBERING[name]

    def at(rewards: Float, k: int) -> Float:
        shape = (*rewards.shape[:-1], len(values))
        y, w = (np.broadcast_to(each, shape).copy() for each in (values, counts))
        return np.asarray(function(NUMPY, rewards, k, y, w))

    at.__name__ = name
    return at


def trained(name: str, *, k: int, amount: float, reference: str) -> Trained:
    """What the trainer is given."""
    if name == PLANTED:
        return noisier(reference, amount)
    if name == AGAIN:
        return reference
    return Replay(k, estimator=name, keep=KEEP) if name in REMEMBERING else name


@dataclass(frozen=True)
class Loop:
    """What a training loop makes of a rule: its loss, the steps that share rollouts, and their lag."""

    rule: str
    loss: str
    epochs: int = 1
    lag: int = 0


#: Loops that are compared with their rule by itself.
LOOPS: dict[str, Loop] = {
    "maxpo, PPO clip, 4 epochs": Loop("maxpo", "ppo", epochs=4),
    "maxpo, PPO clip, lag 8": Loop("maxpo", "ppo", lag=8),
}
