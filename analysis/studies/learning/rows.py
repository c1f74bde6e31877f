"""What the study stores of a contestant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One result of one contestant; ``kind`` says what it is.

    - ``run``: what became of one seed. ``area`` is that under max@K over the rollouts of the budget, in units
      of the target, which is 90 % of the optimum; what is above counts as the target. ``to_target`` are the
      rollouts until a run is at the target and stays there, None where it never does. ``first_success`` and
      ``all_solved`` are those until the first prompt, and all of them, have earned their highest reward once,
      None where they never have; ``first_chance`` is the chance that the start would have been as fast.
      ``diversity_at_target`` is that of the first evaluated policy that has arrived. Ends are at the budget.
    - ``curve``: after ``rollouts``, interquartile means over the seeds of max@K and pass@1, with 95 %
      intervals, of the diversity and the signal, with the number of runs that have one.
    - ``tuning``: means over the tuning seeds at one step size, of the area under max@K and under pass@1, and
      interquartile means of both at the end.
    - ``law``: what a policy that stays at the start does, exactly: the chances that the first prompt, and all
      prompts, are solved within ``rollouts``. ``expected``: the means of these rollouts, cut at the budget.
    - ``undefined``: the rule is not defined here, and why.

    ``k`` is that of the contestant, ``evaluated_k`` that of max@K. ``choice`` says how the step size was
    chosen, ``step_size_rank`` is its place in the grid, from 0. A diverged run scores the lowest reward;
    ``diverged`` counts them.
    """

    kind: Literal["run", "curve", "tuning", "law", "expected", "undefined"]
    section: str
    specimen: str
    start: float
    n: int
    evaluated_k: int
    budget: int
    rule: str = ""
    k: int | None = None
    loop: str = ""
    annealed: int = 0
    choice: str | None = None
    step_size: float | None = None
    step_size_rank: int | None = None
    seed: int | None = None
    rollouts: float | None = None
    runs: int | None = None
    diverged: int | None = None
    max_at_k: float | None = None
    max_at_k_low: float | None = None
    max_at_k_high: float | None = None
    mean_reward: float | None = None
    mean_reward_low: float | None = None
    mean_reward_high: float | None = None
    area: float | None = None
    mean_area: float | None = None
    to_target: float | None = None
    first_success: float | None = None
    first_chance: float | None = None
    all_solved: float | None = None
    entropy: float | None = None
    diversity: float | None = None
    diversity_runs: int | None = None
    diversity_at_target: float | None = None
    snr: float | None = None
    cosine: float | None = None
    signal_runs: int | None = None
    undefined: str | None = None
