"""What a group of rewards is: validation of rewards and of k, in one place."""

from __future__ import annotations

import operator
from numbers import Real
from typing import Any

import array_api_compat
import numpy as np

from .sequences import as_array, why_object

Array = Any
Namespace = Any


def as_rewards(rewards: Any, *, allow_nan: bool = False) -> tuple[Namespace, Array]:
    """Check a batch of reward groups and return it with its Array API namespace.

    Parameters
    ----------
    rewards
        Array of shape (..., n) from NumPy, torch or another Array API library, or a (nested)
        sequence of numbers, which becomes a NumPy array. Booleans and integers are promoted to the
        library's default floating type; every other type, device and dtype is kept. A tensor that requires
        grad is detached: rewards are data.
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
        A scalar, an empty array, rows of different lengths, a masked entry, a NaN or an infinity.
    """
    rewards, masked = as_array(rewards)
    if isinstance(rewards, np.ndarray) and rewards.dtype.kind not in "biufc":
        raise TypeError(
            f"rewards have dtype {rewards.dtype}{why_object(rewards)}: they must be real numbers, in an "
            f"array of shape (..., n) with one row a group; pass floats, e.g. np.asarray(rewards, "
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
            "rewards are a scalar: they must have shape (..., n), one entry a rollout of the group"
        )
    if array_api_compat.size(rewards) == 0:
        raise ValueError(
            f"rewards have shape {tuple(rewards.shape)}, which is empty: a group needs at least "
            f"one rollout and a batch at least one group"
        )
    if masked is not None:
        if not allow_nan:
            raise _not_finite(rewards, masked, "masked")
        rewards = np.where(masked, np.nan, rewards if rewards.dtype.kind == "f" else rewards.astype(float))
    if not xp.isdtype(rewards.dtype, "real floating"):
        default = xp.zeros(1, device=array_api_compat.device(rewards)).dtype
        return xp, xp.astype(rewards, default)
    finite = xp.isfinite(rewards)
    if allow_nan:
        finite = finite | xp.isnan(rewards)
    if not bool(xp.all(finite)):
        raise _not_finite(rewards, ~finite)
    return xp, rewards


def _not_finite(rewards: Array, bad: Array, what: str | None = None) -> ValueError:
    """The error for the first of the entries marked as bad."""
    xp = array_api_compat.array_namespace(rewards)
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int8)))
    where = ", ".join(str(i) for i in np.unravel_index(flat, tuple(rewards.shape)))
    found = what or float(xp.reshape(rewards, (-1,))[flat])
    return ValueError(
        f"rewards[{where}] is {found}: every reward must be finite; leave unscorable rollouts "
        f"out of their group (advantages(..., nan_policy='omit') does), or give them a failure's reward"
    )


def as_k(k: Any, *, n: int | None = None) -> int:
    """Check the K of max@K: a whole number, ``1 <= k``, and ``k <= n`` where a group size is given.

    Raises
    ------
    TypeError
        A float, a bool or anything else that is not an integer.
    ValueError
        ``k < 1``, or ``k > n``.
    """
    whole = whole_number(k, "k")
    if whole < 1 or (n is not None and whole > n):
        rule = "k >= 1" if n is None else f"1 <= k <= n = {n}"
        nearest = 1 if whole < 1 else n
        raise ValueError(f"k={whole}: max@k needs {rule}; the nearest valid choice is k={nearest}")
    return whole


def as_group_size(n: Any) -> int:
    """Check a group size: a whole number of at least 1. Raises as ``as_k`` does."""
    whole = whole_number(n, "n")
    if whole < 1:
        raise ValueError(f"n={whole}: a group needs at least one rollout, n >= 1")
    return whole


def whole_number(value: Any, name: str) -> int:
    """Check an integer argument; TypeError names it where it is a float, a bool or anything else."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} is a bool: it must be an int, e.g. {name}={int(value)}")
    try:
        return int(operator.index(value))
    except TypeError:
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}: it must be an int, e.g. {name}=4"
        ) from None


def real_number(value: Any, name: str) -> float:
    """Check a real argument; TypeError names it where it is a bool, text or anything else."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}: it must be a real number, e.g. {name}=0.5"
        )
    return float(value)


def real_numbers(values: Any, name: str) -> tuple[float, ...]:
    """Check an argument that is a sequence of real numbers; TypeError names it, or the one that is none."""
    try:
        given = list(values)
    except TypeError:
        raise TypeError(
            f"{name}={values!r} is a {type(values).__name__}: it must be a sequence of real numbers, e.g. "
            f"{name}=(0.5, 1.0)"
        ) from None
    return tuple(real_number(value, f"{name}[{index}]") for index, value in enumerate(given))
