"""maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators."""

from importlib.metadata import version

from .advantages import advantages
from .estimators import Claims, Estimator, Laws, RankLinear, get_estimator, list_estimators
from .levels import RewardLevels
from .moments import Moments, exact_moments
from .objective import max_at_k, max_at_k_gradient, value_estimate
from .rules import per_group
from .spectrum import Spectrum, objective_spectrum, pass_at_k_spectrum

__version__ = version("maxpo-lab")

__all__ = [
    "Claims",
    "Estimator",
    "Laws",
    "Moments",
    "RankLinear",
    "RewardLevels",
    "Spectrum",
    "advantages",
    "exact_moments",
    "get_estimator",
    "list_estimators",
    "max_at_k",
    "max_at_k_gradient",
    "objective_spectrum",
    "pass_at_k_spectrum",
    "per_group",
    "value_estimate",
]
