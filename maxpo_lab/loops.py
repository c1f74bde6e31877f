r"""What a rule climbs in a loop: dead groups dropped or redrawn, duplicates, a verifier that errs.

On 0/1 rewards the expected update on a prompt stays ``f(p) grad p``, with another f. Advantages of a group
with c successes are ``a+(c)`` and ``a-(c)``.

- Dead groups *dropped* (or replaced by other prompts): ``a+(n) = a-(0) = 0``. *Redrawn* on the same prompt
  until a group lives: the same over ``P(alive) = 1 - p^n - (1-p)^n``.
- *Duplicates*: each rollout but the first is a copy of the first with probability delta, B copies in all.
  ``f = E[(B f_b + (n-B) f_s) / n]`` for the copied rollout and the single ones, ``f_b`` with
  ``a+(c+B) - a-(c)``, c ~ Bin(n-B, p), and ``f_s`` with ``a+(c+1+BX) - a-(c+BX)``, c ~ Bin(n-B-1, p), X the
  success of the copied one.
- *A verifier* that fails a share fn of right answers and passes fp of wrong ones sees
  ``p' = p(1-fn) + (1-p) fp``: the weight is ``(1-fn-fp) f(p')``.

All are polynomials of degree n-1 in p, in Bernstein form throughout: sums of positive terms, exact in
rationals, stable in floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import rules
from .core.arguments import as_group_size, as_k, check_choice
from .core.arrays import Float
from .core.coefficients import Vector
from .spectrum import Spectrum, advantages_by_failures, bernstein, from_increments

#: What a loop does with a group of rewards that are all alike.
DeadGroupPolicy = Literal["keep", "drop", "redraw"]


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A success probability in (0, 1) with an expected update of 0, and whether training returns to it."""

    success: float
    stable: bool


@dataclass(frozen=True, eq=False)
class LoopSpectrum:
    r"""What a rule climbs on 0/1 rewards in a loop; see ``loop_spectrum``.

    Attributes
    ----------
    climbed
        The ``Spectrum`` of the update before it is divided by ``alive``: exact rationals where the rule and
        the settings have them.
    dead
        Chance of a dead group by Bernstein coefficients of degree n in p, indexed by failures, (n+1,), where
        dead groups are redrawn; else all 0.
    """

    climbed: Spectrum
    dead: Vector

    def alive(self, success: npt.ArrayLike) -> Float:
        """Share of the draws that the loop keeps: 1 unless dead groups are redrawn."""
        return 1.0 - bernstein(self.dead, success)

    def weight_function(self, success: npt.ArrayLike) -> Float:
        """``f(p)``: the weight of ``grad p`` in the expected update, the shape of ``success``.

        NaN where dead groups are redrawn and none ever lives.
        """
        climbed, alive = self.climbed.weight_function(success), self.alive(success)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(alive > 0, climbed / alive, np.nan))

    def fixed_points(self) -> tuple[FixedPoint, ...]:
        """Where in (0, 1) the expected update changes sign, ascending.

        A stable one is where training ends up: f falls through 0. Cost O(n^3). Roots of even order, where f
        touches 0, are no change of sign and are not listed.
        """
        return tuple(FixedPoint(root, stable) for root, stable in _changes(self.climbed.increments))


def loop_spectrum(
    estimator: str | rules.Rule,
    *,
    n: int,
    k: int,
    dead_groups: DeadGroupPolicy = "keep",
    duplicates: float | Fraction = 0,
    false_negatives: float | Fraction = 0,
    false_positives: float | Fraction = 0,
) -> LoopSpectrum:
    """What a rule climbs on 0/1 rewards when a training loop filters, repeats and misjudges its rollouts.

    Parameters
    ----------
    estimator
        A rule of a group: a name, an ``Estimator``, or any callable ``(rewards (B, n), k) -> (B, n)``.
    n, k
        Group size and K.
    dead_groups
        ``"keep"`` groups of equal rewards with what the rule gives them; ``"drop"`` them, which is also what
        replacing them by other prompts does to a prompt's share, up to a factor that all prompts have in
        common; ``"redraw"`` the same prompt until its group lives.
    duplicates
        Chance that a rollout repeats the first of its group.
    false_negatives, false_positives
        Share of right answers that the verifier fails, and of wrong ones that it passes, independent of
        anything else; below 1 in sum. Copies share a verdict.

    Returns
    -------
    LoopSpectrum
        In exact rationals where the rule is (see ``pass_at_k_spectrum``) and the shares are Fractions or 0.

    Raises
    ------
    TypeError, ValueError
        As ``pass_at_k_spectrum``; a share outside [0, 1), or an unknown policy.

    Notes
    -----
    Cost n+1 evaluations of the rule and O(n^3). Source: derived here; the cases n = 8, K = 4 by enumeration.
    """
    n, k = as_group_size(n), as_k(k)
    check_choice("dead_groups", dead_groups, ("keep", "drop", "redraw"))
    delta, missed, passed = (
        _share(name, value)
        for name, value in (
            ("duplicates", duplicates),
            ("false_negatives", false_negatives),
            ("false_positives", false_positives),
        )
    )
    if missed + passed >= 1:
        raise ValueError(
            f"false_negatives={false_negatives} and false_positives={false_positives} add up to "
            f"{float(missed + passed):g}: a verdict that says anything needs less than 1"
        )
    won, lost, size = advantages_by_failures(estimator, n, k)
    if won.dtype != object or any(isinstance(share, float) for share in (delta, missed, passed)):
        won, lost = won.astype(np.float64), lost.astype(np.float64)
        delta, missed, passed = float(delta), float(missed), float(passed)
    if dead_groups != "keep":
        won, lost = won.copy(), lost.copy()
        won[0] = lost[-1] = won[0] * 0
    # By successes from here: won[c-1] for c = 1..n, lost[c] for c = 0..n-1.
    steps = _with_copies(won[::-1], lost[::-1], delta)
    steps = _seen(steps, passed, 1 - missed) * (1 - missed - passed)
    dead = np.zeros(n + 1, dtype=steps.dtype)
    if dead_groups == "redraw":
        dead = _seen(_dead(n, delta), passed, 1 - missed)
    return LoopSpectrum(from_increments(steps[::-1], size), dead[::-1])


