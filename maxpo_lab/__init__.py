"""maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators."""

from importlib.metadata import version

from .advantages import advantages
from .estimators import Claims, Estimator, RankLinear, get_estimator, list_estimators
from .levels import RewardLevels
from .moments import Moments, exact_moments
from .objective import max_at_k, max_at_k_gradient, value_estimate
from .rules import per_group

__version__ = version("maxpo-lab")

__all__ = [
    "Claims",
    "Estimator",
    "Moments",
    "RankLinear",
    "RewardLevels",
    "advantages",
    "exact_moments",
    "get_estimator",
    "list_estimators",
    "max_at_k",
    "max_at_k_gradient",
    "per_group",
    "value_estimate",
]
