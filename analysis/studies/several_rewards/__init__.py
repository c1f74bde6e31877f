"""What do rules of several rewards, and of lengths, really climb?"""

from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="several-rewards",
    question="What do rules of several rewards, and of lengths, really climb?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
)
