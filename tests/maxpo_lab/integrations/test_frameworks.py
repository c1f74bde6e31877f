"""The registry of frameworks, and how a package's own code is reached."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import maxpo_lab as ml
from maxpo_lab.integrations.frameworks import (
    FrameworkVersionError,
    ShippedRule,
    get_framework,
    list_frameworks,
)
from maxpo_lab.integrations.frameworks.loading import StandInError, compiled, load
from maxpo_lab.integrations.frameworks.numbers import numbers
from maxpo_lab.losses.registry import is_loss

ROOT = Path(__file__).parents[3]
FRAMEWORKS = [get_framework(name) for name in list_frameworks()]
RULES = [(framework, rule) for framework in FRAMEWORKS for rule in framework.rules]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda each: each.name)
def test_an_entry_says_all(framework) -> None:
    assert (framework.environment is None) == (not any(rule.call for rule in framework.rules))
    assert framework.environment is None or framework.package
    assert framework.loss is None or is_loss(framework.loss)
    assert framework.adapter is None or (ROOT / framework.adapter).is_file()
    assert all((framework.hook, framework.loss_says, framework.identity, framework.metric_at_k))
    names = [rule.name for rule in framework.rules]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("framework", "rule"), RULES, ids=[f"{framework.name} {rule.name}" for framework, rule in RULES]
)
def test_a_rule_is_one_of_the_catalogue(framework, rule) -> None:
    """None is left without a name; where a batch's tokens make another rule, that has one too."""
    for name in filter(None, (rule.equals, rule.equals_of_tokens)):
        assert ml.get_estimator(name).why_not(8, 4) is None
    assert rule.equals
    assert rule.afterwards or framework.environment is None


def test_versions_are_those_of_the_constraints() -> None:
    """What the environments install, what the registry is of: one number."""
    pinned = {}
    for file in ("constraints.txt", "constraints-verl.txt", "constraints-frameworks.txt"):
        lines = (ROOT / file).read_text().splitlines()
        pinned |= dict(line.split("==") for line in lines if "==" in line)
    for framework in FRAMEWORKS:
        if framework.package:
            assert pinned[framework.package] == framework.version, framework.name


def test_an_unknown_name_is_answered_by_near_ones() -> None:
    with pytest.raises(ValueError, match=r"did you mean Trinity-RFT"):
        get_framework("Trinity-RTF")
    with pytest.raises(ValueError, match=r"verl ships no 'grpoo', only grpo"):
        get_framework("verl").rule("grpoo")


def test_a_rule_without_a_name_and_a_formula_is_refused() -> None:
    with pytest.raises(ValueError, match="say which rule of the catalogue it equals, or its formula"):
        ShippedRule(name="new", equals=None)


def test_another_version_is_an_error_by_name() -> None:
    framework = replace(get_framework("TRL"), package="numpy", version="0.1")
    with pytest.raises(FrameworkVersionError, match=r"TRL: numpy \d.* is installed, .* is of 0\.1"):
        framework.check()
    absent = replace(framework, package="no-such-package")
    with pytest.raises(FrameworkVersionError, match="no-such-package absent is installed"):
        absent.check()
    with pytest.raises(FrameworkVersionError):
        numbers(framework, framework.rules[0])


def test_what_was_read_has_no_numbers() -> None:
    framework = get_framework("NeMo-RL")
    with pytest.raises(ValueError, match="was read, and not run"):
        numbers(framework, framework.rules[0])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package whose ``__init__`` and whose own imports cannot be had."""
    files = {
        "heavyweight/__init__.py": "raise ImportError('a card is needed')\n",
        "heavyweight/inner/__init__.py": "raise ImportError('a cluster is needed')\n",
        "heavyweight/inner/rule.py": (
            "from absent_engine import Engine, remote\n"
            "from absent_engine.deep.module import thing\n"
            "import numpy as np\n"
            "@remote\n"
            "class Maker(Engine):\n"
            "    @remote(num_gpus=1)\n"
            "    def centered(self, rewards: thing.Tensor):\n"
            "        return rewards - np.mean(rewards)\n"
            "    def started(self):\n"
            "        return Engine()\n"
            "def centered(rewards: thing) -> Engine | None:\n"
            "    return rewards - np.mean(rewards)\n"
        ),
        "heavyweight-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: heavyweight\nVersion: 1.0\n",
        "heavyweight-1.0.dist-info/RECORD": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield "heavyweight"
    load.cache_clear()
    for name in [each for each in sys.modules if each.startswith(("heavyweight", "absent_engine"))]:
        del sys.modules[name]


def test_a_module_is_loaded_without_what_it_does_not_use(package: str) -> None:
    module = load(
        package, f"{package}.inner.rule", bare=(package, f"{package}.inner"), absent=("absent_engine",)
    )
    rewards = np.array([1.0, 0.0, 0.0, 0.0])
    assert module.centered(rewards).tolist() == [0.75, -0.25, -0.25, -0.25]
    maker = object.__new__(module.Maker)
    assert maker.centered(rewards).tolist() == [0.75, -0.25, -0.25, -0.25]
    with pytest.raises(StandInError, match=r"absent_engine\.Engine is absent here"):
        maker.started()
    assert "absent_engine" not in sys.modules, "a stand-in must not be taken for the library by others"


def test_a_library_that_is_here_is_not_stood_in_for_afterwards(package: str) -> None:
    import json as before

    bare = (package, f"{package}.inner")
    load(package, f"{package}.inner.rule", bare=bare, absent=("absent_engine", "json"))
    import json as after

    assert before is after
    assert after.dumps([1]) == "[1]"


def test_a_function_is_compiled_as_it_stands(package: str) -> None:
    rule = compiled(package, "heavyweight/inner/rule.py", "Maker.centered", {"np": np})
    assert rule(SimpleNamespace(), np.array([1.0, 0.0])).tolist() == [0.5, -0.5]
    plain = compiled(package, "heavyweight/inner/rule.py", "centered", {"np": np})
    assert plain(np.ones(2)).tolist() == [0, 0]
    with pytest.raises(AttributeError, match=r"defines gone of Maker\.gone 0 times"):
        compiled(package, "heavyweight/inner/rule.py", "Maker.gone", {})
    with pytest.raises(FileNotFoundError, match=r"heavyweight 1\.0 has no heavyweight/gone\.py"):
        compiled(package, "heavyweight/gone.py", "centered", {})
