"""What a measurement is made from: the modules that measure, and the versions of what these import."""

from __future__ import annotations

import ast
import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import analysis
import envs
import maxpo_lab

from .imports import Closure, closure
from .registry import get_study
from .syntax import parsed

_PACKAGES: Mapping[str, Path] = {
    "maxpo_lab": Path(maxpo_lab.__path__[0]),
    "envs": Path(envs.__path__[0]),
    "analysis": Path(analysis.__path__[0]),
}
#: What a package that is imported leaves the numbers to: TRL's trainer takes its steps in accelerate.
_BENEATH: Mapping[str, tuple[str, ...]] = {"trl": ("accelerate",)}


@cache
def describe(study: str) -> dict[str, str]:
    """Versions of Python and of what measures, and a digest of the study's measuring sources.

    The sources are the import closure of the module that the study's ``measure`` is in, over this project's
    three packages: not what draws, tracks or reads commands, which measuring does not reach. The digest holds
    their names and what they do: neither comments, docstrings and layout, nor where the checkout is. The
    versions are those of the distributions that the closure imports. Made once per process, which measures
    with what it has imported.
    """
    reached = measuring(study)
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | versions(reached.outside) | {"sources": digest(reached)}


def measuring(study: str) -> Closure:
    """What the study's ``measure`` reaches."""
    return closure(get_study(study).measure.__module__, _PACKAGES)


def digest(reached: Closure) -> str:
    """SHA-256 of the modules' names and syntax trees without docstrings, and of where names came from."""
    found = hashlib.sha256(repr(sorted(reached.names.items())).encode())
    for name, path in sorted(reached.modules.items()):
        content = _meaning(path.read_text(encoding="utf-8"))
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def versions(imported: Iterable[str]) -> dict[str, str]:
    """Versions by distribution of the imports outside the standard library; ``"none"``: not installed."""
    outside = {*imported} - sys.stdlib_module_names
    outside |= {beneath for name in outside for beneath in _BENEATH.get(name, ())}
    found = {each for name in outside for each in _distributions().get(name, [name])}
    return {name: _version(name) for name in sorted(found)}


def fingerprint(made_from: dict[str, str]) -> str:
    """One digest of all that ``describe`` gives."""
    return hashlib.sha256(repr(sorted(made_from.items())).encode()).hexdigest()


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Where two descriptions differ, in words: ``numpy 2.4.6 and 2.3.0``."""
    names = dict.fromkeys([*ours, *theirs])
    apart = [(name, ours.get(name, "none"), theirs.get(name, "none")) for name in names]
    return ", ".join(f"{name} {one[:12]} and {other[:12]}" for name, one, other in apart if one != other)


@cache
def _meaning(text: str) -> bytes:
    """A module's syntax tree without docstrings, which nothing that measures reads."""
    return ast.dump(parsed(text)).encode()


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
