"""Taxi with a fickle passenger: what Gymnasium does in ``step`` and leaves out of ``P``, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from .mdp import TabularMDP

#: Where a passenger is that sits in the taxi.
_ABOARD = 4


def fickle_taxi(world: Any, horizon: int) -> TabularMDP:
    """The process of a ``TaxiEnv`` whose passenger changes their mind with ``fickle_probability``.

    A reset decides whether they will. If so, the first step that moves the taxi with them aboard leads to one
    of the other three destinations, at equal chances, with the reward of the step as it was. The state is
    Taxi's and whether that is still to come, which the policy does not see.
    """
    plain = TabularMDP.from_table(world.P, world.initial_state_distrib, horizon=horizon)
    seen = plain.observations
    places = np.array([world.decode(state) for state in range(seen)])
    row, column, passenger, destination = places.T
    moved = (row[plain.source] != row[plain.target]) | (column[plain.source] != column[plain.target])
    turns = moved & (passenger[plain.source] == _ABOARD)

    sources, targets, kept = [plain.source], [plain.target], [np.arange(len(plain.source))]
    chances = [plain.probability]
    stays = np.flatnonzero(~turns)  # the passenger is still going to change their mind
    sources.append(seen + plain.source[stays])
    targets.append(seen + plain.target[stays])
    kept.append(stays)
    chances.append(plain.probability[stays])
    change = np.flatnonzero(turns)
    others = len(world.locs) - 1
    for shift in range(1, others + 1):
        after = plain.target[change]
        other = (destination[plain.source[change]] + shift) % len(world.locs)
        sources.append(seen + plain.source[change])
        targets.append(after - destination[after] + other)
        kept.append(change)
        chances.append(plain.probability[change] / others)
    edge = np.concatenate(kept)
    start, fickle = plain.starts[0], float(world.fickle_probability)
    starts = {state: chance * (1 - fickle) for state, chance in start.items()}
    starts |= {seen + state: chance * fickle for state, chance in start.items()}
    return TabularMDP(
        source=np.concatenate(sources),
        action=plain.action[edge],
        target=np.concatenate(targets),
        probability=np.concatenate(chances),
        reward=plain.reward[edge],
        terminated=plain.terminated[edge],
        observation=np.tile(plain.observation, 2),
        starts=({state: chance for state, chance in starts.items() if chance > 0},),
        horizon=horizon,
        observations=seen,
        actions=plain.actions,
    )
