"""What a group of rewards is: validation of rewards, in one place."""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

import array_api_compat
import numpy as np

from .arrays import Array, Namespace
from .finite import not_finite
from .sequences import as_array, why_object


def as_rewards(rewards: Any, *, allow_nan: bool = False) -> tuple[Namespace, Array]:
    """Check a batch of reward groups and return it with its Array API namespace.

    Parameters
    ----------
    rewards
        Array of shape (..., n) from NumPy, torch or another Array API library, or a (nested)
        sequence of numbers, which becomes a NumPy array. Booleans and integers are promoted to the
        library's default floating type, which must hold each of them; every other type, device and dtype is
        kept. A tensor that requires grad is detached: rewards are data.
    allow_nan
        Let NaN pass: a mark of unscorable rollouts. A masked entry of a NumPy masked array is another such
        mark, and comes back as NaN; what lies under the mask is never read.

    Returns
    -------
    namespace, array (..., n) of a real floating dtype
        A masked array comes back as a plain one.

    Raises
    ------
    TypeError
        Complex, object, text: anything that is not a real number.
    ValueError
        A scalar, an empty array, rows of different lengths, a masked entry, a NaN, an infinity, or an integer
        that would be rounded.
    """
    plain = _plain(rewards)
    if plain is not None and _finite(plain[1]):
        return plain[0], rewards
    xp, rewards = as_real(rewards, allow_nan=allow_nan)
    with np.errstate(over="ignore", invalid="ignore"):
        total = xp.sum(rewards)
    if bool(xp.isfinite(total)):  # as no sum with an infinity or a NaN is; one that overflows proves nothing
        return xp, rewards
    finite = xp.isfinite(rewards)
    if allow_nan:
        finite = finite | xp.isnan(rewards)
    if not bool(xp.all(finite)):
        raise not_finite(rewards, ~finite)
    return xp, rewards


def as_real(rewards: Any, *, allow_nan: bool = False, promote: bool = True) -> tuple[Namespace, Array]:
    """As ``as_rewards``, but whether rewards are finite is left to the caller to see.

    Without ``promote``, booleans and integers stay what they are, for a caller that makes float64 of them:
    torch's own float32 does not hold integers beyond 2^24.
    """
    rewards, masked = as_array(rewards)
    if isinstance(rewards, np.ndarray) and rewards.dtype.kind not in "biufc":
        raise TypeError(
            f"rewards have dtype {rewards.dtype}{why_object(rewards)}: they must be real numbers, in an "
            f"array of shape (..., n) with one row per group; pass floats, e.g. np.asarray(rewards, "
            f"dtype=float)"
        )
    xp = array_api_compat.array_namespace(rewards)
    if xp.isdtype(rewards.dtype, "complex floating"):
        raise TypeError(
            f"rewards have dtype {rewards.dtype}: they must be real; pass the real part if the "
            f"imaginary part is zero"
        )
    if not xp.isdtype(rewards.dtype, ("bool", "integral", "real floating")):
        raise TypeError(
            f"rewards have dtype {rewards.dtype}, which has no arithmetic: they must be real numbers; cast "
            f"them, e.g. to float32"
        )
    if rewards.ndim == 0:
        raise ValueError(
            "rewards are a scalar: they must have shape (..., n), one entry per rollout of the group"
        )
    if array_api_compat.size(rewards) == 0:
        raise ValueError(
            f"rewards have shape {tuple(rewards.shape)}, which is empty: a group needs at least "
            f"one rollout and a batch at least one group"
        )
    if masked is not None:
        if not allow_nan:
            raise not_finite(rewards, masked, "masked")
        rewards = np.where(masked, np.nan, rewards if rewards.dtype.kind == "f" else rewards.astype(float))
    if promote and not xp.isdtype(rewards.dtype, "real floating"):
        return xp, _promoted(xp, rewards)
    return xp, rewards


def _promoted(xp: Namespace, rewards: Array) -> Array:
    """Booleans and integers in the default floating type, where it holds each of them."""
    found = xp.astype(rewards, xp.zeros(1, device=array_api_compat.device(rewards)).dtype)
    if xp.isdtype(rewards.dtype, "integral"):
        with np.errstate(invalid="ignore"):  # the largest may come back as none of its type
            lost = xp.astype(found, rewards.dtype) != rewards
        if bool(xp.any(lost)):
            raise ValueError(
                f"rewards hold the integer {int(rewards[lost][0])}, which {found.dtype} would round: pass "
                f"floats, in a type that tells your rewards apart"
            )
    return found


def _plain(rewards: Any) -> tuple[Namespace, Any] | None:
    """The namespace and the numbers of what most calls hand over: nothing to convert, and on the CPU.

    An array or a tensor of a floating type, off any graph.
    """
    if type(rewards) is np.ndarray:
        return (
            (_of_numpy(), rewards) if rewards.dtype.char in "efd" and rewards.ndim and rewards.size else None
        )
    torch = sys.modules.get("torch")
    if torch is None or type(rewards) is not torch.Tensor:
        return None
    if rewards.dtype not in (torch.float32, torch.float64, torch.float16) or not rewards.numel():
        return None
    try:
        return (_of_torch(), rewards.numpy()) if rewards.ndim else None
    except (
        RuntimeError,
        TypeError,
    ):  # with a graph, wrapped by torch.func, sparse, nested, or on another device
        return None


@cache
def _of_numpy() -> Namespace:
    return array_api_compat.array_namespace(np.empty(0))  # imports all that NumPy leaves for later


@cache
def _of_torch() -> Namespace:
    from array_api_compat import torch  # noqa: PLC0415 - it is there where a tensor is

    return torch


def _finite(values: Any) -> bool:
    """Whether a sum proves it, which no NaN and no infinity passes; one that overflows proves nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.add.reduce(values, axis=None))
