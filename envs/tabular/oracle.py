r"""The exact oracle of tabular episodes: a forward recursion, whatever states an episode comes back to.

With pi the policy and ``e = grad log pi(a|o)`` the score of one decision, every node of the unrolled process
carries the probability m of being there, the first moment u of the running score and the second moment w of
its squared norm. An edge of probability ``c = pi(a|o) P`` adds to its target

.. math:: m' \mathrel{+}= c\,m, \qquad u' \mathrel{+}= c\,(u + m e), \qquad
          w' \mathrel{+}= c\,(w + 2 \langle u, e \rangle + m |e|^2) .

Summed over the ends of each return these are ``p_l``, ``p_l G_l`` and ``p_l S_l``. No matrix of second
moments is carried along: with ``h_l`` the probability of ending in level l after an edge, known backward,

.. math:: E[s s^T; l] = \sum_{\text{edges}} c\,h_l\,(u e^T + e u^T + m\,e e^T) ,

as every pair of decisions is met at the later one. In the same way the gradient of any function of the level
probabilities is ``sum over edges of c m v e``, v being the expected derivative of the level that is reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

import maxpo_lab as ml
from maxpo_lab import RewardLevels
from maxpo_lab.core.arrays import Float, Int
from maxpo_lab.objectives import max_at
from maxpo_lab.policies.objective import gradient_coefficients

from .unrolling import Layer, Unrolled

#: Numbers in the largest array of second moments: 2 GiB of float64.
MAX_NUMBERS = 1 << 28


def first_moments(unrolled: Unrolled, policy: Float) -> tuple[Float, Float, Float]:
    """``p_l`` (L,), ``E[s; l]`` (L, d) and ``E[|s|^2; l]`` (L,) under action probabilities (O, A)."""
    levels, d = len(unrolled.returns), policy.size
    rows, score = score_rows(policy), decision_scores(policy)
    norm = np.sum(rows**2, axis=1)
    mass, scores, norms = np.zeros(levels), np.zeros((levels, d)), np.zeros(levels)
    u, w = np.zeros((len(unrolled.start), d)), np.zeros(len(unrolled.start))
    for layer, chance, _, flow in _forward(unrolled, policy):
        own = _own(u, layer.observation, policy.shape)
        along = np.sum(rows[layer.decision] * own[layer.source], axis=1)
        grown = chance * (w[layer.source] + 2.0 * along) + flow * norm[layer.decision]
        u = _carry(layer, chance) @ u + _made(layer, flow, d) @ score
        w = _sums(layer.target, grown, layer.targets)
        mass += _sums(layer.target, flow, layer.targets)[:levels]
        scores += u[:levels]
        norms += w[:levels]
        u, w = u[levels:], w[levels:]
    return mass, scores, norms


def weighted_moments(
    unrolled: Unrolled, drawing: Float, scores_of: Float, weights: Float, direction: Float | None = None
) -> tuple[Float, Float, Float]:
    """Sums of weighted scores by level and by the step T at which an episode ends.

    Episodes are drawn under action probabilities ``drawing`` (O, A), scores are those of ``scores_of`` (O, A)
    and ``weights`` (a, O A) multiply them decision by decision: ``U_a = sum_t weights[a, o_t a_t] e_t``.
    Returned are chances (L, T), ``E[U_a; l, T]`` (L, T, a, d) and ``E[<U_a, U_b>; l, T]`` (L, T, pairs) for
    a <= b; along a direction (d,) the U are numbers, (L, T, a, 1).
    """
    levels, d, columns = len(unrolled.returns), scores_of.size, range(len(weights))
    pairs = [(a, b) for a in columns for b in columns if a <= b]
    steps, r = len(unrolled.layers), d if direction is None else 1
    if (numbers := levels * steps * len(weights) * r) > MAX_NUMBERS:
        raise ValueError(
            f"sums of {levels} reward levels, {steps} steps and {r} logits are {numbers:,} numbers, above "
            f"{MAX_NUMBERS:,}: use a shorter horizon or a smaller world"
        )
    features: Any = decision_scores(scores_of)
    rows = score_rows(scores_of)
    if direction is not None:
        features = rows = (features @ direction)[:, None]
    norm = np.sum(rows**2, axis=1)
    mass, sums = np.zeros((levels, steps)), np.zeros((levels, steps, len(weights), r))
    products = np.zeros((levels, steps, len(pairs)))
    u = [np.zeros((len(unrolled.start), r)) for _ in columns]
    w = [np.zeros(len(unrolled.start)) for _ in pairs]
    for step, (layer, chance, _, flow) in enumerate(_forward(unrolled, drawing)):
        phi, carry = weights[:, layer.decision], _carry(layer, chance)
        along = []
        for each in u:
            at = each if direction is not None else _own(each, layer.observation, scores_of.shape)
            along.append(np.sum(rows[layer.decision] * at[layer.source], axis=1))
        for index, (a, b) in enumerate(pairs):
            grown = chance * (w[index][layer.source] + phi[b] * along[a] + phi[a] * along[b])
            grown += flow * phi[a] * phi[b] * norm[layer.decision]
            arrived = _sums(layer.target, grown, layer.targets)
            products[:, step, index], w[index] = arrived[:levels], arrived[levels:]
        for a in columns:
            reached = carry @ u[a] + _made(layer, flow * phi[a], d) @ features
            sums[:, step, a], u[a] = reached[:levels], reached[levels:]
        mass[:, step] = _sums(layer.target, flow, layer.targets)[:levels]
    return mass, sums, products


def mean_scores(mass: Float, scores: Float) -> Float:
    """``G_l`` (L, d), 0 for a level that cannot occur, of ``p_l`` and ``p_l G_l``.

    That of the likeliest level is taken from the others', as they add up to 0: where success is rare the
    failures' own sum is rounding.
    """
    likeliest = int(mass.argmax())
    balanced = scores.copy()
    balanced[likeliest] = -np.delete(scores, likeliest, axis=0).sum(axis=0)
    return balanced / np.where(mass > 0, mass, 1.0)[:, None]


def level_mass(unrolled: Unrolled, policy: Float) -> Float:
    """``p_l``, (L,), under action probabilities (O, A)."""
    levels = len(unrolled.returns)
    mass = np.zeros(levels)
    for layer, _, _, flow in _forward(unrolled, policy):
        mass += _sums(layer.target, flow, layer.targets)[:levels]
    return mass


def occupancy(unrolled: Unrolled, policy: Float) -> Float:
    """Expected number of decisions at each observation, (O,), under action probabilities (O, A)."""
    visits = np.zeros(len(policy))
    for layer, _, m, _ in _forward(unrolled, policy):
        visits += _sums(layer.observation, m, len(policy))
    return visits


def second_moments(unrolled: Unrolled, policy: Float, directions: Float | None = None) -> Float:
    """``E[x x^T; l]``, (L, r, r), of the scores seen along directions (r, d): ``x = directions @ s``.

    Without directions ``E[s s^T; l]``, (L, d, d).
    """
    levels, d = len(unrolled.returns), policy.size
    targets = sum(layer.targets for layer in unrolled.layers)
    edges = max(len(layer.source) for layer in unrolled.layers)
    r = d if directions is None else len(directions)
    if (largest := levels * max(targets, edges, d * r)) > MAX_NUMBERS:
        other = '"projected" or None' if directions is None else "None"
        raise ValueError(
            f"second moments of {levels} reward levels in {r} directions need {largest:,} numbers, more than "
            f"{MAX_NUMBERS:,}: pass covariances={other}"
        )
    features: Any = decision_scores(policy)
    if directions is not None:
        features = features @ directions.T
    before = np.zeros((levels * d, r))  # sum of c h_l x over the edges of each decision
    visits = np.zeros(levels * d)  # and of c h_l m
    x = np.zeros((len(unrolled.start), r))
    ahead = _backward(unrolled, policy, np.eye(levels))
    for (layer, chance, m, flow), after in zip(_forward(unrolled, policy), ahead, strict=True):
        reached = chance[:, None] * after[layer.target]
        row = layer.decision[:, None] + d * np.arange(levels)
        ends = _matrix(reached.ravel(), row.ravel(), np.repeat(layer.source, levels), (levels * d, len(m)))
        before += ends @ x
        visits += ends @ m
        x = (_carry(layer, chance) @ x + _made(layer, flow, d) @ features)[levels:]
    total = np.zeros((levels, r, r))
    for level in range(levels):
        part = slice(level * d, (level + 1) * d)
        cross = features.T @ before[part]
        total[level] = cross + cross.T + features.T @ sparse.diags_array(visits[part]) @ features
    return total


def score_rows(policy: Float) -> Float:
    """``e = grad log pi(a|o)`` of each decision in the logits of its own o, (d, A): 1 at a, less pi.

    ``1 - pi(a|o)`` is summed from the other actions: a nearly certain policy keeps its digits.
    """
    actions = policy.shape[1]
    rows = np.repeat(policy[:, None, :], actions, axis=1)
    own = np.arange(actions)
    rows *= -1.0
    rows[:, own, own] = _of_others(policy)
    return rows.reshape(-1, actions)


def decision_scores(policy: Float) -> sparse.csr_array:
    """``e`` of each decision in all logits, (d, d)."""
    observations, actions = policy.shape
    row = np.repeat(np.arange(policy.size), actions)
    column = np.repeat(np.arange(policy.size).reshape(observations, 1, actions), actions, axis=1)
    return _matrix(score_rows(policy).ravel(), row, column.ravel(), (policy.size, policy.size))


def max_at_k(unrolled: Unrolled, policy: Float, k: int) -> float:
    """``J_K`` under action probabilities (O, A)."""
    return ml.max_at_k(_rewards_alone(unrolled, level_mass(unrolled, policy)), k)


def max_at_k_gradient(unrolled: Unrolled, policy: Float, k: int) -> Float:
    """``grad J_K``, (O, A): levels are worth the derivative of J_K in their probabilities."""
    mass = level_mass(unrolled, policy)
    weights = gradient_coefficients(_rewards_alone(unrolled, mass), max_at(k))
    worth = np.zeros((len(mass), 1))
    worth[mass > 0, 0] = weights / mass[mass > 0]
    credit = np.zeros(policy.size)
    for (layer, _, _, flow), after in zip(
        _forward(unrolled, policy), _backward(unrolled, policy, worth), strict=True
    ):
        credit += _sums(layer.decision, flow * after[layer.target, 0], policy.size)
    table = credit.reshape(policy.shape)
    return table * _of_others(policy) - policy * _of_others(table)


def _rewards_alone(unrolled: Unrolled, mass: Float) -> RewardLevels:
    """Levels that know rewards and probabilities and no scores: enough for J_K."""
    possible = mass > 0
    size = int(possible.sum())
    return RewardLevels(unrolled.returns[possible], mass[possible], np.zeros((size, 1)), np.zeros(size))


def _forward(unrolled: Unrolled, policy: Float) -> Iterator[tuple[Layer, Float, Float, Float]]:
    """Each step with ``c`` of its edges, the probability m of its nodes and ``c m`` of its edges."""
    m = unrolled.start
    for layer in unrolled.layers:
        chance = policy.ravel()[layer.decision] * layer.probability
        flow = chance * m[layer.source]
        yield layer, chance, m, flow
        m = _sums(layer.target, flow, layer.targets)[len(unrolled.returns) :]


def _backward(unrolled: Unrolled, policy: Float, ends: Float) -> list[Float]:
    """What each target of each step expects at the end, (targets, v), levels being worth ``ends`` (L, v)."""
    ahead = [ends]
    for layer in unrolled.layers[:0:-1]:
        chance = policy.ravel()[layer.decision] * layer.probability
        ahead.append(np.concatenate([ends, _carry(layer, chance).T @ ahead[-1]]))
    return ahead[::-1]


def _of_others(array: Float) -> Float:
    """Sums (O, A) over the other actions, with no subtraction."""
    before, after = np.zeros(array.shape), np.zeros(array.shape)
    before[:, 1:] = np.cumsum(array[:, :-1], axis=1)
    after[:, :-1] = np.cumsum(array[:, :0:-1], axis=1)[:, ::-1]
    return before + after


def _own(u: Float, observation: Int, shape: tuple[int, ...]) -> Float:
    """Running scores (N, O A) in the logits of each node's own observation, (N, A)."""
    return np.asarray(u.reshape(-1, *shape)[np.arange(len(u)), observation])


def _carry(layer: Layer, weight: Float) -> sparse.csr_array:
    """The matrix (targets, nodes) that adds the weighted nodes of a step up at their targets."""
    return _matrix(weight, layer.target, layer.source, (layer.targets, len(layer.observation)))


def _made(layer: Layer, flow: Float, d: int) -> sparse.csr_array:
    """The matrix (targets, d) of how much of each decision arrives at each target."""
    return _matrix(flow, layer.target, layer.decision, (layer.targets, d))


def _matrix(entries: Float, row: Int, column: Int, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((entries, (row, column)), shape=shape)


def _sums(index: Int, weights: Float, size: int) -> Float:
    """Sums of the weights of equal index, (size,)."""
    return np.bincount(index, weights=weights, minlength=size).astype(np.float64, copy=False)
