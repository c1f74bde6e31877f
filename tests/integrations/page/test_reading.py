"""The report page in Chromium, from a disk: it opens at once, asks no network, and all in it is found."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Browser, Visit

from analysis.page import packages

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def test_it_opens_at_once_and_is_small(
    visit: Browser, built: Path, record_property: Callable[[str, object], None]
) -> None:
    times = "performance.getEntriesByType('paint').map((each) => each.startTime)"
    # The best of three: a bound on the page, not on what else the machine does.
    paint = min(max(visit().page.evaluate(times)) for _ in range(3))
    size = built.stat().st_size
    record_property("first paint in ms", paint)
    record_property("bytes", size)
    assert 0 < paint < 2000
    assert size < 12e6


def test_nothing_goes_wrong_and_no_network_is_asked(visit: Browser) -> None:
    here = visit()
    here.unfold()
    page = here.page
    page.locator("#claim-filter input").fill("GRPO")
    page.locator("#theme").click()
    page.locator("#shown-rule").select_option("grpo")
    page.locator("#catalogue_wrapper input[type=search]").fill("replay")
    for name, value in (("history", 16), ("falsePositives", 0.05), ("n", 9)):
        page.locator(f"#{name}").fill(str(value))
    page.evaluate("new Promise((later) => requestAnimationFrame(() => requestAnimationFrame(later)))")
    assert not here.wrong


def test_every_picture_and_link_is_there(desktop: Visit) -> None:
    desktop.unfold()
    desktop.unpack()
    assert not desktop.wrong
    pictures = desktop.page.evaluate("[...document.images].map((each) => [each.alt, each.naturalWidth])")
    assert len(pictures) > 40
    assert all(alt and width > 100 for alt, width in pictures)
    links = desktop.page.evaluate("[...document.links].map((each) => each.getAttribute('href'))")
    places = set(desktop.page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)"))
    for link in links:
        inside = link.startswith("#") and link[1:] in places
        assert inside or link.startswith(("https://arxiv.org/abs/", "https://", "blob:")), link
    drawings = [link for link in links if link.startswith("blob:")]
    assert len(drawings) == len(pictures)
    kinds = desktop.page.evaluate(
        "(all) => Promise.all(all.map(async (each) => (await (await fetch(each)).blob()).type))", drawings[:3]
    )
    assert set(kinds) == {"image/svg+xml"}


def test_a_link_opens_what_hides_its_place(visit: Browser) -> None:
    claim = "#claim-seed-variance"
    page = visit(query=claim).page
    assert page.locator(claim).evaluate("(each) => each.open")
    assert page.locator(claim).is_visible()


def test_tables_sort_and_filter(visit: Browser) -> None:
    page = visit().page
    everything = page.locator("#catalogue tbody tr").count()
    page.locator("#catalogue_wrapper input[type=search]").fill("2606.06080")
    page.wait_for_function("document.querySelectorAll('#catalogue tbody tr').length < 10")
    assert 1 <= page.locator("#catalogue tbody tr").count() < everything
    assert "maxpo" in page.locator("#catalogue tbody").inner_text()
    part = page.locator("#study-variance details.data")
    part.locator("summary").click()
    part.locator("thead th").last.click()
    part.locator("th[aria-sort=ascending]").wait_for()
    values = part.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => row.lastElementChild.textContent)"
    )
    numbers = [float(each) for each in values if each]
    assert numbers == sorted(numbers)
    assert len(numbers) > 5
    part.locator("select").first.select_option(index=1)
    assert (
        part.locator("tbody tr").evaluate_all(
            "(rows) => new Set(rows.map((row) => row.cells[0].textContent)).size"
        )
        == 1
    )


def test_claims_are_found_by_words_and_verdict(visit: Browser) -> None:
    page = visit().page
    seen = """[...document.querySelectorAll(".claim")].filter((each) => each.checkVisibility())
      .map((each) => each.dataset.verdict)"""
    page.locator(".tile.holds-with-conditions").click()
    verdicts = page.evaluate(seen)
    assert set(verdicts) == {"holds with conditions"}
    assert len(verdicts) == int(page.locator(".tile.holds-with-conditions .number").inner_text())
    page.locator("#claim-filter input").fill("leave-two-out variance")
    assert 1 <= len(page.evaluate(seen)) < len(verdicts)
    page.locator("#claim-filter input").fill("no such words")
    assert not page.evaluate(seen)
    assert page.locator("#claim-count").inner_text() == "0 claims"


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_scrolls_down_alone(width: int, visit: Browser) -> None:
    here = visit({"width": width, "height": 844}, has_touch=True)
    here.unfold()
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark_are_the_system_s_or_chosen(visit: Browser) -> None:
    page = visit(color_scheme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    button = page.locator("#theme")
    button.click()
    light = page.evaluate(ground)
    assert (button.inner_text(), light != dark) == ("Light", True)
    page.reload()
    assert page.evaluate(ground) == light, "remembered"
    button.click()
    assert (button.inner_text(), page.evaluate(ground)) == ("Dark", dark)
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == dark, "chosen, whatever the system has"
    button.click()
    assert (button.inner_text(), page.evaluate(ground)) == ("Auto", light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_scheme_is_one_whether_the_system_has_it_or_it_is_chosen(scheme: str, visit: Browser) -> None:
    """Pixel by pixel: the start, the explorer and a figure, which is inverted where it is dark."""
    other = {"light": "dark", "dark": "light"}[scheme]
    pictures = []
    for system, clicks in ((scheme, 0), (other, {"light": 1, "dark": 2}[scheme])):
        page = visit(query="?k=20", color_scheme=system, reduced_motion="reduce").page
        for _ in range(clicks):
            page.locator("#theme").click()
        page.locator("#theme").evaluate("(each) => each.remove()")  # what it says is not the same
        page.mouse.move(0, 500)
        page.locator("#study-variance img").first.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#study-variance img').complete")
        shots = []
        for place in ("#main", "#explorer", "#study-variance"):
            page.locator(place).evaluate("(each) => each.scrollIntoView({ behavior: 'instant' })")
            shots.append(page.screenshot(animations="disabled"))
        pictures.append(shots)
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("query", ["#%E0%A4%A", "#no-such-place", "?n=abc&k=&p=1e9#explorer", "?k=3&k=4&x=y"])
def test_an_address_that_leads_nowhere_leaves_the_page_alive(query: str, visit: Browser) -> None:
    here = visit(query="")
    here.page.goto(here.page.url + query)
    here.page.wait_for_selector("html[data-ready]", state="attached")
    here.page.locator("#setting button").click()
    here.page.locator("#invalid").wait_for(state="hidden")
    here.page.wait_for_selector("#weight-chart svg")
    assert not here.wrong


def test_what_has_no_number_is_sorted_to_the_end(visit: Browser) -> None:
    page = visit(query="?k=32&history=32").page
    column = page.locator("#moments thead th").nth(4)
    shown = """(rows) => rows.map((row) => row.cells[4].textContent)"""
    for _ in range(2):
        column.click()
        values = page.locator("#moments tbody tr").evaluate_all(shown)
        numbers = [float("-inf") if each == "\N{EN DASH}" else float(each) for each in values]
        assert sorted(numbers) in (numbers, numbers[::-1])
        assert len(set(numbers)) > 2


def test_a_build_leaves_the_checkout_clean() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "results/index.html"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
    assert not (packages.WEB / "node_modules").exists()
