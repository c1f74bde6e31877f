"""README and documentation are true: their code runs and prints what they say, commands and links exist.

Blocks of a page share a scope and a folder, which holds files that evaluation tools left, and run in order:

- ``python`` prints what the ``text`` block that follows it says, nothing where none does; one that begins
  with ``# name.py`` is a program, which lies under that name in the folder too;
- ``console``: each ``$ command`` prints what follows it;
- ``sh`` is not run: ``NOT_RUN`` says what such blocks are, and commands of this project take their options;
- ``yaml``, a workflow, is read, and all that it runs but installations runs in ``make test-integrations``;
- of a framework that is not here (``<!-- needs skyrl -->``) what a block calls of this project is looked up;
- after ``<!-- needs trl -->`` or ``<!-- needs jax -->`` a block runs by itself in ``make test-integrations``,
  after ``<!-- needs verl -->`` on a stand-in for verl, which has an environment of its own.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import generated
import pandas as pd
import pytest
import stand_ins
import yaml
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
#: Pages with a dozen audits, or processes.
SLOW = {"audit.md", "ci.md", "pass_at_k.md"}
PROGRAMS = {"maxpo-lab": maxpo_lab, "python -m analysis": analysis}
#: What a line of ``sh`` begins with: it takes minutes, a network, or a framework that is not here.
NOT_RUN = re.compile(
    r"make |pip install |git clone |cd maxpo-lab|python3 -m venv |python -m analysis verify |"
    r"maxpo-lab audit verl\.|python train\.py |python -m verl\.|modules?=maxpo_lab|swift rlhf |"
    r"echo .* > maxpo\.yaml"
)


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
    for each in (ROOT / "tests/maxpo_lab/cli/dumps").iterdir():
        shutil.copy(each, tmp_path)
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
        pytest.param(page, marks=pytest.mark.integration if page.name in SLOW else ())
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
    for program in ("losses", "our_rules"):
        sys.modules.pop(program, None)


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
def test_code_that_needs_verl_runs_on_a_stand_in(code: str) -> None:
    with stand_ins.in_place() as modules:
        exec(code, {})
        assert set(stand_ins.OURS) & set(sys.modules)
    if "register(" in code:
        registered = modules["verl.trainer.ppo.core_algos"].ADV_ESTIMATOR_REGISTRY
        assert {"maxpo", "l_statistic:TopM:3"} <= set(registered)


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
        (language, "") for language in ("sh", "console", "text", "yaml")
    }
    fences = sum(len(re.findall(r"^```\w+$", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert sum(len(blocks(page)) for page in PAGES) == fences


def shell(page: Path, language: str) -> list[str]:
    """The lines of a page's blocks of a shell, continued ones joined, the environment's folder left out."""
    code = "\n".join(block.code for block in blocks(page) if block.language == language)
    return re.sub(r"^\S*bin/", "", code.replace("\\\n", " "), flags=re.MULTILINE).splitlines()


def test_what_is_not_run_says_why() -> None:
    """A command of ``sh`` is of a kind that cannot run here, or one that a console shows."""
    consoles = {line.removeprefix("$ ") for page in PAGES for line in shell(page, "console")}
    for page in PAGES:
        for line in shell(page, "sh"):
            command = line.partition(" #")[0].strip()
            assert NOT_RUN.match(command) or command in consoles, f"{name(page)}: {command}"


def workflows() -> list[Any]:
    return [
        pytest.param(page, block.code, id=name(page))
        for page in PAGES
        for block in blocks(page)
        if block.language == "yaml"
    ]


@pytest.mark.integration  # a process for each command
@pytest.mark.parametrize(("page", "code"), workflows())
def test_what_a_workflow_runs_passes(page: Path, code: str, folder: Path) -> None:
    for block in blocks(page):
        if program := re.match(r"# (\w+\.py)\n", block.code):
            (folder / program[1]).write_text(block.code)
    steps = steps_of(code)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    summary = folder / "summary.md"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(summary)}
    ran = [step["run"] for step in steps if "run" in step and not step["run"].startswith("pip install ")]
    assert len(ran) == 3
    for command in ran:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert summary.read_text().startswith("# Audit of `best_of_k`: passed")
    # With a defect the last steps, and so the job, fail.
    broken = (folder / "our_rules.py").read_text().replace("k * np.cumsum", "np.cumsum")
    (folder / "our_rules.py").write_text(broken)
    failed = subprocess.run(
        ["bash", "-c", ran[1]], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert failed.returncode == 1


def steps_of(code: str) -> list[dict[str, Any]]:
    (job,) = yaml.safe_load(code)["jobs"].values()
    return list(job["steps"])


@pytest.mark.parametrize(("page", "code"), workflows())
def test_a_workflow_is_one(page: Path, code: str) -> None:
    read = yaml.safe_load(code)
    assert set(read) == {"name", True, "permissions", "jobs"}  # YAML 1.1 reads ``on`` as true
    for step in steps_of(code):
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        for line in step.get("run", "").splitlines():
            if line.startswith("pip install "):
                assert set(line.split()[2:]) == {"maxpo-lab", "pytest"}
            for program in PROGRAMS:
                if line.startswith(f"{program} "):
                    taken = options_of(program, line.split()[1])
                    assert {word for word in line.split() if word.startswith("--")} <= taken


def options_of(program: str, command: str) -> set[str]:
    found = get_command(PROGRAMS[program]).commands[command]  # type: ignore[attr-defined]
    return {option for each in found.params for option in each.opts}


def commands() -> set[str]:
    """Every line of a shell in the pages, continued ones joined, comments gone; every `command` in a text."""
    lines = [line for page in PAGES for language in ("sh", "console") for line in shell(page, language)]
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
        given = {word for word in words if word.startswith("-") and word != "-"}
        assert given <= options_of(program, words[0]), line


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


def test_every_command_and_option_is_in_the_reference() -> None:
    page = generated.commands()
    for program, app in PROGRAMS.items():
        for command in get_command(app).commands:  # type: ignore[attr-defined]
            _, _, section = page.partition(f"### {program} {command}\n")
            section = section.partition("\n### ")[0]
            for option in options_of(program, command):
                if option.startswith("-"):
                    assert re.search(rf"{option}(?![\w-])", section), f"{program} {command} {option}"


def test_what_a_page_claims_of_rules_are_claims_that_hold() -> None:
    records = {each["name"]: each for each in json.loads((ROOT / "results/claims.json").read_text())}
    text = (ROOT / "docs/howto/choose.md").read_text()
    themes = {each.partition("-")[0] for each in records}
    named = {each for each in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text) if each.partition("-")[0] in themes}
    assert len(named) > 15
    assert named <= records.keys()
    assert {records[each]["verdict"] for each in named} <= {"holds", "holds with conditions"}
    table = generated.chosen_claims()
    assert all(f"| `{each}` | {records[each]['statement']}" in table for each in named)


#: What pages have in italics for stress, or as labels of their own lists and tables.
STRESSED = {
    *("a prompt is", "across", "both", "current", "direction", "does not hold", "each", "holds"),
    *("holds with conditions", "is", "measured", "neither", "new", "not decided", "other", "report"),
    *("rewards", "rollout", "rollouts", "sum", "what was run", "whole"),
}


def test_the_glossary_has_what_pages_define() -> None:
    """A word in italics is a term of the glossary, or stress; terms are in order, and used."""
    text = (ROOT / "docs/glossary.md").read_text().partition("```{glossary}")[2].partition("```")[0]
    terms = re.findall(r"^(?! )(.+)$", text, re.MULTILINE)
    assert terms == sorted(set(terms), key=str.lower)
    known = {each.lower() for line in terms for each in line.split(", ")}
    used = ""
    for page in PAGES:
        used += page.read_text() if page.name != "glossary.md" else ""
        said = re.sub(
            r"^```.*?^```|\$\$.*?\$\$|`[^`\n]*`|\*\*.*?\*\*",
            "",
            page.read_text(),
            flags=re.DOTALL | re.MULTILINE,
        )
        for word in re.findall(r"(?<![\w*])\*([A-Za-z][^*\n]{1,30}?)\*(?![\w*])", said):
            forms = {word.lower(), word.lower().removesuffix("s"), f"{word.lower()} policy"}
            caption = word[0].isupper() and word.endswith(".")
            assert forms & (known | STRESSED) or caption, f"{name(page)}: {word}"
    used = re.sub(r"[\s_-]+", " ", used.lower())
    unused = [
        term for term in known if any(word.removesuffix("y") not in used for word in re.split("[ -]", term))
    ]
    assert not unused
