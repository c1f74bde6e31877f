"""Rules of any origin behind one call: how they are called, what is observed of them, and whom they fail.

A *rule* is any callable ``(rewards (B, n), k) -> (B, n)``; an *estimator* is a rule of the catalogue.
A *value rule* is any callable ``(rewards (B, n), k) -> (B,)``.
"""

from .batch_admission import admit_batch, hold_order_of_rollouts
from .batch_calls import BatchCalls, of_batches
from .behaviour import Behaviour, admit, equivariance, observe
from .calling import Rule, describe, evaluate, k_at_most, per_group, resolve, resolve_value
from .errors import (
    BadShapeError,
    CoupledRowsError,
    NotFiniteError,
    NotRealError,
    RandomRuleError,
    RuleError,
    StatefulRuleError,
)
from .kinds import BatchRule, MemoryRule, OfBatches, WithMemory, batch_rule, couples, has_memory, memory_rule
from .outputs import ADVANTAGES, VALUES, Output
from .rounding import finest, precision_of, tolerance

__all__ = [
    "ADVANTAGES",
    "VALUES",
    "BadShapeError",
    "BatchCalls",
    "BatchRule",
    "Behaviour",
    "CoupledRowsError",
    "MemoryRule",
    "NotFiniteError",
    "NotRealError",
    "OfBatches",
    "Output",
    "RandomRuleError",
    "Rule",
    "RuleError",
    "StatefulRuleError",
    "WithMemory",
    "admit",
    "admit_batch",
    "batch_rule",
    "couples",
    "describe",
    "equivariance",
    "evaluate",
    "finest",
    "has_memory",
    "hold_order_of_rollouts",
    "k_at_most",
    "memory_rule",
    "observe",
    "of_batches",
    "per_group",
    "precision_of",
    "resolve",
    "resolve_value",
    "tolerance",
]
