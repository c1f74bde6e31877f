"""What do public frameworks compute?"""

from ...run.study import Study
from .figure import draw
from .study import cells, measure
from .tabulated import table

STUDY = Study(
    name="frameworks",
    question="What do the rules of public frameworks climb, at what scale and with what variance?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    needs=("trl",),
)
