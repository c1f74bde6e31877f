"""What a loss makes of a policy that is known decision by decision, where its rollouts cannot be listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import array_api_compat
import numpy as np

from ...core.arrays import Float, Int
from ...losses import Loss
from ...policies.checks import CovarianceForm
from ...policies.levels import RewardLevels
from .contributions import ByLevel, cell_sums
from .of_loss import cancels, normalised

_NUMPY = array_api_compat.array_namespace(np.empty(0))


@runtime_checkable
class Decisions(Protocol):
    """A policy on one prompt, by its D distinct decisions: each has one ratio, whenever it is made."""

    @property
    def parameters(self) -> int:
        """How many numbers a score has, d."""

    @property
    def values(self) -> Float:
        """Rewards of the levels, ascending, (L,)."""

    @property
    def divergence(self) -> float:
        """KL of the current policy from the one that draws, in nats."""

    def log_ratios(self) -> dict[str, Float]:
        """Log-ratios of decisions, (D,), by the names that losses use."""

    def levels(self, *, covariances: CovarianceForm) -> RewardLevels:
        """Reward levels of the current policy; asked for ``covariances=None``."""

    def sums(self, weights: Float, direction: Float | None = None) -> tuple[Float, Float, Float]:
        """With ``U_a = sum_t weights[a, decision_t] s_t``, by level and by decisions made, 1 to T.

        Chances (L, T), ``E[U_a; l, T]`` (L, T, a, d) and ``E[<U_a, U_b>; l, T]`` (L, T, pairs a <= b), under
        the policy that draws; along a direction (d,), U are numbers, (L, T, a, 1).
        """


def weights_of(loss: Loss, policy: Decisions) -> Float:
    """What multiplies the score of each decision: for A > 0, for A < 0, and whatever A is, (2 or 3, D).

    Raises
    ------
    ValueError
        A loss that looks at a whole rollout's ratio.
    TypeError
        No reference where the loss has a penalty against one.
    """
    if loss.ratio.level != "token" or not _token_by_token(loss):
        raise ValueError(
            f"{loss.name} looks at the ratio of a whole rollout, which decisions alone do not tell: pass "
            f"Outcomes, or a loss at the level of tokens, or sample with monte_carlo_updates"
        )
    logs = {name: each[:, None] for name, each in policy.log_ratios().items()}
    if "reference_log_ratios" in loss.needs and "reference_log_ratios" not in logs:
        raise TypeError(f"{loss.name} has a KL penalty: the policy needs a reference")
    mask = np.ones(logs["log_ratios"].shape, dtype=bool)
    kept = {name: each for name, each in logs.items() if name in loss.needs} or {
        "log_ratios": logs["log_ratios"]
    }
    columns = list(loss.coefficients(_NUMPY, kept, mask))
    if loss.penalty is not None:
        columns.append(-loss.penalty.slopes(_NUMPY, dict(logs), mask, loss.ratio.level))
    return np.stack([np.broadcast_to(each, mask.shape)[:, 0] for each in columns])


def _token_by_token(loss: Loss) -> bool:
    """Whether a token's coefficients are the same beside another one: what decisions alone can tell."""
    own = np.array([[-0.3], [-0.05], [0.05], [0.3]])
    two = np.concatenate([own, np.full_like(own, 0.1)], axis=1)
    names = loss.needs | {"log_ratios"}
    pairs = (
        loss.coefficients(_NUMPY, dict.fromkeys(names, x), np.ones(x.shape, dtype=bool)) for x in (own, two)
    )
    return all(
        np.array_equal(np.broadcast_to(alone, own.shape), np.broadcast_to(beside, two.shape)[:, :1])
        for alone, beside in zip(*pairs, strict=True)
    )


def split(
    loss: Loss, policy: Decisions, direction: Float, n: int, *, alone: bool
) -> tuple[ByLevel, ByLevel, Callable[[Int], Float]]:
    """Contributions by level, the same along the direction, and the normaliser."""
    weights = weights_of(loss, policy)
    found = [policy.sums(weights), policy.sums(weights, direction)]
    chance = found[0][0].sum(axis=0)
    lengths = np.arange(1, len(chance) + 1)
    factors, normaliser, counted = normalised(loss, chance, lengths, len(chance), n)
    cancel = cancels(list(weights[:2]), policy.log_ratios())
    parts, seen = (
        _by_level(policy.values, each, factors, counted, alone=alone, cancel=cancel) for each in found
    )
    return parts, seen, normaliser


def _by_level(
    values: Float,
    found: tuple[Float, Float, Float],
    factors: Float,
    counted: Int,
    *,
    alone: bool,
    cancel: bool,
) -> ByLevel:
    mass, sums, products = found
    possible, ends = mass.sum(axis=1) > 0, mass.sum(axis=0) > 0
    probabilities = mass[possible].sum(axis=1)
    tokens = counted[ends]
    least = int(tokens.min()) if alone else 0
    unit = max(1, int(np.gcd.reduce(tokens - least))) if alone else 1
    spare, size = np.unique((tokens - least) // unit, return_inverse=True)
    own = factors[ends]
    to_spare = (size[:, None] == np.arange(len(spare))).astype(np.float64)
    given, columns = sums[possible][:, ends], sums.shape[2]
    twice = np.array([1.0 if a == b else 2.0 for a in range(columns) for b in range(a, columns)])

    def share(each: Float, weights: Float) -> Float:
        given = each[possible][:, ends]
        whole = np.tensordot(given, to_spare * weights[:, None], axes=(1, 0))
        return np.asarray(whole / probabilities.reshape(-1, *[1] * (whole.ndim - 1)))

    rows = len(probabilities) * len(own)
    cells = (len(probabilities), len(spare))
    by_cell = cell_sums(
        given.reshape(rows, columns, -1),
        np.tile(own, len(probabilities)),
        mass[possible][:, ends].ravel(),
        (np.arange(cells[0])[:, None] * cells[1] + size).ravel(),
        cells[0] * cells[1],
        cancel=cancel,
    )
    return ByLevel(
        values=values[possible],
        probabilities=probabilities / probabilities.sum(),
        least=least,
        unit=unit,
        spare=spare,
        shares=share(mass, np.ones(len(own))),
        sums=by_cell.reshape(*cells, columns, -1).swapaxes(1, 2) / probabilities[:, None, None, None],
        products=share(products, own**2) * twice[:, None],
    )
