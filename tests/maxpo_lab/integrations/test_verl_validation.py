"""The hook into verl's validation, on a stand-in for its function; the real one is in tests/integrations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MODULE = "maxpo_lab.integrations.verl_validation"
SOURCES = ["math"] * 6 + ["code"] * 2
UIDS = ["a", "b", "a", "b", "a", "b", "c", "c"]
INFOS = {"acc": [1, 0, 0, 0, 0, 1, 1, 0], "pred": list("xyzxyzxy")}


def process_validation_metrics(
    data_sources: Any,
    sample_uids: Any,
    infos_dict: dict[str, list[Any]],
    seed: int = 42,
    expected_acc_counts: Any = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Some number of each variable that is no text."""
    variables = [name for name, values in infos_dict.items() if not isinstance(values[0], str)]
    return {source: {name: {"mean@1": float(seed)} for name in variables} for source in data_sources}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Imports the hook where verl's module has a function; gives both modules."""
    monkeypatch.delenv("MAXPO_LAB_KS", raising=False)
    monkeypatch.delenv("MAXPO_LAB_THRESHOLD", raising=False)

    def with_function(function: Any = process_validation_metrics, **settings: str) -> tuple[Any, Any]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        theirs: Any = ModuleType("verl.trainer.ppo.metric_utils")
        if function is not None:
            theirs.process_validation_metrics = function
        monkeypatch.setitem(sys.modules, theirs.__name__, theirs)
        monkeypatch.delitem(sys.modules, MODULE, raising=False)
        monkeypatch.setattr(f"{MODULE.rpartition('.')[0]}.verl_validation", None, raising=False)
        monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
        ours = import_module(MODULE)
        monkeypatch.delitem(sys.modules, MODULE)
        return ours, theirs

    return with_function


def test_its_numbers_stand_beside_verls(imported: Any) -> None:
    _, theirs = imported()
    found = theirs.process_validation_metrics(SOURCES, UIDS, INFOS, 7)
    assert found["math"]["acc"]["mean@1"] == 7
    assert set(found["math"]) == {"acc"}
    names = {name for name in found["math"]["acc"] if name.startswith("pass@")}
    kinds = ("unbiased", "standard_error", "low", "high", "prompts")
    assert names == {f"pass@{k}/{kind}" for k in (1, 2) for kind in kinds}
    assert found["math"]["acc"]["pass@1/unbiased"] == pytest.approx(1 / 3, rel=1e-12)
    assert found["math"]["acc"]["pass@2/unbiased"] == pytest.approx(2 / 3, rel=1e-12)
    assert found["code"]["acc"]["pass@2/unbiased"] == 1
    assert found["code"]["acc"]["pass@2/prompts"] == 1
    assert "pass@2/standard_error" not in found["code"]["acc"], "one prompt has no error"


def test_settings_of_the_environment(imported: Any) -> None:
    _, theirs = imported(MAXPO_LAB_KS="3, 1", MAXPO_LAB_THRESHOLD="0.5")
    infos = {"score": [0.6, 0.4, 0.2, 0.1, 0.3, 0.9, 0.7, 0.2]}
    found = theirs.process_validation_metrics(SOURCES, UIDS, infos)
    unbiased = {name: value for name, value in found["math"]["score"].items() if "unbiased" in name}
    assert unbiased == pytest.approx({"pass@1/unbiased": 1 / 3, "pass@3/unbiased": 1.0}, rel=1e-12)
    assert found["code"]["score"]["pass@1/unbiased"] == 0.5
    assert not [name for name in found["code"]["score"] if "pass@3" in name]


@pytest.mark.parametrize("reward", [0.1, 0.7])
@pytest.mark.parametrize("held", [float, np.float32])
def test_a_reward_reaches_a_threshold_of_its_own_value(imported: Any, reward: float, held: type) -> None:
    """Rewards that verl sums are float32, other values are as the reward function gave them."""
    _, theirs = imported(MAXPO_LAB_THRESHOLD=str(reward))
    infos = {"score": [float(held(reward))] * 8}
    assert theirs.process_validation_metrics(SOURCES, UIDS, infos)["math"]["score"]["pass@1/unbiased"] == 1


