"""What do public frameworks compute?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="frameworks",
    question="What do the rules of public frameworks climb, at what scale and with what variance?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(keys=("framework", "rule", "origin", "n", "k")),
    needs=("trl",),
)
