"""The README is true: its code runs and prints what it says, its commands and links exist."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd

from analysis import readme

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def test_python_blocks_print_what_follows_them() -> None:
    blocks = BLOCK.findall(TEXT)
    scope: dict[str, object] = {}
    ran = 0
    for (language, code), (following, expected) in pairwise(blocks):
        if language != "python":
            continue
        assert following == "text", "a python block is followed by its output"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert printed.getvalue() == expected
        ran += 1
    assert ran == sum(language == "python" for language, _ in blocks) > 0


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    known |= {path.parent.name.replace("_", "-") for path in ROOT.glob("analysis/studies/*/study.py")}
    named = set(re.findall(r"[`(]make\s+([a-z-]+)", TEXT)) | set(
        re.findall(r"^make ([a-z-]+)", TEXT, re.MULTILINE)
    )
    assert named
    assert named <= known


def test_every_link_and_picture_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_estimator_table_is_the_one_the_study_gives() -> None:
    rows = pd.read_parquet(ROOT / "results/unbiasedness/rows.parquet")
    assert readme.render(TEXT, rows) == TEXT, "run `python -m analysis readme`"
