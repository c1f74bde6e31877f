"""Does it train better? Learning curves of every rule against the exact gradient."""

from ...run.study import Study
from .figure import curves, draw
from .study import SEED, cells, measure
from .summary import table

STUDY = Study(
    name="learning",
    question="Which rule trains max@K better, at one shared step size and at its own best?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    curves=curves,
)
