"""An audit report in words: the facts and rows that every form of it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...moments.against_gradient import straight
from ...objectives import PER_REWARD, as_objective, in_words
from ..batches.found import Coupling
from ..batches.sizes import AtSize, Limit, OverSizes
from ..decide.claims import Verdict
from ..decide.edges import Case
from ..decide.lengths import Lengths
from ..decide.nearest import Nearest
from ..decide.objective import scale_in_symbols
from ..decide.policies import SUCCESS, UnderPolicy
from ..decide.symmetries import FACTORS, Symmetries
from ..memories.found import Memory
from .findings import Findings
from .numbers import number
from .of_vectors import rows_in_words, target_in_words, vector_facts

#: Weights that differ by less are those of one factor: an extrapolation has three digits.
_EVEN = 0.02
#: A bias above this is one, also of a rule that computes in float32.
_SEEN = 1e-5
#: A bias below this is the rounding of sums.
_ROUNDING = 1e-9

POLICY_COLUMNS = (
    "policy",
    "p",
    "rel.\nbias",
    "scale",
    "angle",
    "noise /\nmaxpo",
    "noise /\nloo1",
    "floor /\nnoise",
    "dead",
)
BATCH_COLUMNS = (
    "P",
    "rel.\nbias",
    "scale",
    "angle",
    *(f"weight\np = {success:g}" for success in SUCCESS.values()),
    "through\nthe batch",
    "dead",
    "found by",
)
STATE_COLUMNS = ("state", "centered", "pays dead groups", "climbs")
EDGE_COLUMNS = ("group", "n", "K", "advantages", "")


def setting(report: Findings) -> str:
    """Where, on what and how the rule was audited."""
    if report.vectors is None and report.target.startswith(PER_REWARD):
        target = report.target  # of a rule that gave no rows to name it by
    elif report.vectors is None:
        target = in_words(as_objective(report.target, report.n, report.k))
    else:
        target = target_in_words(report.vectors, report.target, report.n, report.k)
    precision = f", computes in {report.precision}" if report.precision else ""
    levels = f" ({', '.join(f'{level:g}' for level in report.levels)})" if report.levels else ""
    levels = levels if report.vectors is None else f" ({rows_in_words(report.vectors)})"
    return (
        f"n = {report.n}, K = {report.k}, target {target}, {report.rewards} rewards{levels}, "
        f"called as {report.signature}{precision}"
    )


def why(verdict: Verdict) -> str:
    """A verdict's reasons, and the rewards beyond which it ends."""
    if verdict.beyond is None:
        return verdict.detail
    return f"{verdict.detail}; for rewards up to {verdict.up_to:g} alone: {verdict.beyond}"


def facts(report: Findings) -> list[tuple[str, str]]:
    """What was found of the rule, each fact under a label."""
    found = []
    if report.ascent is not None:
        found.append(("climbs", report.ascent.text))
        if report.ascent.spectrum is not None:
            weights = " ".join(f"{weight:.4g}" for weight in report.ascent.spectrum)
            found.append(("spectrum", f"{weights}  (weights of pass@1 to pass@{report.n}, on 0/1 rewards)"))
    if report.symmetries is not None:
        found += _symmetry_facts(report.symmetries)
    if report.lengths is not None:
        found.append(("lengths", _lengths(report.lengths)))
    if report.coupling is not None:
        found += _coupling_facts(report.coupling)
    if report.vectors is not None:
        found += vector_facts(report.vectors)
    if report.memory is not None:
        keeps = "what a step gives depends on the steps before" if report.memory.remembers else "of nothing"
        found.append(("memory", keeps))
    if report.nearest is not None:
        found.append(("nearest rule", _nearest(report.nearest, report.n, report.k)))
    if report.edges is not None and report.edges.float32_error is not None:
        found.append(("float32", f"moves advantages by {report.edges.float32_error:.1e} of the largest"))
    return found


