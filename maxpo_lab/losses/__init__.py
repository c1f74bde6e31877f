"""What turns advantages into an update: linear weights on the scores of tokens, as trainers compute them."""

from .aggregation import Aggregation
from .base import Loss
from .corrections import Correction
from .kl import Penalty, penalised_rewards
from .ratios import Clipped, Plain, Ratio, Truncated
from .registry import get_loss, list_losses

__all__ = [
    "Aggregation",
    "Clipped",
    "Correction",
    "Loss",
    "Penalty",
    "Plain",
    "Ratio",
    "Truncated",
    "get_loss",
    "list_losses",
    "penalised_rewards",
]
