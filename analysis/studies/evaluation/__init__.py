"""What do the pass@k and best@k of evaluation tools mean?"""

from ...run.study import Study
from .figure import draw, table
from .study import SEED, cells, measure

STUDY = Study(
    name="evaluation",
    question="What do the pass@k and best@k of evaluation tools mean?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
)
