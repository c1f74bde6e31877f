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
)

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
    # Ends of the five seeds are up to 0.13 apart, so runs are held to 0.2, and moments at the trained
    # checkpoint not compared. The warm start is not drawn: 2e-6 apart between sets of instructions.
    comparison=Comparison(
        keys=(
            "kind",
            "verifier",
            "rule",
            "learning_rate",
            "seed",
            "step",
            "checkpoint",
            "prompt",
            "prompts",
        ),
        relative=1e-3,
        errors={
            "sampled_pass_at_k": "sampled_pass_at_k_error",
            "sampled_trace": "sampled_trace_error",
            "sampled_ratio": "sampled_ratio_error",
        },
        unstable={"kind in ('curve', 'sample') and step > 0": 0.2},
        apart={"groups": ""} | dict.fromkeys(_OF_CHECKPOINT, "checkpoint == 'trained'"),
    ),
    needs=("trl",),
)
