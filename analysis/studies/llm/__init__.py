"""Does it show in a language model? Exact success and variance of a small model that TRL post-trains."""

from ...run.study import Study
from .design import SEED, cells
from .figure import curves, draw, table
from .study import measure

STUDY = Study(
    name="llm",
    question="Does the rule show when TRL trains a small language model, and in its gradient's variance?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    curves=curves,
    needs=("trl",),
)
