"""What do public frameworks compute?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw
from .study import cells, measure
from .tabulated import table

STUDY = Study(
    name="frameworks",
    question="What do the rules of public frameworks climb, at what scale and with what variance?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("framework", "rule", "origin", "n", "k"),
        # TRL's rules compute in float32.
        relative=1e-6,
        absolute=dict.fromkeys(
            (
                "direction_error",
                "angle_8",
                "angle_32",
                "through_8",
                "through_32",
                "worst_sum",
                "loss_angle",
                "loss_angle_lagged",
            ),
            1e-6,
        ),
    ),
    needs=("trl",),
)
