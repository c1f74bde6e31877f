"""The table of the rules in docs/reference/rules.md: the registry, and the unbiasedness study's verdicts."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from maxpo_lab import get_estimator

from ..run.registry import get_study

#: The page, from the root of the checkout.
PAGE = Path("docs/reference/rules.md")
_BLOCK = re.compile(r"(<!-- rules:.*?-->\n).*?(<!-- /rules -->)", re.DOTALL)


def rules_table(rows: pd.DataFrame) -> str:
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


def render(page: str, rows: pd.DataFrame) -> str:
    """The page's text with its table replaced."""
    rendered, count = _BLOCK.subn(rf"\g<1>\n{rules_table(rows)}\n\n\g<2>", page)
    if count != 1:
        raise ValueError(f"the page has {count} blocks of rules; exactly one is needed")
    return rendered


def update(page: Path, rows: pd.DataFrame) -> bool:
    """Rewrite the table in the file; whether anything changed."""
    before = page.read_text()
    after = render(before, rows)
    page.write_text(after)
    return before != after
