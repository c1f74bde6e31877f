"""The study of frameworks finds what is known of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.run.store import cell_key
from analysis.studies.frameworks import inside
from analysis.studies.frameworks.figure import draw, lines
from analysis.studies.frameworks.judged import climbed, edge, values
from analysis.studies.frameworks.judged import coupled as batch_cells
from analysis.studies.frameworks.study import Cell, Row, cells, measure, shown
from analysis.studies.frameworks.subjects import AS_CODED, FROM_PACKAGES, coded_rule
from analysis.studies.frameworks.tabulated import table
from maxpo_lab.integrations.frameworks import get_framework, list_frameworks


@cache
def row(framework: str, name: str) -> Row:
    """The smoke preset's row of a rule made after the code."""
    (cell,) = (each for each in cells("smoke") if (each.framework, each.rule) == (framework, name))
    (found,) = measure(cell)
    return found


def test_the_defect_of_easyr1_is_found() -> None:
    found = row("EasyR1", "issue 585")
    assert found.verdict == "other"
    assert found.flat == "tells equals apart"
    assert found.flat_largest == pytest.approx(0.1 / 1e-6)
    assert found.direction_error > 1.5
    assert found.ties == "yes"
    assert row("EasyR1", "grpo_passk").flat_largest == 0


@pytest.mark.parametrize(
    "rule", [("rLLM", "pull request 743, K = n"), ("Passk_Training", "analytical, K = n")]
)
def test_silence_at_k_n_is_found(rule: tuple[str, str]) -> None:
    found = row(*rule)
    assert (found.n, found.k, found.verdict, found.scale) == (4, 4, "nothing", None)


@pytest.mark.parametrize(
    ("rule", "scale"),
    [
        (("PKPO", "s_loo-1 in a mean-type loss"), 1 / 4),
        (("rLLM", "pull request 743"), (1 - 2 / 4) / 4),
        (("prime-rl", "default"), 1 - 1 / 4),
        (("OrderGrad", 'lstat_advantage("ReMax")'), 1 / 2),
    ],
)
def test_wrong_scales_are_found(rule: tuple[str, str], scale: float) -> None:
    found = row(*rule)
    assert found.verdict == "scaled"
    assert found.scale == pytest.approx(scale, rel=1e-9)


def test_the_rule_of_nemo_is_not_centered_and_of_an_exact_direction() -> None:
    found = row("NeMo-RL", "grpo")
    assert (found.centered, found.verdict) == ("no", "other")
    assert found.worst_sum > 0.1
    assert found.direction_error < 1e-9
    assert row("rLLM", "grpo").centered == "yes"
    assert row("rLLM", "grpo").direction_error > 0.1


def test_right_rules_are_said_to_be_right() -> None:
    maxpo, pkpo = row("MaxPO", "Leave-Two-Out"), row("PKPO", "s_loo-1")
    assert (maxpo.verdict, maxpo.centered, maxpo.nearest) == ("unbiased", "yes", "= maxpo")
    assert (pkpo.verdict, pkpo.centered, pkpo.nearest) == ("unbiased", "no", "= pkpo-loo1")


def test_every_rule_of_the_registry_is_a_subject() -> None:
    """None is left out: those that can be called from their packages, the others as coded."""
    theirs = [(name, rule.name) for name in list_frameworks() for rule in get_framework(name).rules]
    run = [(each.framework, each.name) for each in FROM_PACKAGES]
    coded = [(each.framework, each.name) for each in AS_CODED]
    assert set(theirs) <= {*run, *coded}
    assert not {*run} & {*coded}
    assert len({each[0] for each in run}) >= 7
    assert len({(each.framework, each.rule, each.n) for each in cells("paper")}) == len(cells("paper"))


