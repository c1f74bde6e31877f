"""What tracers see: functions that torch.compile calls as they are, rewards without numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import array_api_compat
import numpy as np

from .arrays import Array, Namespace

P = ParamSpec("P")
R = TypeVar("R")


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, at which a graph that torch.compile records breaks.

    Checks of the rewards' values and tables made by NumPy do not belong into a graph. torch is looked for
    call by call and never imported: it may come after this package, or not at all.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():
            result: R = torch.compiler.disable(function)(*args, **kwargs)
            return result
        return function(*args, **kwargs)

    # torch counts its recompilations by code object: each function needs one of its own.
    own: Any = called
    own.__code__ = own.__code__.replace(co_name=function.__name__)
    return called


def as_traced(rewards: Any) -> tuple[Namespace, Array]:
    """The namespace of floating rewards (..., n) and they, off any graph; no number is looked at.

    Raises TypeError where they are no array of a floating type, and ValueError for a scalar.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rewards, torch.Tensor):
        from array_api_compat import torch as xp  # noqa: PLC0415 - no graph holds array_namespace

        floating, rewards = rewards.is_floating_point(), rewards.detach()
    else:
        if isinstance(rewards, (np.ma.MaskedArray, np.matrix)):
            raise TypeError(
                f"rewards are a {type(rewards).__name__}, with validate=False: pass a plain array"
            )
        xp = array_api_compat.array_namespace(rewards)
        rewards = off_graph(rewards)
        floating = xp.isdtype(rewards.dtype, "real floating")
    if not floating:
        raise TypeError(f"rewards have dtype {rewards.dtype}, with validate=False: pass floats")
    if not rewards.ndim:
        raise ValueError("rewards are a scalar: they must have shape (..., n), one entry per rollout")
    return xp, rewards


def off_graph(rewards: Any) -> Any:
    """An array through which no gradient of JAX flows; all others are what they are."""
    if not array_api_compat.is_jax_array(rewards):
        return rewards
    return sys.modules["jax"].lax.stop_gradient(rewards)


def compiles(rewards: Any) -> bool:
    """Whether torch.compile is recording what is done to this tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(rewards, torch.Tensor) and torch.compiler.is_compiling()
