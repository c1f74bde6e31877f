"""Stored cells: rows come back to the bit, keys change with all that a figure depends on and nothing else."""

from __future__ import annotations

import math
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkouts import Checkout, copy_checkout
from hypothesis import given
from hypothesis import strategies as st

from analysis import sources
from analysis.store import DamagedCellError, Store, cell_key, decode, encode
from analysis.study import get_study, list_studies

MADE_FROM = {"python": "3.11", "numpy": "2.4.6", "scipy": "1.17", "torch": "none", "sources": "0" * 64}


@dataclass(frozen=True)
class Row:
    """As a study's."""

    name: str
    n: int
    value: float
    exact: str | None


@dataclass(frozen=True)
class Cell:
    """As a study's."""

    n: int
    success: float = 0.5
    ks: tuple[int, ...] = (1, 2)


FLOATS = st.floats() | st.sampled_from([-0.0, 5e-324, math.pi, math.nan, math.inf, -math.inf])
ROWS = st.lists(st.builds(Row, st.text(), st.integers(), FLOATS, st.none() | st.text()))


@given(ROWS)
def test_rows_come_back_to_the_bit_with_their_types(rows: list[Row]) -> None:
    found = decode(encode(rows))
    assert len(found) == len(rows)
    for row, line in zip(rows, found, strict=True):
        assert list(line) == ["name", "n", "value", "exact"]
        assert (line["name"], line["n"], line["exact"]) == (row.name, row.n, row.exact)
        assert [type(value) for value in line.values()] == [str, int, float, type(row.exact)]
        if math.isnan(row.value):
            assert math.isnan(line["value"])
        else:
            assert struct.pack("d", line["value"]) == struct.pack("d", row.value)


def test_all_nan_are_one_nan() -> None:
    other = struct.unpack("d", struct.pack("Q", 0xFFF8_0000_0000_0001))[0]
    assert encode([Row("", 0, other, None)]) == encode([Row("", 0, math.nan, None)])


@pytest.mark.parametrize(
    "value", [np.float64(1), np.int64(1), True, np.zeros(1), Fraction(1, 2), (1.0,), b""], ids=repr
)
def test_rows_of_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=rf"Row\.value = .* is a {type(value).__name__}; .*plain"):
        encode([Row("", 0, 1.0, None), Row("", 0, value, None)])


def test_rows_of_two_types_are_refused() -> None:
    with pytest.raises(TypeError, match="one type"):
        encode([Row("", 0, 1.0, None), Cell(1)])


@pytest.mark.parametrize("name", list_studies())
def test_every_study_keeps_to_it(name: str) -> None:
    study = get_study(name)
    cells = study.cells("paper")
    assert len({cell_key(name, study.seed, cell, MADE_FROM) for cell in cells}) == len({*cells})


def test_the_key_changes_with_each_part() -> None:
    shadow = make_dataclass("Shadow", [("n", int), ("success", float), ("ks", tuple)], frozen=True)
    base = ("variance", 0, Cell(4), MADE_FROM)
    others = [
        ("spectrum", 0, Cell(4), MADE_FROM),
        ("variance", 1, Cell(4), MADE_FROM),
        ("variance", None, Cell(4), MADE_FROM),
        ("variance", 0, Cell(5), MADE_FROM),
        ("variance", 0, Cell(4, math.nextafter(0.5, 1)), MADE_FROM),
        ("variance", 0, Cell(4, ks=(2, 1)), MADE_FROM),
        ("variance", 0, Cell(4, ks=((1,), 2)), MADE_FROM),  # type: ignore[arg-type]
        ("variance", 0, Cell(4.0), MADE_FROM),  # type: ignore[arg-type]
        ("variance", 0, shadow(4, 0.5, (1, 2)), MADE_FROM),
        *(("variance", 0, Cell(4), MADE_FROM | {part: "other"}) for part in MADE_FROM),
    ]
    keys = {cell_key(*parts) for parts in [base, *others]}
    assert len(keys) == 1 + len(others)
    assert cell_key(*base) == cell_key("variance", 0, Cell(4), dict(reversed(MADE_FROM.items())))


@pytest.mark.parametrize("value", [np.float64(0.5), [1, 2], {1}, len, Fraction(1, 2)], ids=repr)
def test_settings_without_a_stable_digest_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"Cell\.ks\[1\] = .*; a cell's setting is"):
        cell_key("variance", 0, Cell(4, ks=(1, value)), MADE_FROM)


