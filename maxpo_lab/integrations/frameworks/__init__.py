"""Training frameworks: what each ships, run from its package, and where a user's rule goes.

One file a framework: ``trainers`` of clusters, ``libraries``, and those of which the code was ``read``.
"""

from .framework import Framework, FrameworkVersionError, ShippedRule
from .registry import get_framework, list_frameworks

__all__ = ["Framework", "FrameworkVersionError", "ShippedRule", "get_framework", "list_frameworks"]
