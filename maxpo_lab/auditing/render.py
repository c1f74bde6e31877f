"""An audit report for people: a panel on the terminal, a Markdown document that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
from rich import box
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .ascent import objective_name, scale_in_symbols
from .claims import Verdict
from .degenerate import Case
from .findings import Findings
from .lengths import Lengths
from .likeness import Likeness
from .policies import UnderPolicy
from .symmetries import FACTORS, Symmetries

_POLICY_COLUMNS = (
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
_EDGE_COLUMNS = ("group", "n", "K", "advantages", "")


def panel(report: Findings) -> Panel:
    """The report as a rich panel."""
    body: list[Table | Text] = [Text(_setting(report)), Text(), _claims_table(report), Text()]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    for label, text in _facts(report):
        facts.add_row(label, escape(text))
    body.append(facts)
    if report.policies is not None:
        body += [_terminal_table(_POLICY_COLUMNS, _policy_rows(report.policies))]
    if report.edges is not None:
        body += [_terminal_table(_EDGE_COLUMNS, _edge_rows(report.edges.cases))]
    colour = "green" if report.passed else "red"
    return Panel(
        Group(*body),
        title=f"[bold]{escape(report.rule)}[/bold]",
        subtitle=f"[bold {colour}]{'passed' if report.passed else 'failed'}[/bold {colour}]",
        title_align="left",
        subtitle_align="left",
        border_style=colour,
        padding=(1, 2),
    )


def markdown(report: Findings) -> str:
    """The report as Markdown."""
    outcome = "passed" if report.passed else "failed"
    parts = [
        f"# Audit of `{report.rule}`: {outcome}",
        f"{_setting(report)}. Moments are exact. Advantages are for the mean convention, "
        f"`g = (1/n) sum_i A_i s_i`.",
        _markdown_table(
            ("claim", "verdict", "why"),
            [(v.claim, _word(v), _why(v)) for v in report.claims]
            + [(m.kind, "misbehaves", m.detail) for m in report.misbehaviours],
        ),
        "\n".join(f"- **{label}**: {_cell(text)}" for label, text in _facts(report)),
    ]
    if report.policies is not None:
        parts += [
            "## Under reference policies",
            "Softmax policies whose right answers, many (100 of 1000) or one (of 10), share the success "
            "probability p. Noise is tr Cov / scale^2 (loo1: pkpo-loo1), the floor the least noise of an "
            "unbiased rule (one whose scale depends on the policy may come below it), dead the chance of a "
            "group without any advantage. A dash: not defined, as where the direction is not the gradient's.",
            _markdown_table(_POLICY_COLUMNS, _policy_rows(report.policies)),
        ]
    if report.edges is not None:
        parts += ["## Groups at the edges", _markdown_table(_EDGE_COLUMNS, _edge_rows(report.edges.cases))]
    if report.failing_test:
        parts += ["## A test that fails", f"```python\n{report.failing_test}```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _setting(report: Findings) -> str:
    target = objective_name(report.target, report.n, report.k)
    precision = f", computes in {report.precision}" if report.precision else ""
    levels = f" ({', '.join(f'{level:g}' for level in report.levels)})" if report.levels else ""
    return (
        f"n = {report.n}, K = {report.k}, target {target}, {report.rewards} rewards{levels}, "
        f"called as {report.signature}{precision}"
    )


def _word(verdict: Verdict) -> str:
    return {True: "holds", False: "fails", None: "not decided"}[verdict.holds]


def _why(verdict: Verdict) -> str:
    """A verdict's reasons, and the rewards beyond which it ends."""
    if verdict.beyond is None:
        return verdict.detail
    return f"{verdict.detail}; for rewards up to {verdict.up_to:g} alone: {verdict.beyond}"


def _claims_table(report: Findings) -> Table:
    table = Table.grid(padding=(0, 2))
    marks = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[yellow]?[/yellow]"}
    for verdict in report.claims:
        table.add_row(marks[verdict.holds], f"[bold]{escape(verdict.claim)}[/bold]", escape(_why(verdict)))
    for found in report.misbehaviours:
        table.add_row("[red]✗[/red]", f"[bold red]{found.kind}[/bold red]", escape(found.detail))
    return table


def _facts(report: Findings) -> list[tuple[str, str]]:
    facts = []
    if report.ascent is not None:
        facts.append(("climbs", report.ascent.text))
        if report.ascent.spectrum is not None:
            weights = " ".join(f"{weight:.4g}" for weight in report.ascent.spectrum)
            facts.append(("spectrum", f"{weights}  (weights of pass@1 to pass@{report.n}, on 0/1 rewards)"))
    if report.symmetries is not None:
        facts += _symmetry_facts(report.symmetries)
    if report.lengths is not None:
        facts.append(("lengths", _lengths(report.lengths)))
    if report.nearest is not None:
        facts.append(("nearest rule", _likeness(report.nearest, report.n, report.k)))
    if report.edges is not None and report.edges.float32_error is not None:
        facts.append(("float32", f"moves advantages by {report.edges.float32_error:.1e} of the largest"))
    return facts


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


def _likeness(near: Likeness, n: int, k: int) -> str:
    alike = f" (here the same as {', '.join(near.alike)})" if near.alike else ""
    known = None if near.scale == 1 else scale_in_symbols(near.scale, n, k)
    factor = "" if near.scale == 1 else f"{near.scale:.4g}{f' = {known}' if known else ''} x "
    at = "" if near.k == k else f" at K = {near.k}"
    if near.exact:
        to = "" if near.precision == "float64" else f", to the precision of {near.precision}"
        return f"equals {factor}{near.name}{at}{to}{alike}"
    return f"{factor}{near.name}, off by {near.distance:.2g} of |A|"


def _policy_rows(policies: Sequence[UnderPolicy]) -> list[tuple[str, ...]]:
    return [
        (
            f"{under.rewards}, {under.right_answers}",
            f"{under.success:g}",
            _bias(under),
            _number(under.scale),
            _angle(under),
            *(_number(each) for each in (under.to_maxpo, under.to_pkpo_loo1, under.efficiency)),
            _number(under.dead_groups),
        )
        for under in policies
    ]


def _angle(under: UnderPolicy) -> str:
    resolved = under.direction_error > max(1e-6, under.resolution) or isnan(under.direction_error)
    return _number(under.direction_error) if resolved else "0"


def _bias(under: UnderPolicy) -> str:
    """A relative bias: 0 where it is rounding, a bound where rounding hides one worth the name."""
    if not under.relative_bias <= under.resolution:
        return _number(under.relative_bias)
    return "0" if under.resolution <= 1e-3 else f"< {under.resolution:.1g}"


def _edge_rows(cases: Sequence[Case]) -> list[tuple[str, ...]]:
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


def _number(value: float | None) -> str:
    return "-" if value is None or isnan(value) else f"{value:.3g}"


def _numbers(values: Sequence[float]) -> str:
    shown = [f"{value:.4g}" for value in np.asarray(values, dtype=np.float64)]
    return "[" + ", ".join(shown if len(shown) <= 16 else [*shown[:15], "..."]) + "]"


def _terminal_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for place, name in enumerate(header):
        table.add_column(name, overflow="fold", no_wrap=not place)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
