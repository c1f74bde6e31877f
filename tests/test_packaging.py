"""The wheel: it holds maxpo_lab alone and works with the core dependencies and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

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


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _nothing_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package on PYTHONPATH would be taken for an installed one."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_maxpo_lab_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"maxpo_lab"}
    assert "maxpo_lab/py.typed" in names
    assert "maxpo_lab/estimators/families/maxpo.py" in names


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    assert "import took" in run(python, "-c", PROBE)
    shown = run(python.with_name("maxpo-lab"), "show", "maxpo")
    assert "Leave-Two-Out" in shown
    rule = tmp_path / "rule_of_a_project.py"
    rule.write_text("def centre(rewards, k):\n    return rewards - rewards.mean()\n")
    done = subprocess.run(
        [
            python.with_name("maxpo-lab"),
            "audit",
            "rule_of_a_project:centre",
            "--n",
            "6",
            "--k",
            "2",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["coupling"]["met"]["effect"] == "shift"
    source = tmp_path / "rewards.csv"
    source.write_text("group,reward\na,1\na,0\na,0\n")
    assert "a,1,2.0" in run(python.with_name("maxpo-lab"), "advantages", source, "--k", 2)
