"""Does it show in a language model? Exact success and variance of a small model that TRL post-trains."""

from ...run.comparison import Comparison
from ...run.study import Study
from .design import SEED
from .figure import curves, draw, table
from .plan import cells
from .study import measure

_OF_CHECKPOINT = (
    "pass_at_1",
    "trace_covariance",
    "ratio",
    "scale",
    "direction_error",
    "efficiency",
    "snr",
    "total_trace",
    "sampled_trace",
    "total_ratio",
    "sampled_ratio",
    "second_moment",
    "predicted",
    "predicted_adam",
    "failure_share",
    "shared",
)
_DRAWN = "kind in ('curve', 'run') and step > 0"

STUDY = Study(
    name="llm",
    question="Does the rule show when TRL trains a small language model, and in its gradient's variance?",
    seed=SEED,
    cells=cells,
    measure=measure,
    table=table,
    draw=draw,
    curves=curves,
    # TRL draws what is trained on: where a last bit differs another token is drawn, and the run is another.
    # Ends of the seeds are up to 0.2 apart, so runs are held to 0.25, what counts their steps or completions
    # is not compared, and neither are moments past the start and the step sizes' search, whose rows do not
    # say how long its runs were. The start is not drawn: 2e-6 apart between sets of instructions.
    comparison=Comparison(
        keys=(
            "kind",
            "verifier",
            "rule",
            "size",
            "device",
            "learning_rate",
            "seed",
            "step",
            "checkpoint",
            "prompt",
            "prompts",
            "quantity",
            "seeds",
        ),
        among="kind != 'tuning'",
        relative=1e-3,
        # An unbiased rule has none: what is there is the rounding of a network's gradients.
        absolute={"direction_error": 1e-12},
        errors={
            "sampled_pass_at_k": "sampled_pass_at_k_error",
            "sampled_trace": "sampled_trace_error",
            "sampled_ratio": "sampled_ratio_error",
        },
        draws="groups",
        unstable={_DRAWN: 0.25},
        apart={"groups": "", "spread": "", "visible": "", "rollouts": "", "reached": "", "diversity": _DRAWN}
        | dict.fromkeys(_OF_CHECKPOINT, "checkpoint in ('half way', 'trained')"),
    ),
    needs=("trl",),
)
