"""Unbiased pass@k in verl's own validation, up to the names that its trainers give to trackers.

Runs in an environment of its own (``make test-integrations``), as verl pins an older transformers.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import maxpo_lab as ml

pytestmark = pytest.mark.integration
metric_utils = pytest.importorskip(
    "verl.trainer.ppo.metric_utils", reason="verl is in .venv-verl alone: make test-integrations"
)
THEIRS = inspect.unwrap(metric_utils.process_validation_metrics)
from maxpo_lab.integrations import verl_validation as integration  # noqa: E402

MODULE = "maxpo_lab.integrations.verl_validation"
TRAINERS = ("ray_trainer", "v1/trainer_base")
KINDS = ("unbiased", "standard_error", "low", "high", "prompts")


@pytest.fixture
def validation() -> dict[str, Any]:
    """Two sources, 8 responses of each of 6 prompts and 3 of each of 4, rows of all interleaved."""
    rng = np.random.default_rng(0)
    prompts = [("math", f"m{i}", 8, i / 8) for i in range(6)] + [("code", f"c{i}", 3, 0.4) for i in range(4)]
    rows = [(source, uid, float(rng.random() < p)) for source, uid, n, p in prompts for _ in range(n)]
    rows = [rows[at] for at in rng.permutation(len(rows))]
    sources, uids, acc = map(list, zip(*rows, strict=True))
    infos = {
        "reward": [value * 0.9 + 0.05 * rng.random() for value in acc],
        "acc": [bool(value) for value in acc],
        "pred": [str(int(value)) for value in acc],
    }
    return {"data_sources": np.array(sources, dtype=object), "sample_uids": uids, "infos_dict": infos}


def groups_of(validation: dict[str, Any], source: str, variable: str) -> list[list[float]]:
    found: dict[str, list[float]] = {}
    of = zip(
        validation["data_sources"], validation["sample_uids"], validation["infos_dict"][variable], strict=True
    )
    for each, uid, value in of:
        if each == source:
            found.setdefault(uid, []).append(float(value))
    return list(found.values())


def by_enumeration(groups: list[list[float]], k: int) -> float:
    return float(np.mean([np.mean([max(chosen) for chosen in combinations(group, k)]) for group in groups]))


def flattened(trainer: str, validation: dict[str, Any]) -> dict[str, float]:
    """What ``_val_metrics_update`` of one of verl's trainers logs: the method of the installed file, compiled
    alone, as the file imports what only a GPU machine has."""
    path = Path(metric_utils.__file__).parent / f"{trainer}.py"
    tree = ast.parse(path.read_text())
    (method,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_val_metrics_update"
    )
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "verl.trainer.ppo.metric_utils"
    ]
    scope: dict[str, Any] = {"np": np}
    exec(compile(ast.Module([*imports, method], []), str(path), "exec"), scope)
    more = (
        {"expected_acc_counts": validation["expected_acc_counts"]}
        if "expected_acc_counts" in validation
        else {}
    )
    found = scope["_val_metrics_update"](
        None, validation["data_sources"], validation["sample_uids"], validation["infos_dict"], [], **more
    )
    return dict(found)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_trackers_get(trainer: str, validation: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """verl's own numbers under their names, ours under val-aux, equal to enumeration."""
    ours = flattened(trainer, validation)
    monkeypatch.setattr(metric_utils, "process_validation_metrics", THEIRS)
    theirs = flattened(trainer, validation)
    assert {name: ours[name] for name in theirs} == theirs
    added = set(ours) - set(theirs)
    assert added == {
        f"val-aux/{source}/{variable}/pass@{k}/{kind}"
        for source, ks in {"math": (1, 2, 4, 8), "code": (1, 2)}.items()
        for variable in ("reward", "acc")
        for k in ks
        for kind in KINDS
    }
    for source, ks in {"math": (1, 2, 4, 8), "code": (1, 2)}.items():
        for variable in ("reward", "acc"):
            groups = groups_of(validation, source, variable)
            table = ml.pass_at_k(np.array(groups), ks)
            for at, k in enumerate(ks):
                name = f"val-aux/{source}/{variable}/pass@{k}"
                assert ours[f"{name}/unbiased"] == pytest.approx(by_enumeration(groups, k), rel=1e-12)
                assert ours[f"{name}/prompts"] == len(groups)
                for field in ("standard_error", "low", "high"):
                    assert ours[f"{name}/{field}"] == pytest.approx(
                        float(getattr(table, field)[at]), rel=1e-12
                    )
    assert all(type(ours[name]) is float for name in added)
    best = ours["val-aux/math/acc/best@4/mean"]
    assert best < ours["val-aux/math/acc/pass@4/unbiased"] - 0.01, "redraws with replacement are low"


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_k_beyond_the_groups_moves_no_name_of_verls(
    trainer: str, validation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl puts its largest N into val-core, and reads it from all names."""
    monkeypatch.setattr(
        metric_utils, "process_validation_metrics", integration._with_pass_at_k(THEIRS, (2, 16), None)
    )
    found = flattened(trainer, validation)
    assert "val-core/math/acc/best@8/mean" in found
    assert not [name for name in found if "pass@" in name and name.startswith("val-core")]
    assert "val-aux/math/acc/pass@2/unbiased" in found
    assert not [name for name in found if "pass@16" in name]


def test_missing_responses_count_as_verl_counts_them(validation: dict[str, Any]) -> None:
    """Two responses of m1 and all of c9 are missing, and some were not judged."""
    expected = {("math", f"m{i}"): 8 for i in range(6)} | {("code", f"c{i}"): 3 for i in (0, 1, 2, 3, 9)}
    kept = [row for row in range(60) if validation["sample_uids"][row] != "m1"]
    kept += [row for row in range(60) if validation["sample_uids"][row] == "m1"][:6]
    infos = {name: [values[row] for row in kept] for name, values in validation["infos_dict"].items()}
    unjudged = kept.index(validation["sample_uids"].index("m5"))
    infos["acc"][unjudged] = None
    given = {
        "data_sources": validation["data_sources"][kept],
        "sample_uids": [validation["sample_uids"][row] for row in kept],
        "infos_dict": infos,
        "expected_acc_counts": expected,
    }
    result = metric_utils.process_validation_metrics(**given)
    for source in ("math", "code"):
        for variable in ("acc", "reward", "acc_success_only"):
            theirs = result[source][variable]
            means = [value for name, value in theirs.items() if name.startswith("mean@")]
            if len(means) == 1:  # verl takes apart the prompts with another number of responses
                assert theirs["pass@1/unbiased"] == pytest.approx(means[0], rel=1e-12)
    assert result["code"]["acc"]["pass@2/prompts"] == 5
    assert result["code"]["acc_success_only"]["pass@2/prompts"] == 4
    assert result["math"]["acc"]["pass@8/prompts"] == 6
    assert "pass@8/unbiased" not in result["math"]["reward"], "the smallest group has 6"
    flat = flattened("v1/trainer_base", given)
    assert flat["val-aux/math/acc/pass@8/unbiased"] == result["math"]["acc"]["pass@8/unbiased"]


def test_it_wraps_once_and_wherever_verl_holds_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    before = metric_utils.process_validation_metrics
    integration.install()
    assert metric_utils.process_validation_metrics is before
    trainer = ModuleType("verl.trainer.ppo.ray_trainer")
    trainer.process_validation_metrics = THEIRS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, trainer.__name__, trainer)
    monkeypatch.setattr(metric_utils, "process_validation_metrics", THEIRS)
    integration.install()
    wrapped = metric_utils.process_validation_metrics
    assert trainer.process_validation_metrics is wrapped  # type: ignore[attr-defined]
    assert inspect.unwrap(wrapped) is THEIRS
    assert inspect.signature(wrapped) == inspect.signature(THEIRS)


def test_verl_imports_it_beside_the_estimators() -> None:
    """The variable as the launch line sets it; the settings are read where the module is imported."""
    code = (
        "import verl, sys; from verl.trainer.ppo import core_algos, metric_utils;"
        "assert 'maxpo' in core_algos.ADV_ESTIMATOR_REGISTRY;"
        "found = metric_utils.process_validation_metrics(['s'] * 4, ['a', 'a', 'b', 'b'],"
        " {'acc': [0.5, 0.7, 0.2, 0.9]})['s']['acc'];"
        "print(sorted(name for name in found if 'unbiased' in name), found['pass@2/unbiased'])"
    )
    names = f"maxpo_lab.integrations.verl,{MODULE}"
    settings = {"VERL_USE_EXTERNAL_MODULES": names, "MAXPO_LAB_KS": "2", "MAXPO_LAB_THRESHOLD": "0.8"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | settings
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "['pass@2/unbiased'] 0.5"
    importlib.import_module(MODULE)
