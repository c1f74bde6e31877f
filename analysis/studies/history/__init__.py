"""What are earlier rewards of a prompt worth in the baseline, fair or stale?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .study import cells, measure

STUDY = Study(
    name="history",
    question="What are earlier rewards of a prompt worth in the baseline, fair or stale?",
    seed=260606080,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("part", "space", "n", "k", "m", "history", "success", "prompts", "visits", "rule"),
        # Histories are drawn there, and how many depends on the preset.
        among="part != 'memory'",
        absolute={"bias": 1e-12, "angle": 1e-12, "error": 1e-12},
        errors={"efficiency": "error"},
    ),
)
