"""``advantages``: the front door for a training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from .core.arguments import as_k, check_choice
from .core.arrays import Array, Namespace, on_host
from .core.rewards import as_rewards
from .core.tracing import as_traced, compiles, untraced
from .estimators import BatchEstimator, Estimator, MemoryEstimator, RankLinear, get_estimator

if TYPE_CHECKING:
    from .core import ragged
    from .rules.calling import Rule
    from .rules.kinds import OfBatches, OfVectors


def advantages(
    rewards: Any,
    k: int,
    *,
    estimator: str | Rule | OfBatches | OfVectors = "maxpo",
    group_ids: Any = None,
    nan_policy: Literal["raise", "omit"] = "raise",
    small_groups: Literal["raise", "zero"] = "raise",
    history: Any = None,
    reward_weights: Any = None,
    lengths: Any = None,
    validate: bool = True,
) -> Array:
    """Advantages of groups of rewards.

    Parameters
    ----------
    rewards
        Shape (..., n): one group of n i.i.d. rollouts of one prompt along the last axis, for a rule of
        batches (..., P, n) with the P prompts of a batch along the axis before; or (B,) with ``group_ids``,
        all of one batch. NumPy (masked arrays too), torch, any other Array API library, or nested sequences
        of numbers. For a rule of several rewards with one more axis, (..., n, d) or (B, d), of the d rewards
        of a rollout.
    k
        The K of max@K, ``1 <= k <= n``. A rule that does not use it (``uses_k``: those for the mean reward
        and for max@n) takes any ``k >= 1``.
    estimator
        A name such as ``"maxpo"`` or ``"grpo:eps=1e-4"`` (see ``get_estimator``), an ``Estimator``, or any
        callable ``(rewards (B, n), k) -> (B, n)``; a rule of batches by name or from ``batch_rule``; one of
        several rewards by name (``"summed:maxpo"``, ``"per-reward:maxpo"``, ``"gdpo"``) or from
        ``vector_rule``. A
        callable gets a copy of the rewards, in their own array type; whatever real numbers it returns, of any
        array type, are cast back to it. Groups of different sizes reach it size by size, so its rows must not
        depend on each other.
    group_ids
        One id per row, integers or strings (or bytes, UUIDs, booleans), all of one kind: rows of equal id
        are a group, in any order, of any size.
    nan_policy
        ``"raise"``: a NaN or masked reward is an error. ``"omit"``: it marks an unscorable rollout, which is
        left out of its group and gets advantage 0. Of several rewards it marks one that a rollout does not
        have: each reward is then one of those that have it, and a sum is over those that are there.
    small_groups
        What to do with a group that the rule is not defined on at this k: raise, naming it, or give its
        members 0. A callable is asked by its ``why_not(n, k)``, as an ``Estimator`` is; one that has none
        is called on every group, and ``"zero"`` is refused.
    history
        Earlier rewards of each group's prompt, for ``"replay"``, ``"centered-replay"``, ``"pooled"`` and
        ``"plug-in-floor"``: a sequence with one entry a group, or with ``group_ids`` a mapping from ids,
        where an id that is no key has none. An entry is rewards, or a tuple of rewards and their weights in
        [0, 1], 1 for one as good as a fresh one.
    reward_weights
        Of a rule of several rewards: d numbers, 1 each unless told.
    lengths
        Of a rule that weighs rollouts by their lengths (``"opo"``): a positive number a rollout, (..., n) or
        (B,). Rewards may then have that shape too.
    validate
        Whether to look at the rewards: False promises that they are finite, of a floating type and of the
        rule's domain, in dense groups of one array library, for an ``Estimator``. That is what
        ``torch.compile``, ``torch.func.vmap``, ``jax.jit`` and ``jax.vmap`` can trace, and on an accelerator
        nothing waits.

    Returns
    -------
    array of the shape of ``rewards``
        Same array type, dtype and device (a masked array comes back as a plain one), for the mean convention:
        the gradient estimate is ``(1/n) sum_i A_i s_i``, as a loss averaged over rollouts computes it.
        Advantages are constants of that loss: no gradient flows back through them to the rewards.

    Raises
    ------
    TypeError, ValueError
        Rewards that are not finite real numbers, a bad k, id or policy, an unknown name, or a group on
        which the rule is not defined; the message names a valid choice. A rule with memory, which has an
        ``update``. Groups of different sizes for a rule of batches that takes one size. A callable that
        returns another shape, anything but real numbers, or a NaN or an infinity. ``validate=False`` with
        anything that needs a look at the numbers: ids, marks, a callable of your own.
    GroupIdError
        A missing id, or ids of two kinds; ``row`` says where.

    Notes
    -----
    Cost O(n log n) per group. Groups of different sizes are evaluated size by size, in one call each.
    With ``validate`` the graph of torch.compile breaks before and after this function: a look at numbers is
    no part of it.
    """
    if not validate:
        odd = any(each is not None for each in (group_ids, history, reward_weights, lengths))
        if odd or (nan_policy, small_groups) != ("raise", "raise"):
            raise ValueError(
                "validate=False takes dense groups as they are: group_ids, history, reward_weights, lengths, "
                "nan_policy='omit' and small_groups='zero' look at them; leave those out, or pass "
                "validate=True"
            )
        return _as_they_are(rewards, k, estimator)
    return _validated(
        rewards,
        k,
        estimator,
        group_ids=group_ids,
        nan_policy=nan_policy,
        small_groups=small_groups,
        history=history,
        reward_weights=reward_weights,
        lengths=lengths,
    )


def _as_they_are(rewards: Any, k: int, estimator: str | Rule | OfBatches | OfVectors) -> Array:
    """Advantages of rewards that are what they should be."""
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    if isinstance(rule, BatchEstimator):
        return _batches_as_they_are(rewards, k, rule)
    if getattr(rule, "kind", None) == "memory":
        raise TypeError(
            f"estimator={estimator!r} with validate=False: it takes a history, which is looked at; "
            f"pass it, and "
            f"validate=True"
        )
    if _takes_vectors(rule):
        raise TypeError(
            f"estimator={estimator!r} with validate=False: several rewards of a rollout are packed into "
            f"rows, which looks at them; pass validate=True"
        )
    if not isinstance(rule, Estimator):
        raise TypeError(
            f"estimator={estimator!r} with validate=False: what a callable answers has to be looked at; call "
            f"it yourself, or pass validate=True"
        )
    xp, constants = as_traced(rewards)
    if not (isinstance(rule, RankLinear) and compiles(rewards)) and (
        reason := rule.why_not(constants.shape[-1], k)
    ):
        raise ValueError(reason)  # in a graph a rank-linear rule says so itself
    return rule.unchecked(xp, constants, int(k))


def _batches_as_they_are(rewards: Any, k: int, rule: BatchEstimator) -> Array:
    xp, constants = as_traced(rewards)
    shape = tuple(constants.shape)
    reason = rule.why_not(shape[-1], k) or (
        rule.why_not_batch(shape[-2]) if len(shape) > 1 else f"rewards have shape {shape}: pass (..., P, n)"
    )
    if reason:
        raise ValueError(reason)
    return rule.unchecked(xp, constants, int(k))


@untraced
def _validated(
    rewards: Any,
    k: int,
    estimator: str | Rule | OfBatches | OfVectors,
    *,
    group_ids: Any,
    nan_policy: Literal["raise", "omit"],
    small_groups: Literal["raise", "zero"],
    history: Any,
    reward_weights: Any,
    lengths: Any,
) -> Array:
    known = not isinstance(estimator, str) and (callable(estimator) or hasattr(estimator, "update"))
    rule = estimator if known else get_estimator(cast("str", estimator))
    if (memory := isinstance(rule, MemoryEstimator) or not callable(rule)) or history is not None:
        _check_history(rule, history)
    check_choice("nan_policy", nan_policy, ("raise", "omit"))
    check_choice("small_groups", small_groups, ("raise", "zero"))
    if _takes_vectors(rule):
        return _of_vectors(
            cast("OfVectors", rule),
            rewards,
            k,
            reward_weights=reward_weights,
            lengths=lengths,
            group_ids=group_ids,
            nan_policy=nan_policy,
            small_groups=small_groups,
        )
    if reward_weights is not None or lengths is not None:
        from .rules.vectors import refuse_vectors  # noqa: PLC0415 - others need none of it

        refuse_vectors(rule, reward_weights, lengths)
    return _of_rewards(
        rule,
        rewards,
        k,
        memory=memory,
        group_ids=group_ids,
        nan_policy=nan_policy,
        small_groups=small_groups,
        history=history,
    )


def _takes_vectors(rule: object) -> bool:
    return getattr(rule, "kind", None) in ("vector", "vector-batch")


def _of_rewards(
    rule: Any,
    rewards: Any,
    k: int,
    *,
    memory: bool,
    group_ids: Any,
    nan_policy: Literal["raise", "omit"],
    small_groups: Literal["raise", "zero"],
    history: Any,
) -> Array:
    """Advantages under a rule of one reward of a rollout."""
    dense = group_ids is None and (nan_policy, small_groups) == ("raise", "raise")
    if dense and isinstance(rule, Estimator | BatchEstimator):
        return rule(rewards, k)
    if dense and memory:
        from .rules.histories import of_dense_groups  # noqa: PLC0415 - others need none of it

        return of_dense_groups(cast("Any", rule), rewards, k, history=history)
    from .core import ragged  # noqa: PLC0415 - a loop with dense groups needs none of it

    k = as_k(k)
    xp, values = as_rewards(rewards, allow_nan=nan_policy == "omit")
    coupled = getattr(rule, "kind", "group") == "batch"
    if coupled and group_ids is None and values.ndim != 2:
        raise ValueError(
            f"rewards have shape {tuple(values.shape)}: a batch rule needs (P, n) here, the n rewards "
            f"of each of "
            f"P prompts"
        )
    flat = xp.reshape(values, (-1,))
    scored = None
    if nan_policy == "omit":
        scored = ~on_host(xp.isnan(flat))
    if group_ids is None:
        ids = np.repeat(np.arange(flat.shape[0] // values.shape[-1]), values.shape[-1])
    elif values.ndim == 1:
        ids = group_ids
    else:
        raise ValueError(
            f"rewards have shape {tuple(values.shape)}: with group_ids they must have shape (B,), one row a "
            f"rollout"
        )
    groups = ragged.by_id(ids, flat.shape[0], scored)
    if not memory:  # else they are small with their history
        groups = _without_small(groups, cast("Rule", rule), k, drop=small_groups == "zero")
    if memory:
        from .rules.histories import of_groups_with_history  # noqa: PLC0415 - others need none of it

        found = of_groups_with_history(
            cast("Any", rule),
            xp,
            flat,
            groups,
            k,
            history=history,
            given=tuple(ragged.by_id(ids, flat.shape[0]).names.tolist()),
            named=group_ids is not None,
            drop=small_groups == "zero",
        )
        return xp.reshape(found, values.shape)
    if coupled:
        from .rules.whole_batches import of_groups  # noqa: PLC0415 - rules of groups need none of it

        if not len(groups.sizes):
            return xp.zeros_like(values)
        return xp.reshape(of_groups(cast("OfBatches", rule), xp, flat, groups, k), values.shape)
    dense_rule = rule if isinstance(rule, Estimator) else _checked(cast("Rule", rule), xp)
    result = ragged.map_buckets(xp, flat, groups, lambda dense: dense_rule(dense, k))
    return xp.reshape(result, values.shape)


def _of_vectors(
    rule: OfVectors,
    rewards: Any,
    k: int,
    *,
    reward_weights: Any,
    lengths: Any,
    group_ids: Any,
    nan_policy: Literal["raise", "omit"],
    small_groups: Literal["raise", "zero"],
) -> Array:
    """Advantages under a rule of several numbers of a rollout."""
    from .rules.vectors import of_vectors  # noqa: PLC0415 - others need none of it

    def keep(groups: ragged.Groups) -> ragged.Groups:
        return _without_small(groups, cast("Rule", rule), k, drop=small_groups == "zero")

    dense = group_ids is None and (nan_policy, small_groups) == ("raise", "raise")
    return of_vectors(
        rule,
        rewards,
        k,
        reward_weights=reward_weights,
        lengths=lengths,
        group_ids=group_ids,
        nan_policy=nan_policy,
        keep=None if dense else keep,
    )


def _check_history(rule: Any, history: Any) -> None:
    """Refuse a rule with memory without its history, and a history of any other rule."""
    name, takes = getattr(rule, "name", rule), hasattr(rule, "at_history")
    if history is not None and not takes:
        raise ValueError(
            f"history with estimator {name!r}, which takes none; use replay, centered-replay, pooled or "
            f"plug-in-floor"
        )
    if history is None:
        here = "pass history=, or " if takes else ""
        raise ValueError(
            f"estimator {name!r} remembers earlier steps: {here}begin with state = rule.init(prompts), "
            f"and in each "
            f"step take advantages, state = rule.update(state, rewards, k, prompts)"
        )


def _checked(rule: Rule, xp: Namespace) -> Rule:
    from .rules import answers, calling  # noqa: PLC0415 - rules of the catalogue need none of it

    calling.refuse_ratios(rule)
    return answers.checked(rule, xp)


def _without_small(groups: ragged.Groups, rule: Rule, k: int, *, drop: bool) -> ragged.Groups:
    """Groups on which the rule is defined; an error that names the first other one, unless dropped."""
    from .core import ragged  # noqa: PLC0415 - as above

    why_not = cast("Callable[[int, int], str | None] | None", getattr(rule, "why_not", None))
    if why_not is None:
        if drop:
            from .rules.calling import describe  # noqa: PLC0415 - the same

            raise ValueError(
                f"small_groups='zero' with the callable {describe(rule)}: it does not say where it is "
                f"defined; give it a method why_not(n, k), a reason or None, or pass small_groups='raise'"
            )
        return groups
    reasons = {int(size): why_not(int(size), k) for size in np.unique(groups.sizes)}
    too_small = [size for size, reason in reasons.items() if reason]
    if not too_small:
        return groups
    defined = ~np.isin(groups.sizes, too_small)
    if not drop:
        first = int(np.argmin(defined))
        raise ValueError(
            f"group {ragged.shortened(str(groups.names[first]))} has {groups.sizes[first]} scored rollouts: "
            f"{reasons[int(groups.sizes[first])]}; small_groups='zero' gives such groups advantage 0"
        )
    return ragged.Groups(
        groups.names[defined], groups.sizes[defined], groups.order[np.repeat(defined, groups.sizes)]
    )
