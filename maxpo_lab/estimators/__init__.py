"""The catalogue of advantage rules: one family, one file."""

from ..core.coefficients import Coefficients
from .base import Estimator, RankLinear
from .claims import Claims, Laws
from .registry import get_estimator, list_estimators

__all__ = ["Claims", "Coefficients", "Estimator", "Laws", "RankLinear", "get_estimator", "list_estimators"]
