"""How the tokens of a batch are averaged: one factor a rollout, from the lengths of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.arguments import check_choice, finite_number
from ..core.arrays import Array, Namespace

#: Which lengths the factor of a rollout depends on, beside its own.
Coupling = Literal["none", "group", "batch"]
Kind = Literal[
    "sequence-sum", "sequence-mean", "constant", "padded", "group-token-mean", "token-mean", "token-sum"
]

_COUPLING: dict[str, Coupling] = {"group-token-mean": "group", "token-mean": "batch"}
EQUATIONS: dict[str, str] = {
    "sequence-sum": "f_i = 1",
    "sequence-mean": "f_i = 1/|o_i|",
    "constant": "f_i = 1/L",
    "padded": "f_i = 1/T, T the width of the padded batch",
    "group-token-mean": "f_i = n / sum of |o_j| over the group",
    "token-mean": "f_i = N / sum of |o_j| over the batch, N its rollouts",
    "token-sum": "f_i = N, the rollouts of the batch",
}
KINDS = tuple(EQUATIONS)


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    r"""Factors ``f_i`` of rollouts, so that the loss is ``(1/N) sum_i f_i sum_t loss_it`` over N rollouts.

    Attributes
    ----------
    kind
        ``"sequence-sum"`` (1, today's g), ``"sequence-mean"`` (1/|o|, GRPO), ``"constant"`` (1/L, Dr. GRPO),
        ``"padded"`` (1/T), ``"group-token-mean"``, ``"token-mean"`` (of the batch, DAPO) or ``"token-sum"``.
    length
        The L of ``"constant"``; None for the others.
    empty
        Rollouts of no tokens in N: ``"count"`` them, ``"skip"`` them, or ``"refuse"`` them where a factor
        divides by their length.
    """

    kind: Kind = "sequence-sum"
    length: float | None = None
    empty: Literal["count", "skip", "refuse"] = "refuse"

    def __post_init__(self) -> None:
        check_choice("aggregation", self.kind, KINDS)
        check_choice("empty", self.empty, ("count", "skip", "refuse"))
        if (self.kind == "constant") != (self.length is not None):
            raise ValueError(
                f"length={self.length!r} with aggregation={self.kind!r}: 'constant' takes a length, the others "
                f"none; e.g. Aggregation(kind='constant', length=1024)"
            )
        if self.length is not None and finite_number(self.length, "length") <= 0:
            raise ValueError(f"length={self.length!r}: must be above 0, e.g. length=1024")

    @property
    def equation(self) -> str:
        """The factor as one line of text."""
        return EQUATIONS[self.kind]

    @property
    def couples(self) -> Coupling:
        """Whose lengths a rollout's factor depends on: its own (``"none"``), its group's, or the batch's.

        Skipped rollouts couple the batch.
        """
        return "batch" if self.empty == "skip" else _COUPLING.get(self.kind, "none")

    def factors(self, xp: Namespace, lengths: Array, *, width: int) -> Array:
        """Factors of rollouts of these lengths (..., n), of a floating type; ``width`` is T.

        The axes before n are the groups of one batch.

        Raises
        ------
        ValueError
            No tokens at all; a rollout, or a group, of none where they are refused; an empty batch.
        """
        count = 1
        for size in lengths.shape:
            count *= size
        total = xp.sum(lengths)
        if not bool(total > 0):
            raise ValueError(
                f"mask: none of the {count} rollouts has a token: a loss needs one at least; leave this batch "
                f"out"
            )
        factors = self._each(xp, lengths, total, count, width)
        if self.empty == "skip":
            factors = factors * (count / xp.sum(xp.astype(lengths > 0, lengths.dtype)))
        return factors

    def _each(self, xp: Namespace, lengths: Array, total: Array, count: int, width: int) -> Array:
        one = xp.ones_like(lengths)
        if self.kind == "sequence-mean":
            return 1 / self._positive(xp, lengths, "rollout")
        if self.kind == "group-token-mean":
            tokens = self._positive(xp, xp.sum(lengths, axis=-1, keepdims=True), "group")
            return one * (lengths.shape[-1] / tokens)
        if self.kind == "token-mean":
            return one * (count / total)
        if self.kind == "token-sum":
            return one * count
        if self.kind == "constant":
            return one / self.length
        return one / width if self.kind == "padded" else one

    def _positive(self, xp: Namespace, lengths: Array, whose: str) -> Array:
        empty = lengths < 1
        if self.empty == "refuse" and bool(xp.any(empty)):
            flat = int(xp.argmax(xp.astype(xp.reshape(empty, (-1,)), xp.int8)))
            raise ValueError(
                f"mask: {whose} {flat} of {empty.shape[0] if empty.ndim == 1 else 'the batch'} has no token, and "
                f"{self.kind} divides by how many it has; leave it out, or take a loss with empty='count' (it "
                f"counts as 0) or empty='skip' (it does not count)"
            )
        return xp.where(empty, 1.0, lengths)
