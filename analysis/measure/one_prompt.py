"""Rules compared on one prompt of 0/1 rewards, against success rate and K: exactly, nothing is sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

import maxpo_lab as ml
from maxpo_lab.core.arguments import as_group_size, as_k, real_number, whole_number
from maxpo_lab.core.arrays import Float
from maxpo_lab.core.binomial import binomial
from maxpo_lab.estimators import group_estimator
from maxpo_lab.estimators.history.centered import centered_replay
from maxpo_lab.estimators.history.plug_in_floor import plug_in_floor
from maxpo_lab.estimators.history.replay import replay

from .success_tables import HistoryRule, SuccessTable, bandit, chances, group_table, success_table

#: Rules that look at earlier rewards of the prompt, which are compared where it has some.
REMEMBERING: Mapping[str, HistoryRule] = {
    "replay": replay,
    "centered-replay": centered_replay,
    "plug-in-floor": plug_in_floor,
}
#: What is compared unless told: the rules that are unbiased for max@K whatever the policy.
UNBIASED = ("maxpo", "pkpo-loo1", "predictive")
#: Outcomes at most, of which every policy of a curve has a gradient.
MOST_OUTCOMES = 100_000
#: Rollouts, earlier rewards, ``n^2 history``, rollouts with a history at most: 15 seconds, about 1 GB.
MOST_ROLLOUTS, MOST_HISTORY, MOST_OF_BOTH, MOST_BESIDE = 512, 1024, 1 << 19, 128
#: Success rates of a curve, even in log-odds, and how many lie between these and a prompt's own beyond.
_RATES = tuple(float(f"{p:.4g}") for p in expit(np.linspace(logit(0.001), logit(0.95), 41)))
_BEYOND = 12
#: The least ``(1-p)^(K-1)``, pass@K's slope over K, whose multiples float64 holds to all of its digits.
_LEAST_SLOPE = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)


def comparable() -> tuple[str, ...]:
    """Names that ``compare`` takes; a rule of a group also with parameters, at a K of its own and in sums."""
    return (*ml.list_estimators(), *REMEMBERING)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt, its group and its verifier; raises TypeError or ValueError for what there cannot be.

    Attributes
    ----------
    n, k
        Group size and K.
    success
        Chance that a rollout is right.
    correct, outcomes
        Different right answers, and answers in all: equally likely among the right, and among the wrong.
    history
        Earlier rewards of the prompt that are remembered, of the same policy and verifier.
    false_positives, false_negatives
        Share of wrong rollouts that the verifier passes, and of right ones that it fails; below 1 in sum.
    """

    n: int
    k: int
    success: float
    correct: int = 10
    outcomes: int = 1000
    history: int = 0
    false_positives: float = 0.0
    false_negatives: float = 0.0

    def __post_init__(self) -> None:
        n = as_group_size(self.n)
        as_k(self.k, n=n)
        if n > MOST_ROLLOUTS:
            raise ValueError(f"n={n}: at most {MOST_ROLLOUTS}, e.g. n={MOST_ROLLOUTS}")
        for name in ("success", "false_positives", "false_negatives"):
            real_number(getattr(self, name), name)
        for name in ("correct", "outcomes", "history"):
            whole_number(getattr(self, name), name)
        if not 0 < self.success < 1:
            raise ValueError(f"success={self.success:g}: it must be above 0 and below 1, e.g. success=0.1")
        if self.outcomes > MOST_OUTCOMES:
            raise ValueError(
                f"outcomes={self.outcomes}: at most {MOST_OUTCOMES}, beyond which nothing changes"
            )
        if self.outcomes < 2:
            raise ValueError(f"outcomes={self.outcomes}: at least 2, a right answer and a wrong one")
        if not 1 <= self.correct < self.outcomes:
            raise ValueError(
                f"correct={self.correct} of outcomes={self.outcomes}: there must be a right answer at least "
                f"and one wrong one; correct={min(max(self.correct, 1), self.outcomes - 1)} is the nearest"
            )
        if self.history < 0:
            raise ValueError(f"history={self.history}: it must be at least 0")
        most = min(MOST_HISTORY, MOST_OF_BOTH // n**2) if n <= MOST_BESIDE else 0
        if self.history > most:
            raise ValueError(
                f"history={self.history}: at most {most} in groups of n={n}, e.g. history={most}"
            )
        # Not a NaN either.
        if not (min(self.false_positives, self.false_negatives) >= 0 and self.flipped < 1):
            raise ValueError(
                f"false_positives={self.false_positives:g}, false_negatives={self.false_negatives:g}: each "
                f"must be at least 0 and both together below 1, or a verdict says nothing"
            )

        if not self.moves(self.k, self.success):
            raise ValueError(
                f"k={self.k}, success={self.success:g}: pass@{self.k} is 1 but for (1-p)^{self.k}, which "
                f"float64 cannot hold, so no rule moves it; take a smaller k or a smaller success"
            )

    @property
    def flipped(self) -> float:
        """What the verifier takes off the slope of the rewards."""
        return self.false_positives + self.false_negatives

    def passes(self, success: float) -> float:
        """The chance that the verifier passes a rollout."""
        return success * (1 - self.false_negatives) + (1 - success) * self.false_positives

    def moves(self, k: int, success: float) -> bool:
        """Whether pass@K still has a slope that float64 holds, of true verdicts and of the verifier's."""
        most = max(success, self.passes(success))
        return (k - 1) * math.log1p(-most) >= math.log(_LEAST_SLOPE) if most < 1 else k == 1

    def seen(self, success: float) -> ml.RewardLevels:
        """The reward levels that the verifier makes of the policy, the failure first."""
        levels = bandit(self.outcomes, self.correct, success)
        if not self.flipped:
            return levels
        passed = self.passes(success)
        wrong, right = levels.probabilities
        kept = np.array(
            [
                [wrong * (1 - self.false_positives), right * self.false_negatives],
                [wrong * self.false_positives, right * (1 - self.false_negatives)],
            ]
        ) / np.array([[1 - passed], [passed]])
        return ml.RewardLevels(
            values=levels.values,
            probabilities=np.array([1 - passed, passed]),
            mean_scores=kept @ levels.mean_scores,
            score_second_moments=kept @ levels.score_second_moments,
        )


def compare(prompt: Prompt, rules: Sequence[str] = ()) -> pd.DataFrame:
    r"""One row for each rule at the prompt's point, along success rates and along K.

    With ``E[g] = f(p) grad p`` on 0/1 rewards, ``scale`` is f over that of pass@K under true verdicts.
    ``efficiency`` is ``floor c^2 / tr Cov(g)``, all of the rewards as they are judged: c the scale on them,
    the floor the least variance of a rule that is unbiased for their max@K and has no history. Its inverse
    is how many times as many rollouts the rule needs for the same precision. Covariances are over groups
    and histories.

    Parameters
    ----------
    prompt
        Where.
    rules
        Names as ``comparable`` gives them. Default: ``UNBIASED``, and with a history ``replay`` and
        ``plug-in-floor``.

    Returns
    -------
    pandas.DataFrame
        ``part`` (``"here"``, ``"success"``, ``"k"``), ``rule``, ``unbiased`` (for max@K, whatever the
        policy), ``n, k, success, scale, trace_covariance, efficiency``, ``sum_rms`` (root mean square sum of
        advantages), ``dead`` (chance of a group that moves nothing). A rule has no row where it is undefined,
        nor where pass@K is 1 up to what float64 holds.

    Raises
    ------
    ValueError
        An unknown rule; one of another kind; one that is undefined at the prompt's own (n, k), by its reason;
        one that remembers where ``history=0``.
    """
    names = list(dict.fromkeys(rules or _chosen(prompt)))
    for name in names:
        if name not in REMEMBERING:
            reason = group_estimator(name, beside=REMEMBERING).why_not(prompt.n, prompt.k)
            if reason is not None and rules:
                raise ValueError(f"{name}: {reason}")
        elif not prompt.history:
            raise ValueError(f"{name} looks at earlier rewards of the prompt: give it a history above 0")
    by_k = {k: _tables(names, prompt, k) for k in range(1, prompt.n + 1)}
    if not by_k[prompt.k]:
        raise ValueError(f"n={prompt.n}: none of {', '.join(names)} is defined for it; n=2 is the least")
    rows = _rows("here", prompt, prompt.k, prompt.success, by_k[prompt.k])
    for success in _rates(prompt.success):
        if prompt.moves(prompt.k, success):
            rows += _rows("success", prompt, prompt.k, success, by_k[prompt.k])
    for k, tables in by_k.items():
        if prompt.moves(k, prompt.success):
            rows += _rows("k", prompt, k, prompt.success, tables)
    return pd.DataFrame(rows)


def _rates(own: float) -> list[float]:
    """Those of a curve, to the prompt's own where that lies beyond them."""
    nearest = min(max(own, _RATES[0]), _RATES[-1])
    between = np.linspace(logit(nearest), logit(own), _BEYOND)[1:-1] if nearest != own else np.empty(0)
    return sorted({*_RATES, *expit(between).tolist(), own})


def _chosen(prompt: Prompt) -> tuple[str, ...]:
    return (*UNBIASED, "replay", "plug-in-floor") if prompt.history else UNBIASED


def _tables(names: Sequence[str], prompt: Prompt, k: int) -> dict[str, SuccessTable]:
    """The rules that are defined at (n, k)."""
    n, found = prompt.n, {}
    for name in names:
        if name in REMEMBERING:
            found[name] = success_table(REMEMBERING[name], n=n, k=k, m=prompt.history)
        elif (rule := group_estimator(name)).why_not(n, k) is None:
            found[name] = group_table(rule, n=n, k=k)
    return found


def _unbiased(name: str) -> bool:
    """For max@K and every policy; centered-replay is so on average over fair histories alone."""
    if name in REMEMBERING:
        return name != "centered-replay"
    rule = group_estimator(name)
    return rule.claims.unbiased and rule.objective == "max@k"


def _rows(
    part: str, prompt: Prompt, k: int, success: float, tables: Mapping[str, SuccessTable]
) -> list[dict[str, object]]:
    n, seen, passed = prompt.n, prompt.seen(success), prompt.passes(success)
    floor = ml.variance_floor(seen, n=n, k=k).trace_covariance
    signal = float(np.sum(ml.max_at_k_gradient(seen, k) ** 2))
    left = (1 - prompt.flipped) * ((1 - passed) / (1 - success)) ** (k - 1)
    rows: list[dict[str, object]] = []
    for name, table in tables.items():
        chance = chances(prompt.history, passed) if name in REMEMBERING else np.ones(1)
        scale = float(chance @ table.weight(passed)) / (k * (1 - passed) ** (k - 1))
        trace = float(chance @ table.second_moment(seen)) - scale**2 * signal
        sums, dead = _sums(table, passed)
        rows.append(
            {
                "part": part,
                "rule": name,
                "unbiased": _unbiased(name),
                "n": n,
                "k": k,
                "success": success,
                "scale": left * scale,
                "trace_covariance": trace,
                "efficiency": floor * scale**2 / trace if scale else float("nan"),
                "sum_rms": float(np.sqrt(chance @ sums)),
                "dead": float(chance @ dead),
            }
        )
    return rows


def _sums(table: SuccessTable, passed: float) -> tuple[Float, Float]:
    """Of each history: the mean square of the sum of advantages, and the chance that all of them are 0.

    Up to rounding, which is 1e-12 of the largest advantage.
    """
    n, c = table.n, np.arange(table.n + 1)
    won, lost = np.where(c > 0, table.won, 0.0), np.where(c < n, table.lost, 0.0)
    largest = np.maximum(np.abs(won), np.abs(lost))
    nothing = 1e-12 * largest.max()
    total = c * won + (n - c) * lost
    at = binomial(n, passed, 1 - passed)
    return np.where(np.abs(total) > n * nothing, total, 0.0) ** 2 @ at, (largest <= nothing) @ at
