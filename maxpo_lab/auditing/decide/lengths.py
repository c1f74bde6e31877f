r"""Whether the lengths of responses change advantages, and whether claims survive that.

A rollout is then a reward and a length, and the complete class says the same of it: a rule is unbiased under
every policy exactly if its advantage is ``K q_i`` less what depends on the others alone, rewards and lengths.
Raising a reward must raise the advantage by what is due, and another own length must change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ... import rules
from ...core.arrays import Float
from ...estimators import group_estimator
from ...integrations.conventions import Adapted
from ...moments import states
from ...rules.samples import sample_groups
from ..guard import Guard
from .claims import EQUALS, Setting, plain
from .nearest import positive_factor
from .pairs import Pairs, from_rows, mean_advantages

#: Tokens of a short and of a long response.
SHORT, LONG = 1, 3
#: Rollouts: a failure and a success of each length, by the number that stands for them.
_REWARD, _LENGTH = np.array([0.0, 1.0, 0.0, 1.0]), np.array([SHORT, SHORT, LONG, LONG])
_CODES = np.arange(4.0)
#: Groups, by how many rollouts are of each kind, up to which all are tried.
_GROUPS = 7000


@dataclass(frozen=True, slots=True)
class Lengths:
    """Whether lengths change advantages, with a group that shows it; None where nothing is changed.

    ``advantages`` are those at ``lengths``, ``at_equal`` those where all responses are equally long.
    ``fault`` is a pair of groups that shows that E[g] is no multiple of the target's gradient where lengths
    differ, in words; None where it is one, or too many groups would have to be tried.
    """

    rewards: tuple[float, ...] | None = None
    lengths: tuple[int, ...] | None = None
    advantages: tuple[float, ...] | None = None
    at_equal: tuple[float, ...] | None = None
    fault: str | None = None

    @property
    def used(self) -> bool:
        """Whether a group was found whose advantages depend on the lengths."""
        return self.rewards is not None


class Coded:
    """A rule on rollouts by number: ``_REWARD`` and ``_LENGTH`` say what each stands for."""

    def __init__(self, rule: Adapted) -> None:
        self.rule, self.name = rule, rule.name

    def __call__(self, codes: Float, k: int) -> Any:
        """Advantages (B, n)."""
        kind = codes.astype(np.intp)
        return self.rule.with_lengths(_REWARD[kind], _LENGTH[kind], k)


def coded(guard: Guard) -> Guard | None:
    """The rule on numbered rollouts, behind a guard of its own; None where no call tells lengths."""
    if not isinstance(guard.rule, Adapted) or not guard.rule.sees_lengths:
        return None
    found = Guard(Coded(guard.rule), guard.seconds)
    found.precision = guard.precision
    return found


def lengths_matter(guard: Guard, setting: Setting) -> Lengths | None:
    """The first group of 0/1 rewards in which lengths change advantages; None where no call tells them."""
    rule, n, k = coded(guard), setting.n, setting.k
    if rule is None:
        return None
    codes = sample_groups(n, len(_CODES))
    rewards = _REWARD[codes]
    equal, unequal = rules.evaluate(guard, rewards, k), rules.evaluate(rule, codes.astype(float), k)
    off = np.abs(unequal - equal) > rules.tolerance(guard, rewards, equal, k)
    rows = np.flatnonzero(off.any(axis=1))
    if not len(rows):
        return Lengths()
    row = rows[0]
    decidable = setting.equivariant and few_enough(n)
    scaled = replace(setting, allow_scale=True)
    fault = fault_with_lengths(rule, "unbiased", scaled) if decidable else None
    return Lengths(
        rewards=tuple(rewards[row].tolist()),
        lengths=tuple(_LENGTH[codes[row]].tolist()),
        advantages=tuple(unequal[row].tolist()),
        at_equal=tuple(equal[row].tolist()),
        fault=fault,
    )


def fault_with_lengths(rule: Guard, claim: str, setting: Setting) -> str | None:
    """How a claim that holds where lengths are equal fails where they are not; None where it holds.

    ``rule`` takes numbered rollouts. Unbiasedness is decided on all groups, the rest on some.
    """
    n, k = setting.n, setting.k
    if claim == "unbiased":
        return _wrongly_paid(_pairs(rule, setting), setting)
    codes = sample_groups(n, len(_CODES))
    rewards, advantages = _REWARD[codes], rules.evaluate(rule, codes.astype(float), k)
    allowed = rules.tolerance(rule, rewards, advantages, k)
    if claim == "centered":
        wrong = np.abs(advantages.sum(axis=1, keepdims=True)) > n * allowed
    elif claim.startswith(EQUALS):
        expected = np.asarray(group_estimator(claim.removeprefix(EQUALS))(rewards, k))
        factor = positive_factor(advantages, expected) if setting.allow_scale else 1.0
        wrong = np.abs(advantages - factor * expected) > allowed
    else:
        return None
    rows = np.flatnonzero(wrong.any(axis=1))
    if not len(rows):
        return None
    row = rows[0]
    return (
        f"n={n}, K={k}: where lengths differ, rewards {plain(rewards[row])} of responses of "
        f"{plain(_LENGTH[codes[row]])} tokens get {plain(advantages[row])}"
    )


def few_enough(n: int) -> bool:
    """Whether all groups of rewards and lengths can be tried."""
    return states.number_of_counts(n, len(_CODES)) <= _GROUPS


def _pairs(rule: Guard, setting: Setting) -> Pairs:
    """Pairs of groups that differ in one rollout's reward, length or both; ``others`` hold numbers."""
    n, k = setting.n, setting.k
    mean, largest = mean_advantages(rule, _CODES, n=n, k=k, equivariant=True)
    places, rows = np.arange(len(_CODES)), []
    rests = states.counts(n - 1, len(_CODES)) if n > 1 else np.zeros((1, len(_CODES)), dtype=np.intp)
    for rest in rests:
        for one, other in combinations(range(len(_CODES)), 2):
            low, high = sorted((one, other), key=lambda code: _REWARD[code])
            here, there = (tuple((rest + (places == each)).tolist()) for each in (low, high))
            rows.append(
                (
                    np.repeat(_CODES, rest),
                    float(low),
                    float(high),
                    [_REWARD[high] - _REWARD[low]],
                    [int(rest[_REWARD == 0].sum())],
                    mean[there][high] - mean[here][low],
                    max(largest[here], largest[there]),
                )
            )
    return from_rows(rows, n=n, spread=1.0, precision=rule.precision)


def _wrongly_paid(pairs: Pairs, setting: Setting) -> str | None:
    objective = setting.objective
    factor = pairs.fit(objective).scale if setting.allow_scale else 1.0
    worst = pairs.first_wrong(objective, factor)
    if worst is None:
        return None
    others = pairs.others[worst].astype(np.intp)
    low, high = int(pairs.low[worst]), int(pairs.high[worst])
    return (
        f"n={pairs.n}, K={setting.k}: with the others' rewards at {plain(_REWARD[others])} and their "
        f"lengths at {plain(_LENGTH[others])}, a reward of {_REWARD[high]:g} in {_LENGTH[high]} tokens "
        f"earns {pairs.earned[worst]:.6g} more advantage than one of {_REWARD[low]:g} in {_LENGTH[low]}; an "
        f"unbiased rule pays {factor * pairs.due(objective)[worst]:.6g}"
    )
