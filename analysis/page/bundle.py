"""The page's script in one piece, and the licences of what it holds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import packages


@dataclass(frozen=True)
class Licence:
    """A package inside the bundle: its name, version, and the text under which it comes."""

    package: str
    version: str
    text: str


@dataclass(frozen=True)
class Bundle:
    """A script with everything that it imports."""

    script: str
    licences: tuple[Licence, ...]


def bundle(
    entry: Path = packages.WEB / "ui" / "main.js", *, form: str = "iife", minify: bool = True
) -> Bundle:
    """Bundle a module of the page by esbuild; ``form`` is ``"iife"`` for a page, ``"esm"`` for node."""
    esbuild = packages.package("esbuild") / "bin" / "esbuild"
    with tempfile.TemporaryDirectory() as folder:
        script, meta = Path(folder) / "bundle.js", Path(folder) / "meta.json"
        packages.node(
            esbuild,
            entry,
            "--bundle",
            f"--format={form}",
            "--target=es2022",
            "--log-level=warning",
            f"--outfile={script}",
            f"--metafile={meta}",
            *(["--minify"] if minify else []),
        )
        inputs = json.loads(meta.read_text(encoding="utf-8"))["inputs"]
        return Bundle(script.read_text(encoding="utf-8"), tuple(_licences(inputs)))


def _licences(inputs: dict[str, object]) -> Iterator[Licence]:
    """The licences of the packages that gave a file; a package without one is refused."""
    paths = (path.partition("node_modules/")[2].split("/") for path in inputs if "node_modules/" in path)
    for name in sorted({"/".join(parts[: 1 + parts[0].startswith("@")]) for parts in paths}):
        folder = packages.package(name)
        texts = sorted(each for each in folder.iterdir() if each.name.lower().startswith("licen"))
        if not texts:
            raise FileNotFoundError(f"{folder} holds no licence: a package without one is not bundled")
        version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
        yield Licence(name, version, texts[0].read_text(encoding="utf-8").strip())
