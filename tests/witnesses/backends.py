"""The array libraries, devices and dtypes that the kernels are tested on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Backend:
    """One array library on one device, and the dtype that its arrays have unless told otherwise."""

    name: str
    xp: Any
    device: Any
    dtype: str = "float64"

    def __str__(self) -> str:
        return f"{self.name}-{self.dtype}"

    @property
    def eps(self) -> float:
        """Distance from 1 to the next number of its dtype."""
        return float(np.finfo(self.dtype).eps)

    def array(self, values: Any, dtype: str | None = None) -> Any:
        """These values as an array of this library, on this device."""
        kind = getattr(self.xp, dtype or self.dtype)
        return self.xp.asarray(np.asarray(values), dtype=kind, device=self.device)

    def numpy(self, array: Any) -> np.ndarray:
        """Its values as float64, wherever the array lives."""
        if self.name.startswith("torch"):
            return array.detach().cpu().double().numpy()
        return np.from_dlpack(array).astype(np.float64)

    def made(self, array: Any, dtype: str | None = None) -> bool:
        """Whether an array is of this library, on this device, of this dtype (its own unless told)."""
        like = self.array([0.0], dtype)
        return type(array) is type(like) and array.dtype == like.dtype and array.device == like.device


def _present() -> list[Backend]:
    found = [Backend("numpy", np, "cpu")]
    if find_spec("torch"):
        import torch

        found.append(Backend("torch-cpu", torch, torch.device("cpu")))
        if torch.cuda.is_available():
            found.append(Backend("torch-cuda", torch, torch.device("cuda", 0)))
    if find_spec("array_api_strict"):
        import array_api_strict

        # Its second device holds nothing that NumPy can reach: a stray default device would raise.
        found += [
            Backend(f"strict-{device}", array_api_strict, array_api_strict.Device(device))
            for device in ("CPU_DEVICE", "device1")
        ]
    return found


BACKENDS = _present()
#: The same in both of the dtypes that every library has.
TYPED = [replace(each, dtype=dtype) for each in BACKENDS for dtype in ("float64", "float32")]
#: Kinds of device that torch tests run on.
DEVICES = ["cpu", *(["cuda"] if any(backend.name == "torch-cuda" for backend in BACKENDS) else [])]
