"""What a measurement is made from: the sources and the versions that its numbers depend on."""

from __future__ import annotations

import ast
import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import envs
import maxpo_lab

_HOME = Path(__file__).parent
_VERSIONS = ("numpy", "scipy", "torch", "transformers", "trl")


@cache
def describe(study: str) -> dict[str, str]:
    """Versions of Python and of what measures, and a digest of the study's measuring sources.

    The sources are every module of ``maxpo_lab`` and ``envs``, those of the study's folder but ``figure.py``,
    and the modules of ``analysis`` that these import. The digest holds their names and their bytes, and not
    where the checkout is. It is made once a process, which measures with what it has imported.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_measuring(study).items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    return versions | {package: _version(package) for package in _VERSIONS} | {"sources": digest.hexdigest()}


def fingerprint(made_from: dict[str, str]) -> str:
    """One digest of all that ``describe`` gives."""
    return hashlib.sha256(repr(sorted(made_from.items())).encode()).hexdigest()


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Where two descriptions differ, in words: ``numpy 2.4.6 and 2.3.0``."""
    apart = [name for name in ours if ours[name] != theirs[name]]
    return ", ".join(f"{name} {ours[name][:12]} and {theirs[name][:12]}" for name in apart)


def _measuring(study: str) -> dict[str, Path]:
    """The measuring sources by a name that does not depend on where they lie."""
    packages = (Path(package.__path__[0]) for package in (maxpo_lab, envs))
    files = {path: package for package in packages for path in package.rglob("*.py")}
    queue = list((_HOME / "studies" / study.replace("-", "_")).rglob("*.py"))
    while queue:
        path = queue.pop()
        if path not in files and path.name != "figure.py":
            files[path] = _HOME
            queue += _imported(path)
    return {path.relative_to(package.parent).as_posix(): path for path, package in files.items()}


def _imported(path: Path) -> Iterator[Path]:
    """Modules of ``analysis`` that a module of ``analysis`` imports, anywhere in it."""
    package = ("analysis", *path.parent.relative_to(_HOME).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = [*above, *(node.module.split(".") if node.module else ())]
            names = [base, *([*base, alias.name] for alias in node.names)]
        else:
            continue
        for first, *rest in names:
            place = _HOME.joinpath(*rest)
            files = (place.with_suffix(".py"), place / "__init__.py") if first == "analysis" else ()
            yield from filter(Path.is_file, files)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
