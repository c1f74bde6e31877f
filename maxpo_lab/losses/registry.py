"""The losses by name. Tests, the command line and the documentation are driven from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import signature
from typing import Any

from ..core.registry import Registry
from .base import Loss
from .catalogue import OWN
from .trl import OF_TRL
from .verl import OF_VERL


def _named(name: str, make: Callable[..., Loss]) -> Callable[..., Loss]:
    """A maker whose losses are called by their options too, where these are not the defaults."""
    defaults = {key: each.default for key, each in signature(make).parameters.items()}

    @wraps(make)
    def made(**options: Any) -> Loss:
        changed = {key: value for key, value in options.items() if value != defaults[key]}
        text = ",".join(f"{key}={value}" for key, value in changed.items())
        return replace(make(**options), name=f"{name}:{text}" if text else name)

    return made


_FAMILIES = {name: _named(name, make) for name, make in {**OWN, **OF_TRL, **OF_VERL}.items()}
_LOSSES: Registry[Loss] = Registry(
    "loss",
    {name: make() for name, make in _FAMILIES.items()},
    families={name: make for name, make in _FAMILIES.items() if signature(make).parameters},
)


def list_losses() -> tuple[str, ...]:
    """Names of the losses: the lab's own first, then what TRL and verl compute by default."""
    return tuple(_LOSSES)


def get_loss(name: str) -> Loss:
    """The loss of this name, ``"ppo"`` or ``"trl:dapo"``, with options ``"ppo:low=0.2,high=0.28"``.

    Raises
    ------
    TypeError
        ``name`` is not a string.
    ValueError
        No loss has this name (the message gives the nearest ones), or it has no such option.
    """
    return _LOSSES[name]


def is_loss(name: str) -> bool:
    """Whether a loss has this name, options aside."""
    return name in _LOSSES or name.rpartition(":")[0] in _LOSSES


def parameters(name: str) -> dict[str, Any]:
    """Options of a loss by key: their defaults, or what ``name`` spells."""
    return _LOSSES.parameters(name)
