"""The colours of the rules: one each; a rule that no figure draws yet has a shade of its family's hue."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import maxpo_lab as ml
from analysis.output import colours
from analysis.output.colours import DRAWN, colour_of


def lightness(colour: str) -> float:
    """The part of a colour that no colour-blindness takes away: its luminance, as sRGB has it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_no_two_rules_have_the_same_colour() -> None:
    found = [colour_of(name) for name in ml.list_estimators()]
    assert len(set(found)) == len(found)
    assert all(colour_of(name) == colour for name, colour in DRAWN.items())


@pytest.mark.parametrize("family", colours.FAMILIES, ids=lambda family: family.__name__.rpartition(".")[2])
def test_shades_of_a_family_are_told_apart_by_lightness_alone(family: object) -> None:
    rules = [rule.name for rule in family.RULES if rule.name not in DRAWN]  # type: ignore[attr-defined]
    assert all(lightness(b) > lightness(a) + 0.02 for a, b in pairwise(map(colour_of, rules)))
    assert all(lightness(colour_of(name)) < 0.8 for name in rules), "too pale on white"


def test_parameters_of_a_rule_do_not_change_its_colour() -> None:
    assert colour_of("grpo:eps=1e-4,ddof=1") == DRAWN["grpo"]
    assert colour_of("entropic:beta=3") == colour_of("entropic")
    assert colour_of("l-statistic:TopM:3") not in map(colour_of, ml.list_estimators())


def test_a_rule_of_a_new_family_needs_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [colour_of(name) for name in ml.list_estimators()]
    new = SimpleNamespace(RULES=(SimpleNamespace(name="new"),))
    monkeypatch.setattr(colours, "FAMILIES", (*colours.FAMILIES, new))
    assert [colour_of(name) for name in ml.list_estimators()] == before
    monkeypatch.setattr(colours, "get_estimator", lambda name: SimpleNamespace(name=name))
    assert colour_of("new") not in DRAWN.values()  # hues come again after five families that nobody draws


def test_a_name_that_there_is_not_has_no_colour() -> None:
    with pytest.raises(ValueError, match="did you mean maxpo"):
        colour_of("maxp")
