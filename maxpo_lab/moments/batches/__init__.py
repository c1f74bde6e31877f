"""Moments of the gradient of a batch of prompts, whatever couples them.

``over_prompts`` is the front door. ``meeting`` says who meets whom; ``apart``, ``product``, ``shared_sum``,
``shared_scale`` and ``conditional`` are ways to the ``coupled`` sums of each prompt, of which ``choice``
takes the first that is possible. ``memory`` is of rules that remember earlier steps.
"""

from .along_path import path_moments
from .over_prompts import batch_moments
from .prompts import side_by_side
from .result import BatchMoments, StandardErrors

__all__ = ["BatchMoments", "StandardErrors", "batch_moments", "path_moments", "side_by_side"]