def _symmetry_facts(seen: Symmetries) -> list[tuple[str, str]]:
    if seen.centered:
        centered = "yes: every group's advantages sum to 0"
    else:
        centered = (
            f"no: {_numbers(seen.worst_group)} gets {_numbers(seen.worst_advantages)}, which sum to "
            f"{sum(seen.worst_advantages):.4g}"
        )
    order = "does not matter"
    if seen.permuted is not None:
        order = (
            f"matters: {_numbers(seen.permuted[0])} and {_numbers(seen.permuted[1])} get different advantages"
        )
    elif seen.tie is not None:
        order = f"tells equals apart: {_numbers(seen.tie[0])} gets {_numbers(seen.tie[1])}"
    shift = {True: "changes nothing", False: "changes advantages", None: "is refused"}
    scale = {
        "linear": "multiplies advantages by c",
        "invariant": "changes nothing, but for an epsilon",
        "none": "changes advantages by no law",
        None: "is refused",
    }
    uses = {True: "used", False: "not used", None: "no other K was accepted"}
    return [
        ("centered", centered),
        ("order", order),
        ("rewards + c", shift[seen.shift]),
        ("rewards x c", scale[seen.scale] + _up_to(seen)),
        ("K", uses[seen.uses_k]),
    ]


def _coupling_facts(coupling: Coupling) -> list[tuple[str, str]]:
    over = coupling.over_sizes
    found = [("coupling", _meeting(coupling)), ("as P grows", _order(coupling))]
    if over.limit is not None:
        found.append(("at large P", _limit(over.limit)))
    told = [f"{scale:.4g} at P = {size}" for size, scale in coupling.scales if scale is not None]
    if told:
        found.append(
            ("exact direction", f"E[g] is a constant times the target's gradient: {', '.join(told)}")
        )
    words = {
        "group": "yes: every group's advantages sum to 0",
        "batch": "no: those of the batch sum to 0, those of a group do not",
        "none": "no: neither those of a group nor those of the batch sum to 0",
    }
    return [*found, ("centered", words[coupling.balance])]


def _meeting(coupling: Coupling) -> str:
    """Which number of the batch changes a group's advantages, and how; with the batches that show it."""
    met = coupling.met
    if met is None:
        return "no group changes with the others of its batch in those tried"
    by = {
        "reward_sum": {
            "sum": "the sum of the batch's rewards",
            "rewards": "all rewards of the batch together, on 0/1 rewards their sum",
            "groups": "the sum of the batch's rewards where these are 0/1, else its groups",
        }[met.seen],
        "advantage_rms": "the root mean square of what a group rule gives the batch",
        None: "more than the sum of the batch's rewards or the rms of a group rule's advantages",
    }[coupling.over_sizes.statistic]
    how = {
        "scale": "scales a group's advantages",
        "shift": "shifts them by one number",
        "other": "changes them",
    }
    seen = (
        f"{_numbers(met.group)} gets {_numbers(met.given)} beside groups of mean {_numbers(met.company)}, "
        f"{_numbers(met.given_otherwise)} beside {_numbers(met.other_company)}"
    )
    at = "" if met.size == 2 else f", in batches of {met.size} prompts and no smaller ones tried"
    return f"through {by}, which {how[met.effect]}{at}: {seen}"


def _order(coupling: Coupling) -> str:
    over, met = coupling.over_sizes, coupling.met
    if met is not None and met.size == over.rows[-1].size:
        return f"in batches of {met.size} it is another rule than in those of {over.rows[-2].size}"
    if over.vanishes is None:
        sampled = any(row.error and row.error > _ROUNDING for row in over.rows)
        if any((row.through or 0.0) > max(_SEEN, 4 * (row.error or 0.0)) for row in over.rows):
            return "the bias through the batch falls below the noise of its estimate before an order is seen"
        return "no bias through the batch" + (", to four standard errors" if sampled else "")
    if not over.vanishes:
        return f"the bias does not vanish: its steps go as P^{-(over.order or 0):.2g}"
    power = over.order or 0.0
    named = {1.0: "1/P", 2.0: "1/P^2"}.get(power, f"P^-{power:.2g}")
    return f"the bias through the batch is of order {named}"


def _limit(limit: Limit) -> str:
    weights = limit.weights
    if limit.relative_bias <= _EVEN / 4:
        return "the target's gradient"
    if max(weights) - min(weights) <= _EVEN * abs(limit.scale):
        return f"{limit.scale:.3g} x the target's gradient, whatever the difficulty (extrapolated)"
    told = ", ".join(
        f"{weight:.3g} at p = {success:g}" for weight, success in zip(weights, SUCCESS.values(), strict=True)
    )
    return f"weights by difficulty: {told} (extrapolated)"


