"""The long description: README.md for readers who have no checkout. All else is in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup

_LINK = re.compile(r"(!?)\[((?:[^\]\[]|!\[[^\]]*\]\([^)]*\))*)\]\((?!https?:|#)([^)\s]+)\)")


def description(readme: str, project: dict[str, Any]) -> str:
    """The README with its links to files as addresses of this version below ``[project.urls]`` Source.

    Where no Source is stated there is nothing to link to: a link is its text, a picture is left out.
    """
    source = project.get("urls", {}).get("Source", "").rstrip("/")

    def absolute(link: re.Match[str]) -> str:
        mark, text, path = link.groups()
        if not source:
            return "" if mark else text
        kind = "raw" if mark else "blob"
        return f"{mark}[{text}]({source}/{kind}/v{project['version']}/{path})"

    return _LINK.sub(absolute, readme)


if __name__ == "__main__":
    here = Path(__file__).parent
    stated = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        long_description=description((here / "README.md").read_text(encoding="utf-8"), stated),
        long_description_content_type="text/markdown",
    )