def _share(name: str, value: Any) -> Fraction | float:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | np.floating):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}: it must be a number in [0, 1)")
    if not 0 <= value < 1:
        raise ValueError(f"{name}={value!r}: it must be in [0, 1)")
    if isinstance(value, Fraction):
        return value
    return float(value) if value else Fraction(0)


def _with_copies(won: Vector, lost: Vector, delta: Fraction | float) -> Vector:
    """Bernstein coefficients of degree n-1, by successes, of the weight with duplicates."""
    n = len(won)
    if not delta:
        return won - lost
    total = np.zeros(n, dtype=won.dtype)
    for copies in range(1, n + 1):
        chance = comb(n - 1, copies - 1) * delta ** (copies - 1) * (1 - delta) ** (n - copies)
        alone = n - copies
        c = np.arange(alone + 1)
        weight = copies * (won[c + copies - 1] - lost[c])
        if alone:
            m = np.arange(alone)  # successes among the other single ones
            failed, succeeded = won[m] - lost[m], won[m + copies] - lost[m + copies]
            none = np.zeros(1, dtype=won.dtype)
            both = (alone - c) * np.concatenate([failed, none]) + c * np.concatenate([none, succeeded])
            weight = weight + both
        total = total + chance * _raised(weight, n - 1) / n
    return np.asarray(total)


def _dead(n: int, delta: Fraction | float) -> Vector:
    """Bernstein coefficients of degree n, by successes, of the chance that all are alike."""
    total = np.zeros(n + 1, dtype=object if isinstance(delta, Fraction) else np.float64)
    for copies in range(1, n + 1):
        chance = comb(n - 1, copies - 1) * delta ** (copies - 1) * (1 - delta) ** (n - copies)
        ends = np.array([0 * delta] * (n - copies + 2))
        ends[0] = ends[-1] = delta**0
        total = total + chance * _raised(ends, n)
    return np.asarray(total)


def _raised(values: Vector, degree: int) -> Vector:
    """The same polynomial with Bernstein coefficients of a higher degree."""
    while (m := len(values)) <= degree:
        j = np.arange(m + 1)
        none = np.zeros(1, dtype=values.dtype)
        before, after = np.concatenate([none, values]), np.concatenate([values, none])
        values = (j * before + (m - j) * after) / m
    return values


def _seen(values: Vector, low: Fraction | float, high: Fraction | float) -> Vector:
    """The polynomial in ``low + (high - low) p`` instead of p: what de Casteljau's rule cuts off."""
    if (low, high) == (0, 1):
        return values
    return _up_to(_up_to(values, high)[::-1], 1 - low / high)[::-1]


def _up_to(values: Vector, end: Fraction | float) -> Vector:
    """Bernstein coefficients on [0, end]."""
    kept = []
    while len(values):
        kept.append(values[0])
        values = values[:-1] * (1 - end) + values[1:] * end
    return np.array(kept)


def _changes(by_failures: Vector) -> list[tuple[float, bool]]:
    """Changes of sign in (0, 1) of the Bernstein polynomial with these coefficients, and whether it falls."""
    found: list[tuple[float, bool]] = []
    pieces = [(0.0, 1.0, np.asarray(by_failures, dtype=np.float64)[::-1])]
    while pieces:
        low, high, values = pieces.pop()
        signs = np.sign(values[np.abs(values) > np.abs(values).max() * 1e-13]) if values.any() else values
        changes = int(np.sum(signs[1:] != signs[:-1])) if len(signs) else 0
        if not changes:
            continue
        if high - low < 1e-15 * max(high, 1e-300) or (high - low < 1e-12 and changes == 1):
            found.append(((low + high) / 2, bool(signs[0] > 0)))
            continue
        middle = (low + high) / 2
        left = _up_to(values, 0.5)
        right = _up_to(values[::-1], 0.5)[::-1]
        pieces += [(middle, high, right), (low, middle, left)]
    return found
