"""What an adapter was tested with, and its refusal of a framework that has become another one."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any


class FrameworkChangedError(RuntimeError):
    """The installed framework has not the hook that the adapter was tested with."""


class MissingFrameworkError(ImportError):
    """The framework of an adapter is not installed, or something that its hook imports is not."""


class Release:
    """A framework at the version that an adapter was tested with; its checks name what differs.

    Parameters
    ----------
    framework
        Its name, in messages.
    at
        The version, or the commit of its sources.
    package
        Its distribution.
    install
        How to get it; from the package index unless told.
    """

    def __init__(self, framework: str, at: str, package: str, install: str | None = None) -> None:
        self.framework, self.at, self.package = framework, at, package
        self.install = install or f"pip install {package}"

    def __repr__(self) -> str:
        return f"{self.framework} {self.at}"

    @property
    def installed(self) -> str:
        """The version that is here, or that it says none."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "of unknown version"

    def error(self, difference: str) -> FrameworkChangedError:
        """The refusal of what is installed."""
        return FrameworkChangedError(
            f"{self.framework} {self.installed}: {difference}; this adapter is tested with {self}"
        )

    def module(self, name: str) -> Any:
        """A module of the framework.

        Raises
        ------
        MissingFrameworkError
            The framework is not here, or a package that the module needs; the message says how to get it.
        FrameworkChangedError
            The framework is here, the module is not.
        """
        top = name.partition(".")[0]
        try:
            import_module(top)
            return import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or str(error)
            if missing == top or missing.partition(".")[0] != top:
                raise MissingFrameworkError(
                    f"{name} of {self.framework} needs {missing}: {self.install}", name=missing
                ) from error
            raise self.error(f"there is no module {missing}") from error

    def has(self, owner: Any, name: str) -> Any:
        """``owner.name``; FrameworkChangedError where it is not there."""
        found = getattr(owner, name, None)
        if found is None:
            raise self.error(f"{_named(owner)} has no {name}")
        return found

    def takes(self, owner: Any, name: str, *parameters: str) -> Any:
        """``owner.name``, a function whose parameters begin with these; FrameworkChangedError else."""
        function = self.has(owner, name)
        found = tuple(inspect.signature(function).parameters)
        if found[: len(parameters)] != parameters:
            raise self.error(
                f"{_named(owner)}.{name} takes ({', '.join(found)}), not ({', '.join(parameters)})"
            )
        return function

    def calls(self, owner: Any, name: str, called: str, keywords: Collection[str] | int) -> None:
        """FrameworkChangedError unless ``owner.name`` calls ``called`` with these keywords.

        With a number: with so many arguments by place. Read in the function's source.
        """
        calls = _calls(self.has(owner, name), called)
        given = [{each.arg for each in call.keywords} for call in calls]
        if isinstance(keywords, int):
            fits = any(len(call.args) == keywords for call in calls)
            wanted = f"{keywords} arguments"
        else:
            fits = any(set(keywords) <= each for each in given)
            wanted = ", ".join(keywords)
        if not fits:
            shown = "; ".join(ast.unparse(call) for call in calls) or "not at all"
            raise self.error(
                f"{_named(owner)}.{name} calls {called} with other arguments ({shown}), not {wanted}"
            )


def _calls(function: Callable[..., Any], called: str) -> list[ast.Call]:
    """The calls of a name, or of an attribute of that name, in a function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if name == called:
                found.append(node)
    return found


def _named(owner: Any) -> str:
    return str(getattr(owner, "__qualname__", None) or getattr(owner, "__name__", owner))
