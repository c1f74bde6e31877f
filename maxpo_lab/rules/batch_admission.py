"""Whether a rule of batches can be measured: what it is asked before anything is made of its answers."""

from __future__ import annotations

import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Float
from ..estimators import BatchEstimator
from .batch_calls import BatchCalls
from .errors import CoupledRowsError, RandomRuleError, StatefulRuleError
from .kinds import OfBatches

#: Batches that a user's rule is tried on.
_TRIED = 6


def admit_batch(rule: OfBatches, n: int, k: int, *, prompts: int, values: Float) -> BatchCalls:
    """A rule on batches of so many prompts, known to be defined on them and a function of their rewards.

    ``values`` are the rewards that it will meet. Cost: nothing for the catalogue, else some 20 calls.

    Raises
    ------
    ValueError
        Undefined at this n, k, number of prompts or on these rewards; the errors of ``evaluate``.
    RandomRuleError, StatefulRuleError
        Two answers for the same batch.
    CoupledRowsError
        Advantages that depend on the order of rollouts or of prompts.
    """
    values = np.unique(values)
    calls = BatchCalls(rule, n, k, k * float(np.abs(values).max()))
    if isinstance(rule, BatchEstimator):
        reason = rule.why_not(n, k) or rule.why_not_batch(prompts) or rule.why_not_rewards(values)
        if reason:
            raise ValueError(reason)
        return calls
    as_k(k, n=n)
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(len(values)), (_TRIED, prompts))
    picks = (rng.random((_TRIED, prompts, n, 1)) > np.cumsum(share, axis=-1)[:, :, None, :-1]).sum(axis=-1)
    batches = values[picks]
    first = calls(batches)
    if not calls.same(first, calls(batches)):
        _raise_changed(calls, batches)
    rollouts = rng.permuted(np.broadcast_to(np.arange(n), picks.shape), axis=2)
    _same_after(
        calls, batches, first, np.take_along_axis(batches, rollouts, axis=2), what="rollouts", values=values
    )
    # Each sees what the other does not: rules that look at the next prompt, or at its mirror image.
    for order in (np.arange(prompts)[::-1], np.array([*[*range(prompts)][1::-1], *range(2, prompts)])):
        moved = batches[:, order]
        _same_after(calls, moved, first[:, order], moved, what="prompts", values=values)
    return calls


def _raise_changed(calls: BatchCalls, batches: Float) -> None:
    steps = np.diff([calls(batches).ravel() for _ in range(12)], axis=0)
    moved = np.asarray((steps != 0).any(axis=0))
    one_way = np.asarray((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0))
    if not moved.any() or one_way[moved].mean() >= 0.9:
        raise StatefulRuleError(
            f"{calls.name} gave two answers for the same batch: it remembers earlier calls; write it as "
            f"memory_rule(init, update), with its state as an argument"
        )
    raise RandomRuleError(
        f"{calls.name} gave two answers for the same batch: its moments need a deterministic rule; "
        f"average over its "
        f"randomness, or seed it inside the call from the rewards"
    )


def _same_after(
    calls: BatchCalls, batches: Float, first: Float, moved: Float, *, what: str, values: Float
) -> None:
    """Hold that sums by level stay what they were when what stands in a batch changes places."""
    got = calls(moved)
    for power in (1, 2):
        a, b = (
            np.einsum("bpn,bpnl->bpl", given**power, (rewards[..., None] == values).astype(np.float64))
            for given, rewards in ((first, batches), (got, moved))
        )
        if not calls.same(a, b):
            row = int(np.abs(a - b).max(axis=(1, 2)).argmax())
            raise CoupledRowsError(
                f"{calls.name} depends on the order of the {what}, e.g. of the batch "
                f"{batches[row].tolist()}: a "
                f"rule of batches must treat them alike; moments by counts need that"
            )
