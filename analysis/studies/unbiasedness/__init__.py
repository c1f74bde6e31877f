"""Which rules are unbiased, which only off-scale, which biased, and which are centered?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import SEED, cells, measure

STUDY = Study(
    name="unbiasedness",
    question="Which rules are unbiased, off-scale, biased, centered?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("specimen", "success", "n", "k", "estimator", "objective"),
        absolute={"direction_error": 1e-12, "advantage_sum": 1e-12, "advantage_sum_rms": 1e-9},
        resolution=dict.fromkeys(("relative_bias", "direction_error", "scale"), "bias_resolution"),
    ),
)
