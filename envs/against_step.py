"""A tabular process held against the environment's own ``step``: what the table says is what happens.

Gymnasium's toy-text worlds step by their table ``P``; nothing makes an environment do so, and one whose
``step`` knows more than its table (a hidden state, a wrapper that changes rewards) has another exact value
than the table's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import gymnasium
import numpy as np

from maxpo_lab.groups import whole_number

from .mdp import TabularMDP

#: What one step shows: the next observation, the reward, whether the episode ended.
Outcome = tuple[int, float, bool]
Belief = dict[int, float]


def check_step(
    env: gymnasium.Env[Any, Any],
    mdp: TabularMDP,
    *,
    visits: int = 4,
    steps: int = 3,
    seed: int = 0,
    false_alarm: float = 1e-6,
) -> None:
    r"""Hold a process against its environment: every state and action, tried ``visits`` times.

    Each try resets the environment, puts it into the state (through its attribute ``s``, which toy-text
    worlds have; else it stays where the reset put it), takes the action, and then random ones. All along, the
    states of the process that agree with what was seen so far are kept with their probabilities. What no such
    state allows is a disagreement; and so is an outcome that comes up more or less often than predicted, by
    Bernstein's inequality on the martingale of its surprises,

    .. math:: |\textstyle\sum (1 - p)| \le \ell / 3 + \sqrt{\ell^2 / 9 + 2 \ell \sum p (1 - p)},
              \qquad \ell = \log(2 m / \alpha),

    m outcomes in all, alpha the chance that a true table is refused. An outcome's bias below that bound is
    not seen: more visits see more.

    Parameters
    ----------
    env
        The environment, with its wrappers.
    mdp
        What it is said to be. States beyond the observations are copies of these with another hidden state:
        state ``h * observations + o`` is seen as o.
    visits, steps
        Tries a state and action, steps a try.
    seed
        Of the environment and of the actions.
    false_alarm
        alpha.

    Raises
    ------
    ValueError
        A disagreement, with the state, the action, what happened and what the table says.

    Notes
    -----
    Cost: states x actions x visits x steps of the environment.
    """
    for name, value in (("visits", visits), ("steps", steps)):
        if whole_number(value, name) < 1:
            raise ValueError(f"{name}={value}: must be at least 1")
    if not 0 < false_alarm < 1:
        raise ValueError(f"false_alarm={false_alarm}: must be between 0 and 1, e.g. 1e-6")
    rows = _rows(mdp)
    hidden = _hidden(mdp)
    rng = np.random.default_rng(seed)
    surprise: dict[tuple[int, int, Outcome], float] = defaultdict(float)
    variance: dict[tuple[int, int, Outcome], float] = defaultdict(float)
    env.reset(seed=seed)
    placed = hasattr(env.unwrapped, "s")
    left = sorted({(int(mdp.observation[state]), action) for state, action in rows})
    for state, action in [each for each in left for _ in range(visits)]:
        seen = int(env.reset()[0])
        if placed:
            env.unwrapped.s = seen = state  # type: ignore[attr-defined]
        belief = {h * mdp.observations + seen: chance for h, chance in hidden.items()}
        for step in range(min(steps, mdp.horizon)):
            act = action if step == 0 else int(rng.integers(mdp.actions))
            predicted = _predicted(belief, act, rows, mdp)
            observed, reward, terminated, _, _ = env.step(act)
            outcome = (int(observed), float(reward), bool(terminated))
            if outcome not in predicted:
                raise ValueError(_impossible(env, seen, act, outcome, predicted))
            total = sum(chance for after in predicted.values() for chance in after.values())
            for possible, after in predicted.items():
                p = sum(after.values()) / total
                surprise[seen, act, possible] += (possible == outcome) - p
                variance[seen, act, possible] += p * (1 - p)
            if terminated:
                break
            belief, seen = predicted[outcome], outcome[0]
    level = math.log(2 * len(surprise) / false_alarm)
    for key, off in surprise.items():
        allowed = level / 3 + math.sqrt(level**2 / 9 + 2 * level * variance[key])
        if abs(off) > allowed:
            seen, act, outcome = key
            raise ValueError(
                f"{_name(env)}: step leads from state {seen} by action {act} to {_words(outcome)} "
                f"{abs(off):.1f} times {'more' if off > 0 else 'less'} often than P says, more than the "
                f"{allowed:.1f} that chance allows: it is no table of this environment"
            )


def _rows(mdp: TabularMDP) -> dict[tuple[int, int], list[tuple[float, int, float, bool]]]:
    """The transitions of positive probability of each state and action."""
    rows: dict[tuple[int, int], list[tuple[float, int, float, bool]]] = defaultdict(list)
    edges = zip(
        *(each.tolist() for each in (mdp.source, mdp.action, mdp.probability, mdp.target, mdp.reward)),
        mdp.terminated.tolist(),
        strict=True,
    )
    for source, action, probability, target, reward, terminated in edges:
        if probability > 0:
            rows[source, action].append((probability, target, reward, terminated))
    return rows


def _hidden(mdp: TabularMDP) -> Belief:
    """The probability of each hidden state at the start, whatever is seen."""
    found: Belief = defaultdict(float)
    for state, chance in mdp.starts[0].items():
        found[state // mdp.observations] += chance
    return found


def _predicted(
    belief: Belief,
    action: int,
    rows: dict[tuple[int, int], list[tuple[float, int, float, bool]]],
    mdp: TabularMDP,
) -> dict[Outcome, Belief]:
    """What a step can show, each with the states that it leaves possible."""
    found: dict[Outcome, Belief] = defaultdict(lambda: defaultdict(float))
    for state, chance in belief.items():
        for probability, target, reward, terminated in rows[state, action]:
            outcome = (int(mdp.observation[target]), reward, terminated)
            found[outcome][target] += chance * probability
    return found


def _impossible(
    env: gymnasium.Env[Any, Any], state: int, action: int, outcome: Outcome, said: dict[Outcome, Belief]
) -> str:
    listed = " or ".join(map(_words, sorted(said))) or "nowhere"
    return (
        f"{_name(env)}: step led from state {state} by action {action} to {_words(outcome)}, and P says "
        f"{listed}: an exact oracle of P would be that of another environment"
    )


def _words(outcome: Outcome) -> str:
    observed, reward, terminated = outcome
    return f"state {observed} with reward {reward:g}{' and the end' if terminated else ''}"


def _name(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
