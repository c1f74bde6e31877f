"""What an audit found, as data: for programs (JSON), for an exit code, and for people's reports to show."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..batches.found import Coupling
from ..decide.claims import Verdict
from ..decide.edges import Edges
from ..decide.lengths import Lengths
from ..decide.nearest import Nearest
from ..decide.objective import Ascent
from ..decide.policies import UnderPolicy
from ..decide.symmetries import Symmetries
from ..guard import Misbehaviour
from ..memories.found import Memory
from ..vectors.found import Vectors


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a rule at a group size and K keeps its claims.

    Attributes
    ----------
    rule
        Its name.
    n, k
        Where it was judged.
    misbehaviours
        What no rule may do. One that makes exact moments meaningless leaves every claim undecided.
    claims
        A verdict for each claim.
    """

    rule: str
    n: int
    k: int
    misbehaviours: tuple[Misbehaviour, ...]
    claims: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every claim holds and the rule does nothing that no rule may do."""
        return not self.misbehaviours and all(verdict.holds for verdict in self.claims)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values; what is not a finite number is None or, infinite, its name."""
        return _plain({**asdict(self), "passed": self.passed})  # type: ignore[no-any-return]

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(self.as_dict(), indent=2)


@dataclass(frozen=True, kw_only=True)
class Findings(Decision):
    """What ``audit`` found.

    Attributes
    ----------
    signature
        The calling convention.
    target, rewards, levels
        What was audited; ``rewards`` is the kind on which the claims were decided, ``levels`` the rewards
        themselves, none where they are continuous.
    precision
        The type that the rule computes in.
    ascent, symmetries, policies, edges, nearest
        See the classes of these names; None where a misbehaviour ended the audit.
    coupling
        How the groups of a batch meet; None for a rule of one group, and where a misbehaviour ended the
        audit.
    memory
        What was found of a rule that remembers, at each state; None for any other.
    vectors
        What was found of a rule of several rewards; None for any other. ``levels`` are none there, see its
        ``rows``.
    lengths
        Whether lengths of responses change advantages; None too where no call tells the rule lengths.
    failing_test
        The source of a pytest test that fails for the first broken claim; None where all hold.
    """

    signature: str
    target: str
    rewards: str
    levels: tuple[float, ...]
    precision: str | None
    ascent: Ascent | None
    symmetries: Symmetries | None
    lengths: Lengths | None
    policies: tuple[UnderPolicy, ...] | None
    edges: Edges | None
    nearest: Nearest | None
    coupling: Coupling | None
    memory: Memory | None
    vectors: Vectors | None
    failing_test: str | None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value
