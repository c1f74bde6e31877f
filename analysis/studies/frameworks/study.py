"""The audit of what public frameworks compute: one cell per rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import maxpo_lab as ml
from maxpo_lab.integrations.frameworks import get_framework

from ...run.presets import Preset
from . import inside
from .losses import Judged, judged
from .subjects import AS_CODED, FROM_PACKAGES, Subject, coded_rule

#: Claims that are put to every rule.
_CLAIMS = ("unbiased", "centered")


@dataclass(frozen=True, slots=True)
class Cell:
    """A subject at a group size and K.

    ``inside``: the versions of the package that it is run from and of what that computes with, as a result
    depends on them.
    """

    origin: str
    framework: str
    rule: str
    n: int
    k: int
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What the audit says of one rule.

    ``version``: of the package that was run, None for rules made after the code. ``equals``, ``formula``:
    what the registry says that it is; ``differs``: a smallest group on which it is not, or None. ``verdict``:
    E[g] is the target's gradient (``"unbiased"``), a constant times it (``"scaled"``), 0 (``"nothing"``), or
    neither (``"other"``); ``"not judged"`` where the rule misbehaves. ``scale``: the constant in front of the
    target's gradient, None where there is none. ``worst_sum``: largest ``|sum A|``. ``efficiency_*``:
    variance floor over ``tr Cov / c^2`` on 0/1 rewards with many right answers, None where the direction is
    not the target's. ``flat``, ``unscorable``: what groups of equal rewards of 0.1 get, and what becomes of a
    NaN reward. ``ties``: whether equal rewards may get different advantages. ``lengths``: whether those of
    responses change advantages, None where no call tells them. ``law``: what a factor of the rewards does to
    advantages, and ``law_up_to``, of 3, 10, 100, ..., the largest up to which it does.

    Of rules of a batch, None for others: ``couples``, the number in which prompts meet; ``order``, s of
    ``P^-s`` by which the batch's bias falls; ``through_*`` that bias, and ``angle_*``, at P = 8 and 32;
    ``weight_least``, ``weight_most``, of a hard, a medium and an easy prompt at P = 8; ``at_large_p``, the
    scale there. ``misbehaves``: what keeps a rule from being judged, or None.

    ``numbers``: what the package's own code gives the groups of ``numbers.GROUPS`` and more, as JSON of texts
    of five digits; ``afterwards``: what becomes of that. ``loss``: the framework's by default, and
    ``loss_*`` the expected update of the rule under it, see ``losses.Judged``.
    """

    framework: str
    rule: str
    origin: str
    version: str | None
    equals: str
    differs: str | None
    formula: str
    n: int
    k: int
    target: str
    rewards: str
    climbs: str
    verdict: str
    scale: float | None
    centered: str | None
    worst_sum: float | None
    direction_error: float | None
    efficiency_hard: float | None
    efficiency_medium: float | None
    efficiency_easy: float | None
    dead_groups_medium: float | None
    flat: str
    flat_largest: float | None
    unscorable: str
    ties: str | None
    lengths: str | None
    law: str | None
    law_up_to: float | None
    nearest: str
    precision: str | None
    couples: str | None
    order: float | None
    through_8: float | None
    through_32: float | None
    angle_8: float | None
    angle_32: float | None
    weight_least: float | None
    weight_most: float | None
    at_large_p: float | None
    misbehaves: str | None
    numbers: str | None
    afterwards: str
    loss: str | None
    loss_angle: float | None
    loss_scale: float | None
    loss_angle_lagged: float | None
    loss_scale_lagged: float | None


def cells(preset: Preset) -> Sequence[Cell]:
    """Rules as coded at every preset, TRL's from its package at ``standard``, those of all at ``paper``.

    As coded at n = 16 too, where a package's rule is what it equals, and costs a process that imports it.
    """
    sizes = {"smoke": [(4, 2)], "standard": [(8, 4)], "paper": [(8, 4), (16, 4)]}[preset]
    run: Sequence[Subject] = FROM_PACKAGES
    if preset != "paper":
        own = "own" if preset == "standard" else None
        run = [each for each in run if get_framework(each.framework).environment == own]
    return [
        Cell(each.origin, each.framework, each.name, n, n if each.k == 0 else k, _inside(each))
        for n, k in sizes
        for each in (*AS_CODED, *(run if (n, k) == sizes[0] else ()))
    ]


