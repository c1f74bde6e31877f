"""What a user's rule answers, held to be advantages, in the array type that it was asked in."""

from __future__ import annotations

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace, on_host
from .calling import Rule, describe
from .errors import BadShapeError, NotFiniteError, NotRealError


def checked(rule: Rule, xp: Namespace, *, carried: int = 0) -> Rule:
    """A callable whose answer is held to be one finite real number per rollout, cast to their array type.

    ``carried``: axes of the rewards that are a rollout's own.
    """
    name = describe(rule)

    def called(rewards: Array, k: int) -> Array:
        device = array_api_compat.device(rewards)
        found = rule(xp.asarray(rewards, copy=True), k)
        if array_api_compat.is_torch_array(found):
            found = found.detach() if array_api_compat.is_torch_array(rewards) else found.detach().cpu()
        if isinstance(found, np.ma.MaskedArray) and found.dtype.kind in "biuf":
            found = np.ma.filled(found.astype(np.float64), np.nan)
        if not array_api_compat.is_array_api_obj(found) or array_api_compat.array_namespace(found) is not xp:
            try:
                found = np.asarray(found)
            except (TypeError, ValueError, RuntimeError) as error:
                raise BadShapeError(f"{name} returned no array of shape (B, n): {error}") from error
            if found.dtype.kind not in "biuf":
                raise NotRealError(f"{name} returned dtype {found.dtype}: advantages must be real numbers")
            found = xp.asarray(found)
        if tuple(found.shape) != tuple(rewards.shape[: rewards.ndim - carried]):
            given = "(B, n, d)" if carried else "(B, n)"
            raise BadShapeError(
                f"{name} returned shape {tuple(found.shape)} for rewards of shape {tuple(rewards.shape)}: a "
                f"rule maps {given} to (B, n)"
            )
        if not xp.isdtype(found.dtype, ("bool", "integral", "real floating")):
            raise NotRealError(f"{name} returned dtype {found.dtype}: advantages must be real numbers")
        found = xp.astype(array_api_compat.to_device(found, device), rewards.dtype)
        finite = xp.isfinite(found)
        if not bool(xp.all(finite)):
            row = int(xp.argmax(xp.astype(~xp.all(finite, axis=-1), xp.int8)))
            group, got = (on_host(values[row, ...]).tolist() for values in (rewards, found))
            raise NotFiniteError(
                f"{name} returned {got} for the group {group} at k={k}: advantages must be finite"
            )
        return found

    return called
