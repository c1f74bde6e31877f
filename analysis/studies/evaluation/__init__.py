"""What do the pass@k and best@k of evaluation tools mean?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import SEED, cells, measure

STUDY = Study(
    name="evaluation",
    question="What do the pass@k and best@k of evaluation tools mean?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("part", "name", "quantity", "n", "k", "at"),
        absolute={"value": 1e-12},
        # Shares of 1,000 samples at paper and of 200 at standard: 6.1 errors of a difference of shares of 1/2.
        # Mean widths are nearer: one interval's differs from another's by less than 0.1.
        unstable={
            "part == 'coverage' and quantity != 'width'": 0.24,
            "part == 'coverage' and quantity == 'width'": 0.05,
        },
        # Packages are run at paper alone: elsewhere the same answers are the definition's.
        apart={"text": "part == 'fact' and quantity in ('origin', 'global seed')"},
    ),
)
