"""Torch modules as policies: a function of one flat parameter vector, and draws from its logits."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Self, cast

import torch
from torch.func import functional_call

from maxpo_lab.core.devices import as_device


@dataclass(frozen=True, eq=False)
class FlatModule:
    """A torch module as a function of one flat float64 parameter vector.

    Made by ``FlatModule.of(module)`` from a copy in float64 and evaluation mode, so that the caller's module
    is left alone and dropout is off. Parameters that do not require gradients stay as they are.

    Attributes
    ----------
    module
        The copy.
    names, shapes
        The parameters, in the order of ``module.named_parameters()``, each in C order.
    """

    module: torch.nn.Module
    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    _own: dict[int, torch.nn.Module] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, module: torch.nn.Module, device: torch.device | str = "cpu") -> Self:
        """The module as such a function, on ``device``."""
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"a {type(module).__name__} was given where a torch.nn.Module is needed")
        own = copy.deepcopy(module).to(as_device(device), torch.float64).eval()
        named = [(name, p) for name, p in own.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError(f"{type(module).__name__} has no parameter that requires a gradient")
        return cls(own, tuple(name for name, _ in named), tuple(p.shape for _, p in named))

    @property
    def size(self) -> int:
        """Number of parameters, d."""
        return sum(shape.numel() for shape in self.shapes)

    def theta(self) -> torch.Tensor:
        """The module's own parameters as one vector, (d,)."""
        own = dict(self.module.named_parameters())
        return torch.cat([own[name].detach().reshape(-1) for name in self.names])

    def __call__(self, theta: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        """What the module gives for the inputs with parameters theta (d,)."""
        parts = torch.split(theta, [shape.numel() for shape in self.shapes])
        named = {
            name: part.view(shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }
        return cast("torch.Tensor", functional_call(self._module(), named, inputs))

    def _module(self) -> torch.nn.Module:
        """The thread's own copy: ``functional_call`` puts the parameters into the module while it runs."""
        thread = threading.get_ident()
        if thread not in self._own:
            self._own[thread] = copy.deepcopy(self.module)
        return self._own[thread]


def draw(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Categorical draws by inversion: logits (B, V) and uniform numbers (B,) to indices (B,)."""
    edges = torch.softmax(logits, dim=-1).cumsum(dim=-1)[:, :-1].contiguous()
    return torch.searchsorted(edges, uniform[:, None].contiguous(), right=True)[:, 0]
