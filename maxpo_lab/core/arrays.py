"""What an array is here: of any library that follows the Array API, or NumPy's of these types."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
import numpy.typing as npt

#: An array of any library, and its namespace.
Array = Any
Namespace = Any

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

#: Distance from 1 to the next number in float64.
EPS = float(np.finfo(np.float64).eps)


def once(rows: Float) -> Float:
    """An array less what is repeated along an axis without being held there, as by ``broadcast_to``."""
    return rows[tuple(slice(None if step else 1) for step in rows.strides)]


def widest(xp: Namespace) -> Any:
    """The type that sums run in: float64, or float32 where JAX has not been told to have it."""
    return xp.zeros(0).dtype if array_api_compat.is_jax_namespace(xp) else xp.float64


def on_host(array: Any) -> npt.NDArray[Any]:
    """An array of any library, on any device, as a NumPy array."""
    if array_api_compat.is_torch_array(array):
        return np.asarray(array.detach().cpu())
    if array_api_compat.is_cupy_array(array):  # neither converted by NumPy nor taken by DLPack from a card
        return np.asarray(array.get())
    if array_api_compat.is_array_api_obj(array) and not isinstance(array, np.ndarray):
        return np.from_dlpack(array)
    return np.asarray(array)
