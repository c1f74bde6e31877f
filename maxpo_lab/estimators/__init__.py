"""The catalogue of advantage rules: one family, one file."""

from ..core.coefficients import Coefficients
from .base import Estimator, RankLinear
from .batch import BatchEstimator
from .claims import Claims, Laws
from .memory import MemoryEstimator
from .registry import get_estimator, group_estimator, list_estimators
from .vector import VectorBatchEstimator, VectorEstimator

__all__ = [
    "BatchEstimator",
    "Claims",
    "Coefficients",
    "Estimator",
    "Laws",
    "MemoryEstimator",
    "RankLinear",
    "VectorBatchEstimator",
    "VectorEstimator",
    "get_estimator",
    "group_estimator",
    "list_estimators",
]
