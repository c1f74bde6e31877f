"""The house: imports go downhill, between folders too, in no circle; nothing heavy comes with the library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("maxpo_lab", "envs", "analysis")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
#: Old paths that stay importable: a few lines that say where the names live now.
FACES = {"maxpo_lab.samplers", "envs.sequence", "envs.rollouts"}


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


GRAPH = {dotted(path): {name for name in imported(path) if name in NAMES} for path in MODULES}


def rooms(folder: str, graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the entries of a folder, modules or folders, import of one another."""
    found: dict[str, set[str]] = defaultdict(set)

    def room(name: str) -> str | None:
        inside = name.removeprefix(f"{folder}.")
        return None if inside == name else inside.partition(".")[0]

    for name, targets in graph.items():
        if (here := room(name)) is not None:
            found[here] |= {there for each in targets if (there := room(each)) not in (None, here)}
    return found


def test_the_reader_of_imports_reads_this_project() -> None:
    seen = GRAPH["maxpo_lab.moments.exact"]
    assert {"maxpo_lab.rules", "maxpo_lab.policies.levels"} <= seen
    assert "maxpo_lab.estimators.base" in GRAPH["maxpo_lab.estimators"]
    assert "numpy" in set(imported(ROOT / "maxpo_lab" / "moments" / "floor.py"))


def test_circles_are_seen() -> None:
    looped = {"x.a.one": {"x.b"}, "x.b": {"x.a.two"}, "x.a.two": set()}
    TopologicalSorter(looped).prepare()  # no module is in a circle, but folder a and module b are
    with pytest.raises(CycleError):
        TopologicalSorter(rooms("x", looped)).prepare()


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_downhill(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    uphill = PACKAGES[PACKAGES.index(package) + 1 :]
    found = [name for name in imported(path) if name.partition(".")[0] in uphill]
    assert not found, f"{dotted(path)} imports {found}"


def test_no_circle_of_modules() -> None:
    TopologicalSorter(GRAPH).prepare()  # raises CycleError


@pytest.mark.parametrize("folder", FOLDERS, ids=dotted)
def test_no_circle_between_the_entries_of_a_folder(folder: Path) -> None:
    """Folders too: what one takes from another, none of that takes from it."""
    own = dotted(folder / "__init__.py")
    below = {name: targets for name, targets in GRAPH.items() if name != own}
    try:
        TopologicalSorter(rooms(own, below)).prepare()
    except CycleError as error:
        pytest.fail(f"{own}: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("folder", FOLDERS, ids=dotted)
def test_a_folder_can_be_overlooked(folder: Path) -> None:
    entries = {
        each.stem for each in folder.iterdir() if each.suffix == ".py" or (each / "__init__.py").exists()
    }
    own = dotted(folder / "__init__.py")
    shown = {name for name in entries - {"__init__", "__main__"} if f"{own}.{name}" not in FACES}
    # What users import, and one folder a question: lists that are read by name.
    most = {"maxpo_lab": 20, "analysis.studies": 24}.get(own, 15)
    assert len(shown) <= most, sorted(shown)


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_module_is_longer_than_400_lines(path: Path) -> None:
    assert lines(path) <= 400


def test_a_module_is_one_idea() -> None:
    assert median(lines(path) for path in MODULES if path.name != "__init__.py") <= 130


@pytest.mark.parametrize("folder", FOLDERS, ids=dotted)
def test_no_module_is_hidden_by_a_name_of_its_package(folder: Path) -> None:
    """``from package import name`` must not give now the module, now a function of the same name."""
    modules = {
        name.rpartition(".")[2] for name in NAMES if name.rpartition(".")[0] == dotted(folder / "__init__.py")
    }
    face = folder / "__init__.py"
    given = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(face.read_text(encoding="utf-8") if face.exists() else ""))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert not modules & given


GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LAYOUT = dict(re.findall(r"^`(\w+)`, the .*:\n\n((?:- .*\n)+)", GUIDE, re.MULTILINE))
ANSWERS = re.findall(r"^\| ([^`|]+) \| `(\S+)` \| `(\w+)` \|$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_guide_lists_the_folders_of_a_package_downhill(package: str) -> None:
    listed = re.findall(r"^- `(\w+)`: ", LAYOUT[package], re.MULTILINE)
    assert set(listed) == {path.name for path in FOLDERS if path.parent == ROOT / package}
    below = rooms(package, {name: targets for name, targets in GRAPH.items() if name != package})
    for place, folder in enumerate(listed):
        assert not below[folder] & {*listed[place:]}, folder


def test_the_guide_answers_ten_questions() -> None:
    assert len({question for question, _, _ in ANSWERS}) == len(ANSWERS) == 10


@pytest.mark.parametrize(("path", "name"), [answer[1:] for answer in ANSWERS])
def test_a_path_that_the_guide_gives_defines_what_is_asked_for(path: str, name: str) -> None:
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    assert name in found


def test_every_path_that_the_guide_names_exists() -> None:
    for path in set(re.findall(r"`((?:maxpo_lab|envs|analysis|tests|docs|findings)/[\w/.]*)`", GUIDE)):
        assert (ROOT / path).exists(), path


def test_the_library_brings_nothing_heavy() -> None:
    heavy = ("torch", "gymnasium", "pandas", "matplotlib", "wandb", "typer", "scipy.stats")
    code = f"import sys, maxpo_lab; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
