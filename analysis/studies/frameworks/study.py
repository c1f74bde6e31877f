"""The audit of what public frameworks compute: one cell per rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import maxpo_lab as ml

from ...run.presets import Preset
from . import in_verl
from .in_trl import advantages
from .subjects import AS_CODED, FROM_TRL, FROM_VERL, Subject, coded_rule

#: Claims that are put to every rule.
_CLAIMS = ("unbiased", "centered")


@dataclass(frozen=True, slots=True)
class Cell:
    """A subject, by its place in its list, at a group size and K.

    ``inside``: the versions of the other environment that it is run in, as a result depends on them.
    """

    origin: str
    index: int
    n: int
    k: int
    inside: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What the audit says of one rule.

    ``version``: of the package that was run, None for rules made after the code. ``verdict``: E[g] is the
    target's gradient (``"unbiased"``), a constant times it (``"scaled"``), 0 (``"nothing"``), or neither
    (``"other"``); ``"not judged"`` where the rule misbehaves. ``scale``: the constant in front of the
    target's gradient, None where there is none. ``worst_sum``: largest ``|sum A|``. ``efficiency_*``:
    variance floor over ``tr Cov / c^2`` on 0/1 rewards with many right answers, None where the direction is
    not the target's. ``flat``, ``unscorable``: what groups of equal rewards of 0.1 get, and what becomes of a
    NaN reward. ``ties``: whether equal rewards may get different advantages. ``lengths``: whether those of
    responses change advantages, None where no call tells them. Of rules of a batch, None for others:
    ``couples``, the number in which prompts meet; ``order``, s of ``P^-s`` by which the batch's bias
    falls; ``through_*`` that bias, and ``angle_*``, at P = 8 and 32; ``weight_least``, ``weight_most``, of a
    hard, a medium and an easy prompt at P = 8; ``at_large_p``, the scale there. ``misbehaves``: what keeps a
    rule from being judged, or None.
    """

    framework: str
    rule: str
    origin: str
    version: str | None
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


def cells(preset: Preset) -> Sequence[Cell]:
    """Rules as coded at every preset, TRL's from its package at ``standard``, verl's too at ``paper``."""
    sizes = {"smoke": [(4, 2)], "standard": [(8, 4)], "paper": [(8, 4), (16, 4)]}[preset]
    origins: dict[str, Sequence[Subject]] = {"as coded": AS_CODED}
    if preset != "smoke":
        origins["TRL"] = FROM_TRL
    if preset == "paper":
        origins["verl"] = FROM_VERL
    inside = {"verl": _inside_verl()}
    return [
        Cell(origin, index, n, n if subject.k == 0 else k, inside.get(origin))
        for n, k in sizes
        for origin, subjects in origins.items()
        for index, subject in enumerate(subjects)
    ]


def measure(cell: Cell) -> list[Row]:
    """The report of the audit, in one row."""
    subject = {"as coded": AS_CODED, "TRL": FROM_TRL, "verl": FROM_VERL}[cell.origin][cell.index]
    if cell.origin == "verl" and cell.inside != _inside_verl():
        raise RuntimeError(f"this machine has {_inside_verl()}: the cell is of {cell.inside}")
    report, package = _audited(subject, cell.n, cell.k)
    return [_row(subject, report, package)]


def _audited(subject: Subject, n: int, k: int) -> tuple[dict[str, Any], str | None]:
    """The report as plain values, and the version of the package that was run."""
    arguments: dict[str, Any] = {"n": n, "k": k, "target": subject.target, "claims": _CLAIMS}
    if subject.origin == "verl":
        arguments |= {"signature": "verl", "settings": subject.settings, "seconds": 120.0}
        return in_verl.audited(subject.rule, **arguments), in_verl.installed()["verl"]
    if subject.origin == "TRL":
        import torch  # noqa: PLC0415

        torch.set_num_threads(1)

        def rule(rewards: Any) -> Any:
            return advantages(rewards, subject.rule)

        audit = partial(ml.audit, rule, signature="batch", seconds=60.0)
    else:
        audit = partial(ml.audit, coded_rule(subject.rule))
    report = audit(**arguments)
    return report.as_dict(), version("trl") if subject.origin == "TRL" else None


def _inside_verl() -> str | None:
    """Versions in verl's environment, ``"torch 2.11.0, verl 0.9.1"``; None where there is none."""
    return ", ".join(f"{name} {version}" for name, version in in_verl.installed().items()) or None


def _row(subject: Subject, report: dict[str, Any], package: str | None) -> Row:
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
        version=package,
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
        nearest=_nearest(report["nearest"]),
        precision=report["precision"],
        **_over_sizes(coupling),
        misbehaves="; ".join(found["kind"] for found in report["misbehaviours"]) or None,
    )


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
