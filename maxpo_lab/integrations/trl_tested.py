"""The TRL that the trainers here are tested with, and the error where the installed one differs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version

TESTED = "1.16"


class TRLChangedError(RuntimeError):
    """The installed TRL does not do what the tested one does, so what is built on it would be wrong."""

    def __init__(self, difference: str, user: str = "MaxPOTrainer") -> None:
        super().__init__(
            f"TRL {version('trl')}: {difference}; {user} is tested with TRL {TESTED}: "
            f"pip install 'trl=={TESTED}.*'"
        )


def check_methods(trainer: type, methods: Mapping[str, tuple[str, ...]], user: str = "MaxPOTrainer") -> None:
    """TRLChangedError unless a trainer has these methods, with the parameters they are known by."""
    for name, known in methods.items():
        method = getattr(trainer, name, None)
        if method is None:
            raise TRLChangedError(f"{trainer.__name__} has no method {name}", user)
        found = tuple(inspect.signature(method).parameters)
        if found[: len(known)] != known or (name != "__init__" and len(found) > len(known)):
            raise TRLChangedError(
                f"{trainer.__name__}.{name} takes ({', '.join(found)}), not ({', '.join(known)})", user
            )
