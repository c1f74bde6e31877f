"""What the study stores of a run, a checkpoint or a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One result; ``kind`` says what it is.

    - ``curve``: the prompts that ``evaluated`` names after ``step`` steps of a reported run, exact: mean
      pass@1, mean pass@K, and their ``diversity``, exp of the entropy among the right completions.
    - ``tuning``: a run of a tuning seed at a step size: ``area``, the mean of pass@K over its evaluations.
    - ``run``: a reported run, at the step size with the best mean ``area`` of the tuning seeds: the end of
      its curve, its ``area``, the ``rollouts`` after which pass@K first passed the target (all of the run,
      and ``reached`` 0, where it did not), and held-out prompts, exact, next to the unbiased estimate from
      rollouts that TRL drew. A run that ``diverged``, 1, has pass@K 0 from there on.
    - ``power``: what two rules with ``seeds`` runs each must be apart in ``quantity`` to be seen in 80 % of
      studies at the 5 % level: ``visible``, from the ``spread`` of the pilot's runs, an absolute difference,
      or a ratio for the rollouts (whose spread is of the logarithm).
    - ``prediction``: at a checkpoint, exact: ``second_moment``, the mean square of a step's gradient over the
      ``prompts`` trained on; ``predicted``, its ratio to the reference rule's; ``predicted_adam``, the root.
    - ``prompt``: a training prompt at a checkpoint, exact: pass@1, the trace covariance of one group's
      gradient and its ratio to the reference rule's; ``prompt`` is its place in the task.
    - ``variance``: a checkpoint. ``trace_covariance`` is the mean of its prompts, and ``efficiency`` the
      floor's share of that, for rules without bias. ``total_trace`` is of a group whose prompt is drawn
      among them, which a sample is compared with; the ratio of two rules in it is paired. ``snr`` is the
      squared norm of such a group's mean gradient over its trace.
    - ``history``: the same of a rule with a memory, given the prompt, at a fair history of each.
    - ``scores``: a prompt's failures and successes at a checkpoint: ``failure_share``, the mean squared score
      of a failure over that of a success, and ``shared``, the share of a success's that is their mean.
    """

    kind: Literal["curve", "tuning", "run", "power", "prediction", "prompt", "variance", "history", "scores"]
    verifier: str
    rule: str
    k: int
    n: int
    size: int = 1
    device: str = "cpu"
    parameters: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    step: int | None = None
    evaluated: str | None = None
    pass_at_1: float | None = None
    pass_at_k: float | None = None
    diversity: float | None = None
    area: float | None = None
    rollouts: float | None = None
    reached: int | None = None
    diverged: int | None = None
    held_out_pass_at_k: float | None = None
    sampled_pass_at_k: float | None = None
    sampled_pass_at_k_error: float | None = None
    quantity: str | None = None
    seeds: int | None = None
    spread: float | None = None
    visible: float | None = None
    checkpoint: str | None = None
    prompt: int | None = None
    prompts: int | None = None
    right: int | None = None
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
    second_moment: float | None = None
    predicted: float | None = None
    predicted_adam: float | None = None
    failure_share: float | None = None
    shared: float | None = None
