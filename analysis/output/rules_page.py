"""The table of the rules in docs/reference/rules.md: the registry, and the unbiasedness study's verdicts."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from maxpo_lab import get_estimator, list_estimators
from maxpo_lab.estimators.entry import KINDS

from ..run.registry import get_study

#: The page, from the root of the checkout.
PAGE = Path("docs/reference/rules.md")
_BLOCK = r"(<!-- {0}:.*?-->\n).*?(<!-- /{0} -->)"


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


def kinds_table() -> str:
    """Markdown table of the rules of other kinds than groups of one reward, as the registry has them."""
    rules = [get_estimator(name) for kind in KINDS if kind != "group" for name in list_estimators(kind)]
    table = pd.DataFrame(
        {
            "name": [f"`{rule.name}`" for rule in rules],
            "kind": [rule.kind for rule in rules],
            "rule": [rule.equation for rule in rules],
            "objective": [rule.objective for rule in rules],
            "unbiased": ["yes" if rule.claims.unbiased else "no" for rule in rules],
            "centered": ["yes" if rule.claims.centered else "no" for rule in rules],
            "source": [rule.citation for rule in rules],
        }
    )
    return str(table.to_markdown(index=False, disable_numparse=True))


def render(page: str, rows: pd.DataFrame) -> str:
    """The page's text with its tables replaced."""
    for name, table in (("rules", rules_table(rows)), ("kinds", kinds_table())):
        block = re.compile(_BLOCK.format(name), re.DOTALL)
        if (count := len(block.findall(page))) != 1:
            raise ValueError(f"the page has {count} blocks of {name}; exactly one is needed")
        page = block.sub(rf"\g<1>\n{table}\n\n\g<2>", page)
    return page


def update(page: Path, rows: pd.DataFrame) -> bool:
    """Rewrite the table in the file; whether anything changed."""
    before = page.read_text()
    after = render(before, rows)
    page.write_text(after)
    return before != after
