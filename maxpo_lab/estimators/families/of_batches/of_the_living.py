"""Scales of a batch taken over the advantages that are not 0: ART's packing, retrain's batch step."""

from __future__ import annotations

from dataclasses import replace

from ....core.arrays import Array, Namespace
from ...batch import Pooled
from ...claims import Claims, Laws
from ..mean_reward import BATCH_MEAN
from ..standardised import deviations, grpo
from .batch_scaled import written

#: What retrain adds to its deviation, and below which it does not divide.
_EPS = 1e-8


def _count(xp: Namespace, living: Array, own: Array) -> Array:
    """How many live, one where none does, (..., 1)."""
    count = xp.sum(xp.astype(living, own.dtype), axis=-1, keepdims=True)
    return xp.where(count == 0, xp.ones_like(count), count)


def _over_mean_size(xp: Namespace, own: Array, rewards: Array) -> Array:
    size = xp.sum(xp.abs(own), axis=-1, keepdims=True) / _count(xp, own != 0, own)
    return own / xp.where(size == 0, xp.ones_like(size), size)


def _standardised(xp: Namespace, own: Array, rewards: Array) -> Array:
    living = own != 0
    count = _count(xp, living, own)
    none = xp.zeros_like(own)
    centered = xp.where(living, own - xp.sum(own, axis=-1, keepdims=True) / count, none)
    size = xp.sqrt(xp.sum(centered * centered, axis=-1, keepdims=True) / count)
    return centered / xp.where(size < _EPS, xp.ones_like(size), size + _EPS)


def art(scale: int = 1) -> Pooled:
    """ART's advantages as its packed batches have them: GRPO's with ddof 0 over their mean size.

    With ``scale=0`` the deviations' alone. ValueError: another scale.
    """
    if scale not in (0, 1):
        raise ValueError(f"art:scale={scale}: must be 0 or 1, for the group's deviation to be divided by")
    what = "(R - mean) / (std0 + 1e-6)" if scale else "R - mean"
    return Pooled(
        name="art" if scale else "art:scale=0",
        title="Advantages of ART as packed",
        equation=f"A_i = a_i / mean of abs(a_j) over the batch's a_j that are not 0, a = {what}",
        citation="OpenPipe/ART 0.5.23, tokenize_trajectory_groups and packed_tensors_from_tokenized_results",
        objective="mean",
        uses_k=False,
        claims=Claims(unbiased=False, centered=True),
        laws=Laws(scale="invariant"),
        smallest_group=2,
        own=grpo(ddof=0) if scale else written(BATCH_MEAN, deviations),
        couple=_over_mean_size,
    )


RETRAIN = replace(
    art(),
    name="retrain-batch",
    title="REINFORCE++ of retrain, its batch step",
    equation=(
        "A_i = (a_i - m) / (s + 1e-8), m and s mean and std0 of the batch's a_j = R_j - mean that are not 0; "
        "those that are 0 stay so"
    ),
    citation="retrain 0.3.0 (PyPI), reinforce_pp and apply_batch_advantage_normalization",
    degenerate="a flat group gives 0; deviations below 1e-8 are not scaled",
    own=written(BATCH_MEAN, deviations),
    couple=_standardised,
)

RULES = (art(), RETRAIN)
#: By the name that takes parameters.
MAKERS = {
    "art": art,
}
