"""What the study stores of a contestant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One result of one contestant, a rule with a schedule of K; ``kind`` says what it is.

    - ``run``: the end of one seed's run, its area under the curve of max@K and its steps to 90 % of the
      optimum, None where it does not get there.
    - ``curve``: interquartile means over the seeds after ``step`` steps, of max@K and pass@1 with 95 %
      intervals. The signal is that of the first seeds, at the shared step size. Entropy, diversity and
      signal are means of the finite values, whose numbers are ``entropy_runs``, ``diversity_runs`` and
      ``signal_runs``: a run that diverged has none, and a solved or lost one has no signal.
    - ``tuning``: the area at one step size over the tuning seeds, with its interval.
    - ``undefined``: the rule is not defined here, and why.

    ``choice`` is ``shared`` or ``best`` (step size), ``step_size_rank`` its place in the grid, from 0. A
    diverged run scores the lowest reward; ``diverged`` counts them. max@K is at the condition's K.
    """

    kind: Literal["run", "curve", "tuning", "undefined"]
    specimen: str
    condition: str
    rule: str
    schedule: str
    k: int
    n: int
    optimiser: str
    start: str
    choice: str | None = None
    step_size: float | None = None
    step_size_rank: int | None = None
    seed: int | None = None
    step: int | None = None
    runs: int | None = None
    diverged: int | None = None
    max_at_k: float | None = None
    max_at_k_low: float | None = None
    max_at_k_high: float | None = None
    mean_reward: float | None = None
    mean_reward_low: float | None = None
    mean_reward_high: float | None = None
    area: float | None = None
    area_low: float | None = None
    area_high: float | None = None
    steps_to_90: float | None = None
    entropy: float | None = None
    diversity: float | None = None
    snr: float | None = None
    cosine: float | None = None
    entropy_runs: int | None = None
    diversity_runs: int | None = None
    signal_runs: int | None = None
    undefined: str | None = None
