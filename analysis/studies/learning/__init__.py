"""Does it train better? Learning curves of every rule against the exact gradient."""

from ...run.comparison import Comparison
from ...run.study import Study
from .figure import curves, draw
from .study import SEED, cells, measure
from .summary import table

#: Rules that pay groups that are all right: a solved policy goes on along what its rounding says.
_PAYS_SOLVED = "rule in ('reinforce', 'pkpo-s', 'pkpo-loo')"
_TRAINED = (
    "diverged",
    "max_at_k",
    "max_at_k_low",
    "max_at_k_high",
    "mean_reward",
    "mean_reward_low",
    "mean_reward_high",
    "area",
    "area_low",
    "area_high",
    "steps_to_90",
    "entropy",
    "diversity",
    "snr",
    "cosine",
)

STUDY = Study(
    name="learning",
    question="Which rule trains max@K better, at one shared step size and at its own best?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    curves=curves,
    comparison=Comparison(
        # Curves and tuning are over as many seeds as the preset has; a run is of its own seed.
        keys=(
            "kind",
            "specimen",
            "condition",
            "rule",
            "schedule",
            "choice",
            "step_size",
            "seed",
            "step",
            "runs",
        ),
        # Runs of the preset smoke end after 12 steps, and do not say so.
        among="k > 0 and step.max() > 12",
        absolute={"entropy": 1e-12},  # of a solved policy: a sum of one probability that rounds to 1
        # Runs of the others are the same on processors with and without AVX-512, to rounding.
        apart=dict.fromkeys(_TRAINED, _PAYS_SOLVED),
    ),
)
