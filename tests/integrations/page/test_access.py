"""The report page for everybody: keyboard, contrast, names, reduced motion."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Browser

from analysis.page import packages

pytestmark = pytest.mark.integration

#: Numbers every control that a user sees, and notes which ones get the focus, and whether one sees that.
WATCH = """() => {
  const stops = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
    .filter((each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0);
  window.reached = new Set();
  window.unseen = [];
  document.addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    window.reached.add(target);
    const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    if (!seen) window.unseen.push(target.outerHTML.slice(0, 90));
  });
  window.missed = () => stops.filter((each) => !reached.has(each)).map((each) => each.outerHTML.slice(0, 90));
  return stops.length;
}"""


def test_the_keyboard_reaches_every_control(visit: Browser) -> None:
    page = visit().page
    stops = page.evaluate(WATCH)
    assert stops > 100
    for _ in range(stops + 2):
        page.keyboard.press("Tab")
    assert page.evaluate("window.missed()") == []
    assert page.evaluate("window.unseen") == [], "focus that nobody sees"


def test_the_skip_link_comes_first(visit: Browser) -> None:
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_text_that_does_not_stand_out(scheme: str, visit: Browser) -> None:
    """On a part of every kind: the page's start, a theme of claims, a study."""
    page = visit(color_scheme=scheme, reduced_motion="reduce").page
    page.evaluate(
        """for (const part of [document.querySelector(".theme"), document.querySelector("article")]) {
          for (const each of part.querySelectorAll("details")) each.open = true;
        }"""
    )
    page.wait_for_selector("article details.data tbody tr")
    found = axe(page, "{ runOnly: ['color-contrast'] }")
    assert violations(found) == []
    assert len(found["passes"][0]["nodes"]) > 200


def test_axe_finds_nothing_else_anywhere(visit: Browser) -> None:
    here = visit()
    here.unfold()
    found = axe(here.page, "{ rules: { 'color-contrast': { enabled: false } } }")
    assert violations(found) == []
    assert {"image-alt", "label", "heading-order", "region"} <= {each["id"] for each in found["passes"]}


def axe(page: Any, options: str) -> dict[str, Any]:
    page.add_script_tag(path=packages.package("axe-core") / "axe.min.js")
    found: dict[str, Any] = page.evaluate(f"axe.run({options})")
    return found


def violations(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found["violations"]]


@pytest.mark.parametrize("query", ["", "?k=32&history=8", "?k=200"])
def test_a_drawing_has_a_name_or_is_not_read(query: str, visit: Browser) -> None:
    page = visit(query=query).page
    drawings = page.locator("svg").evaluate_all(
        """(all) => all.map((each) => [
          Boolean(each.closest("[aria-hidden=true]")),
          each.getAttribute("role"),
          each.getAttribute("aria-label"),
        ])"""
    )
    named = [(role, label) for hidden, role, label in drawings if not hidden]
    charts = page.locator(".chart").filter(has=page.locator("svg")).count()
    assert len(named) == charts, "one drawing a chart, and its legend's squares are not read"
    assert all(role == "img" and len(label) > 40 for role, label in named)


def test_nothing_moves_where_that_is_not_wanted(visit: Browser) -> None:
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").page.evaluate(behaviour) == "auto"
    assert visit(reduced_motion="no-preference").page.evaluate(behaviour) == "smooth"
