"""``results/claims.md`` and ``claims.json``: every claim with its verdict, its numbers and its picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .registry import by_theme
from .verdicts import Judged, Outcome, Rows, judge

NAMES = ("claims.md", "claims.json")


def pages(rows: Rows) -> dict[str, str]:
    """The texts of both files, from the rows of the studies; the same to the byte for the same rows."""
    themes = {title: [judge(claim, rows) for claim in claims] for title, claims in by_theme().items()}
    records = [_record(title, each) for title, found in themes.items() for each in found]
    return {
        NAMES[0]: "\n".join(_markdown(themes)),
        NAMES[1]: json.dumps(records, indent=1, ensure_ascii=False) + "\n",
    }


def otherwise(rows: Rows) -> list[str]:
    """Claims to which the rows give another verdict than their own, in a line each."""
    found = [judge(claim, rows) for claims in by_theme().values() for claim in claims]
    return [
        f"{each.claim.name} is {each.verdict}, not {each.claim.verdict!r}"
        for each in found
        if each.verdict != each.claim.verdict
    ]


def write(rows: Rows, results: Path) -> list[Path]:
    """Write both files into the folder of the results."""
    found = []
    for name, text in pages(rows).items():
        found.append(results / name)
        found[-1].write_text(text, encoding="utf-8")
    return found


def _markdown(themes: Mapping[str, list[Judged]]) -> Iterator[str]:
    yield "# Claims"
    yield ""
    yield "Every claim, its verdict and the numbers that decide it, from the rows in this folder. Written"
    yield "by `python -m analysis claims`; `python -m analysis verify` judges them again on rows of your own."
    for title, found in themes.items():
        yield from ("", f"## {title}", "", "| claim | verdict | picture |", "|---|---|---|")
        for judged in found:
            claim = judged.claim
            picture = f"[{Path(claim.figure).parent}]({claim.figure})"
            yield f"| [{_cell(claim.statement)}](#{claim.name}) | **{judged.verdict}** | {picture} |"
        for judged in found:
            yield from _section(judged)
    yield ""


def _section(judged: Judged) -> Iterator[str]:
    claim = judged.claim
    yield from ("", f"### {claim.name}", "", f"{claim.statement} ({claim.source})", "")
    yield (
        f"**{judged.verdict[0].upper()}{judged.verdict[1:]}**"
        + (f": {claim.conditions}" if claim.conditions else "")
        + (f". {judged.why}" if judged.why else "")
    )
    if not judged.outcomes:
        return
    yield from ("", "| number | in the rows | of | rows |", "|---|---|---|---|")
    for reading in claim.readings:
        own = [each for each in judged.outcomes if each.reading is reading]
        numbers = ", ".join(shown(each) for each in own)
        against = "*against:* " if reading.limits else ""
        # A query is code: its bars are no columns' edges.
        chosen = _cell(
            f"{'/'.join(reading.ofs)} [{reading.where}]" if reading.where else "/".join(reading.ofs)
        )
        read = f"{reading.study}: `{chosen}`"
        yield f"| {against}{_cell(reading.words)} | {numbers} | {read} | {_counted(own)} |"


def _counted(outcomes: list[Outcome]) -> str:
    counts = sorted({each.value.rows for each in outcomes})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def shown(outcome: Outcome) -> str:
    """A number as it is in the rows."""
    return (
        "none"
        if outcome.value.rows == 0 and outcome.found == "not decided"
        else _digits(outcome.value.number)
    )


def _digits(number: float) -> str:
    return f"{number:.4g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _record(theme: str, judged: Judged) -> dict[str, Any]:
    claim = judged.claim
    return {
        "name": claim.name,
        "theme": theme,
        "statement": claim.statement,
        "source": claim.source,
        "conditions": claim.conditions,
        "verdict": judged.verdict,
        "why": judged.why,
        "figure": claim.figure,
        "readings": [
            {
                "says": reading.words,
                "against": reading.limits,
                "study": reading.study,
                "rows": reading.where,
                "of": list(reading.ofs),
                "at": list(reading.at),
                "take": list(reading.takes),
                "over": reading.over,
                "relation": reading.relation,
                "numbers": [
                    {"said": each.stated.value, "is": _digits(each.value.number), "rows": each.value.rows}
                    for each in judged.outcomes
                    if each.reading is reading
                ],
            }
            for reading in claim.readings
        ],
    }
