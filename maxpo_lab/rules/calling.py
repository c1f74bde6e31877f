"""Rules of any origin: names, estimators and users' own callables behind one call, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.arguments import as_k
from ..core.arrays import Float
from ..core.precision import as_numpy
from ..estimators import Estimator, get_estimator
from ..estimators.entry import Entry
from ..evaluation import ValueRule, get_value_rule
from .errors import BadShapeError, CoupledRowsError, NotFiniteError, NotRealError, StatefulRuleError
from .kinds import OfBatches, WithMemory, couples, has_memory
from .outputs import ADVANTAGES, Output

Rule = Callable[[Any, int], Any]


def per_group(rule: Rule) -> Rule:
    """Lift a rule for one group, ``(rewards (n,), k) -> (n,)``, to batches ``(B, n)``, row by row.

    A value rule for one group, ``(rewards (n,), k) -> number``, becomes ``(rewards (B, n), k) -> (B,)``.
    """

    def lifted(rewards: Any, k: int) -> Float:
        return np.stack([as_numpy(rule(row, k)) for row in np.asarray(rewards)])

    lifted.__name__ = f"per_group({describe(rule)})"
    return lifted


def describe(rule: str | Rule | OfBatches | WithMemory) -> str:
    """A name to call a rule by in messages."""
    if isinstance(rule, str):
        return rule
    names = (getattr(rule, each, None) for each in ("name", "__name__"))
    return next((name for name in names if isinstance(name, str) and name), repr(rule))


def k_at_most(estimator: object, n: int) -> int | None:
    """What a k is checked against before its rule is: n, or None where the rule goes beyond and says how far.

    Raises ValueError for an unknown name.
    """
    rule = get_estimator(estimator) if isinstance(estimator, str) else estimator
    return None if isinstance(rule, Entry) and rule.largest_k(n) > n else n


def resolve(estimator: str | Rule | OfBatches | WithMemory, n: int, k: int) -> Rule:
