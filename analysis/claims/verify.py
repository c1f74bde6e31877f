"""Claims and rows of a run of one's own, next to those that the repository holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.table import Table

from ..output import report
from ..run.comparison import Compared, compare
from ..run.registry import get_study, list_studies
from .claim import Claim
from .registry import all_claims
from .verdicts import Judged, Rows, judge


@dataclass(frozen=True)
class Verified:
    """What a verification found.

    ``claims``: each on the stored rows, and on the fresh ones. ``compared``: by study, how fresh rows differ
    from stored ones; None where no row of two presets is the same.
    """

    claims: tuple[tuple[Judged, Judged], ...]
    compared: dict[str, Compared | None]

    @property
    def failures(self) -> list[str]:
        """Each contradicted claim, each row that differs and each study that shares none, in a line."""
        said = [
            f"{judged.claim.name} is contradicted by the {whose} rows of {each.reading.study}: "
            + (each.why or f"{each.reading.words!r}, but {each.stated.value:.6g} is {each.value.number:.6g}")
            for pair in self.claims
            for whose, judged in zip(("stored", "fresh"), pair, strict=True)
            for each in judged.contradicted
        ]
        said += [
            f"{paper.claim.name} cannot be decided by the stored rows: {paper.why}"
            for paper, _ in self.claims
            if paper.lacking
        ]
        for study, found in self.compared.items():
            if found:
                said += [f"{study}: {each}" for each in found.differences]
                if not found.shared:
                    said.append(f"{study}: none of its {found.rows} rows is stored, so nothing was compared")
                more = sum(found.differing.values()) - len(found.differences)
                said += [f"{study}: {more} more numbers differ"] if more else []
        return said


def read_rows(results: Path, studies: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Rows of the studies that a folder holds, by name."""
    found = [study for study in studies or list_studies() if report.is_there(study, results)]
    return {study: report.read(study, results)[0] for study in found}


def verify(stored: Rows, fresh: Rows) -> Verified:
    """Judge the claims whose studies are stored on both, and compare the rows that both have.

    Raises
    ------
    ValueError
        Where a study has fresh rows and no stored ones, or lacks a column that it is compared by.
    """
    if lacking := [study for study in fresh if study not in stored]:
        raise ValueError(f"no stored rows of {', '.join(lacking)}: `make paper` makes them")
    compared: dict[str, Compared | None] = {}
    for study, rows in fresh.items():
        how = get_study(study).comparison
        try:
            compared[study] = compare(stored[study], rows, how) if how else None
        except ValueError as error:
            raise ValueError(f"{study}: {error}; `python -m analysis run {study}` makes its rows") from error
    pairs = [(judge(each, stored), judge(each, fresh, stored)) for each in _decidable(stored)]
    return Verified(tuple(pairs), compared)


def _decidable(stored: Rows) -> list[Claim]:
    return [claim for claim in all_claims() if {reading.study for reading in claim.readings} <= set(stored)]


def claims_table(found: Verified) -> Table:
    """Claim, paper, your run."""
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("claim", ratio=3)  # 38 of 80 characters: a name stays whole
    table.add_column("paper", width=12)
    table.add_column("your run", ratio=2, overflow="fold")
    for paper, own in found.claims:
        said = _said(own)
        style = "bold red" if "contradicted" in (paper.verdict, own.verdict) else ""
        table.add_row(f"{paper.claim.name}: {paper.claim.statement}", paper.verdict, said, style=style)
    return table


def _said(judged: Judged) -> str:
    if judged.verdict == "not decided":
        return f"not decided: {judged.why}"
    of, lacking = len(judged.outcomes), len(judged.lacking)
    return f"{judged.verdict} ({of - lacking} of {of} numbers)" if lacking else judged.verdict


def rows_table(found: Verified) -> Table:
    """Study, its rows, those that the paper has too, and how many numbers differ."""
    table = Table("study", "your rows", "in the paper's", "differing", box=None, pad_edge=False)
    for study, compared in found.compared.items():
        if compared is None:
            table.add_row(study, "", "", "not compared: the study does not say how")
        else:
            counts = (compared.rows, compared.shared, sum(compared.differing.values()))
            table.add_row(study, *map(str, counts), style="bold red" if compared.differing else "")
    return table


def tracked_rows(found: Verified) -> pd.DataFrame:
    """The verdicts as rows, for the record of a run."""
    return pd.DataFrame(
        {
            "claim": [paper.claim.name for paper, _ in found.claims],
            "statement": [paper.claim.statement for paper, _ in found.claims],
            "paper": [paper.verdict for paper, _ in found.claims],
            "your_run": [own.verdict for _, own in found.claims],
            "why": [own.why for _, own in found.claims],
        }
    )
