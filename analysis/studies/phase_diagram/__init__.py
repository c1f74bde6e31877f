"""Where does leaving two out help, and where the predictive baseline?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="phase-diagram",
    question="Where does leaving two out help, and where the predictive baseline?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(keys=("space", "success", "n", "k")),
)
