"""What the tokens of a batch are: validation of advantages, masks and log-ratios, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from ..core.arrays import Array, Namespace

#: What an infinite log-ratio says: of the policy in its numerator (-inf), and of the one in its denominator.
_POLICIES = {
    "log_ratios": ("the current policy", "the old policy"),
    "behaviour_log_ratios": ("the old policy", "the behaviour policy"),
    "reference_log_ratios": ("the current policy", "the reference policy"),
    "log_probs": ("the current policy", "no policy"),
}


@dataclass(frozen=True, eq=False)
class Tokens:
    """A checked batch: ``values`` (..., n, 1) or (..., n, T), ``mask`` (..., n, T), ``logs`` 0 off the mask."""

    xp: Namespace
    values: Array
    mask: Array
    logs: dict[str, Array]


def as_tokens(given: Any, mask: Any, *, values: str = "advantages", **logs: Any) -> Tokens:
    """Check the arrays of a batch; what lies under a mask is never read.

    Parameters
    ----------
    given
        Advantages (or rewards: ``values`` is their name), (..., n), or (..., n, T) for a number a token.
    mask
        (..., n, T), booleans or 0 and 1. None: all tokens count, one a rollout where nothing says how many.
    logs
        Differences of log-probabilities by name, (..., n, T); None where one is absent.

    Raises
    ------
    TypeError
        Anything but real numbers; arrays of several libraries.
    ValueError
        Shapes that do not belong together; a mask of anything but 0 and 1; a number that is not finite on a
        token that counts: a policy that gives it probability 0.
    """
    found = {name: each for name, each in logs.items() if each is not None}
    every = [given, *found.values(), *(() if mask is None else (mask,))]
    xp = _namespace(every, values)
    base = _real(xp, given, values)
    if base.ndim == 0:
        raise ValueError(f"{values} are a scalar: they must have shape (..., n), one a rollout of the group")
    arrays = {name: _real(xp, each, name) for name, each in found.items()}
    shape = _shape(base, None if mask is None else xp.asarray(mask), arrays, values)
    keep = xp.ones(shape, dtype=xp.bool, device=array_api_compat.device(base)) if mask is None else None
    keep = _as_mask(xp, mask) if keep is None else keep
    kind = xp.result_type(base, *arrays.values()) if arrays else base.dtype
    base = xp.astype(base, kind, copy=False)
    base = base if tuple(base.shape) == shape else base[..., None]
    _check_finite(xp, base, keep, values)
    for name, each in arrays.items():
        held = xp.where(keep, xp.astype(each, kind, copy=False), 0.0)
        if not bool(xp.isfinite(xp.sum(held))):
            _check_policies(xp, held, name)
        arrays[name] = held
    return Tokens(xp=xp, values=base, mask=keep, logs=arrays)


def _namespace(every: list[Any], values: str) -> Namespace:
    arrays = [each for each in every if array_api_compat.is_array_api_obj(each)]
    if not arrays:
        return array_api_compat.array_namespace(np.empty(0))
    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError:
        kinds = sorted({type(each).__module__.partition(".")[0] for each in arrays})
        raise TypeError(
            f"{values}, mask and log-ratios are arrays of {' and '.join(kinds)}: pass all of one library"
        ) from None


def _real(xp: Namespace, array: Any, name: str) -> Array:
    if not array_api_compat.is_array_api_obj(array):
        try:
            array = np.asarray(array)
        except ValueError as error:
            raise ValueError(
                f"{name}: rows of different lengths; pad them to one, and mask the padding"
            ) from error
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} have dtype {array.dtype}: they must be real numbers")
        array = xp.asarray(array)
    if getattr(array, "requires_grad", False):
        array = array.detach()
    if xp.isdtype(array.dtype, "real floating"):
        return array
    if xp.isdtype(array.dtype, ("bool", "integral")):
        return xp.astype(array, xp.zeros(1).dtype)
    raise TypeError(f"{name} have dtype {array.dtype}: they must be real numbers")


def _shape(base: Array, mask: Array | None, logs: dict[str, Array], values: str) -> tuple[int, ...]:
    """The shape (..., n, T) of the tokens, on which all agree."""
    shapes = {name: tuple(each.shape) for name, each in logs.items()}
    if mask is not None:
        shapes["mask"] = tuple(mask.shape)
    own = tuple(base.shape)
    (name, shape), *others = [*shapes.items()] or [(values, (*own, 1))]
    for other, found in others:
        if found != shape:
            raise ValueError(
                f"{other} have shape {found} and {name} {shape}: they must be equal, (..., n, T)"
            )
    if own not in (shape, shape[:-1]):
        raise ValueError(
            f"{values} have shape {own} and {name} {shape}: expected {shape[:-1]}, one a rollout, or {shape}, "
            f"one a token"
        )
    if 0 in shape:
        raise ValueError(f"{name} have shape {shape}, which is empty: a loss needs a token at least")
    return shape


def _as_mask(xp: Namespace, mask: Any) -> Array:
    mask = xp.asarray(mask)
    if xp.isdtype(mask.dtype, "bool"):
        return mask
    keep = mask != 0
    if not bool(xp.all((mask == 1) | ~keep)):
        raise ValueError("mask: every entry must be 0 or 1 (or a bool): weights go into the advantages")
    return keep


def _check_finite(xp: Namespace, base: Array, keep: Array, name: str) -> None:
    if bool(xp.isfinite(xp.sum(base))):
        return
    keep = keep if base.shape == keep.shape else xp.any(keep, axis=-1, keepdims=True)
    bad = ~xp.isfinite(base) & keep
    if bool(xp.any(bad)):
        where, found = _first(xp, base, bad)
        raise ValueError(f"{name}[{where}] is {found}: must be finite on a rollout that has a token")


def _check_policies(xp: Namespace, held: Array, name: str) -> None:
    bad = ~xp.isfinite(held)
    if not bool(xp.any(bad)):
        return  # only the sum overflowed
    where, found = _first(xp, held, bad)
    above, below = _POLICIES[name]
    if found != found:
        raise ValueError(
            f"{name}[{where}] is nan: a token that counts has a log-probability under {above} and {below}; mask "
            f"it, or give it log-ratio 0 (no correction)"
        )
    if found < 0:
        raise ValueError(
            f"{name}[{where}] is -inf: {above} gives probability 0 to a token that counts, and has no score "
            f"there; mask the token"
        )
    raise ValueError(
        f"{name}[{where}] is inf: {below} gives probability 0 to a token that was drawn; no ratio corrects for "
        f"a token that it lacks: mask the token, or draw from a policy with the support of the current one"
    )


def _first(xp: Namespace, values: Array, bad: Array) -> tuple[str, float]:
    flat = int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int8)))
    where = np.unravel_index(flat, tuple(values.shape))
    return ", ".join(map(str, where)), float(xp.reshape(values, (-1,))[flat])
