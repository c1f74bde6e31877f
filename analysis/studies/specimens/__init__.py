"""Which specimens have exact moments, of which rules, and up to what size?"""

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
)
