"""Advantages that their type does not hold: refused, as sums of finite rewards may be beyond its numbers."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ..core.arrays import Array, Namespace, widest
from ..kernels.engine import as_host

#: Around a rule whose answer is ``held``, and around that: what overflows is an error, said once.
unwarned = partial(np.errstate, over="ignore", invalid="ignore")


def held(name: str, xp: Namespace, rewards: Array, advantages: Array, *, linear: bool = False) -> Array:
    """The advantages that a rule gives for finite rewards, where its type holds all that they are made of.

    Parameters
    ----------
    linear
        Whether the rule squares nothing: its answer then shows what was beyond the type. One that is divided
        by an infinite standard deviation is 0.

    Raises
    ------
    ValueError
        Where a number is beyond the largest of the type; it names both.
    """
    if _finite(xp, advantages) and (linear or _squares_fit(xp, rewards)):
        return advantages
    most, limit = float(xp.max(xp.abs(rewards))), float(xp.finfo(rewards.dtype).max)
    raise ValueError(
        f"rewards reach {most:.6g}: {name} makes a number beyond {limit:.6g} of them, the largest of "
        f"{rewards.dtype}; divide all rewards by one number, such as {most:.0e}"
    )


def _finite(xp: Namespace, advantages: Array) -> bool:
    """Whether all are; on the CPU a sum proves it, unless it overflows."""
    values = as_host(advantages)
    if values is not None and math.isfinite(np.add.reduce(values, axis=None)):
        return True
    return bool(xp.all(xp.isfinite(advantages)))


def _squares_fit(xp: Namespace, rewards: Array) -> bool:
    """Whether the squares of the rewards add up to a number, in the type that rules compute in."""
    if rewards.dtype != widest(xp):
        return True
    return bool(xp.isfinite(xp.sum(rewards * rewards)))
