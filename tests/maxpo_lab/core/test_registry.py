"""What goes by a name: near misses, collisions, types and parameters, in every registry alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import analysis
import maxpo_lab as ml
from analysis.measure import specimens
from analysis.run.imports import closure
from analysis.run.registry import get_study
from maxpo_lab.core.registry import Registry, hint
from maxpo_lab.integrations.conventions import SIGNATURES

ASKED: list[tuple[Callable[[Any], Any], str, str]] = [
    (ml.get_estimator, "maxop", "maxpo"),
    (get_study, "varience", "variance"),
    (SIGNATURES.__getitem__, "vrl", "verl"),
    (specimens.SUBJECTS.__getitem__, "maze graded", "maze, graded"),
]


class Dot(NamedTuple):
    size: float
    sides: int


def dot(size: float = 1.0, sides: int = 4) -> Dot:
    return Dot(size, sides)


def word(text: str) -> Dot:
    return Dot(len(text), 0)


@pytest.fixture
def dots() -> Registry[Dot]:
    return Registry("dot", {"dot": dot(), "hole": Dot(0, 0)}, families={"dot": dot, "word": word})


@pytest.mark.parametrize(("get", "asked", "nearest"), ASKED)
def test_a_near_miss_gets_the_nearest(get: Callable[[Any], Any], asked: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"{asked}' .*did you mean .*{nearest}"):
        get(asked)


@pytest.mark.parametrize(("get", "asked", "nearest"), ASKED)
def test_what_is_near_to_none_gets_all_and_what_is_no_name_a_type_error(
    get: Callable[[Any], Any], asked: str, nearest: str
) -> None:
    with pytest.raises(ValueError, match=rf"'xyzzy' .*known: .*{nearest}"):
        get("xyzzy")
    with pytest.raises(TypeError, match=rf"=7 is a int: it must be a name, one of .*{nearest}"):
        get(7)


def test_a_name_is_taken_once(dots: Registry[Dot]) -> None:
    assert dots.register("square", dot()) is dots["square"]
    with pytest.raises(ValueError, match="dot 'square' is registered already"):
        dots.register("square", dot())
    with pytest.raises(ValueError, match="dot 'a' is registered already"):
        Registry("dot", [("a", dot()), ("a", dot())])
    with pytest.raises(TypeError, match="dot=None is a NoneType"):
        dots.register(None, dot())  # type: ignore[arg-type]
    assert ([*dots], len(dots), "square" in dots) == (["dot", "hole", "square"], 3, True)


def test_parameters_are_read_in_one_place(dots: Registry[Dot]) -> None:
    assert dots["dot:sides=3"] == Dot(1.0, 3)
    assert dots["dot:sides=3,size=2"] is dots["dot:size=2e0,sides=3"] is dots["dot:size=2.0,sides=3"]
    assert dots["dot:size=1"] is dots["dot"]
    assert dots["word:a=1,b"] == Dot(5, 0)
    assert dots.parameters("dot:sides=3") == {"size": 1.0, "sides": 3}
    assert dots.parameters("dot") == {"size": 1.0, "sides": 4}
    assert dots.parameters("word:x") == dots.parameters("hole") == dots.parameters("elsewhere") == {}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dot:", r"'dot:': '' is not one of its parameters, once; e\.g\. size=1,sides=4"),
        ("dot:size", "'size' is not one"),
        ("dot:size=1,size=1", "'size=1' is not one of its parameters, once"),
        ("dot:sides=0.5", "sides='0.5' is not a whole number"),
        ("dot:size=x", "size='x' is not a number"),
        ("hole:size=1", "hole takes no parameters; those that do: dot, word:<text>"),
        ("dott:size=1", "did you mean dot"),
        ("word", "dot 'word' does not exist; known: dot, hole"),
    ],
)
def test_parameters_that_are_not_a_things_own(dots: Registry[Dot], name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dots[name]


def test_a_hint_is_near_or_all() -> None:
    assert hint("MaxPO", ["rloo", "maxpo"]) == "did you mean maxpo?"
    assert hint("zzz", ["rloo", "maxpo"]) == "known: rloo, maxpo"


def test_the_registry_and_the_tables_need_no_rules() -> None:
    """Estimators, studies and readers are built on them."""
    packages = {"maxpo_lab": Path(ml.__path__[0])}
    assert {*closure("maxpo_lab.core.registry", packages).modules} == {"maxpo_lab.core.registry"}
    kernels = {*closure("maxpo_lab.kernels.engine", packages).modules}
    assert not [name for name in kernels if "estimators" in name]
    assert {"maxpo_lab.kernels.tables"} < kernels
    reached = closure("analysis.run.registry", packages | {"analysis": Path(analysis.__path__[0])}).modules
    assert not [name for name in reached if "studies" in name]
