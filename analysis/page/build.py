"""``results/index.html``: everything in one file, which works from a disk and asks no network."""

from __future__ import annotations

from pathlib import Path

import jinja2
import joblib

import maxpo_lab

from . import content, figures, packages
from .bundle import bundle

NAME = "index.html"


def write(results: Path) -> Path:
    """Build the page of a results folder, and return its path.

    Raises
    ------
    FileNotFoundError
        Without results, claims or packages; the message says what makes them.
    ModuleNotFoundError, RuntimeError
        Without node, or where the bundle fails.
    """
    path = results / NAME
    path.write_text(page(results), encoding="utf-8")
    return path


def page(results: Path) -> str:
    """The page's text; the same to the byte for the same results."""
    themes, parts = content.claims(results), content.studies(results)
    script = bundle()
    # The largest take longest: they begin first.
    order = sorted(parts, key=lambda part: -(results / part.name / "rows.parquet").stat().st_size)
    found = joblib.Parallel(n_jobs=-1)(joblib.delayed(figures.vectors)(part.name, results) for part in order)
    drawn = dict(zip((part.name for part in order), found, strict=True))
    rules = content.rules()
    return _template().render(
        version=maxpo_lab.__version__,
        themes=themes,
        claims=[claim for each in themes.values() for claim in each],
        verdicts=content.verdicts(themes),
        studies=parts,
        figures={
            part.name: {name: (figures.packed(svg), *_size(svg)) for name, svg in drawn[part.name].items()}
            for part in parts
        },
        rules=rules,
        data=content.as_json({"rules": rules, "tables": content.tables(parts)}),
        style=(packages.WEB / "style.css").read_text(encoding="utf-8"),
        script=script.script,
        licences=script.licences,
    )


def _size(svg: str) -> tuple[int, int]:
    """Width and height of a drawing, in points."""
    head = svg[: svg.index(">")]
    width, height = (float(head.partition(f'{side}="')[2].partition("pt")[0]) for side in ("width", "height"))
    return round(width), round(height)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(packages.WEB),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paper"] = content.paper
    return environment.get_template("page.html.jinja")
