"""``untraced``: a function that torch.compile calls as it is, where it would trace it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

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
