"""The estimator table of the README, written from the rows of the unbiasedness study."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from maxpo_lab import get_estimator

from .registry import get_study

_BLOCK = re.compile(r"(<!-- estimators:.*?-->\n).*?(<!-- /estimators -->)", re.DOTALL)


def estimator_table(rows: pd.DataFrame) -> str:
    """Markdown table of the catalogue: the columns that do not depend on a study's preset."""
    verdicts = get_study("unbiasedness").table(rows)
    rules = [get_estimator(name) for name in verdicts.estimator]
    table = pd.DataFrame(
        {
            "name": [f"`{rule.name}`" for rule in rules],
            "rule": [rule.equation for rule in rules],
            "objective": verdicts.objective,
            "measured": verdicts.verdict,
            "centered": verdicts.centered,
            "defined for": verdicts["defined for"],
            "rewards": verdicts.rewards,
            "source": [rule.citation for rule in rules],
        }
    )
    return str(table.to_markdown(index=False, disable_numparse=True))


def render(readme: str, rows: pd.DataFrame) -> str:
    """The README's text with its estimator table replaced."""
    rendered, count = _BLOCK.subn(rf"\g<1>\n{estimator_table(rows)}\n\n\g<2>", readme)
    if count != 1:
        raise ValueError(f"the README has {count} estimator blocks; exactly one is needed")
    return rendered


def update(readme: Path, rows: pd.DataFrame) -> bool:
    """Rewrite the table in the file; whether anything changed."""
    before = readme.read_text()
    after = render(before, rows)
    readme.write_text(after)
    return before != after
