"""Do sampled moments agree with the exact ones, and what does sampling cost where those see at once?"""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import draw, table
from .sampling import SEED
from .study import cells, measure

STUDY = Study(
    name="monte-carlo",
    question="Do sampled moments agree with exact ones, with honest intervals, and what does sampling cost?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    comparison=Comparison(
        keys=("part", "specimen", "success", "n", "estimator", "figure", "device"),
        among="part in ('agreement', 'detection')",
        absolute={"exact": 1e-11, "sampled": 1e-11},
        errors={"sampled": "standard_error"},
        draws="groups * repetitions",
        apart=dict.fromkeys(
            ("groups", "repetitions", "z", "error", "error_expected", "below", "above", "seen"), ""
        ),
    ),
)
