"""What the study stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One result; ``kind`` says what it is, ``regime`` and ``policy`` (of the step size) where.

    - ``path``: a point of the exact path to the best policy: success, diversity and, for the rule, how much
      of the best step's loss is noise, ``noise_share = tr(H Sigma)/P over g'Hg``, with its parts; ``x`` is J.
    - ``pair``: a rule against the reference: ``variance_ratio`` of ``tr(H Sigma)`` along the path up to the
      target, weighted by the time that the reference spends there, and its least and largest; ``predicted``
      from exact moments and ``realised`` ratio of rollouts to the target with its 95 % interval;
      ``resolvable``, the smallest ratio that the seeds could have seen, and ``expected_resolvable``, the same
      said before from exact moments. ``note`` says why a ratio is missing, or which law it has.
    - ``rule``: its own best step size and rollouts, predicted and realised, and where it stands after
      ``steps`` steps at the step size that all share: max@K, pass@1, diversity.
    - ``size``: rollouts to the target at one step size ``x``, predicted and realised.
    - ``stationary``: excess loss at a constant step size ``x`` in units of its limit: exact by the chain of
      one parameter (``exact``), the closed form (``predicted``), and the trainer's own (``realised``).
    """

    kind: Literal["path", "pair", "rule", "size", "stationary"]
    regime: str
    policy: str
    rule: str
    against: str
    n: int
    k: int
    groups: int
    seeds: int
    x: float | None = None
    predicted: float | None = None
    exact: float | None = None
    realised: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    resolvable: float | None = None
    expected_resolvable: float | None = None
    variance_ratio: float | None = None
    variance_ratio_low: float | None = None
    variance_ratio_high: float | None = None
    trace_ratio: float | None = None
    noise_share: float | None = None
    signal: float | None = None
    trace: float | None = None
    curved_trace: float | None = None
    success: float | None = None
    diversity: float | None = None
    max_at_k: float | None = None
    mean_reward: float | None = None
    predicted_size: float | None = None
    size: float | None = None
    steps: int | None = None
    diverged: int | None = None
    note: str | None = None
