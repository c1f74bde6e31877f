"""The report page of the paper's results, built once, and a browser for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, Visit

from analysis.page import build
from analysis.run import locks

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, alone in a folder, which all workers of the tests share."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "page"
    with locks.hold(folder.with_suffix(".lock"), wait=True):
        if not (folder / build.NAME).exists():
            text = build.page(ROOT / "results")
            folder.mkdir()
            (folder / build.NAME).write_text(text, encoding="utf-8")
    return folder / build.NAME


@pytest.fixture(scope="session")
def browser(built: Path) -> Iterator[Browser]:
    """A browser that opens the page; `make test-integrations` installs what drives it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        opens = Browser(driver, built, home)
        yield opens
        opens.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Browser]:
    """Open the page in a window of its own, which is closed after the test."""
    kept, browser.opened = browser.opened, []
    yield browser
    browser.close()
    browser.opened = kept


@pytest.fixture(scope="session")
def desktop(browser: Browser) -> Visit:
    """A window that tests share which leave the page as it is."""
    return browser(color_scheme="light")