def test_an_absent_environment_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inside, "HOMES", {"verl": tmp_path / ".venv-verl"})
    inside._found.cache_clear()
    with pytest.raises(RuntimeError, match=r"make \.venv-verl"):
        measure(Cell("package", "verl", "grpo", 4, 2))
    inside._found.cache_clear()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own with a forge-rl of our making."""
    home = tmp_path / ".venv-frameworks"
    site = home / "lib/python3.99/site-packages"
    for name in ("forge/__init__.py", "forge/core/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("raise ImportError('nothing here is needed')\n")
    (site / "forge/core/grpo.py").write_text(
        "print('what a package prints')\n"
        "def compute_group_advantages(rewards, group_size):\n"
        "    grouped = rewards.view(-1, group_size)\n"
        "    return 2 * (grouped - grouped.mean(dim=1, keepdim=True)).view(-1)\n"
    )
    for name, version in {"forge_rl": "0.1.2", "torch": "2.11.0", "rich": "15"}.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "RECORD").write_text("")
    (home / "bin").mkdir()
    python = home / "bin/python"
    paths = os.pathsep.join([str(site), str(Path(inside.__file__).parents[3])])
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(inside, "HOMES", inside.HOMES | {"frameworks": home})
    inside._found.cache_clear()
    yield home
    inside._found.cache_clear()


@pytest.mark.integration
def test_a_rule_is_audited_in_its_own_environment(environment: Path) -> None:
    (cell,) = (each for each in cells("paper") if (each.framework, each.n) == ("forge-rl", 8))
    assert cell.inside == "forge-rl 0.1.2, torch 2.11.0"
    (found,) = measure(replace(cell, n=3, k=2))
    assert (found.verdict, found.scale) == ("scaled", pytest.approx(2 * (1 - 1 / 3), rel=1e-6))
    assert "[0, 0, 1] gets" in found.differs or "gets" in found.differs
    assert values(json.loads(found.numbers)["1000"]) == [1.5, -0.5, -0.5, -0.5]
    with pytest.raises(ValueError, match="no_such_rule"):
        inside.audited("forge-rl", "no_such_rule", n=3, k=2)


def test_what_an_environment_holds_is_part_of_its_cells_alone(environment: Path) -> None:
    def keys() -> dict[str, set[str]]:
        inside._found.cache_clear()
        found: dict[str, set[str]] = {}
        for cell in cells("paper"):
            found.setdefault(cell.framework, set()).add(cell_key("frameworks", None, cell, {"python": "3"}))
        return found

    before = keys()
    old = next(cell for cell in cells("paper") if cell.framework == "forge-rl")
    metadata = next(environment.glob("lib/*/site-packages/forge_rl-*/METADATA"))
    metadata.write_text(metadata.read_text().replace("0.1.2", "0.1.3"))
    after = keys()
    assert {name for name in before if after[name] != before[name]} == {"forge-rl"}
    with pytest.raises(RuntimeError, match=r"forge-rl 0\.1\.3.*: the cell is of forge-rl 0\.1\.2"):
        measure(old)


@pytest.mark.integration
def test_another_version_ends_the_program_by_name(environment: Path) -> None:
    metadata = next(environment.glob("lib/*/site-packages/forge_rl-*/METADATA"))
    metadata.write_text(metadata.read_text().replace("0.1.2", "0.1.3"))
    python = str(environment / "bin" / "python")
    command = [python, "-m", "maxpo_lab.integrations.frameworks.numbers", "forge-rl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FrameworkVersionError: forge-rl: forge-rl 0.1.3 is installed" in done.stderr


def test_the_matrix_tells_the_verdicts_apart() -> None:
    rows = pd.DataFrame(
        [row("EasyR1", "issue 585"), row("rLLM", "pull request 743, K = n"), row("MaxPO", "Leave-Two-Out")]
    )
    judged = {line.whose: line.cells for line in lines(rows, climbed)}
    objective = {whose: cells["objective"].verdict for whose, cells in judged.items()}
    assert list(objective.values()) == ["fails", "fails", "holds"]
    assert judged["MaxPO Leave-Two-Out"]["sum"].text == "0"
    gone = rows.assign(verdict="not judged", misbehaves="coupled rows")
    assert {line.cells["scale"].text for line in lines(gone, climbed)} == {"-"}


def test_numbers_are_written_and_read_again() -> None:
    given = {"a": [1.0, 0.5, 0.5, 0.5], "b": [1 / 3, -1e-9], "c": "ValueError", "d": [float("nan")] * 4}
    texts = shown(given)
    assert texts == {"a": "1, 0.5 (x3)", "b": "0.33333, -1e-09", "c": "ValueError", "d": "nan (x4)"}
    assert values(texts["a"]) == given["a"]
    assert values(texts["c"]) is None
    assert np.isnan(values(texts["d"])).all()


def test_edges_tell_what_a_package_does() -> None:
    numbers = {
        "1000": "1, -0.33333 (x3)",
        "eight 0.7": "0.92096 (x8)",
        "eight 0.1": "-7.4506e-09 (x8)",
        "all fail": "0 (x4)",
        "all right": "0 (x4)",
        "alone": "nan",
        "missing": "0, 0.66667, -0.33333, -0.33333",
        "100,0,0,0": "10, -10 (x3)",
        "unequal": "by position",
        "interleaved": "by position",
    }

    def judged(**changed: str) -> dict[str, tuple[str, str]]:
        cells = edge(pd.Series({"numbers": json.dumps(numbers | changed)}))
        return {name: (cell.verdict, cell.text) for name, cell in cells.items()}

    plain = judged()
    assert plain["eight 0.7"] == ("fails", "0.921")
    assert plain["eight 0.1"] == ("holds", "rounding")
    assert plain["alone"] == ("fails", "NaN")
    assert plain["missing"] == ("holds", "left out")
    assert plain["100,0,0,0"] == ("fails", "10, -10")
    by_design = judged(**{"eight 0.7": "0.7 (x8)", "all right": "1 (x4)"})
    assert by_design["eight 0.7"] == ("not claimed", "0.7")
    assert judged(alone="UnboundLocalError")["alone"] == ("fails", "raises")
    assert judged(missing="nan (x4)")["missing"] == ("fails", "NaN spreads")
    assert judged(missing="-0.5, 1.5, -0.5, -0.5")["missing"][0] == "fails"
    assert judged(**{"100,0,0,0": "100, -33.333 (x3)"})["100,0,0,0"] == ("holds", "x 100")
    assert judged(**{"100,0,0,0": "1, -0.33333 (x3)"})["100,0,0,0"] == ("holds", "the same")


def test_figures_and_table_are_drawn_without_a_package() -> None:
    """The smoke preset has rules as coded alone; a rule of a batch has a matrix of its own."""
    maxpo = row("MaxPO", "Leave-Two-Out")
    sizes = {"through_8": 0.05, "through_32": 0.01, "angle_8": 0.02, "weight_least": 1.0, "weight_most": 2.0}
    batch = replace(
        maxpo,
        rule="over the batch",
        couples="rms of advantages",
        verdict="coupled",
        order=1.0,
        at_large_p=1.5,
        **sizes,
    )
    rows = pd.DataFrame([asdict(maxpo), asdict(batch)])
    assert set(draw(rows)) == {"figure", "batches"}
    made = table(rows)
    assert list(made["framework: rule"]) == ["MaxPO: Leave-Two-Out", "MaxPO: over the batch"]
    assert list(made["through the batch, P=8"]) == ["-", "0.05"]
    drawn = batch_cells(pd.Series(asdict(replace(batch, couples="more than a sum", through_32=0.0))))
    assert (drawn["through_8"].text, drawn["through_32"].text) == ("~0.05", "-")


def test_a_rule_after_the_code_has_its_scale() -> None:
    rewards = np.array([[0.0, 1.0, 0.0, 0.5]])
    assert np.array_equal(
        4 * coded_rule("canonical / K")(rewards, 2), 2 * coded_rule("canonical")(rewards, 2)
    )
