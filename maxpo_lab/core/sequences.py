"""Sequences, masked arrays and tensors as one array; where that fails, the reason in the caller's terms."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

from .arrays import Bool
from .tracing import off_graph

_GROUPS = (
    "groups of different sizes go into one row, rewards of shape (B,), with group_ids=... of one id an entry"
)


def as_array(rewards: Any) -> tuple[Any, Bool | None]:
    """Rewards as one array of their library, and which entries are masked (None where none is).

    Sequences become NumPy arrays, masked arrays and matrices plain ones. Tensors lose their graph, as JAX's
    arrays do.

    Raises
    ------
    TypeError
        Tensors that are no plain array of numbers, or a sequence that NumPy can make no array of.
    ValueError
        Rows of different lengths.
    """
    if array_api_compat.is_torch_array(rewards):
        return _plain_tensor(rewards), None
    if isinstance(rewards, np.generic) or not array_api_compat.is_array_api_obj(rewards):
        rewards = _from_sequence(rewards)
    if not isinstance(rewards, np.ma.MaskedArray):
        return off_graph(rewards), None
    mask = np.ma.getmaskarray(rewards)
    values: npt.NDArray[Any] = np.asarray(np.ma.getdata(rewards))
    return values, mask if mask.dtype == bool and mask.any() else None


def why_object(values: npt.NDArray[Any]) -> str:
    """``" (rewards[1] is None)"``: the first entry of an object array that is no real number, else ``""``."""
    for where in np.ndindex(values.shape) if values.dtype == object else ():
        each: Any = values[where]
        if isinstance(each, int) and each.bit_length() > 64:
            reason = f"an integer of {each.bit_length()} bits"
        elif isinstance(each, (list, tuple, np.ndarray)):
            reason = f"a {type(each).__name__}; {_GROUPS}"
        elif each is None or type(each).__name__ in ("NAType", "NaTType"):
            reason = f"{each}; NaN marks an unscorable rollout"
        elif not isinstance(each, (bool, int, float, np.generic)):
            reason = f"{each!r:.40}, a {type(each).__name__}"
        else:
            continue
        return f" (rewards[{', '.join(map(str, where))}] is {reason})" if where else f" ({reason})"
    return ""


def _plain_tensor(rewards: Any) -> Any:
    """A tensor without its graph; a nested, sparse or masked one is refused."""
    if rewards.is_nested:
        raise ValueError(f"rewards are a nested tensor, of rows of different lengths: {_GROUPS}")
    if not str(rewards.layout).endswith("strided"):
        raise TypeError(f"rewards have layout {rewards.layout}: pass a dense tensor, rewards.to_dense()")
    if rewards.is_floating_point() and rewards.element_size() == 1:
        raise TypeError(f"rewards have dtype {rewards.dtype}, which has no arithmetic: pass rewards.float()")
    if hasattr(rewards, "get_mask"):
        raise TypeError(
            f"rewards are a {type(rewards).__name__}: pass a plain tensor, with NaN for an unscorable rollout"
        )
    return rewards.detach() if rewards.requires_grad else rewards


def _from_sequence(rewards: Any) -> npt.NDArray[Any]:
    try:
        if isinstance(rewards, (list, tuple)) and _holds_masked(rewards):
            return _stacked(rewards)
        return np.asarray(rewards)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _refusal(rewards, error) from error


def _holds_masked(rewards: Sequence[Any]) -> bool:
    """Whether there is a masked array, or ``np.ma.masked``, at any depth: ``np.asarray`` drops its mask."""
    kinds = set(map(type, rewards))
    if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
        return True
    nested = any(issubclass(kind, (list, tuple)) for kind in kinds)
    return nested and any(_holds_masked(each) for each in rewards if isinstance(each, (list, tuple)))


def _stacked(rewards: Any) -> npt.NDArray[Any]:
    """A nested sequence that holds masked arrays as one masked array."""
    if not isinstance(rewards, (list, tuple)):
        return np.asanyarray(rewards)
    rows = [_stacked(each) for each in rewards]
    data = np.stack([np.ma.getdata(row) for row in rows])
    return np.ma.array(data, mask=np.stack([np.ma.getmaskarray(row) for row in rows]))


def _refusal(rewards: Any, error: Exception) -> Exception:
    """The error for a sequence that is no array, from the first place where it goes wrong."""
    found = _first_misfit(rewards, "rewards")
    if found is not None:
        return ValueError(f"rewards have rows of different lengths ({found}): {_GROUPS}")
    other = _first_foreign(rewards)
    if other is not None:
        return TypeError(
            f"rewards are a {type(rewards).__name__} that holds a {type(other).__module__}."
            f"{type(other).__name__} which NumPy cannot read ({error}): pass one array, e.g. "
            f"torch.stack(rewards)"
        )
    return TypeError(f"rewards are a {type(rewards).__name__} that NumPy cannot read as numbers ({error})")


def _length(entry: Any) -> int | None:
    """Entries of a row; None of a number."""
    if isinstance(entry, (str, bytes, Real)) or getattr(entry, "ndim", 1) == 0:
        return None
    return len(entry) if hasattr(entry, "__len__") else None


def _first_misfit(entry: Any, name: str) -> str | None:
    """``"rewards[0] has 2 entries, rewards[1] has 3"`` for the first two neighbours that do not fit."""
    if not isinstance(entry, (list, tuple)):
        return None
    lengths = [_length(each) for each in entry]
    for index, length in enumerate(lengths):
        if length != lengths[0]:
            pair = [(0, lengths[0]), (index, length)]
            return ", ".join(f"{name}[{i}] {_said(n)}" for i, n in pair)
    deeper = (_first_misfit(each, f"{name}[{index}]") for index, each in enumerate(entry))
    return next((found for found in deeper if found), None)


def _said(length: int | None) -> str:
    return "is no row" if length is None else f"has {length} entr{'y' if length == 1 else 'ies'}"


def _first_foreign(entry: Any) -> Any:
    """The first array of another library than NumPy in a nested sequence."""
    if isinstance(entry, (list, tuple)):
        return next((found for each in entry if (found := _first_foreign(each)) is not None), None)
    foreign = array_api_compat.is_array_api_obj(entry) and not isinstance(entry, (np.ndarray, np.generic))
    return entry if foreign else None
