"""The documentation site, built as ``make docs`` builds it but with every connection refused."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from urllib.parse import unquote

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
#: Loaded by Python before anything else: a process that asks the network fails.
REFUSING = """
import socket


class Refused(socket.socket):
    def connect(self, address):
        raise OSError(f"the build asks the network: {address}")


socket.socket = Refused
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="Sphinx is not installed: make docs")
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(REFUSING)
    built = folder / "built"
    options = ["-E", "-W", "--keep-going", "-n", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(built)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


def test_the_network_is_refused(site: Path) -> None:
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(site.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the build asks the network" in done.stderr


def test_make_builds_it_with_the_same_options() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "-m sphinx -E -W --keep-going -n -q docs docs/_build" in makefile


def test_every_public_name_has_a_page(site: Path) -> None:
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    lines = zlib.decompress(packed).decode().splitlines()
    entries = {line.split(" ")[0] for line in lines if " py:" in line}
    for module, names in public().items():
        for name in names.split():
            own = f"{module}.{name}" in entries
            # One object has one entry, under the shortest of its paths.
            assert own or any(each.endswith(f".{name}") for each in entries), f"{module}.{name}"
    assert {f"maxpo_lab.{name}" for name in public()["maxpo_lab"].split()} <= entries


def public() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("public_paths", ROOT / "tests/test_public_paths.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.PUBLIC)


def test_pages_need_no_network_and_their_links_resolve(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "search.html"]
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        needed = re.findall(r"<(?:script|img|link)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"", text)
        assert needed
        for target in needed:
            assert not re.match(r"(?:https?:)?//", target), f"{page.name} needs {target}"
        for target in [*needed, *re.findall(r"<a\b[^>]*?\bhref=\"([^\"]+)\"", text)]:
            path, _, anchor = unquote(target).partition("#")
            if re.match(r"\w+:", path):
                continue
            linked = page if not path else (page.parent / path.partition("?")[0]).resolve()
            assert linked.exists(), f"{page.name} links {target}"
            if anchor and linked.suffix == ".html":
                assert f'id="{anchor}"' in linked.read_text(encoding="utf-8"), f"{page.name} links {target}"
