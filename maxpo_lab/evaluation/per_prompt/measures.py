r"""What a number over k rollouts measures: pass@k, pass^k, G-Pass@k and its mean, as objectives.

All are L-statistics of the k rewards. Where each is 0 or 1, with s the successes among k,

- ``pass@k``: at least one, ``s >= 1``; of graded rewards the largest, max@k;
- ``pass^k``: all, ``s = k``;
- ``g-pass@k:tau``: a share tau of them, ``s >= max(ceil(tau k), 1)``;
- ``mg-pass@k``: twice the integral of G-Pass@k over tau from 1/2 to 1,

.. math:: \mathrm{mG}_k = 2 \int_{1/2}^1 \mathrm{G}_{\tau k}\, d\tau
          = \frac2k \Big( [k \text{ odd}]\, \tfrac12\, \mathrm{G}_{(k+1)/2}
          + \sum_{i > \lceil k/2 \rceil} \mathrm{G}_i \Big),

with ``G_i`` the chance of at least i. Common code leaves the half term of odd k out, so that a perfect model
scores (k-1)/k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from ...core.registry import Registry
from ...objectives import Objective, max_at


@dataclass(frozen=True)
class Measure:
    """A number over k rollouts of a prompt.

    Attributes
    ----------
    name
        What it is asked for by, ``"g-pass@k:0.5"``.
    label
        What it is called at one k, with ``{k}`` in its place: ``"pass@{k}"``.
    graded
        Whether it is defined on rewards other than 0 and 1.
    citation
        Where it comes from.
    objective
        It as an objective, by k.
    """

    name: str
    label: str
    graded: bool
    citation: str
    objective: Callable[[int], Objective]


def g_pass(tau: str) -> Measure:
    """G-Pass@k at a share tau of successes, ``0 < tau <= 1``; ValueError for any other."""
    try:
        share = Fraction(tau)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise ValueError(f"g-pass@k:{tau}: the share of successes must be 0 < tau <= 1, e.g. g-pass@k:0.5")

    def objective(k: int) -> Objective:
        return _by_successes(f"g-pass@k:{tau}", k, {ceil(share * k): Fraction(1)})

    return Measure(f"g-pass@k:{tau}", f"G-Pass@{{k}} ({tau})", False, _OF_SHARE, objective)


def _all_pass(k: int) -> Objective:
    return _by_successes("pass^k", k, {k: Fraction(1)})


def _mean_g_pass(k: int) -> Objective:
    whole, half = Fraction(2, k), Fraction(1, k)
    shares = dict.fromkeys(range(k // 2 + 1, k + 1), whole)
    if k % 2:
        shares[(k + 1) // 2] = half
    return _by_successes("mg-pass@k", k, shares)


def _by_successes(name: str, k: int, shares: dict[int, Fraction]) -> Objective:
    """Weights of the chances of at least i successes: of the i-th largest reward of k."""
    return Objective(name, tuple(shares.get(k - place, Fraction(0)) for place in range(k)))


_OF_ANY = "arXiv 2107.03374 (Codex) eq. 1; max@k: arXiv 2505.15201 (PKPO)"
_OF_ALL = "arXiv 2406.12045 (tau-bench)"
_OF_SHARE = "arXiv 2412.13147 (G-Pass@k)"

_MEASURES: Registry[Measure] = Registry(
    "measure",
    [
        ("pass@k", Measure("pass@k", "pass@{k}", True, _OF_ANY, max_at)),
        ("pass^k", Measure("pass^k", "pass^{k}", False, _OF_ALL, _all_pass)),
        ("g-pass@k:0.5", g_pass("0.5")),
        ("mg-pass@k", Measure("mg-pass@k", "mG-Pass@{k}", False, _OF_SHARE, _mean_g_pass)),
    ],
    families={"g-pass@k": g_pass},
)

#: The measure of what most rollouts answer, which is no function of the rewards alone: see ``majority``.
MAJORITY = "majority@k"


def get_measure(name: str) -> Measure:
    """A measure by its name; ValueError for one that there is not, with the nearest."""
    return _MEASURES[name]


def label_of(name: str, k: int | str = "k") -> str:
    """``"pass@4"`` for ``pass@k`` at k = 4; ``"pass@k"`` at no k."""
    return f"majority@{k}" if name == MAJORITY else get_measure(name).label.format(k=k)


def list_measures() -> tuple[str, ...]:
    """Names of the measures, ``majority@k`` among them."""
    return (*_MEASURES, MAJORITY)
