"""What does a rule that couples the prompts of a batch change, at every number of prompts?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import SEED, cells, measure

STUDY = Study(
    name="batches",
    question="What does coupling the prompts of a batch do to direction, weights, bias and variance?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("difficulty", "space", "prompts", "n", "k", "rule", "success"),
        absolute={"relative_bias": 1e-12, "angle_to_plain": 1e-12, "angle_to_gradient": 1e-12},
        # Sampled others: ratio and bias alone have standard errors.
        apart={"draws": ""}
        | dict.fromkeys(
            ("weight", "angle_to_plain", "angle_to_gradient", "noise"), "method == 'given others'"
        ),
        errors={"ratio": "ratio_error", "relative_bias": "bias_error"},
        draws="draws",
    ),
)
