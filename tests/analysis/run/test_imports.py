"""The import closure: every form of import is followed, to where names really come from, and no further."""

from __future__ import annotations

import ast
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import pytest

from analysis.run import sources
from analysis.run.imports import closure
from analysis.run.registry import get_study, list_studies

ROOT = Path(__file__).parents[3]


def write(folder: Path, texts: dict[str, str]) -> dict[str, Path]:
    """Packages ``lab`` and ``worlds`` of these modules; every folder is a package."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()
    return {package: folder / package for package in ("lab", "worlds")}


LAB = {
    "lab/__init__.py": (
        "from typing import TYPE_CHECKING\n"
        "from .rules import rule as chosen\n"
        "from .deep import below\n"
        "from . import unused\n"
        "if TYPE_CHECKING:\n"
        "    from .lazy import slow\n"
        "own = 1\n"
        "def __getattr__(name): ...\n"
    ),
    "lab/rules.py": "import numpy\nrule = 1\n",
    "lab/deep/__init__.py": "from .bottom import below\nfrom .beside import other\n",
    "lab/deep/bottom.py": "below = 1\n",
    "lab/deep/beside.py": "other = 1\n",
    "lab/lazy.py": "import scipy.special\nslow = 1\n",
    "lab/unused.py": "import wandb\n",
    "lab/plain.py": "",
    "worlds/__init__.py": "",
    "worlds/start.py": "",
}
#: What a package itself brings, where one of its own names is asked for.
EAGER = {"lab", "lab.rules", "lab.deep.bottom", "lab.unused"}


@pytest.mark.parametrize(
    ("text", "modules", "outside"),
    [
        ("import lab.plain", {"lab.plain"}, set()),
        ("import lab.plain as p", {"lab.plain"}, set()),
        ("from lab import plain", {"lab.plain"}, set()),
        ("from . import other", {"worlds.other"}, set()),
        ("from .other import x", {"worlds.other"}, set()),
        ("from worlds.other import x", {"worlds.other"}, set()),
        ("def f():\n    from .other import x", {"worlds.other"}, set()),
        ("from lab import chosen", {"lab.rules"}, {"numpy"}),
        ("import lab\nlab.chosen", {"lab.rules"}, {"numpy"}),
        ("import lab as l\ndef f():\n    return l.chosen", {"lab.rules"}, {"numpy"}),
        ("from lab import below", {"lab.deep.bottom"}, set()),
        ("from lab.deep import other", {"lab.deep.beside"}, set()),
        ("from lab import deep\ndeep.below", {"lab.deep.bottom"}, set()),
        ("from lab import slow", {"lab.lazy"}, {"scipy"}),
        ("import lab\nlab.slow", {"lab.lazy"}, {"scipy"}),
        ("import lab", set(), set()),  # nothing is asked of it
        ("from lab import own", EAGER, {"numpy", "wandb", "typing"}),
        ("import lab\nprint(lab)", EAGER | {"lab.lazy"}, {"numpy", "scipy", "wandb", "typing"}),
        ("from lab import *", EAGER | {"lab.lazy"}, {"numpy", "scipy", "wandb", "typing"}),
        ("if TYPE_CHECKING:\n    from lab import chosen\nelse:\n    import os", set(), {"os"}),
        ("import typing\nif typing.TYPE_CHECKING:\n    import lab.plain", set(), {"typing"}),
        ("import torch.nn as nn, gymnasium", set(), {"torch", "gymnasium"}),
        ("from torch.nn import functional", set(), {"torch"}),
    ],
)  # fmt: skip
def test_imports_of_every_form_are_followed(
    text: str, modules: set[str], outside: set[str], tmp_path: Path
) -> None:
    packages = write(tmp_path, LAB | {"worlds/start.py": text, "worlds/other.py": "x = 1\n"})
    found = closure("worlds.start", packages)
    assert {*found.modules} == modules | {"worlds.start"}
    assert found.outside == outside
    assert all(path.is_file() and path.is_relative_to(tmp_path) for path in found.modules.values())


def test_circles_end_and_the_closure_is_transitive(tmp_path: Path) -> None:
    texts = {
        "worlds/a.py": "from . import b",
        "worlds/b.py": "from . import a, c",
        "worlds/c.py": "import lab.lazy",
    }
    found = closure("worlds.a", write(tmp_path, LAB | texts))
    assert {*found.modules} == {"worlds.a", "worlds.b", "worlds.c", "lab.lazy"}


@pytest.mark.parametrize(
    "text", ["from lab import hidden", "import lab\nlab.hidden", "from lab.deep import hidden"]
)
def test_a_name_that_no_text_tells_of_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"offers no 'hidden'.*TYPE_CHECKING"):
        closure("worlds.start", write(tmp_path, LAB | {"worlds/start.py": text}))


def test_names_come_from_where_the_closure_says() -> None:
    """Independent: Python's own imports, for all names that all studies ask of all packages."""
    named = {pair for study in list_studies() for pair in sources.measuring(study).names.items()}
    assert {"maxpo_lab.audit", "maxpo_lab.exact_moments", "envs.Maze"} <= {name for name, _ in named}
    for name, found in named:
        package, _, attribute = name.rpartition(".")
        if found == name:  # a submodule, or the package's own
            assert find_spec(name) or vars(import_module(package))[attribute], name
            continue
        module, _, original = found.rpartition(".")
        assert getattr(import_module(package), attribute) is getattr(import_module(module), original), name


#: With numbers enough to go through most of what a study measures, and no longer than a second.
LONG = ("frameworks", "learning", "llm", "phase-diagram", "training-speed")
TRACED = [name for name in list_studies() if name not in LONG]


@pytest.mark.parametrize("name", TRACED)
def test_no_code_runs_in_a_measurement_that_the_closure_lacks(name: str) -> None:
    """Independent: the files of all functions of this project that are called while a cell is measured."""
    study = get_study(name)
    ran: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            ran.add(frame.f_code.co_filename)

    cell = study.cells("smoke")[-1]
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        study.measure(cell)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    packages = tuple(str(ROOT / package) for package in ("maxpo_lab", "envs", "analysis"))
    ours = {Path(path) for path in ran if path.startswith(packages)}
    assert len(ours) > 3
    # A lazy name goes through the package that offers it.
    assert {path for path in ours if path.name != "__init__.py"} <= {
        *sources.measuring(name).modules.values()
    }


def test_measuring_code_imports_by_name_and_reads_no_docstrings() -> None:
    """What the closure cannot see, nothing in it does; packages imported so are part of their cells."""
    reached = {
        module: path for study in list_studies() for module, path in sources.measuring(study).modules.items()
    }
    unseen = {"import_module", "__import__", "exec_module", "getdoc", "getsource", "getsourcelines"}
    for module, path in reached.items():
        if module.startswith(("maxpo_lab.integrations.frameworks.", "analysis.studies.evaluation.tools")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = (
                node.id
                if isinstance(node, ast.Name)
                else node.attr
                if isinstance(node, ast.Attribute)
                else ""
            )
            assert name not in unseen, f"{module}:{node.lineno} uses {name}"
            read = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            assert not (read and name == "__doc__"), f"{module}:{node.lineno} reads a docstring"


def test_packages_do_nothing_as_they_are_imported() -> None:
    """What an ``__init__.py`` does beside binding names is no part of a key: it must change no number."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.If)
    for package in ("maxpo_lab", "envs", "analysis"):
        for path in (ROOT / package).rglob("__init__.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                if not documents and not isinstance(node, allowed):
                    assert "gymnasium.register(" in ast.unparse(node), f"{path}:{node.lineno}"
