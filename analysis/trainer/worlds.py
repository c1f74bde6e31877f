"""What can be trained: tabular specimens and next-token networks, each as a world."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.base.specimen import Specimen
from envs.networks.sequence import SequencePolicy
from envs.tabular.specimen import TabularSpecimen

from .network import NetworkWorld
from .protocol import World
from .tabular import TabularWorld


def world_of(specimen: Specimen, start: npt.ArrayLike | None = None) -> World:
    """A specimen as a world, from parameters ``start`` (default: the specimen's own).

    Tabular specimens are unrolled; a ``SequencePolicy`` is enumerated. TypeError for any other,
    ValueError for a start of another shape.
    """
    theta = np.array(specimen.theta if start is None else start, dtype=np.float64)
    if theta.shape != specimen.theta.shape:
        raise ValueError(f"start has shape {theta.shape}: expected {specimen.theta.shape}")
    if isinstance(specimen, TabularSpecimen):
        return TabularWorld.of(specimen, theta)
    if isinstance(specimen, SequencePolicy):
        return NetworkWorld.of(specimen, theta)
    raise TypeError(
        f"a {type(specimen).__name__} cannot be trained here: its rewards must be enumerable; use a tabular "
        f"specimen or a SequencePolicy"
    )
