"""How near do the unbiased rules come to the variance floor?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="efficiency",
    question="How near do the unbiased rules come to the variance floor?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(keys=("curve", "space", "success", "n", "k", "estimator")),
)
