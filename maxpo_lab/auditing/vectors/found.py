"""What the audit finds of a rule of several rewards."""

from __future__ import annotations

from dataclasses import dataclass

from ..batches.claims import Balance
from ..batches.sizes import OverSizes
from .coupled import MetRows
from .edges import RowEdges
from .laws import Laws
from .policies import UnderRows
from .structure import Sees


@dataclass(frozen=True, slots=True)
class RowCoupling:
    """How the groups of a batch meet.

    Attributes
    ----------
    met
        Two batches in which a group gets another answer; None where it does in none of those tried.
    over_sizes
        Bias, scale, direction and weights at P = 2, 4, 8, ..., and the rule at large P.
    answers
        What rollouts of these prompts have, see ``reference_rows``: ``"independent"`` rewards; where these
        make too many groups, or the rule refuses two at a time, ``"exclusive"`` ones.
    balance
        See ``Balance``.
    """

    met: MetRows | None
    over_sizes: OverSizes
    answers: str
    balance: Balance


@dataclass(frozen=True, slots=True)
class Vectors:
    """A rule of several rewards.

    Attributes
    ----------
    reward_weights
        Those of the objectives.
    rows
        The rows of rewards, and lengths, on which claims were decided.
    sees
        See ``Sees``; of a rule of batches as it is in a batch of one prompt. None where it refuses these.
    sees_weights
        The weights at which it sees that; None where there are none.
    laws, policies, edges
        See the classes; None for a rule of batches.
    coupling
        How the groups of a batch meet; None for a rule of one group.
    """

    reward_weights: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    sees: Sees | None
    sees_weights: tuple[float, ...] | None
    laws: Laws | None
    policies: tuple[UnderRows, ...] | None
    edges: RowEdges | None
    coupling: RowCoupling | None
