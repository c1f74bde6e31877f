"""The array libraries and devices that the kernels are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Backend:
    """One array library on one device."""

    name: str
    xp: Any
    device: Any

    def __str__(self) -> str:
        return self.name

    def array(self, values: Any, dtype: str = "float64") -> Any:
        """These values as an array of this library, on this device."""
        return self.xp.asarray(np.asarray(values), dtype=getattr(self.xp, dtype), device=self.device)

    def numpy(self, array: Any) -> np.ndarray:
        """Its values as float64, wherever the array lives."""
        if self.name.startswith("torch"):
            return array.detach().cpu().double().numpy()
        return np.from_dlpack(array).astype(np.float64)

    def made(self, array: Any, dtype: str) -> bool:
        """Whether an array is of this library, on this device, of this dtype."""
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
#: Kinds of device that torch tests run on.
DEVICES = ["cpu", *(["cuda"] if any(backend.name == "torch-cuda" for backend in BACKENDS) else [])]