def test_the_store_gives_back_what_was_written_and_none_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "variance", MADE_FROM)
    rows = encode([Row("é\n\ud83d", 1, math.nan, None)])
    assert store.read("key") is None
    store.write("key", Cell(4), rows)
    assert store.read("key") == rows
    assert store.read("other") is None
    assert Store(tmp_path / "variance", MADE_FROM | {"numpy": "3"}).read("key") is None
    assert "Cell(n=4" in store.path("key").read_text()
    store.write("key", Cell(4), encode([]))
    assert decode(store.read("key") or "") == []
    store.forget(["key", "never there"])
    assert store.read("key") is None


def test_every_single_damaged_byte_is_seen(tmp_path: Path) -> None:
    store = Store(tmp_path / "variance", MADE_FROM)
    store.write("key", Cell(4), encode([Row("a", 1, 0.5, None)]))
    path = store.path("key")
    content = path.read_bytes()
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 4]) + content[index + 1 :])
        with pytest.raises(DamagedCellError):
            store.read("key")
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCellError):
            store.read("key")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_cell(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    store = Store(tmp_path / "variance", MADE_FROM)
    store.write("key", Cell(4), encode([]))
    if step == "fsync":
        monkeypatch.setattr("analysis.store.os.fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        store.write("key", Cell(4), encode([Row("a", 1, 0.5, None)]))
    assert caught.value.filename == str(store.path("key"))
    assert store.read("key") == encode([])
    assert [path.name for path in store.current.iterdir()] == ["key.json"]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Checkout]:
    return tuple(copy_checkout(tmp_path_factory.mktemp(name)) for name in ("one", "two"))


def digest(checkout: Checkout, study: str = "trial") -> str:
    code = f"from analysis import sources; print(sources.describe({study!r})['sources'])"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(checkout.root), "PATH": ""}
    return subprocess.run(
        command, cwd=checkout.root, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_digest_does_not_depend_on_the_folder(copies: tuple[Checkout, Checkout]) -> None:
    one, two = copies
    assert digest(one) == digest(two)
    assert digest(one, "variance") == digest(two, "variance") != digest(one)


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("maxpo_lab/weights.py", True),
        ("maxpo_lab/estimators/base.py", True),
        ("envs/bandit.py", True),
        ("analysis/studies/trial/__init__.py", True),
        ("analysis/study.py", True),  # imported by the study
        ("analysis/studies/trial/figure.py", False),
        ("analysis/studies/trial/README.md", False),
        ("analysis/studies/variance/study.py", False),
        ("analysis/figures.py", False),
        ("analysis/runner.py", False),
    ],
)
def test_the_digest_changes_with_the_measuring_sources_alone(
    tmp_path: Path, copies: tuple[Checkout, Checkout], file: str, counts: bool
) -> None:
    one, _ = copies
    changed = Checkout(tmp_path / "changed")
    shutil.copytree(one.root, changed.root, ignore=shutil.ignore_patterns("__pycache__"))
    with (changed.root / file).open("a") as source:
        source.write("# changed\n")
    assert (digest(changed) != digest(one)) == counts


def test_modules_of_analysis_that_measuring_ones_import_count(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {*sources._measuring("variance")}
    assert {"maxpo_lab/levels.py", "envs/bandit.py", "analysis/studies/variance/study.py"} <= names
    assert "analysis/study.py" in names
    assert not [name for name in names if name.endswith("figure.py") or "runner" in name]


def test_imports_of_every_form_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "analysis"
    texts = {
        "studies/mine/__init__.py": "from .study import measure\nfrom .figure import draw\n",
        "studies/mine/study.py": "from ... import a\nfrom ...b import x\nimport analysis.c\n",
        "studies/mine/figure.py": "from ... import drawing\n",
        "a.py": "def f():\n    from .d import e\n",
        "b/__init__.py": "import numpy\n",
        "c.py": "from analysis import f\n",
        "d.py": "",
        "f.py": "from . import a\n",
        "drawing.py": "",
        "unused.py": "",
    }
    for name, text in texts.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    monkeypatch.setattr(sources, "_HOME", home)
    found = {name for name in sources._measuring("mine") if name.startswith("analysis/")}
    unmeasured = {"studies/mine/figure.py", "drawing.py", "unused.py"}
    assert found == {f"analysis/{name}" for name in texts.keys() - unmeasured}


def test_versions_are_part_of_it() -> None:
    made_from = sources.describe("variance")
    assert made_from["numpy"] == np.__version__
    assert made_from["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert list(made_from) == ["python", "numpy", "scipy", "torch", "transformers", "trl", "sources"]
    other = made_from | {"numpy": "1.0"}
    assert sources.fingerprint(made_from) != sources.fingerprint(other)
    assert sources.difference(made_from, other) == f"numpy {np.__version__} and 1.0"
