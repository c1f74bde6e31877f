"""The figures of the studies as vectors: drawn again from stored rows, and packed."""

from __future__ import annotations

import base64
import gzip
import re
from io import BytesIO
from pathlib import Path

from matplotlib import rc_context

from ..output import report, style
from ..run.registry import get_study

#: Digits of a coordinate that nobody sees: beyond a hundredth of a point.
_DIGITS = re.compile(r"(\d+\.\d{2})\d+")
_PATH = re.compile(r'(?<= d=")[^"]*')


def vectors(study: str, results: Path) -> dict[str, str]:
    """The study's figures by file name, each an SVG document; the headline is first.

    The same rows give the same bytes. Raises FileNotFoundError where there are no rows.
    """
    rows, _ = report.read(study, results)
    drawn = {}
    # Names inside a drawing are hashes: with this salt they differ between studies, and not between calls.
    with style.drawing(), rc_context({"svg.hashsalt": study}):
        for name, figure in get_study(study).draw(rows).items():
            text = BytesIO()
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
            drawn[name] = _compact(text.getvalue().decode())
    return dict(sorted(drawn.items(), key=lambda item: item[0] != "figure"))


def packed(text: str) -> str:
    """A text as the page holds it: compressed by gzip, in base64."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _compact(svg: str) -> str:
    """Without the prologue and the last digits of paths; outlines in ``defs`` are scaled, and keep theirs."""
    body = svg[svg.index("<svg") :]
    parts = re.split(r"(<defs>.*?</defs>)", body, flags=re.DOTALL)
    return "".join(
        part if part.startswith("<defs>") else _PATH.sub(lambda path: _DIGITS.sub(r"\1", path[0]), part)
        for part in parts
    )
