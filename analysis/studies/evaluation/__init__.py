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
        # Shares of 1,000 samples at paper and of 200 at standard: 6.1 standard errors of their difference, at
        # most. Of mean widths too, where those of single samples deviate by 0.1: theirs are 0.04 to 0.46.
        unstable={
            "part == 'coverage' and quantity != 'width'": 0.24,
            "part == 'coverage' and quantity == 'width'": 0.05,
        },
        # Packages are run at paper alone: elsewhere the same answers are the definition's.
        apart={"text": "part == 'fact' and quantity in ('origin', 'global seed')"},
    ),
)
