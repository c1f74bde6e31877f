"""The table of the study's README, from the rows of the paper preset."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from .published import CLAIMS
from .verdicts import verdicts

#: The page, and the lines between which the table stands.
PAGE = Path(__file__).parent / "README.md"
_BLOCK = re.compile(r"(<!-- verdicts:.*?-->\n).*?(<!-- /verdicts -->)", re.DOTALL)


def verdicts_table(rows: pd.DataFrame) -> str:
    """Markdown: what is said, the verdict, what to know, the smallest counterexample."""
    lines, bar = [], "\\|"
    for name, found in verdicts(rows).items():
        claim = CLAIMS[name]
        condition = f": {claim.condition}" if claim.condition else ""
        examples = "; ".join(found.counterexamples) or f"none among {found.cases:,} cases"
        said = f"{claim.statement} ({claim.source})"
        cells = (said, f"**{found.verdict}**{condition}", claim.remark, examples)
        lines.append(f"| {' | '.join(cell.replace('|', bar) for cell in cells)} |")
    head = "| what is said | verdict | what to know | smallest counterexample |\n|---|---|---|---|\n"
    return head + "\n".join(lines) + "\n"


def updated(page: str, rows: pd.DataFrame) -> str:
    """The page with the table of these rows; ValueError where it has no place for it."""
    if not _BLOCK.search(page):
        raise ValueError(f"{PAGE} has no <!-- verdicts: --> and <!-- /verdicts --> lines")
    return _BLOCK.sub(lambda found: found[1] + verdicts_table(rows) + found[2], page)
