"""What is left of pass@K where K is larger than the group?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="beyond-n",
    question="What is left of pass@K where K is larger than the group?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("part", "n", "k", "rule", "success"), absolute={"bias": 1e-12, "angle": 1e-12}
    ),
)
