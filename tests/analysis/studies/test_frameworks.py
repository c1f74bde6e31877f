"""The study of frameworks finds what is known of them."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import maxpo_lab as ml
from analysis.run.store import cell_key
from analysis.studies.frameworks import in_verl
from analysis.studies.frameworks.figure import matrix
from analysis.studies.frameworks.study import Cell, Row, cells, measure
from analysis.studies.frameworks.subjects import AS_CODED, FROM_VERL, coded_rule


@cache
def row(framework: str, name: str) -> Row:
    """The smoke preset's row of a rule made after the code."""
    place = next(i for i, each in enumerate(AS_CODED) if (each.framework, each.name) == (framework, name))
    (cell,) = (each for each in cells("smoke") if (each.origin, each.index) == ("as coded", place))
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
    "rule", [("rllm", "pull request 743, K = n"), ("Passk_Training", "analytical, K = n")]
)
def test_silence_at_k_n_is_found(rule: tuple[str, str]) -> None:
    found = row(*rule)
    assert (found.n, found.k, found.verdict, found.scale) == (4, 4, "nothing", None)


@pytest.mark.parametrize(
    ("rule", "scale"),
    [
        (("PKPO", "s_loo-1 in a mean-type loss"), 1 / 4),
        (("rllm", "pull request 743"), (1 - 2 / 4) / 4),
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
    assert row("SkyRL", "grpo").centered == "yes"
    assert row("SkyRL", "grpo").direction_error > 0.1


def test_skyrls_maxrl_has_its_epsilon_in_the_denominator() -> None:
    coded = {each.framework: ml.get_estimator(each.rule) for each in AS_CODED if each.name == "maxrl"}
    assert set(coded) == {"prime-rl", "SkyRL"}
    rewards = [1.0, 0.0, 0.0, 0.0]
    assert coded["prime-rl"](rewards, 1)[0] == pytest.approx(0.75 / 0.25, rel=1e-12)
    assert coded["SkyRL"](rewards, 1)[0] == pytest.approx(0.75 / (0.25 + 1e-6), rel=1e-12)


def test_right_rules_are_said_to_be_right() -> None:
    maxpo, pkpo = row("MaxPO", "Leave-Two-Out"), row("PKPO", "s_loo-1")
    assert (maxpo.verdict, maxpo.centered, maxpo.nearest) == ("unbiased", "yes", "= maxpo")
    assert (pkpo.verdict, pkpo.centered, pkpo.nearest) == ("unbiased", "no", "= pkpo-loo1")


def test_an_absent_environment_of_verl_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("analysis.studies.frameworks.in_verl.HOME", tmp_path)
    with pytest.raises(RuntimeError, match=r"make \.venv-verl"):
        measure(Cell("verl", 0, 4, 2))
    assert {each.rule.partition(":")[0] for each in FROM_VERL} == {"verl.trainer.ppo.core_algos"}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own with a package ``verl`` of one rule, in verl's convention."""
    site = tmp_path / "lib/python3.99/site-packages"
    module = site / "verl/trainer.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "import numpy as np, torch\n"
        "print('what a package prints')\n"
        "def rule(token_level_rewards, response_mask, index, config):\n"
        "    scores = token_level_rewards.sum(-1)\n"
        "    means = torch.stack([scores[torch.tensor(index == i)].mean() for i in index])\n"
        "    advantages = config.factor * (scores - means)[:, None] * response_mask\n"
        "    return advantages, advantages\n"
    )
    for name, version in {"verl": "0.9.1", "torch": "2.11.0", "rich": "15"}.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    paths = os.pathsep.join([str(site), str(Path(in_verl.__file__).parents[3])])
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(in_verl, "HOME", tmp_path)
    return tmp_path


@pytest.mark.integration
def test_a_rule_of_verl_is_audited_in_its_own_environment(environment: Path) -> None:
    arguments = {"n": 3, "k": 2, "target": "mean", "claims": ("unbiased", "centered")}
    settings = {"signature": "verl", "settings": {"factor": 2.0}, "seconds": 60.0}
    report = in_verl.audited("verl.trainer:rule", **arguments, **settings)
    (module,) = environment.glob("lib/*/site-packages/verl/trainer.py")
    here: dict[str, Any] = {"__name__": "verl.trainer"}
    exec(module.read_text(), here)
    assert report == json.loads(ml.audit(here["rule"], **arguments, **settings).to_json())
    assert report["ascent"]["scale"] == pytest.approx(2 * (1 - 1 / 3), rel=1e-6)
    with pytest.raises(RuntimeError, match="no_such_rule"):
        in_verl.audited("verl.trainer:no_such_rule", **arguments, **settings)


def test_what_verls_environment_holds_is_part_of_its_cells_alone(environment: Path) -> None:
    def keys() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for cell in cells("paper"):
            found.setdefault(cell.origin, set()).add(cell_key("frameworks", None, cell, {"python": "3"}))
        return found

    before = keys()
    assert {cell.inside for cell in cells("paper")} == {None, "torch 2.11.0, verl 0.9.1"}
    metadata = next(environment.glob("lib/*/site-packages/verl-*/METADATA"))
    metadata.write_text(metadata.read_text().replace("0.9.1", "0.9.2"))
    after = keys()
    assert {origin for origin in before if after[origin] != before[origin]} == {"verl"}
    assert not after["verl"] & before["verl"]
    old = next(cell for cell in cells("paper") if cell.origin == "verl")
    metadata.write_text(metadata.read_text().replace("0.9.2", "0.9.3"))
    with pytest.raises(RuntimeError, match=r"verl 0\.9\.3: the cell is of .*verl 0\.9\.2"):
        measure(old)


def test_the_matrix_tells_the_verdicts_apart() -> None:
    rows = pd.DataFrame(
        [row("EasyR1", "issue 585"), row("rllm", "pull request 743, K = n"), row("MaxPO", "Leave-Two-Out")]
    )
    judged = {name: cells for name, _, cells in matrix(rows)}
    objective = {name: cells["objective"].verdict for name, cells in judged.items()}
    assert list(objective.values()) == ["fails", "fails", "holds"]
    assert judged["EasyR1: issue 585"]["flat"].verdict == "fails"
    assert judged["MaxPO: Leave-Two-Out"]["sum"].text == "0"
    gone = rows.assign(verdict="not judged", misbehaves="coupled rows")
    assert {cells["scale"].text for _, _, cells in matrix(gone)} == {"-"}


def test_a_rule_after_the_code_has_its_scale() -> None:
    rewards = np.array([[0.0, 1.0, 0.0, 0.5]])
    assert np.array_equal(
        4 * coded_rule("canonical / K")(rewards, 2), 2 * coded_rule("canonical")(rewards, 2)
    )
