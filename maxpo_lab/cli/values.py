"""``maxpo-lab list --values`` and ``show``: estimates of J_K, and what evaluation tools print."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from ..evaluation import get_value_rule, list_value_rules
from ..evaluation.as_reported import get_report, list_reports

#: How much of a name must be right to be meant, beside those of estimators.
_NEAR = 0.8
_MISSING = {
    "left out": "left out of its prompt",
    "ends": "its prompt is left out of every K from its place on",
    "failure": "a failure",
    "poisons": "makes the number NaN",
    "refused": "refused",
}


def kind_of(name: str) -> str | None:
    """``"value rule"``, ``"report"``, or None for another name."""
    if name in list_value_rules():
        return "value rule"
    return "report" if _listed_as(name) in list_reports() else None


def near(name: str) -> list[str]:
    """Names that are spelled nearly so."""
    return get_close_matches(name, [*list_value_rules(), *list_reports()], n=2, cutoff=_NEAR)


def _listed_as(name: str) -> str:
    """``verl:best@8`` is listed as ``verl:best@N``."""
    anonymous = {re.sub(r"@[Nk]$", "@", each): each for each in list_reports()}
    return anonymous.get(re.sub(r"@\d+$", "@", name), name)


def listed() -> list[RenderableType]:
    """The value rules, and the numbers of tools in plain words."""
    rules = _table("value rule", "of one prompt", "unbiased")
    for rule in map(get_value_rule, list_value_rules()):
        rules.add_row(*map(escape, (rule.name, rule.equation, "yes" if rule.claims.unbiased else "no")))
    reports = _table("printed by", "what it means", "value rule")
    for report in map(get_report, list_reports()):
        reports.add_row(*map(escape, (report.name, report.words, report.rule.name)))
    return [rules, "", reports]


def shown(name: str) -> RenderableType:
    """The facts of one."""
    return _facts(_of_rule(name) if kind_of(name) == "value rule" else _of_report(_listed_as(name)))


def _of_rule(name: str) -> dict[str, str]:
    rule = get_value_rule(name)
    claims = rule.claims
    held = {
        "unbiased": claims.unbiased,
        "order-free": claims.order_free,
        "monotone": claims.monotone,
        "between the lowest and the highest reward": claims.bounded,
    }
    printed = [each for each in list_reports() if get_report(each).rule is rule]
    return {
        "name": f"{rule.name} ({rule.title})",
        "rule": rule.equation,
        "claims": ", ".join(f"{claim}: {'yes' if holds else 'no'}" for claim, holds in held.items()),
        "K > n": "gives a number" if rule.beyond_n else "refused",
        "rewards": {"real": "any", "binary": "0 or 1"}[rule.domain],
        "printed by": ", ".join(printed) or "no tool that is listed",
        "source": rule.citation,
    }


def _of_report(name: str) -> dict[str, str]:
    report = get_report(name)
    return {
        "name": report.name,
        "means": report.words,
        "rule": f"{report.rule.name}: {report.rule.equation}",
        "over": " ".join((report.weights.__doc__ or "").split()),
        "no verdict": _MISSING[report.missing],
        "graded rewards": "refused" if report.binary else "as the rule says",
        "K > n": "gives a number" if report.rule.beyond_n else "none",
        "error": report.interval or "none",
        "read in": f"{report.package} {report.version}, {report.function}",
    }


def _facts(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for label, text in facts.items():
        table.add_row(f"[bold]{label}[/bold]", escape(text))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    name, text, last = headings
    table.add_column(name, style="bold", no_wrap=True)
    table.add_column(text, ratio=1)
    table.add_column(last, no_wrap=True)
    return table
