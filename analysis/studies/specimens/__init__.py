"""Which specimens have exact moments, of which rules, and up to what size?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import SEED, cells, measure

STUDY = Study(
    name="specimens",
    question="Which specimens have exact moments, of which rules, and up to what size?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("specimen", "n", "estimator"),
        absolute={"relative_bias": 1e-09},
        apart={"k": "", "bias_resolution": ""},
    ),
)
