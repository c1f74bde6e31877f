"""What happens to a rule's scale and variance in a batch of easy and hard prompts?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="prompts",
    question="What happens to a rule's scale and variance in a batch of easy and hard prompts?",
    seed=None,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=(
            "arrangement",
            "path",
            "step",
            "similarity",
            "opposed",
            "prompts",
            "n",
            "k",
            "estimator",
            "success",
        ),
        # The easy prompt of a pair does not say which harder one it is with; its row has the batch's numbers.
        absolute={"direction_error": 1e-12},
        among="arrangement != 'pair' or success < 0.8",
    ),
)
