"""Policies of a stated success with their exact moments, and samples of them from streams of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from maxpo_lab import Moments, RewardLevels, exact_moments, get_estimator, list_estimators
from maxpo_lab.core.arrays import Float
from maxpo_lab.estimators import RankLinear
from maxpo_lab.estimators.entry import Entry
from maxpo_lab.moments import MAX_STATES
from maxpo_lab.moments.states import number_of_states

from ...measure import specimens

if TYPE_CHECKING:
    from maxpo_lab.monte_carlo import Estimate, RuleMoments, SampledMoments
    from maxpo_lab.policies.samplers import Sampler


#: Root of the random streams.
SEED = 20260606
#: Success of the policies.
SUCCESS = 0.2
#: Group size and K of what is sampled.
N, K = 8, 4
#: Policies of more parameters than this have no covariance matrix here.
_SMALL = 400


@dataclass(frozen=True, slots=True)
class Setting:
    """A specimen's policy of this success, sampled in groups of n, and the K of max@K."""

    specimen: str
    success: float = SUCCESS
    n: int = N
    k: int = K

    def usable(self) -> list[str]:
        """Rules that are defined here and have exact moments."""
        values = specimens.levels(self.specimen, self.success).values

        def few(rule: Entry) -> bool:
            states = number_of_states(self.n, len(values), equivariant=rule.claims.equivariant)
            return states <= MAX_STATES

        return [
            rule.name
            for rule in map(get_estimator, list_estimators())
            if rule.why_not(self.n, self.k) is None
            and rule.why_not_rewards(values) is None
            and (isinstance(rule, RankLinear) or few(rule))
        ]

    def exact(self, estimator: str, target: str = "max@k") -> Moments:
        """Exact moments, without the covariance matrix."""
        return _exact(self, estimator, target)

    def covariance(self, estimator: str) -> Float | None:
        """Exact covariance matrix (d, d) of the estimate; None where there are too many parameters."""
        levels = _full_levels(self.specimen, self.success)
        if levels is None:
            return None
        return exact_moments(estimator, levels, n=self.n, k=self.k, covariance=True).covariance

    def sample(
        self, rules: Sequence[str], *, groups: int, seed: int, gradient: Float, device: str = "cpu"
    ) -> SampledMoments:
        """Moments of the rules from one sample."""
        from maxpo_lab.monte_carlo import monte_carlo_moments  # noqa: PLC0415 - torch is heavy

        return monte_carlo_moments(
            rules,
            sampler(self.specimen, self.success, device),
            n=self.n,
            k=self.k,
            groups=groups,
            seed=seed,
            device=device,
            gradient=gradient,
        )


def seed(cell: Any, repetition: int = 0) -> int:
    """Root of the streams of one sample: it depends on the cell's settings, whoever measures it."""
    digest = int.from_bytes(sha256(repr(cell).encode()).digest()[:16])
    words = np.random.SeedSequence(SEED, spawn_key=(digest, repetition)).generate_state(2, np.uint64)
    return int(words[0]) << 64 | int(words[1])


def read(moments: RuleMoments, figure: str) -> Estimate:
    """A quantity as the instrument gives it."""
    found: Estimate = getattr(moments, figure)
    return found


@cache
def sampler(specimen: str, success: float, device: str = "cpu") -> Sampler:
    """Groups of the policy on the specimen's prompt."""
    path = specimens.path(specimen)
    return path.specimen.sampler(path.at(success), device, path.prompt)


@cache
def _exact(setting: Setting, estimator: str, target: str) -> Moments:
    levels = specimens.levels(setting.specimen, setting.success)
    return exact_moments(estimator, levels, n=setting.n, k=setting.k, target=target)


@cache
def _full_levels(specimen: str, success: float) -> RewardLevels | None:
    """The levels with their covariance matrices, None where there are too many parameters."""
    path = specimens.path(specimen)
    theta = path.at(success)
    if theta.size > _SMALL:
        return None
    return path.specimen.levels(theta, path.prompt, covariances="full")
