"""A study's own words, from the README beside its code: what was found, and what its pictures show."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

import analysis

_STUDIES = Path(analysis.__path__[0]) / "studies"
_PICTURE = re.compile(r"^!\[([^\]]*)\]\(([^)]*)\)\s*$", re.MULTILINE)


def readme(study: str) -> str:
    """The README of a study; empty where it has none."""
    path = _STUDIES / study.replace("-", "_") / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def sections(text: str) -> dict[str, str]:
    """The parts of a README by the titles of its second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def captions(text: str) -> dict[str, str]:
    """What a README says of its pictures, by file name without its ending."""
    return {Path(path).stem: caption for caption, path in _PICTURE.findall(text)}


def as_html(text: str, label: str) -> str:
    """Markdown as HTML for the page: links as ``target`` says, and no pictures, which stand elsewhere.

    ``label`` names its tables for who cannot see them.
    """
    renderer = _renderer()
    tokens = renderer.parse(_PICTURE.sub("", text))
    for token in tokens:
        if token.children:
            token.children = _linked(token.children)
        if token.type == "table_open":
            token.attrSet("class", "plain")
        if token.type.startswith("heading"):  # below the headings of the page
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    html = str(renderer.renderer.render(tokens, renderer.options, {})).replace("<th></th>", "<td></td>")
    # Wide tables scroll by themselves, for the keyboard too.
    first, *others = html.split("<table")
    opened = '<div class="scroll" tabindex="0" role="region" aria-label="{}, table {}"><table{}'
    parts = (opened.format(escape(label), i, each) for i, each in enumerate(others, 1))
    return (first + "".join(parts)).replace("</table>", "</table></div>")


def target(link: str) -> str | None:
    """Where a README's link leads inside the page; None where only a checkout has it."""
    if link.startswith(("https://", "http://")):
        return link
    path = Path(link.partition("#")[0])
    if path.name == "README.md":
        return f"#study-{path.parent.name.replace('_', '-')}"
    if path.parent.parent.name == "results":
        name = path.parent.name
        return f"#study-{name}" if path.stem == "table" else f"#figure-{name}-{path.stem}"
    return None


def _linked(tokens: list[Token]) -> list[Token]:
    """The tokens of a line with their links turned to the page; those that lead out of it are text."""
    kept, open_links = [], []
    for token in tokens:
        if token.type == "link_open":
            place = target(str(token.attrs["href"]))
            open_links.append(place is not None)
            if place is None:
                continue
            token.attrSet("href", place)
        elif token.type == "link_close" and not open_links.pop():
            continue
        kept.append(token)
    return kept


@cache
def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")
