"""The kinds of a user's rule: one of a group is any callable, the others say what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeGuard, get_args

from ..core.arguments import check_choice
from ..estimators import BatchEstimator, Estimator, MemoryEstimator, VectorBatchEstimator, VectorEstimator
from ..estimators.batch import Statistic
from ..estimators.entry import Kind
from ..estimators.vector import as_weights


@dataclass(frozen=True, slots=True, eq=False)
class BatchRule:
    """A rule of a batch: what ``batch_rule`` makes.

    Calling it, ``rule(rewards, k)``, maps rewards (P, n) to advantages (P, n). ``statistic`` is what the user
    says of how prompts meet; it is checked before anything is measured by it.
    """

    kind: ClassVar[Kind] = "batch"

    function: Callable[[Any, int], Any]
    statistic: Statistic | None
    name: str

    def __call__(self, rewards: Any, k: int) -> Any:
        """What the function gives."""
        return self.function(rewards, k)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryRule:
    """A rule with memory: what ``memory_rule`` makes, a pair of pure functions.

    ``init(prompts)`` is the state of so many prompts; ``update(state, rewards, k, prompts)`` gives advantages
    (P, n) of rewards (P, n) of these prompts (P,) and the next state.
    """

    kind: ClassVar[Kind] = "memory"

    init: Callable[[int], Any]
    update: Callable[[Any, Any, int, Any], tuple[Any, Any]]
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class VectorRule:
    """A rule of a group whose rollouts carry several rewards: what ``vector_rule`` makes.

    Calling it, ``rule(rewards, k)``, maps rewards (B, n, d) to advantages (B, n); where ``takes_lengths``
    says so, ``rule(rewards, k, lengths=...)`` with lengths (B, n).
    """

    kind: ClassVar[Kind] = "vector"

    function: Callable[..., Any]
    reward_weights: tuple[float, ...] | None
    takes_lengths: bool
    name: str

    def __call__(self, rewards: Any, k: int, *, lengths: Any = None) -> Any:
        """What the function gives."""
        return self.function(rewards, k, lengths=lengths) if self.takes_lengths else self.function(rewards, k)


@dataclass(frozen=True, slots=True, eq=False)
class RatioRule:
    """A rule of a group that sees the ratio of each rollout beside its reward: what ``ratio_rule`` makes.

    Calling it, ``rule(rewards, k, log_ratios=...)``, maps rewards (B, n) and log-ratios (B, n) to advantages
    (B, n).
    """

    function: Callable[..., Any]
    name: str

    def __call__(self, rewards: Any, k: int, *, log_ratios: Any) -> Any:
        """What the function gives."""
        return self.function(rewards, k, log_ratios=log_ratios)


#: A rule that couples the groups of a batch, one that remembers earlier steps, and one of rows, whoever
#: wrote it.
OfBatches: TypeAlias = BatchEstimator | BatchRule
WithMemory: TypeAlias = MemoryEstimator | MemoryRule
OfVectors: TypeAlias = VectorEstimator | VectorBatchEstimator | VectorRule


def batch_rule(f: Callable[[Any, int], Any], *, statistic: Statistic | None = None) -> BatchRule:
    """A callable ``(rewards (P, n), k) -> (P, n)`` whose groups are coupled, as a rule of a batch.

    Parameters
    ----------
    f
        The callable. It must be deterministic, keep nothing between calls, treat the rollouts of a group and
        the prompts of a batch alike, whatever their order, and take any P.
    statistic
        How prompts meet, where it is in one number, which makes exact moments affordable at any P:
        ``"reward_sum"``, the sum of all rewards of the batch (on two reward levels, how many rollouts have
        the higher), or ``"advantage_rms"``, where a group rule is divided by the root mean square of what it
        gives the batch, with an epsilon or without. None: in some other way. What is said here is checked on
        batches.

    Raises
    ------
    TypeError
        Not callable, or a rule with memory.
    ValueError
        Another statistic.

    Examples
    --------
    >>> import numpy as np
    >>> import maxpo_lab as ml
    >>> rule = ml.batch_rule(lambda rewards, k: rewards - rewards.mean(), statistic="reward_sum")
    >>> rule(np.array([[1.0, 0.0], [1.0, 1.0]]), 1).tolist()
    [[0.25, -0.75], [0.25, 0.25]]
    """
    if has_memory(f) or not callable(f):
        raise TypeError(
            f"f={f!r} is a {type(f).__name__}: it must be a callable (rewards (P, n), k) -> (P, n)"
        )
    if statistic is not None:
        check_choice("statistic", statistic, get_args(Statistic))
    return BatchRule(f, statistic, _name(f))


def memory_rule(
    init: Callable[[int], Any], update: Callable[[Any, Any, int, Any], tuple[Any, Any]]
) -> MemoryRule:
    """Two pure functions as a rule with memory.

    Parameters
    ----------
    init
        ``(prompts) -> state``: of so many prompts that have not been seen.
    update
        ``(state, rewards (P, n), k, prompts (P,)) -> (advantages (P, n), state)``: a step of these prompts,
        by their numbers in the state. It must not change the state that it is given.

    Raises
    ------
    TypeError
        One of them is not callable.

    Examples
    --------
    The mean of the step before as baseline:

    >>> import numpy as np
    >>> import maxpo_lab as ml
    >>> def update(state, rewards, k, prompts):
    ...     new = state.copy()
    ...     new[prompts] = rewards.mean(axis=1)
    ...     return rewards - state[prompts, None], new
    >>> rule = ml.memory_rule(np.zeros, update)
    >>> advantages, state = rule.update(rule.init(1), np.array([[1.0, 0.0]]), 1, np.array([0]))
    >>> rule.update(state, np.array([[1.0, 0.0]]), 1, np.array([0]))[0].tolist()
    [[0.5, -0.5]]
    """
    for argument, value in (("init", init), ("update", update)):
        if not callable(value):
            raise TypeError(f"{argument}={value!r} is a {type(value).__name__}: it must be callable")
    return MemoryRule(init, update, _name(update))


def vector_rule(
    f: Callable[..., Any], *, reward_weights: Any = None, takes_lengths: bool = False
) -> VectorRule:
    """A callable ``(rewards (B, n, d), k) -> (B, n)`` of several rewards of a rollout, as a rule of rows.

    Parameters
    ----------
    f
        The callable; with ``takes_lengths`` it gets ``lengths=`` (B, n) too. As one of groups it must be
        deterministic, keep nothing between calls, and treat each group by itself.
    reward_weights
        The weights of the objective that it is measured against, one a reward; None for 1 each. The rule does
        not get them: it has its own.
    takes_lengths
        Whether it is a rule of the lengths too.

    Raises
    ------
    TypeError
        Not callable, a rule of batches or with memory, or weights that are no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import maxpo_lab as ml
    >>> rule = ml.vector_rule(lambda rewards, k: rewards.prod(axis=-1))
    >>> rule(np.array([[[1.0, 0.0], [1.0, 1.0]]]), 1).tolist()
    [[0.0, 1.0]]
    """
    known: object = f
    if couples(known) or has_memory(known) or not callable(f):
        raise TypeError(
            f"f={f!r} is a {type(f).__name__}: it must be a callable (rewards (B, n, d), k) -> (B, n)"
        )
    return VectorRule(f, as_weights(reward_weights), bool(takes_lengths), _name(f))


def ratio_rule(f: Callable[..., Any], *, name: str | None = None) -> RatioRule:
    """A callable ``(rewards (B, n), k, log_ratios=(B, n)) -> (B, n)`` as a rule of rewards and ratios.

    Parameters
    ----------
    f
        The callable. ``log_ratios`` are ``log pi - log pi_drawn`` of whole rollouts, pi the policy that is
        updated. As one of groups it must be deterministic, keep nothing between calls, treat each group by
        itself, and the rollouts of a group alike.
    name
        What to call it; None for the callable's own.

    Raises
    ------
    TypeError
        Not callable, or a rule of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> import maxpo_lab as ml
    >>> from maxpo_lab.losses import off_policy_advantages
    >>> rule = ml.ratio_rule(off_policy_advantages)
    >>> rule(np.array([[1.0, 0.0, 0.0]]), 1, log_ratios=np.zeros((1, 3))).tolist()
    [[1.0, -0.5, -0.5]]
    """
    known: object = f
    of_another_kind = couples(known) or has_memory(known) or takes_vectors(known)
    if of_another_kind or isinstance(known, Estimator | RatioRule) or not callable(f):
        raise TypeError(
            f"f={f!r} is a {type(f).__name__}: it must be a callable (rewards (B, n), k, log_ratios=(B, n)) "
            f"-> (B, n)"
        )
    return RatioRule(f, _name(f) if name is None else name)


def _name(function: Callable[..., Any]) -> str:
    found = (getattr(function, each, None) for each in ("name", "__name__"))
    return next((name for name in found if isinstance(name, str) and name), repr(function))


def couples(rule: object) -> TypeGuard[OfBatches]:
    """Whether a rule says that it couples the groups of a batch."""
    return isinstance(rule, BatchEstimator | BatchRule)


def takes_vectors(rule: object) -> TypeGuard[OfVectors]:
    """Whether a rule says that its rollouts carry several numbers."""
    return isinstance(rule, VectorEstimator | VectorBatchEstimator | VectorRule)


def has_memory(rule: object) -> TypeGuard[WithMemory]:
    """Whether a rule says that it remembers earlier steps."""
    return isinstance(rule, MemoryEstimator | MemoryRule)
