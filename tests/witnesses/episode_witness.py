"""The independent witness of tabular episodes: every history of decisions, in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np
from brute_force import Policy

from envs.tabular.mdp import TabularMDP
from envs.tabular.stepping import TabularEnv

#: ``P[state][action] = [(probability, next, reward, terminated)]``
Table = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]


def histories(
    table: Table,
    start: Mapping[int, float],
    horizon: int,
    policy: Sequence[Sequence[float]],
    seen: Sequence[int] | None = None,
) -> dict[tuple[Fraction, tuple[tuple[int, int], ...]], float]:
    """Probability of each return with each multiset of decisions (observation, action).

    Episodes that differ in the order of their decisions alone are put together, as score and return are
    sums. Returns are added up in rationals, a reward being the decimal number that it prints as.
    ``seen``: the observation of each state, itself where left out.
    """
    exact = cache(lambda reward: Fraction(str(reward)))
    ended: dict = defaultdict(int)
    going = {(state, Fraction(0), ()): chance for state, chance in start.items()}
    for step in range(horizon):
        after: dict = defaultdict(int)
        for (state, total, decisions), chance in going.items():
            observation = state if seen is None else seen[state]
            for action, outcomes in table[state].items():
                history = tuple(sorted([*decisions, (observation, action)]))
                for probability, target, reward, terminated in outcomes:
                    share = chance * policy[observation][action] * probability
                    earned = total + exact(reward) if reward else total
                    if terminated or step == horizon - 1:
                        ended[earned, history] += share
                    else:
                        after[target, earned, history] += share
        going = after
    return ended


def enumerated(
    table: Table,
    start: Mapping[int, float],
    horizon: int,
    policy: np.ndarray,
    seen: Sequence[int] | None = None,
) -> Policy:
    """All episodes as outcomes with explicit scores, ``sum_t (e_(o_t, a_t) - pi(.|o_t))``, of d numbers."""
    ended = histories(table, start, horizon, policy, seen)
    taken = [(index, *decision) for index, (_, decisions) in enumerate(ended) for decision in decisions]
    times = np.zeros((len(ended), *policy.shape))
    np.add.at(times, tuple(np.transpose(taken)), 1)
    scores = times - times.sum(axis=2, keepdims=True) * policy
    rewards = np.array([float(total) for total, _ in ended])
    return Policy(np.array(list(ended.values())), scores.reshape(len(ended), -1), rewards)


def process(
    table: Table,
    starts: Sequence[Mapping[int, float]],
    horizon: int,
    seen: Sequence[int] | None = None,
) -> TabularEnv:
    """The same as a specimen, with several prompts and shared observations, and theta = 0."""
    states = 1 + max([*table, *(t for acts in table.values() for row in acts.values() for _, t, *_ in row)])
    one = TabularMDP.from_table(table, np.eye(states)[0], horizon=horizon)
    seen = range(states) if seen is None else seen
    mdp = TabularMDP(
        **{name: getattr(one, name) for name in ("source", "action", "target", "probability", "reward")},
        terminated=one.terminated,
        observation=np.array(seen),
        starts=tuple(starts),
        horizon=horizon,
        observations=1 + max(seen),
        actions=one.actions,
    )
    return TabularEnv(mdp, np.zeros((mdp.observations, mdp.actions)))


def softmax(theta: np.ndarray) -> np.ndarray:
    weights = np.exp(theta)
    return weights / weights.sum(axis=1, keepdims=True)


def lock(length: int, actions: int, *, lapse: float = 0.0) -> Table:
    """The right action (state mod actions) goes on, a wrong one back to the start; the last pays 1."""
    table: dict = {}
    for state in range(length):
        back = [(1.0, 0, 0.0, False)]
        opens = state == length - 1
        good = [(1.0 - lapse, state + 1, float(opens), opens)]
        if lapse:
            good += [(lapse, state, 0.0, False)]
        table[state] = {a: good if a == state % actions else back for a in range(actions)}
    return table


def grid() -> Table:
    """3 x 3 with slip 0.25, walls that one bumps into, a pit, a small prize on the way out of one corner."""
    moves = [(0, -1), (1, 0), (0, 1), (-1, 0)]
    table: dict = {}
    for cell in range(9):
        y, x = divmod(cell, 3)
        if cell in {4, 8}:  # the pit and the goal
            continue
        table[cell] = {}
        for action in range(4):
            row = []
            for turn, chance in ((0, 0.75), (1, 0.125), (3, 0.125)):
                dy, dx = moves[(action + turn) % 4]
                inside = 0 <= y + dy < 3 and 0 <= x + dx < 3
                target = 3 * (y + dy) + x + dx if inside else cell
                row.append((chance, target, {8: 1.0, 4: -0.5}.get(target, 0.0), target in {4, 8}))
            table[cell][action] = row
    return table


def purses() -> Table:
    """Rewards on the way, whose sums meet again in decimals only: 0.1 + 0.2 and 0.3."""
    return {
        0: {0: [(0.5, 0, 0.1, False), (0.5, 1, 0.2, False)], 1: [(1.0, 1, 0.3, False)]},
        1: {0: [(0.25, 0, 0.2, False), (0.75, 2, -0.1, False)], 1: [(1.0, 2, 0.7, False)]},
        2: {0: [(1.0, 0, 0.1, False)], 1: [(0.5, 2, 0.0, True), (0.25, 2, 0.1, True), (0.25, 1, 0.6, False)]},
    }