def measure(cell: Cell) -> list[Row]:
    """The report of the audit, in one row."""
    subject = next(
        each
        for each in (*AS_CODED, *FROM_PACKAGES)
        if (each.origin, each.framework, each.name) == (cell.origin, cell.framework, cell.rule)
    )
    if cell.inside != _inside(subject):
        raise RuntimeError(f"this machine has {_inside(subject)}: the cell is of {cell.inside}")
    return [_row(subject, *_audited(subject, cell.n, cell.k), judged(subject, n=cell.n, k=cell.k))]


def _audited(subject: Subject, n: int, k: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The report as plain values, and the numbers of a rule that was run."""
    arguments: dict[str, Any] = {"n": n, "k": k, "target": subject.target, "claims": _CLAIMS}
    if subject.origin == "package":
        rule = get_framework(subject.framework).rule(subject.name)
        arguments["claims"] += (f"equals:{rule.equals_of_tokens or rule.equals}",)
        found = inside.audited(subject.framework, subject.name, seconds=120.0, **arguments)
        return found["audit"], found["numbers"]
    return ml.audit(coded_rule(subject.rule), **arguments).as_dict(), None


def _inside(subject: Subject) -> str | None:
    """Versions that a rule is run with, ``"torch 2.13.0, verl 0.9.1"``; None where they are not here."""
    if subject.origin != "package":
        return None
    found = inside.installed(get_framework(subject.framework))
    return ", ".join(f"{name} {version}" for name, version in found.items()) or None


def shown(numbers: dict[str, Any]) -> dict[str, str]:
    """Numbers as texts of five digits, what is alike at the end once: ``"1.5, -0.5 (x3)"``."""
    return {name: each if isinstance(each, str) else _text(each) for name, each in numbers.items()}


def _text(values: Sequence[float]) -> str:
    texts = [f"{value:.5g}" for value in values]
    tail = 1
    while tail < len(texts) and texts[-tail - 1] == texts[-1]:
        tail += 1
    return ", ".join(texts) if tail < 3 else ", ".join([*texts[:-tail], f"{texts[-1]} (x{tail})"])


def _row(
    subject: Subject, report: dict[str, Any], numbers: dict[str, Any] | None, loss: Judged | None
) -> Row:
    run = subject.origin == "package"
    rule = get_framework(subject.framework).rule(subject.name) if run else None
    ascent = report["ascent"] or {}
    symmetries = report["symmetries"] or {}
    lengths = report["lengths"] or {}
    coupling = report["coupling"] or {}
    edges = {case["label"]: case for case in (report["edges"] or {}).get("cases", ())}
    many = {
        under["difficulty"]: under
        for under in report["policies"] or ()
        if (under["rewards"], under["right_answers"]) == ("binary", "many")
    }
    graded = [each["direction_error"] for each in report["policies"] or () if each["rewards"] != "binary"]
    flat = edges.get("all equal, 0.1", {})
    return Row(
        framework=subject.framework,
        rule=subject.name,
        origin=subject.origin,
        version=get_framework(subject.framework).version if run else None,
        equals=subject.rule,
        differs=_differs(report),
        formula=rule.formula if rule else "",
        n=report["n"],
        k=report["k"],
        target=subject.target,
        rewards=report["rewards"],
        climbs=_climbs_coupled(subject.target, report) if coupling else _climbs(ascent, lengths),
        verdict=_verdict_coupled(report) if coupling else _verdict(ascent, lengths),
        scale=ascent.get("scale")
        if ascent.get("proportional_to_target") and not lengths.get("fault")
        else None,
        centered=_word(coupling["balance"] == "group" if coupling else symmetries.get("centered")),
        worst_sum=symmetries.get("largest_sum"),
        direction_error=max(filter(None, graded), default=None),
        efficiency_hard=many.get("hard", {}).get("efficiency"),
        efficiency_medium=many.get("medium", {}).get("efficiency"),
        efficiency_easy=many.get("easy", {}).get("efficiency"),
        dead_groups_medium=many.get("medium", {}).get("dead_groups"),
        flat=flat.get("remark", ""),
        flat_largest=max(map(abs, flat["advantages"])) if flat.get("advantages") else None,
        unscorable=edges.get("one NaN", {}).get("remark", ""),
        ties=_word(symmetries["tie"] is not None) if symmetries else None,
        lengths=_word(lengths["rewards"] is not None) if lengths else None,
        law=symmetries.get("scale"),
        law_up_to=symmetries.get("scale_up_to"),
        nearest=_nearest(report["nearest"]),
        precision=report["precision"],
        **_over_sizes(coupling),
        misbehaves="; ".join(found["kind"] for found in report["misbehaviours"]) or None,
        numbers=json.dumps(shown(numbers)) if numbers else None,
        afterwards=rule.afterwards if rule else "",
        loss=loss.name if loss else None,
        loss_angle=loss.angle if loss else None,
        loss_scale=loss.scale if loss else None,
        loss_angle_lagged=loss.angle_lagged if loss else None,
        loss_scale_lagged=loss.scale_lagged if loss else None,
    )


def _differs(report: dict[str, Any]) -> str | None:
    """Where a rule is not the one that it is said to be; None where it is on every group tried."""
    found = [each for each in report["claims"] if each["claim"].startswith("equals:") and not each["holds"]]
    return found[0]["detail"] if found else None


def _over_sizes(coupling: dict[str, Any]) -> dict[str, Any]:
    """The columns of rules of a batch."""
    over = coupling.get("over_sizes", {})
    at = {row["size"]: row for row in over.get("rows", ())}
    small, large, limit = at.get(8, {}), at.get(32, {}), over.get("limit") or {}
    words = {"reward_sum": "sum of rewards", "advantage_rms": "rms of advantages", None: "more than a sum"}
    return {
        "couples": words[over["statistic"]] if over else None,
        "order": over.get("order"),
        "through_8": small.get("through"),
        "through_32": large.get("through"),
        "angle_8": small.get("direction_error"),
        "angle_32": large.get("direction_error"),
        "weight_least": min(small["weights"]) if small else None,
        "weight_most": max(small["weights"]) if small else None,
        "at_large_p": limit.get("scale"),
    }


def _climbs_coupled(target: str, report: dict[str, Any]) -> str:
    found = _over_sizes(report["coupling"])
    if _verdict_coupled(report) == "unbiased":
        return f"unbiased for {target}, at every P"
    order = "of no order seen" if found["order"] is None else f"of order 1/P^{found['order']:.2g}"
    order = order.removesuffix("^1")
    limit = (
        f"{found['at_large_p']:.3g} x the {target} gradient at large P" if found["at_large_p"] else "no limit"
    )
    return f"{limit}; through the batch a bias {order}, {found['through_8']:.2g} of the gradient at P = 8"


def _verdict_coupled(report: dict[str, Any]) -> str:
    unbiased = next(claim for claim in report["claims"] if claim["claim"] == "unbiased")
    return "unbiased" if unbiased["holds"] else "coupled"


def _climbs(ascent: dict[str, Any], lengths: dict[str, Any]) -> str:
    text: str = ascent.get("text", "not decided")
    return (
        f"where responses are equally long, {text}; else {lengths['fault']}" if lengths.get("fault") else text
    )


def _verdict(ascent: dict[str, Any], lengths: dict[str, Any]) -> str:
    if not ascent:
        return "not judged"
    if lengths.get("fault"):
        return "other"
    if ascent["unbiased_for_target"]:
        return "unbiased"
    if ascent["proportional_to_target"]:
        return "scaled"
    return "nothing" if ascent["scale"] == 0 else "other"


def _word(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _nearest(near: dict[str, Any] | None) -> str:
    if near is None:
        return ""
    scale = "" if near["scale"] == 1 else f"{near['scale']:.4g} x "
    return f"{'= ' if near['exact'] else 'near '}{scale}{near['name']}"
