"""README and documentation are true: their code runs and prints what they say, commands and links exist.

Blocks of a page share a scope and a folder, and run in order:

- ``python`` prints what the ``text`` block that follows it says, nothing where none does; one that begins
  with ``# name.py`` is a program, which lies under that name in the folder too;
- ``console``: each ``$ command`` prints what follows it;
- ``sh`` is not run, being long or in need of a network, but this project's commands must take its options;
- of a framework that is not here (``<!-- needs skyrl -->``) what a block calls of this project is looked up;
- after ``<!-- needs trl -->`` or ``<!-- needs jax -->`` a block runs by itself in ``make test-integrations``,
  after ``<!-- needs verl -->`` on a stub of what it touches of verl, which has an environment of its own.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from typer.main import get_command

import envs
import maxpo_lab as ml
from analysis.__main__ import app as analysis
from analysis.output import rules_page
from maxpo_lab.cli import app as maxpo_lab

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
BLOCK = re.compile(r"(?:<!-- needs (\w+) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FRAMEWORKS = ("skyrl", "tunix", "torchrl", "swift", "areal", "openrlhf", "rllm", "prime_rl")
PROGRAMS = {"maxpo-lab": maxpo_lab, "python -m analysis": analysis}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    needs: str
    language: str
    code: str
    output: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text())
    return [
        Block(needs, language, code, after if kind == "text" else "")
        for (needs, language, code), (_, kind, after) in pairwise([*found, ("", "", "")])
    ]


def with_blocks(*languages: str) -> list[Path]:
    return [page for page in PAGES if any(block.language in languages for block in blocks(page))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def printed(code: str, scope: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, scope)
    return out.getvalue()


def shown(commands: str, folder: Path) -> str:
    """What a console shows: each command, and what it prints in the folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    said = ""
    for command in re.findall(r"^\$ (.*)$", commands, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        said += f"$ {command}\n{done.stdout}"
    return re.sub(r" +$", "", said, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.integration if page.name == "audit.md" else ())  # a dozen audits
        for page in with_blocks("python", "console")
    ],
    ids=name,
)
def test_code_prints_what_follows_it(page: Path, folder: Path) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.needs:
            continue
        if block.language == "console":
            assert shown(block.code, folder) == block.code
        elif block.language == "python":
            if program := re.match(r"# (\w+\.py)\n", block.code):
                (folder / program[1]).write_text(block.code)
            assert printed(block.code, scope) == block.output
    sys.modules.pop("losses", None)


