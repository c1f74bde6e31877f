"""What a table says that a step will show, from the states that what was seen leaves possible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from .mdp import TabularMDP

#: What one step shows: the next observation, the reward, whether the episode ended.
Outcome = tuple[int, float, bool]
#: Probabilities of the states that an episode may be in.
Belief = dict[int, float]
Rows = dict[tuple[int, int], list[tuple[float, int, float, bool]]]


def rows_of(mdp: TabularMDP) -> Rows:
    """The transitions of positive probability of each state and action."""
    rows: Rows = defaultdict(list)
    edges = zip(
        *(each.tolist() for each in (mdp.source, mdp.action, mdp.probability, mdp.target, mdp.reward)),
        mdp.terminated.tolist(),
        strict=True,
    )
    for source, action, probability, target, reward, terminated in edges:
        if probability > 0:
            rows[source, action].append((probability, target, reward, terminated))
    return rows


def by_observation(start: Mapping[int, float], mdp: TabularMDP) -> dict[int, Belief]:
    """The states of a start, with their probabilities, by what is seen of them."""
    found: dict[int, Belief] = defaultdict(dict)
    for state, chance in start.items():
        if chance > 0:
            found[int(mdp.observation[state])][state] = chance
    return dict(found)


def predicted(belief: Belief, action: int, rows: Rows, mdp: TabularMDP) -> dict[Outcome, Belief]:
    """What a step can show, each with the states that it leaves possible."""
    found: dict[Outcome, Belief] = defaultdict(lambda: defaultdict(float))
    for state, chance in belief.items():
        for probability, target, reward, terminated in rows[state, action]:
            outcome = (int(mdp.observation[target]), reward, terminated)
            found[outcome][target] += chance * probability
    return dict(found)
