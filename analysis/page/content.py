"""What the page says: claims, studies and rules, from the results folder and the registries alone."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maxpo_lab import get_estimator, list_estimators
from maxpo_lab.estimators.entry import KINDS

from ..claims.claim import Verdict
from ..output import report
from ..output.colours import colour_of
from ..run.registry import get_study, list_studies
from . import prose

_VERDICTS: tuple[Verdict, ...] = ("holds", "holds with conditions", "does not hold", "not decided")
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class Table:
    """A table of results: its columns, and its rows of numbers and words."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float | str, ...], ...]


@dataclass(frozen=True)
class StudyPart:
    """A study on the page: what was asked, found and made, and the table of its results."""

    name: str
    question: str
    finding: str
    made: str
    table: Table
    captions: dict[str, str] = field(hash=False)

    def caption(self, figure: str) -> str:
        """What a figure shows, in words: the README's, else the study's question."""
        return self.captions.get(figure) or f"{self.question} ({figure.replace('_', ' ')})"


def claims(results: Path) -> dict[str, list[dict[str, Any]]]:
    """The claims of ``claims.json`` by theme; FileNotFoundError says what writes it."""
    path = results / "claims.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: `python -m analysis claims` writes it")
    themes: dict[str, list[dict[str, Any]]] = {}
    for claim in json.loads(path.read_text(encoding="utf-8")):
        themes.setdefault(claim["theme"], []).append(claim)
    return themes


def verdicts(themes: dict[str, list[dict[str, Any]]]) -> list[tuple[str, int]]:
    """How many claims have each verdict, the usual ones first."""
    counts = Counter(claim["verdict"] for found in themes.values() for claim in found)
    return [
        (name, counts[name]) for name in (*_VERDICTS, *sorted(set(counts) - {*_VERDICTS})) if counts[name]
    ]


def studies(results: Path) -> list[StudyPart]:
    """The studies that have results in the folder; FileNotFoundError where none has."""
    names = [name for name in list_studies() if report.is_there(name, results)]
    if not names:
        raise FileNotFoundError(report.absent(results))
    return [study(name, results) for name in names]


def study(name: str, results: Path) -> StudyPart:
    """One study of the folder."""
    facts = json.loads((results / name / "manifest.json").read_text(encoding="utf-8"))
    text = prose.readme(name)
    return StudyPart(
        name=name,
        question=get_study(name).question,
        finding=prose.as_html(prose.sections(text).get("Finding", ""), f"Finding of {name}"),
        made=(
            f"{facts['rows']:,} rows, {facts['preset']} preset, commit {(facts['commit'] or 'unknown')[:8]}, "
            f"{facts['finished'][:10]}: {facts['command']}"
        ),
        table=read_table(results / name / "table.csv"),
        captions=prose.captions(text),
    )


def read_table(path: Path) -> Table:
    """A ``table.csv``, its numbers as numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    return Table(tuple(columns), tuple(tuple(map(_cell, row)) for row in rows))


def rules() -> list[dict[str, Any]]:
    """The catalogue of every kind of rule, as the registry has it."""
    return [_rule(name) for kind in KINDS for name in list_estimators(kind)]


def paper(citation: str) -> str:
    """The address of the first arXiv paper that a citation names; empty where it names none."""
    found = _ARXIV.search(citation)
    return f"https://arxiv.org/abs/{found[1]}" if found else ""


def _rule(name: str) -> dict[str, Any]:
    rule = get_estimator(name)
    return {
        "name": name,
        "title": rule.title,
        "kind": rule.kind,
        "equation": rule.equation,
        "objective": rule.objective,
        "unbiased": rule.claims.unbiased,
        "centered": rule.claims.centered,
        "citation": rule.citation,
        "paper": paper(rule.citation),
        "colour": colour_of(name),
    }


def _cell(text: str) -> float | str:
    """A cell as a number, if it is one that JSON has."""
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return text
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def tables(parts: Sequence[StudyPart]) -> dict[str, Any]:
    """The tables of the studies by name, for the page's script."""
    return {part.name: {"columns": part.table.columns, "rows": part.table.rows} for part in parts}
