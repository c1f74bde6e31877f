"""How much variance does each unbiased rule have, and when does leaving two out help?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="variance",
    question="What variance do the unbiased rules have against K, n and success probability?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("factor", "specimen", "success", "n", "k", "estimator"),
        absolute={"relative_bias": 1e-07, "within_trace": 1e-14},
    ),
)
