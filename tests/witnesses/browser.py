"""Chromium with a page from the disk in it, and what went wrong there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DESKTOP = {"width": 1360, "height": 900}
#: What the page may load: itself, and figures that it unpacks.
OWN = ("file:", "blob:", "data:")


def chromium() -> str:
    """Debian's Chromium, installed where it is not and may be."""
    if found := shutil.which("chromium"):
        return found
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.fail("chromium is not installed: as root, apt-get install chromium", pytrace=False)
    for command in ("update", "install -y --no-install-recommends chromium"):
        subprocess.run(
            ["apt-get", "-qq", *command.split()],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    return str(shutil.which("chromium"))


class Visit:
    """A page that is open, and what went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(OWN) or self.wrong.append(asked.url))
        page.on("requestfailed", lambda asked: self.wrong.append(f"failed: {asked.url[:80]}"))

    def ready(self) -> None:
        """Wait until the explorer has drawn."""
        self.page.wait_for_selector("html[data-ready]", state="attached")
        self.page.wait_for_selector("#weight-chart svg")

    def unfold(self) -> None:
        """Open every part of the page, tables included."""
        self.page.evaluate(
            """() => {
              for (const each of document.querySelectorAll("details")) each.open = true;
              return new Promise((later) => setTimeout(later));
            }"""
        )

    def unpack(self) -> None:
        """Go to every figure and wait until it is there."""
        self.page.evaluate(
            """async () => {
              for (const each of document.querySelectorAll("img")) {
                each.scrollIntoView({ behavior: "instant" });
                while (!each.src) await new Promise((later) => setTimeout(later, 5));
                await each.decode();
              }
              scrollTo(0, 0);
            }"""
        )


class Browser:
    """Opens a page in windows that share nothing: each has a user's folder of its own."""

    def __init__(self, driver: Any, file: Path, home: str) -> None:
        self.driver, self.file, self.home = driver, file, home
        self.opened: list[Any] = []

    def __call__(self, viewport: dict[str, int] = DESKTOP, query: str = "", **options: Any) -> Visit:
        """The page at a query, ready, in a window with Playwright's options."""
        context = self.driver.chromium.launch_persistent_context(
            tempfile.mkdtemp(dir=self.home),
            executable_path=chromium(),
            args=list(FLAGS),
            viewport=viewport,
            **options,
        )
        context.set_default_timeout(120_000)  # a machine that is busy with other things
        self.opened.append(context)
        visited = Visit(context.pages[0])
        visited.page.goto(self.file.as_uri() + query)
        visited.ready()
        return visited

    def close(self) -> None:
        """Close the windows that were opened since the last time."""
        while self.opened:
            self.opened.pop().close()
