"""What is the variance made of, and what does centering remove?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="decomposition",
    question="What is the variance made of, and what does centering remove?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(keys=("space", "success", "estimator")),
)
