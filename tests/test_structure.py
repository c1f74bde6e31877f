"""The house: imports go downhill, nothing heavy comes with the library, no module grows without end."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("maxpo_lab", "envs", "analysis")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in MODULES}


def imported(path: Path) -> Iterator[str]:
    """Absolute names of all that a module imports anywhere, submodules told from their contents."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            inner = [f"{source}.{alias.name}" for alias in node.names]
            yield from (name if name in NAMES else source for name in inner)


def test_the_reader_of_imports_reads_this_project() -> None:
    seen = set(imported(ROOT / "maxpo_lab" / "moments" / "exact.py"))
    assert {"maxpo_lab.rules", "maxpo_lab.states", "maxpo_lab.levels"} <= seen
    seen = set(imported(ROOT / "maxpo_lab" / "estimators" / "__init__.py"))
    assert "maxpo_lab.estimators.base" in seen


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_downhill(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    uphill = PACKAGES[PACKAGES.index(package) + 1 :]
    found = [name for name in imported(path) if name.partition(".")[0] in uphill]
    assert not found, f"{dotted(path)} imports {found}"


def test_no_cycles() -> None:
    graph = {dotted(path): {name for name in imported(path) if name in NAMES} for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError


#: From the bottom: what each part of the audit may import is itself and those before it.
AUDIT = ("guard", "decide", "report", "preparation", "audit_rule", "isolated", "__init__")


def test_the_audit_imports_downhill() -> None:
    folder = ROOT / "maxpo_lab" / "auditing"
    assert {path.stem for path in folder.iterdir() if path.name != "__pycache__"} == set(AUDIT)
    for path in folder.rglob("*.py"):
        part = path.relative_to(folder).with_suffix("").parts[0]
        seen = {name.split(".")[2] for name in imported(path) if name.startswith("maxpo_lab.auditing.")}
        assert seen <= {*AUDIT[: AUDIT.index(part) + 1]}, f"{dotted(path)} imports {seen}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=dotted)
def test_no_name_of_a_package_hides_a_module(path: Path) -> None:
    modules = {name.rpartition(".")[2] for name in NAMES if name.rpartition(".")[0] == dotted(path)}
    exported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert modules & exported <= ({"advantages"} if dotted(path) == "maxpo_lab" else set())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_the_library_brings_nothing_heavy() -> None:
    heavy = ("torch", "gymnasium", "pandas", "matplotlib", "wandb", "typer", "scipy.stats")
    code = f"import sys, maxpo_lab; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
