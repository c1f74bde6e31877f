"""All claims, by theme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from . import themes
from .claim import Claim

#: The theme whose claims come first.
_FIRST = "seed"


def by_theme() -> Mapping[str, tuple[Claim, ...]]:
    """The claims by the title of their theme: each module of ``themes`` has a ``TITLE`` and ``CLAIMS``.

    Raises
    ------
    ValueError
        Where two claims have one name.
    """
    names = sorted((module.name for module in iter_modules(themes.__path__)), key=lambda n: (n != _FIRST, n))
    modules = [import_module(f"{themes.__name__}.{name}") for name in names]
    found = {module.TITLE: tuple(module.CLAIMS) for module in modules}
    seen: set[str] = set()
    for claim in (each for claims in found.values() for each in claims):
        if claim.name in seen:
            raise ValueError(f"two claims are named {claim.name!r}; give each a name of its own")
        seen.add(claim.name)
    return found


def all_claims() -> Iterator[Claim]:
    """The claims, in the order of the pages."""
    for claims in by_theme().values():
        yield from claims
