"""What do rules of several rewards, and of lengths, really climb?"""

from ...run.comparison import Comparison
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
    comparison=Comparison(
        keys=("part", "rule", "n", "k", "of", "quantity", "at"),
        absolute={"value": 1e-11},
        unstable={"part == 'path' and rule in ('multi-axis-maxk', 'per-reward:maxpo')": 0.05},
    ),
)