def batch_rows(over: OverSizes) -> list[tuple[str, ...]]:
    """A row of ``BATCH_COLUMNS`` for each size of a batch."""
    return [
        (
            str(row.size),
            _small(row.relative_bias),
            number(row.scale),
            _small(row.direction_error),
            *(number(weight) for weight in row.weights),
            "-" if row.through is None else _small(row.through) + _error(row),
            number(row.dead),
            row.method,
        )
        for row in over.rows
    ]


def _error(row: AtSize) -> str:
    return f" ± {row.error:.1g}" if row.error and row.error > _ROUNDING else ""


def state_rows(memory: Memory) -> list[tuple[str, ...]]:
    """A row of ``STATE_COLUMNS`` for each state."""
    return [(each.state, "yes" if each.centered else "no", each.pays, each.climbs) for each in memory.states]


def _small(value: float) -> str:
    return "0" if value <= _ROUNDING else number(value)


def _lengths(seen: Lengths) -> str:
    if seen.rewards is None or seen.lengths is None:
        return "of responses change nothing"
    tokens = ", ".join(map(str, seen.lengths))
    return (
        f"of responses matter: rewards {_numbers(seen.rewards)} of [{tokens}] tokens get "
        f"{_numbers(seen.advantages or ())}, equally long ones {_numbers(seen.at_equal or ())}; all else "
        f"here is for equally long ones"
    )


def _up_to(seen: Symmetries) -> str:
    """To which factors a law was followed, where not to all."""
    ends = seen.scale in ("linear", "invariant") and seen.scale_up_to != FACTORS[-1]
    return f", up to c = {seen.scale_up_to:g} and no further" if ends else ""


def _nearest(near: Nearest, n: int, k: int) -> str:
    alike = f" (here the same as {', '.join(near.alike)})" if near.alike else ""
    known = None if near.scale == 1 else scale_in_symbols(near.scale, n, k)
    factor = "" if near.scale == 1 else f"{near.scale:.4g}{f' = {known}' if known else ''} x "
    at = "" if near.k == k else f" at K = {near.k}"
    if near.reward_weights is not None:
        at += f" at weights ({', '.join(f'{weight:.6g}' for weight in near.reward_weights)})"
    if near.exact:
        to = "" if near.precision == "float64" else f", to the precision of {near.precision}"
        return f"equals {factor}{near.name}{at}{to}{alike}"
    return f"{factor}{near.name}, off by {near.distance:.2g} of |A|"


def policy_rows(policies: Sequence[UnderPolicy]) -> list[tuple[str, ...]]:
    """A row of ``POLICY_COLUMNS`` for each policy."""
    return [
        (
            f"{under.rewards}, {under.right_answers}",
            f"{under.success:g}",
            _bias(under),
            number(under.scale),
            _angle(under),
            *(number(each) for each in (under.to_maxpo, under.to_pkpo_loo1, under.efficiency)),
            number(under.dead_groups),
        )
        for under in policies
    ]


def _angle(under: UnderPolicy) -> str:
    return "0" if straight(under.direction_error, under.resolution) else number(under.direction_error)


def _bias(under: UnderPolicy) -> str:
    """A relative bias: 0 where it is rounding, a bound where rounding hides one worth the name."""
    if not under.relative_bias <= under.resolution:
        return number(under.relative_bias)
    return "0" if under.resolution <= 1e-3 else f"< {under.resolution:.1g}"


def edge_rows(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """A row of ``EDGE_COLUMNS`` for each group at the edges."""
    return [
        (case.label, str(case.n), str(case.k), case.refusal or _summary(case), case.remark) for case in cases
    ]


def _summary(case: Case) -> str:
    """Each reward with the advantages that it got: ``0 -> -0.667 (x7), 1 -> 2``."""
    pairs: dict[tuple[str, str], int] = {}
    for reward, advantage in zip(case.rewards, case.advantages or (), strict=True):
        key = (f"{reward:g}", f"{advantage:.4g}")
        pairs[key] = pairs.get(key, 0) + 1
    return ", ".join(
        f"{reward} -> {advantage}" + (f" (x{times})" if times > 1 else "")
        for (reward, advantage), times in pairs.items()
    )


def _numbers(values: Sequence[float]) -> str:
    shown = [f"{value:.4g}" for value in np.asarray(values, dtype=np.float64)]
    return "[" + ", ".join(shown if len(shown) <= 16 else [*shown[:15], "..."]) + "]"
