"""What does a training loop make of a rule that is unbiased on paper?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="loops",
    question="What does a training loop make of a rule that is unbiased on paper?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("part", "setting", "rule", "loss", "success", "x"), absolute={"angle": 1e-12}
    ),
)
