"""Which variance becomes training speed, and how much?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .design import SEED
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="training-speed",
    question="Which variance becomes training speed, and how much?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        # Of one seed a run is the same; a cell with other seeds is another one.
        keys=("kind", "regime", "policy", "rule", "n", "k", "groups", "seeds", "x"),
        # H loses digits where it is a difference of second derivatives, and g'Hg passes 0 on the way.
        absolute={"noise_share": 1e-3, "curved_trace": 1e-12},
        relative=1e-6,
    ),
)
