"""What was found of a rule of several rewards, in words: the facts and rows that every form of it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...moments.against_gradient import straight
from ...objectives import as_vector_objective, in_words
from ..batches.sizes import OverSizes
from ..vectors.edges import RowCase, RowEdges
from ..vectors.found import RowCoupling, Vectors
from ..vectors.laws import Laws, OfReward
from ..vectors.policies import UnderRows
from ..vectors.rows import plain_row, plain_rows
from .numbers import number

ROW_POLICY_COLUMNS = (
    "answers",
    "p",
    "rel.\nbias",
    "scale",
    "angle",
    "to the\nmean",
    "to max@K\nof the sum",
    "to max@K\nof each",
    "floor /\nnoise",
    "dead",
)
ROW_EDGE_COLUMNS = ("group", "n", "K", "advantages", "")

_SEES = {
    "sum": "the weighted sum of the rewards alone: sum, then rule",
    "each": "each reward by itself: rule, then sum",
    "both": "a weighted sum, linearly: to sum before or after is the same",
    "neither": "neither the weighted sum alone nor each reward by itself",
}


def target_in_words(vectors: Vectors, target: str, n: int, k: int) -> str:
    """The target of the audit, with its weights."""
    d = len(vectors.reward_weights)
    table = np.array([row[:d] for row in vectors.rows])
    objective = as_vector_objective(target, n, k, weights=vectors.reward_weights, table=table)
    return f"{in_words(objective)} (weights {plain_row(vectors.reward_weights)})"


def rows_in_words(vectors: Vectors) -> str:
    """How many rows there are, of which values."""
    d = len(vectors.reward_weights)
    values = sorted({value for row in vectors.rows for value in row[:d]})
    lengths = sorted({row[d] for row in vectors.rows if len(row) > d})
    told = f" of {', '.join(f'{value:g}' for value in lengths)} tokens" if lengths else ""
    return f"{len(vectors.rows)} rows of {d} rewards at {', '.join(f'{value:g}' for value in values)}{told}"


def vector_facts(vectors: Vectors) -> list[tuple[str, str]]:
    """What was found, each fact under a label."""
    found = []
    if vectors.sees is not None:
        at = vectors.sees_weights
        other = at is not None and at != vectors.reward_weights and vectors.sees != "neither"
        found.append(
            ("sees", _SEES[vectors.sees] + (f", at weights {plain_row(at)}" if other and at else ""))
        )
    if vectors.laws is not None:
        found += _law_facts(vectors.laws)
    if vectors.coupling is not None:
        found += _coupling_facts(vectors.coupling)
    if vectors.edges is not None and vectors.edges.float32_error is not None:
        found.append(("float32", f"moves advantages by {vectors.edges.float32_error:.1e} of the largest"))
    return found


def _law_facts(laws: Laws) -> list[tuple[str, str]]:
    centered = "yes: every group's advantages sum to 0"
    if not laws.centered:
        given = laws.worst_advantages
        centered = (
            f"no: {plain_rows(laws.worst_group)} gets {plain_row(given)}, which sum to {sum(given):.4g}"
        )
    every = {
        "linear": "multiplies advantages by c",
        "invariant": "changes nothing, but for an epsilon",
        "none": "changes advantages by no law",
        None: "is refused",
    }
    places = {
        True: "changes nothing",
        False: "changes advantages",
        None: "is refused",
    }
    uses = {True: "used", False: "not used", None: "no other K was accepted"}
    found = [
        ("centered", centered),
        ("all rewards x c", every[laws.scale]),
        (
            "one reward x c",
            _by_reward(laws, "scale", "changes nothing, but for an epsilon", "changes advantages"),
        ),
        ("one reward + c", _by_reward(laws, "shift", "changes nothing", "changes advantages")),
        (
            "a flat reward",
            _by_reward(laws, "flat", "counts for nothing, however high", "counts by its height"),
        ),
        ("rewards swapped", places[laws.exchangeable]),
        ("K", uses[laws.uses_k]),
    ]
    if laws.lengths is not None:
        rows, told = laws.lengths
        found.append(("lengths", f"of responses matter: {rows} gets {told} as where they are equally long"))
    return found


def _by_reward(laws: Laws, which: str, yes: str, no: str) -> str:
    """One phrase where all rewards are alike in this, else one for each."""
    words = {True: yes, False: no, None: "is refused"}
    told = [words[_answer(each, which)] for each in laws.rewards]
    if len(set(told)) == 1:
        return told[0]
    return "; ".join(f"reward {place + 1} {text}" for place, text in enumerate(told))


def _answer(each: OfReward, which: str) -> bool | None:
    found: bool | None = getattr(each, which)
    return found


def _coupling_facts(coupling: RowCoupling) -> list[tuple[str, str]]:
    found = [("coupling", _meeting(coupling)), ("as P grows", _order(coupling.over_sizes))]
    words = {
        "group": "yes: every group's advantages sum to 0",
        "batch": "no: those of the batch sum to 0, those of a group do not",
        "none": "no: neither those of a group nor those of the batch sum to 0",
    }
    return [*found, ("centered", words[coupling.balance])]


def _meeting(coupling: RowCoupling) -> str:
    met = coupling.met
    if met is None:
        return "no group of two prompts changes with the other in those tried"
    how = {
        "scale": "scale a group's advantages",
        "shift": "shift them by one number",
        "other": "change them",
    }
    through = (
        "through the root mean square of what a group rule gives the batch"
        if coupling.over_sizes.statistic
        else "in another way than through the rms of a group rule's advantages"
    )
    return (
        f"{through}, the others {how[met.effect]}: {met.group} gets {plain_row(met.given)} beside "
        f"{met.company}, {plain_row(met.given_otherwise)} beside {met.other_company}"
    )


def _order(over: OverSizes) -> str:
    if over.vanishes is None:
        return "no bias through the batch, to four standard errors where the others were sampled"
    if not over.vanishes:
        return f"the bias does not vanish: its steps go as P^{-(over.order or 0):.2g}"
    power = over.order or 0.0
    named = {1.0: "1/P", 2.0: "1/P^2"}.get(power, f"P^-{power:.2g}")
    limit = over.limit
    left = "" if limit is None else f"; {number(limit.relative_bias)} of the gradient is left, the rule's own"
    return f"the bias through the batch is of order {named}{left}"


def row_policy_rows(policies: Sequence[UnderRows]) -> list[tuple[str, ...]]:
    """A row of ``ROW_POLICY_COLUMNS`` for each policy."""
    return [
        (
            under.answers,
            f"{under.success:g}",
            "0" if under.relative_bias <= under.resolution else number(under.relative_bias),
            number(under.scale),
            *(
                "0" if straight(angle, under.resolution) else number(angle)
                for angle in (under.direction_error, under.to_mean, under.to_sum, under.to_each)
            ),
            number(under.efficiency),
            number(under.dead_groups),
        )
        for under in policies
    ]


def row_edge_rows(edges: RowEdges) -> list[tuple[str, ...]]:
    """A row of ``ROW_EDGE_COLUMNS`` for each group at the edges."""
    return [
        (case.label, str(case.n), str(case.k), case.refusal or _summary(case), case.remark)
        for case in edges.cases
    ]


def _summary(case: RowCase) -> str:
    """Each row with the advantages that it got: ``(0, 0) -> -0.667 (x7), (1, 1) -> 2``."""
    pairs: dict[tuple[str, str], int] = {}
    for row, advantage in zip(case.rewards, case.advantages or (), strict=True):
        key = (plain_row(row), f"{advantage:.4g}")
        pairs[key] = pairs.get(key, 0) + 1
    return ", ".join(
        f"{row} -> {advantage}" + (f" (x{times})" if times > 1 else "")
        for (row, advantage), times in pairs.items()
    )
