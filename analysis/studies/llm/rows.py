"""What the study stores of a run or a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One result; ``kind`` says what it is.

    - ``curve``: held-out prompts after ``step`` steps of a run, exact: mean pass@1, mean pass@K, and the mean
      probability of the right chain with its answer.
    - ``sample``: the end of a run, exact, next to the unbiased estimate of pass@K from rollouts that TRL drew
      and its standard error.
    - ``prompt``: a training prompt at a checkpoint, exact: pass@1, the trace covariance of one group's
      gradient and its ratio to the reference rule's; ``prompt`` is its place in the task.
    - ``variance``: a checkpoint. ``trace_covariance`` is the mean of its prompts, and ``efficiency`` the
      floor's share of that, for rules without bias. ``total_trace`` is of a group whose prompt is drawn
      among them, which a sample is compared with; the ratio of two rules in it is paired. ``snr`` is the
      squared norm of such a group's mean gradient over its trace.
    - ``history``: the same of a rule with a memory, given the prompt, at a fair history of each.
    """

    kind: Literal["curve", "sample", "prompt", "variance", "history"]
    verifier: str
    rule: str
    k: int
    n: int
    learning_rate: float | None = None
    seed: int | None = None
    step: int | None = None
    pass_at_1: float | None = None
    pass_at_k: float | None = None
    right_chain: float | None = None
    sampled_pass_at_k: float | None = None
    sampled_pass_at_k_error: float | None = None
    checkpoint: str | None = None
    prompt: int | None = None
    prompts: int | None = None
    trace_covariance: float | None = None
    ratio: float | None = None
    scale: float | None = None
    direction_error: float | None = None
    efficiency: float | None = None
    snr: float | None = None
    groups: int | None = None
    total_trace: float | None = None
    sampled_trace: float | None = None
    sampled_trace_error: float | None = None
    total_ratio: float | None = None
    sampled_ratio: float | None = None
    sampled_ratio_error: float | None = None
