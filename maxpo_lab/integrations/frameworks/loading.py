"""A framework's module without what its advantage functions do not use: the package's own code, unchanged.

Frameworks import engines, servers and compilers on the way to a function of fifteen lines. ``load`` imports
the function's own module with the ``__init__`` of packages above it skipped, absent libraries stood in for;
``compiled`` takes one function out of a file where not even that will do.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any


class StandInError(RuntimeError):
    """Something that stands in for an absent library was used, and not only named."""


class _Anything(type):
    """The class of what a stand-in gives for a name: a class to inherit from, a decorator, more names."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__name__}.{name}")

    def __or__(cls, other: Any) -> Any:
        return cls

    def __ror__(cls, other: Any) -> Any:
        return cls


def _absent(name: str) -> type:
    def new(cls: type, *given: Any, **named: Any) -> Any:
        if cls is not made:  # something inherits from it
            return object.__new__(cls)
        if len(given) == 1 and not named and callable(given[0]):
            return given[0]  # a decorator
        if named or given:
            return lambda function: function  # a decorator with arguments
        raise StandInError(f"{name} is absent here: only code that does not use it can run")

    made = _Anything(name, (), {"__new__": new, "__class_getitem__": classmethod(lambda cls, _: cls)})
    return made


class _StandIn(ModuleType):
    """A module in which any name is a class that does nothing."""

    __path__: list[str] = []  # noqa: RUF012 - as modules have it

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{self.__name__}.{name}")


class _Finder:
    """Stands in for some libraries and all inside them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if any(name == each or name.startswith(f"{each}.") for each in self.names):
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


@contextmanager
def _standing_in(names: tuple[str, ...]) -> Iterator[None]:
    finder = _Finder(names)
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if finder.find_spec(name)}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [*sys.modules]:
            if isinstance(sys.modules[name], _StandIn):
                del sys.modules[name]
        sys.modules.update(hidden)


def file_of(package: str, path: str) -> Path:
    """A file of an installed distribution. FileNotFoundError where it has none at that path."""
    found = Path(str(distribution(package).locate_file(path)))
    if not found.is_file():
        raise FileNotFoundError(f"{package} {distribution(package).version} has no {path}")
    return found


@cache
def load(
    package: str, module: str, *, bare: tuple[str, ...] = (), absent: tuple[str, ...] = ()
) -> ModuleType:
    """A module of a distribution.

    ``bare``: packages above it whose ``__init__`` is not run; ``absent``: libraries that something stands in
    for, of which a name can be imported, inherited from or decorate, and nothing can be used.
    """
    for name in bare:
        if name not in sys.modules:
            folder = file_of(package, f"{name.replace('.', '/')}/__init__.py").parent
            made = ModuleType(name)
            made.__path__ = [str(folder)]
            made.__spec__ = ModuleSpec(name, None, is_package=True)
            made.__spec__.submodule_search_locations = made.__path__
            sys.modules[name] = made
    with _standing_in(absent):
        return importlib.import_module(module)


def compiled(package: str, path: str, name: str, given: Mapping[str, Any]) -> Any:
    """A function of a file, ``name`` or ``Class.name``, as written there, but for its decorators.

    ``given``: the names of its module that it uses.
    """
    file = file_of(package, path)
    found: Any = ast.parse(file.read_text(encoding="utf-8"))
    for part in name.split("."):
        inside = [each for each in found.body if getattr(each, "name", None) == part]
        if len(inside) != 1:
            raise AttributeError(f"{file} defines {part} of {name} {len(inside)} times, and not once")
        (found,) = inside
    found.decorator_list = []
    space = dict(given)
    # Annotations name what is not here; they are not evaluated.
    code = ast.parse("from __future__ import annotations")
    code.body.append(found)
    exec(compile(code, str(file), "exec"), space)  # noqa: S102 - the package's own code
    return space[name.rpartition(".")[2]]