def needing(needs: str) -> list[Any]:
    return [
        pytest.param(block.code, id=name(page))
        for page in PAGES
        for block in blocks(page)
        if block.needs == needs
    ]


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:::(?!maxpo_lab|tests)")
@pytest.mark.parametrize(
    ("needs", "code"),
    [pytest.param(needs, *each.values, id=each.id) for needs in ("trl", "jax") for each in needing(needs)],
)
def test_code_that_needs_more_runs(
    needs: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(needs, reason="an extra: make test-integrations")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    exec(code, {"__name__": "__main__"})


@pytest.mark.parametrize("code", needing("verl"))
def test_code_that_needs_verl_runs_on_a_stub_of_it(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def process_validation_metrics(
        data_sources: Any, sample_uids: Any, infos_dict: Any, seed: Any, expected_acc_counts: Any
    ) -> Any:
        return {}

    registry: dict[str, Callable[..., Any]] = {}
    stub = SimpleNamespace(
        ADV_ESTIMATOR_REGISTRY=registry,
        register_adv_est=lambda key: lambda function: registry.setdefault(key, function),
    )
    monkeypatch.setitem(sys.modules, "verl.trainer.ppo.core_algos", stub)
    metrics = SimpleNamespace(process_validation_metrics=process_validation_metrics)
    monkeypatch.setitem(sys.modules, "verl.trainer.ppo.metric_utils", metrics)
    exec(code, {})
    ours = {f"maxpo_lab.integrations.{name}" for name in ("verl", "verl_validation")} & set(sys.modules)
    assert ours
    for name in ours:
        del sys.modules[name]
    if "register(" in code:
        assert {"maxpo", "l_statistic:TopM:3"} <= set(registry)


@pytest.mark.parametrize("needs", FRAMEWORKS)
def test_what_a_block_calls_of_an_adapter_is_there(needs: str) -> None:
    """Its module cannot be imported without the framework: functions and parameters are read in its file."""
    (block,) = needing(needs)
    tree = ast.parse(*block.values)
    adapters = ROOT / "maxpo_lab" / "integrations" / "adapters"
    files: dict[str, Path] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("maxpo_lab."):
            folder = ROOT / (node.module or "").replace(".", "/")
            for each in node.names:
                files[each.name] = (
                    folder / f"{each.name}.py" if folder == adapters else folder.with_suffix(".py")
                )
    assert files
    called = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        owner, name = getattr(getattr(node.func, "value", None), "id", None), getattr(node.func, "attr", None)
        owner, name = (
            (owner, name) if owner in files else (getattr(node.func, "id", ""), getattr(node.func, "id", ""))
        )
        if owner in files:
            taken = parameters_of(files[owner], str(name))
            assert {each.arg for each in node.keywords} <= taken | {"prompt_key"}, ast.unparse(node)
            called += 1
    assert called


def parameters_of(file: Path, name: str) -> set[str]:
    """Of a function, or of what makes a class, in a file."""
    (found,) = [node for node in ast.parse(file.read_text()).body if getattr(node, "name", None) == name]
    if isinstance(found, ast.ClassDef):
        (found,) = [node for node in found.body if getattr(node, "name", None) == "__init__"]
    assert isinstance(found, ast.FunctionDef)
    return {each.arg for each in [*found.args.args, *found.args.kwonlyargs]}


def test_every_block_has_a_language_that_is_checked() -> None:
    kinds = {(block.language, block.needs) for page in PAGES for block in blocks(page)}
    assert kinds <= {("python", needs) for needs in ("", "trl", "jax", "verl", *FRAMEWORKS)} | {
        (language, "") for language in ("sh", "console", "text")
    }
    fences = sum(len(re.findall(r"^```\w+$", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert sum(len(blocks(page)) for page in PAGES) == fences


def commands() -> set[str]:
    """Every line of a shell in the pages, continued ones joined, comments gone; every `command` in a text."""
    said = [b.code for page in PAGES for b in blocks(page) if b.language in {"sh", "console"}]
    lines = "\n".join(said).replace("\\\n", " ").splitlines()
    inline = [code for page in PAGES for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text()))]
    return {re.sub(r"^\$ ", "", line).partition(" #")[0].partition("|")[0].strip() for line in lines + inline}


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    known |= {path.parent.name.replace("_", "-") for path in ROOT.glob("analysis/studies/*/study.py")}
    named = {line.split()[1] for line in commands() if re.match(r"make [a-z]", line)}
    assert {"reproduce", "test", "docs"} <= named <= known


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_takes_its_options(program: str) -> None:
    lines = {line for line in commands() if re.match(rf"{program} [a-z]", line)}
    assert lines
    for line in lines:
        words = shlex.split(re.split(r"[>;]", line)[0].removeprefix(program))
        command = get_command(PROGRAMS[program]).commands[words[0]]  # type: ignore[attr-defined]
        options = {option for each in command.params for option in each.opts}
        assert {word for word in words if word.startswith("-") and word != "-"} <= options, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_picture_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", page.read_text())):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_table_of_the_rules_is_the_one_the_study_gives() -> None:
    rows = pd.read_parquet(ROOT / "results/unbiasedness/rows.parquet")
    page = (ROOT / rules_page.PAGE).read_text()
    assert rules_page.render(page, rows) == page, "run `python -m analysis rules`"


def test_every_public_name_has_its_place() -> None:
    text = (ROOT / "docs/reference/api.md").read_text()
    shown = set(re.findall(r"auto(?:class|function|exception):: (\w+)$", text, re.MULTILINE))
    assert shown == {each for each in dir(ml) if each in {*ml.__all__, *ml._LATER}}
    text = (ROOT / "docs/reference/environments.md").read_text()
    assert set(re.findall(r"auto(?:class|function):: (\w+)$", text, re.MULTILINE)) == set(envs.__all__)
