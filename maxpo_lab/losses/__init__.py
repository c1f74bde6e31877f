"""What turns advantages into an update: linear weights on the scores of tokens, as trainers compute them."""

from .aggregation import Aggregation
from .base import Loss
from .corrections import Correction
from .filtering import FILTERINGS, Filtering
from .kl import Penalty, penalised_rewards
from .off_policy import off_policy_advantages
from .ratios import Clipped, Plain, Ratio, Truncated
from .registry import get_loss, list_losses
from .soft import Gamma, GeometricMean, Sigmoid

__all__ = [
    "FILTERINGS",
    "Aggregation",
    "Clipped",
    "Correction",
    "Filtering",
    "Gamma",
    "GeometricMean",
    "Loss",
    "Penalty",
    "Plain",
    "Ratio",
    "Sigmoid",
    "Truncated",
    "get_loss",
    "list_losses",
    "off_policy_advantages",
    "penalised_rewards",
]
