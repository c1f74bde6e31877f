"""The wheel and the source distribution: maxpo_lab alone, on each Python there is, nothing else beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pytestmark = pytest.mark.integration

PROBE = """
import sys, time
import numpy
start = time.perf_counter()
import maxpo_lab as ml
seconds = time.perf_counter() - start
heavy = {"torch", "gymnasium", "pandas", "matplotlib", "wandb", "envs", "analysis"} & set(sys.modules)
assert not heavy, heavy
assert ml.advantages([[1.0, 0.0, 0.0]], 2).tolist() == [[2.0, -1.0, -1.0]]
policy = ml.RewardLevels.from_softmax([0.0, 1.0, 2.0], [0, 0, 1])
assert ml.exact_moments("maxpo", policy, n=8, k=4).relative_bias < 1e-10
assert ml.pass_at_k_spectrum("maxpo", n=4, k=2).weights.tolist() == [0, 1, 0, 0]
report = ml.audit(lambda rewards, k: rewards - rewards.mean(axis=1, keepdims=True), n=6, k=2, target="mean")
assert not report.passed and report.nearest.name == "batch-mean"
from maxpo_lab.testing import assert_centered, assert_unbiased
assert_unbiased("maxpo", n=6, k=2)
try:
    assert_centered("pkpo-loo1", n=6, k=2)
except AssertionError as error:
    assert "sum to" in str(error)
else:
    raise SystemExit("pkpo-loo1 is not centered")
assert not {"torch", "gymnasium", "pandas", "matplotlib", "wandb"} & set(sys.modules)
print(f"import took {seconds:.3f} s")
"""


#: A package on PYTHONPATH would be taken for an installed one.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(*command: object, status: int = 0, cwd: Path = Path("/")) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd, env=ENVIRONMENT
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built from it alone.

    Of a copy: a build writes into the tree, which other tests read meanwhile.
    """
    folder = tmp_path_factory.mktemp("built")
    made = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "runs")
    shutil.copytree(ROOT, folder / "tree", ignore=made)
    run(sys.executable, "-m", "build", "--outdir", folder, folder / "tree")
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def test_the_wheel_holds_maxpo_lab_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"maxpo_lab"}
    assert "maxpo_lab/py.typed" in names
    assert "maxpo_lab/estimators/families/maxpo.py" in names


def test_the_source_distribution_holds_no_more_than_the_wheel_is_made_from(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2].split("/")[0] for name in archive.getnames()} - {""}
    assert names == {
        *("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"),
        *("maxpo_lab", "maxpo_lab.egg-info", "pyproject.toml", "setup.cfg", "setup.py"),
    }


def test_the_metadata_is_that_of_the_project(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        found = message_from_string(archive.read(name).decode())
    assert (found["Name"], found["Version"]) == ("maxpo-lab", PROJECT["version"])
    assert {*found.get_all("Provides-Extra", [])} == {*PROJECT["optional-dependencies"]}
    assert found["Description-Content-Type"] == "text/markdown"
    text = str(found.get_payload())
    assert "# maxpo-lab" in text
    code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert all(link.startswith("https:") for link in re.findall(r"\]\(([^)]*)\)", code))


def interpreters() -> dict[str, Path]:
    """The Pythons that the project names and this machine has: on the path, or kept by pyenv."""
    named = (each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each)
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in named:
        paths = [*sorted(kept.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
        for path in filter(None, [sys.executable if sys.version.startswith(f"{version}.") else None, *paths]):
            asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            if asked.stdout.startswith(f"Python {version}."):  # a shim of pyenv may stand for none
                found[version] = Path(path)
                break
    return found


PYTHONS = interpreters()
VERSIONS = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]


@pytest.fixture(scope="module", params=VERSIONS)
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel: this one's versions, the newest of another."""
    version = request.param
    if version not in PYTHONS:
        pytest.skip(f"no Python {version} on this machine")
    folder = tmp_path_factory.mktemp(f"on{version}")
    run(PYTHONS[version], "-m", "venv", folder)
    pinned = ("-c", ROOT / "constraints.txt") if sys.version.startswith(f"{version}.") else ()
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *pinned, wheel)
    return folder / "bin" / "python"


def test_it_works_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    python = installed
    assert "import took" in run(python, "-W", "error", "-c", PROBE)
    shown = run(python.with_name("maxpo-lab"), "show", "maxpo")
    assert "Leave-Two-Out" in shown
    rule = tmp_path / "rule_of_a_project.py"
    rule.write_text("def centre(rewards, k):\n    return rewards - rewards.mean()\n")
    audit = ("audit", "rule_of_a_project:centre", "--n", 6, "--k", 2, "--json")
    said = run(python.with_name("maxpo-lab"), *audit, status=1, cwd=tmp_path)
    assert json.loads(said)["coupling"]["met"]["effect"] == "shift"
    source = tmp_path / "rewards.csv"
    source.write_text("group,reward\na,1\na,0\na,0\n")
    assert "a,1,2.0" in run(python.with_name("maxpo-lab"), "advantages", source, "--k", 2)


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_every_extra_resolves_alone(extra: str, wheel: Path) -> None:
    asked = f"maxpo-lab[{extra}] @ {wheel.as_uri()}"
    run(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", asked)