def test_by_default_every_k_is_of_all_prompts(imported: Any) -> None:
    ours, _ = imported()
    found = ours.pass_at_k_metrics(["math"] * 7, list("aaaabbb"), {"acc": [1, 0, 0, 0, 0, 1, 0]})
    assert {name.partition("/")[0] for name in found["math"]["acc"]} == {"pass@1", "pass@2"}
    assert found["math"]["acc"]["pass@2/prompts"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MAXPO_LAB_KS": "1;2"}, r"MAXPO_LAB_KS='1;2': .*set it as MAXPO_LAB_KS=1,4,16, or not at all"),
        ({"MAXPO_LAB_KS": ""}, "MAXPO_LAB_KS=''"),
        ({"MAXPO_LAB_KS": "0"}, "k >= 1"),
        ({"MAXPO_LAB_KS": "2,2"}, "each once"),
        ({"MAXPO_LAB_THRESHOLD": "most"}, "MAXPO_LAB_THRESHOLD='most': .*=1.0"),
        ({"MAXPO_LAB_THRESHOLD": "nan"}, "MAXPO_LAB_THRESHOLD='nan': .*finite"),
    ],
)
def test_malformed_settings_are_refused_at_import(imported: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imported(**settings)


def test_modules_that_have_the_function_already(imported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer: Any = ModuleType("verl.trainer.ppo.ray_trainer")
    trainer.process_validation_metrics = process_validation_metrics
    other: Any = ModuleType("verlike")
    other.process_validation_metrics = process_validation_metrics
    for module in (trainer, other):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    ours, theirs = imported()
    assert trainer.process_validation_metrics is theirs.process_validation_metrics
    assert other.process_validation_metrics is process_validation_metrics
    before = theirs.process_validation_metrics
    ours.install()
    assert theirs.process_validation_metrics is before


def test_another_verl_is_refused(imported: Any) -> None:
    says = "verl 9.9: process_validation_metrics of verl.trainer.ppo.metric_utils {}.*checked with verl 0.9.1"
    with pytest.raises(RuntimeError, match=says.format(r"takes \(rows\), not \(data_sources, ")):
        imported(lambda rows: {})
    with pytest.raises(RuntimeError, match=says.format("is not there")):
        imported(None)


def test_the_plain_function(imported: Any) -> None:
    """None and NaN are unscored; text, and variables with what is no finite number, are left out."""
    ours, _ = imported()
    infos = {
        "acc": [1, None, 0, 0, float("nan"), 1, None, None],
        "steps": [1.0, 2.0, [3], 4.0, 5.0, 6.0, 7.0, 8.0],
        "endless": [float("inf")] * 6 + [1.0, 2.0],
        "pred": INFOS["pred"],
        "answer": [10**400] * 6 + [1, 2],  # no float64
        "vast": [1e200] * 6 + [1.0, 2.0],  # whose square is none
    }
    found = ours.pass_at_k_metrics(SOURCES, UIDS, infos, ks=[1, 2])
    assert {source: set(variables) for source, variables in found.items()} == {
        "math": {"acc"},
        "code": {"steps", "endless", "answer", "vast"},
    }
    assert found["math"]["acc"]["pass@1/unbiased"] == 0.5
    assert found["math"]["acc"]["pass@2/prompts"] == 2
    assert found["code"]["endless"]["pass@2/unbiased"] == 2


def test_what_is_left_out_is_said(imported: Any, caplog: pytest.LogCaptureFixture) -> None:
    ours, _ = imported()
    ours.pass_at_k_metrics(["math"] * 2, ["a", "a"], {"score": [1.0, float("inf")]})
    assert "no pass@k of score of data source math: a value is inf" in caplog.text


def test_expected_responses(imported: Any) -> None:
    """A missing response has acc 0, in the sources that are judged at all."""
    ours, _ = imported()
    expected = {("math", "a"): 3, ("math", "b"): 4, ("math", "d"): 3, ("code", "c"): 4}
    infos = {"acc": [*INFOS["acc"][:6], None, None], "reward": [0.5] * 8}
    found = ours.pass_at_k_metrics(SOURCES, UIDS, infos, ks=(1, 3), expected_acc_counts=expected)
    assert found["math"]["acc"]["pass@1/unbiased"] == pytest.approx((1 / 3 + 1 / 4 + 0) / 3, rel=1e-12)
    assert found["math"]["acc"]["pass@3/unbiased"] == pytest.approx((1 + 3 / 4 + 0) / 3, rel=1e-12)
    assert found["math"]["acc_success_only"]["pass@1/unbiased"] == pytest.approx(1 / 3, rel=1e-12)
    assert found["math"]["acc_success_only"]["pass@1/prompts"] == 2
    assert set(found["code"]) == {"reward"}


def test_arguments_of_the_plain_function(imported: Any) -> None:
    ours, _ = imported()
    with pytest.raises(TypeError, match="ks=4 is a int"):
        ours.pass_at_k_metrics(SOURCES, UIDS, INFOS, ks=4)
    with pytest.raises(TypeError, match="threshold='1' is a str"):
        ours.pass_at_k_metrics(SOURCES, UIDS, INFOS, threshold="1")
