"""Which published claims about advantage estimators are true, and where?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="field-claims",
    question="Which published claims about advantage estimators are true, and where?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=(
            "claim",
            "kind",
            "what",
            "rule",
            "n",
            "k",
            "rates",
            "arms",
            "good",
            "copies",
            "curve",
            "relation",
            "claimed",
            "inside",
        )
    ),
)
