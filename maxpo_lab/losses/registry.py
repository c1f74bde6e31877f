"""The losses by name. Tests, the command line and the documentation are driven from here."""

from __future__ import annotations

from ..core.registry import Registry
from .base import Loss
from .catalogue import OWN

_FAMILIES = {**OWN}

_LOSSES: Registry[Loss] = Registry(
    "loss", {name: make() for name, make in _FAMILIES.items()}, families=_FAMILIES
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


def parameters(name: str) -> dict[str, object]:
    """Options of a loss by key: their defaults, or what ``name`` spells."""
    return _LOSSES.parameters(name)
