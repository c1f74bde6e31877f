"""Next-token networks, and the policies and samplers made of them; needs torch."""

from .architectures import GRU, GRUConfig, Transformer, TransformerConfig, initialise

__all__ = ["GRU", "GRUConfig", "Transformer", "TransformerConfig", "initialise"]
