"""Sphinx's settings: `make docs` builds the pages into docs/_build, without network, warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import generated  # noqa: E402 - found where this file is
import mathml  # noqa: E402
import stand_ins  # noqa: E402

import maxpo_lab  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "maxpo-lab"
author = "The maxpo-lab developers"
version = release = maxpo_lab.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {version}"
html_math_renderer = mathml.NAME
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["dollarmath", "substitution"]
myst_heading_anchors = 3

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say shapes and choices, which types do not
sys.modules.update(stand_ins.modules())  # the pages are built without frameworks
napoleon_google_docstring = False
# Lists of names, which may be several to an entry; Sphinx's fields would take "n, k" for a type and a name.
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_attr_annotations = False
napoleon_custom_sections = [("Attributes", "params_style")]
python_use_unqualified_type_names = True
# Names that docstrings use and no page describes; those of other packages a build without network cannot ask.
nitpick_ignore_regex = [("py:(class|exc|obj)", ".*")]


def _headings(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Gymnasium's docstrings have Markdown's headings."""
    lines[:] = re.sub(r"^#+ (.*)$", r".. rubric:: \1\n", "\n".join(lines), flags=re.MULTILINE).split("\n")


def _fill(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Put what is generated in its place; a link to a file that is no page becomes a download."""
    source[0] = re.sub(r"<!-- generated: (\w+) -->", lambda m: generated.PARTS[m[1]](), source[0])
    source[0] = re.sub(r"\[([^]]+)\]\(([./]*(?:analysis|examples)/.*?)\)", r"{download}`\1 <\2>`", source[0])


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    mathml.setup(app)
    app.connect("autodoc-process-docstring", _headings)
    app.connect("source-read", _fill)
