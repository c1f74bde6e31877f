"""Which modules a module reaches by its imports, read from their texts: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .syntax import defined, parsed, running


@dataclass(frozen=True)
class Closure:
    """What a module reaches.

    Attributes
    ----------
    modules
        Files by dotted name: the module, and all of the packages that it reaches.
    names
        What a name that was asked of a package is: ``"envs.Maze"`` is ``"envs.worlds.maze.Maze"``.
    outside
        Top-level names of the other imports, the standard library's among them.
    """

    modules: Mapping[str, Path]
    names: Mapping[str, str]
    outside: frozenset[str]


def closure(start: str, packages: Mapping[str, Path]) -> Closure:
    """All that ``start`` reaches inside these packages, folders by name.

    Imports count wherever they stand, in a function too, and not under ``TYPE_CHECKING``, where they never
    run. What is asked of a package is looked up in its ``__init__.py``, where a lazy name is declared under
    ``TYPE_CHECKING``, and counts as the module it comes from: what else the package offers does not. So an
    ``__init__.py`` counts only where a name that is asked for is its own.

    Raises
    ------
    ValueError
        A name is in no place that can be read: a lazy one that is not declared, or no name of the package.
    """
    reader = _Reader(packages)
    modules: dict[str, Path] = {}
    names: dict[str, str] = {}
    outside: set[str] = set()
    queue = [start]
    while queue:
        module = queue.pop()
        if module in modules:
            continue
        if not reader.owns(module):
            outside.add(module.partition(".")[0])
            continue
        modules[module] = reader.file(module)
        for asked in reader.asked(module):
            found = reader.where(*asked) if asked[1] else asked[0]
            if asked[1]:
                names[".".join(asked)] = found
            queue.append(reader.module(found))
    return Closure(modules, names, frozenset(outside))


class _Reader:
    """What the texts of some packages say, each read once."""

    def __init__(self, packages: Mapping[str, Path]) -> None:
        self.packages = packages
        self.files: dict[str, Path | None] = {}
        self.offers: dict[str, dict[str, tuple[str, str]]] = {}

    def owns(self, name: str) -> bool:
        return name.partition(".")[0] in self.packages

    def find(self, name: str) -> Path | None:
        """The file of a module, None where there is none of this name."""
        if name not in self.files:
            top, *rest = name.split(".")
            place = self.packages[top].joinpath(*rest)
            files = (place / "__init__.py", place.with_suffix(".py")) if rest else (place / "__init__.py",)
            self.files[name] = next(filter(Path.is_file, files), None)
        return self.files[name]

    def file(self, name: str) -> Path:
        path = self.find(name)
        if path is None:
            raise ValueError(f"module {name} has no file under {self.packages[name.partition('.')[0]]}")
        return path

    def text(self, name: str) -> str:
        return self.file(name).read_text(encoding="utf-8")

    def is_package(self, name: str) -> bool:
        path = self.find(name)
        return path is not None and path.name == "__init__.py"

    def module(self, found: str) -> str:
        """The module of a dotted name: itself, or what it is a name of."""
        if not self.owns(found) or self.find(found):
            return found
        return found.rpartition(".")[0]

    def asked(self, module: str) -> Iterator[tuple[str, str]]:
        """What a module asks for: (package, name), or (module, "") where it is the whole."""
        bound: dict[str, str] = {}  # packages, by their names here
        text = self.text(module)
        for node in running(text):
            if isinstance(node, ast.Import):
                found = self.imported(node, bound)
            elif isinstance(node, ast.ImportFrom):
                found = self.imported_from(self.base(module, node), node, bound)
            else:
                continue
            yield from found
        if bound:
            yield from self.used(running(text), bound)

    def imported(self, node: ast.Import, bound: dict[str, str]) -> Iterator[tuple[str, str]]:
        """``import numpy``, ``import maxpo_lab as ml``; what a package is asked for is seen where that is."""
        for alias in node.names:
            named = alias.asname or "." not in alias.name  # else ``a.b`` is found below ``a``
            if named and self.owns(alias.name) and self.is_package(alias.name):
                bound[alias.asname or alias.name] = alias.name
            else:
                yield alias.name, ""

    def imported_from(
        self, base: str, node: ast.ImportFrom, bound: dict[str, str]
    ) -> Iterator[tuple[str, str]]:
        """``from numpy import e``, ``from maxpo_lab import audit``, ``from . import estimators``."""
        if not self.owns(base) or not self.is_package(base):
            yield base, ""
            return
        for alias in node.names:
            if alias.name == "*":
                yield from self.everything(base)
                continue
            found = self.where(base, alias.name)
            if self.owns(found) and self.is_package(found):
                bound[alias.asname or alias.name] = found
            else:
                yield base, alias.name

    def used(self, nodes: Sequence[ast.AST], bound: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """What is asked of packages that have a name: ``ml.audit``; all they offer where that is not told."""
        attributes = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in bound:
                package = bound[node.id]
                if id(node) in attributes:
                    yield package, attributes[id(node)]
                else:
                    yield from self.everything(package)

    def where(self, package: str, name: str) -> str:
        """The dotted name, in the module that it is of, of what a package offers under a name."""
        base, original = self.offered(package).get(name, (package, name))
        if (base, original) != (package, name):  # as ``from . import name`` has it
            if original and self.owns(base) and self.is_package(base):
                return self.where(base, original)
            return f"{base}.{original}" if original else base
        if self.find(f"{package}.{name}"):
            return f"{package}.{name}"
        if name in defined(parsed(self.text(package))):
            return f"{package}.{name}"
        raise ValueError(
            f"{package} offers no {name!r} that its text tells of; a name that is imported when it is asked "
            "for must be declared under TYPE_CHECKING"
        )

    def offered(self, package: str) -> dict[str, tuple[str, str]]:
        """What the ``__init__.py`` of a package imports, by the names it has there: (module, name in it)."""
        if package in self.offers:
            return self.offers[package]
        found = self.offers[package] = {}
        for node in ast.walk(parsed(self.text(package))):
            if isinstance(node, ast.ImportFrom):
                base = self.base(package, node)
                found |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
        return found

    def everything(self, package: str) -> Iterator[tuple[str, str]]:
        yield package, ""
        yield from ((package, name) for name in self.offered(package) if name != "*")

    def base(self, module: str, node: ast.ImportFrom) -> str:
        """The module that is imported from, in full."""
        if not node.level:
            return node.module or ""
        above = module.split(".")
        package = above if self.is_package(module) else above[:-1]
        inside = package[: len(package) - node.level + 1]
        return ".".join([*inside, *([node.module] if node.module else [])])
