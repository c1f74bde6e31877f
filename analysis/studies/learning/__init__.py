"""Does it train better? Rollouts to a target, exploration, trade-offs, and the loops of trainers."""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import curves, draw
from .study import SEED, cells, measure
from .summary import table

STUDY = Study(
    name="learning",
    question="Which rule trains max@K better, what does it explore and keep, and do loops matter more?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    curves=curves,
    comparison=Comparison(
        keys=(
            "kind",
            "section",
            "specimen",
            "budget",
            "rule",
            "k",
            "loop",
            "annealed",
            "choice",
            "step_size",
            "seed",
            "rollouts",
            "runs",
        ),
        # Where another processor rounds a parameter to the next multiple of the spacing, 4e-6 away.
        relative=1e-4,
        # Of a solved policy: a sum of one probability that rounds to 1; of an update across the gradient.
        absolute={"entropy": 1e-12, "cosine": 1e-6},
    ),
)
