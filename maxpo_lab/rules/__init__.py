"""Rules of any origin behind one call: how they are called, what is observed of them, and whom they fail.

A *rule* is any callable ``(rewards (B, n), k) -> (B, n)``; an *estimator* is a rule of the catalogue.
A *value rule* is any callable ``(rewards (B, n), k) -> (B,)``.
"""

from .batch_admission import admit_batch, hold_order_of_rollouts
from .batch_calls import BatchCalls, of_batches
from .behaviour import Behaviour, admit, equivariance, observe
from .calling import Rule, describe, evaluate, k_at_most, per_group, refuse_ratios, resolve, resolve_value
from .errors import (
    BadShapeError,
    CoupledRowsError,
    NotFiniteError,
    NotRealError,
    RandomRuleError,
    RuleError,
    StatefulRuleError,
    VectorRuleError,
)
from .kinds import (
    BatchRule,
    MemoryRule,
    OfBatches,
    OfVectors,
    RatioRule,
    VectorRule,
    WithMemory,
    batch_rule,
    couples,
    has_memory,
    memory_rule,
    ratio_rule,
    takes_vectors,
    vector_rule,
)
from .numbered import ByNumber, by_number
from .outputs import ADVANTAGES, ADVANTAGES_OF_ROWS, VALUES, Output
from .rounding import finest, precision_of, tolerance

__all__ = [
    "ADVANTAGES",
    "ADVANTAGES_OF_ROWS",
    "VALUES",
    "BadShapeError",
    "BatchCalls",
    "BatchRule",
    "Behaviour",
    "ByNumber",
    "CoupledRowsError",
    "MemoryRule",
    "NotFiniteError",
    "NotRealError",
    "OfBatches",
    "OfVectors",
    "Output",
    "RandomRuleError",
    "RatioRule",
    "Rule",
    "RuleError",
    "StatefulRuleError",
    "VectorRule",
    "VectorRuleError",
    "WithMemory",
    "admit",
    "admit_batch",
    "batch_rule",
    "by_number",
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
    "ratio_rule",
    "refuse_ratios",
    "resolve",
    "resolve_value",
    "takes_vectors",
    "tolerance",
    "vector_rule",
]
