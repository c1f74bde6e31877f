"""Which mixture of pass@k does each rule really climb?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="spectrum",
    question="Which mixture of pass@k does each rule really climb?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(keys=("n", "k", "estimator", "quantity", "at")),
)
