"""Whether a rule of batches can be measured: what it is asked before anything is made of its answers."""

from __future__ import annotations

import numpy as np

from ..core.arguments import as_k
from ..core.arrays import Float
from ..estimators import BatchEstimator
from .batch_calls import BatchCalls
from .errors import CoupledRowsError, RandomRuleError, StatefulRuleError
from .independence import remembers
from .kinds import OfBatches
from .samples import sample_batches

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
        if not rule.claims.equivariant:
            raise CoupledRowsError(
                f"{rule.name} depends on the order of the rollouts: moments of a batch are summed by counts, "
                f"which need a rule that treats them alike; exact_moments takes the group rule in it, "
                f"monte_carlo_moments the whole"
            )
        return calls
    as_k(k, n=n)
    rng = np.random.default_rng(0)
    batches = sample_batches(rng, values, (_TRIED, prompts, n))
    first = calls(batches)
    if not calls.same(first, calls(batches)):
        raise changed(calls, batches)
    hold_order_of_rollouts(calls, batches, first)
    # Each sees what the other does not: rules that look at the next prompt, or at its mirror image.
    for order in (np.arange(prompts)[::-1], np.array([*[*range(prompts)][1::-1], *range(2, prompts)])):
        moved = batches[:, order]
        _hold(calls, (moved, first[:, order]), (moved, calls(moved)), "prompts")
    return calls


def changed(calls: BatchCalls, batches: Float) -> RandomRuleError:
    """The error for two answers to the same batches."""
    if remembers(lambda: calls(batches)):
        return StatefulRuleError(
            f"{calls.name} gave two answers for the same batch: it remembers earlier calls; write it as "
            f"memory_rule(init, update), with its state as an argument"
        )
    return RandomRuleError(
        f"{calls.name} gave two answers for the same batch: its moments need a deterministic rule; average "
        f"over its randomness, or seed it inside the call from the rewards"
    )


def hold_order_of_rollouts(calls: BatchCalls, batches: Float, first: Float) -> None:
    """Hold that rollouts of batches (B, P, n) that change places within their group get what they got first.

    Raises CoupledRowsError where they do not.
    """
    places = np.broadcast_to(np.arange(batches.shape[-1]), batches.shape)
    order = np.random.default_rng(1).permuted(places, axis=-1)
    moved = np.take_along_axis(batches, order, axis=-1)
    _hold(calls, (batches, first), (moved, calls(moved)), "rollouts")


def _hold(calls: BatchCalls, one: tuple[Float, Float], two: tuple[Float, Float], what: str) -> None:
    where = calls.first_different(one, two)
    if where is not None:
        raise CoupledRowsError(
            f"{calls.name} depends on the order of the {what}, e.g. of the batch "
            f"{one[0][where[0]].tolist()}: a "
            f"rule must treat them alike; moments by counts need that"
        )
