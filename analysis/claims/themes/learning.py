"""What the study of learning found: what the rule decides, what is explored and kept, and what loops do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from ...studies.learning.pairs import REFERENCE, compared_table
from ..claim import Reading, each

TITLE = "Training"

_exact = partial(Reading, study="learning")
#: What is trained is sampled: a run of other seeds has other curves and areas.
_learning = partial(_exact, drawn=True)
_AREA = ("area_estimate", "area_low", "area_high", "area_smallest")
_TIMES = ("times", "times_low", "times_high", "times_smallest")
_MANY, _MAZE, _NETWORK = "bandit, many correct", "maze, graded", "transformer"
_DIVERSE = "bandit, 100 of 1,000"


def _against(section: str, *rules: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The comparisons of these rules with maxpo, as in the study's table; of all rules where none is named."""

    def through(rows: pd.DataFrame) -> pd.DataFrame:
        chosen = rows[(rows.kind == "run") & (rows.section == section)]
        return compared_table(chosen[chosen.rule.isin((REFERENCE, *rules))] if rules else chosen)

    return through


def _line(rule: str, numbers: str) -> Reading:
    """A line of the table of sparse starts: area and smallest at the shared step size, then at the best."""
    given = numbers.split()
    cells = [f"{{{a}}} [{{{b}}}, {{{c}}}] | {{{d}}}" for a, b, c, d in zip(*(iter(given),) * 4, strict=True)]
    return _learning(
        says=f"| `{rule}` | {' | '.join(cells)} |",
        through=_against("rules", rule),
        where=f"specimen == 'all' and rule == {rule!r}",
        at=each("choice", "shared", "best"),
        of=_AREA,
    )


def _runs(section: str, specimen: str, choice: str) -> str:
    return f"kind == 'run' and section == {section!r} and specimen == {specimen!r} and choice == {choice!r}"
