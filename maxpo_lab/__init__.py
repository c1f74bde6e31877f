"""maxpo-lab: the exact laboratory for max@K / pass@K policy-gradient estimators."""

from importlib.metadata import version

from .advantages import advantages
from .estimators import Claims, Estimator, Laws, RankLinear, get_estimator, list_estimators
from .floor import VarianceFloor, variance_floor
from .levels import RewardLevels
from .moments import Moments, exact_moments
from .objective import max_at_k, max_at_k_gradient, value_estimate
from .prompts import BatchMoments, batch_moments, side_by_side
from .rules import per_group
from .spectrum import Spectrum, objective_spectrum, pass_at_k_spectrum

__version__ = version("maxpo-lab")

__all__ = [
    "BatchMoments",
    "Claims",
    "Estimator",
    "Laws",
    "Moments",
    "RankLinear",
    "RewardLevels",
    "Spectrum",
    "VarianceFloor",
    "advantages",
    "batch_moments",
    "exact_moments",
    "get_estimator",
    "list_estimators",
    "max_at_k",
    "max_at_k_gradient",
    "objective_spectrum",
    "pass_at_k_spectrum",
    "per_group",
    "side_by_side",
    "value_estimate",
    "variance_floor",
]
