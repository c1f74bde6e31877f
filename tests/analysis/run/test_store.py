"""Stored cells: rows come back to the bit, keys change with all that a number depends on and nothing else."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkouts import ROOT, copy_checkout
from hypothesis import given
from hypothesis import strategies as st

from analysis.run import sources
from analysis.run.imports import closure
from analysis.run.registry import get_study, list_studies
from analysis.run.store import DamagedCellError, Store, cell_key, decode, encode

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
        monkeypatch.setattr("analysis.run.store.os.fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        store.write("key", Cell(4), encode([Row("a", 1, 0.5, None)]))
    assert caught.value.filename == str(store.path("key"))
    assert store.read("key") == encode([])
    assert [path.name for path in store.current.iterdir()] == ["key.json"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("copy")).root


@pytest.fixture(scope="module")
def as_copied(copy: Path) -> dict[str, str]:
    """Digests of all studies in the copy, before anything is edited."""
    return digests(copy)


@cache
def starts() -> dict[str, str]:
    """The modules that measure."""
    return {name: get_study(name).measure.__module__ for name in list_studies()}


@cache
def reached() -> dict[str, frozenset[str]]:
    """What else they import, by study."""
    return {name: sources.measuring(name).outside for name in starts()}


def digests(root: Path, *studies: str) -> dict[str, str]:
    """Digests of studies as the sources under ``root`` are."""
    packages = {name: root / name for name in ("maxpo_lab", "envs", "analysis")}
    chosen = {name: starts()[name] for name in studies or starts()}
    return {name: sources.digest(closure(start, packages)) for name, start in chosen.items()}


@contextmanager
def edited(root: Path, text: str, *files: str) -> Iterator[None]:
    """The files with a text at their end, for the time of the block."""
    before = {root / file: (root / file).read_text() for file in files}
    try:
        for path, content in before.items():
            path.write_text(content + text)
        yield
    finally:
        for path, content in before.items():
            path.write_text(content)


def test_the_digest_does_not_depend_on_the_folder(as_copied: dict[str, str]) -> None:
    assert as_copied == digests(ROOT) == {name: sources.describe(name)["sources"] for name in starts()}
    assert len({*as_copied.values()}) == len(starts())


#: Studies that measure ``analysis.measure.specimens``.
ON_SPECIMENS = {
    "history",
    "learning",
    "monte-carlo",
    "phase-diagram",
    "specimens",
    "unbiasedness",
    "variance",
}


@pytest.mark.parametrize(
    ("file", "studies"),
    [
        ("maxpo_lab/core/coefficients.py", {*list_studies()}),
        ("maxpo_lab/estimators/families/maxrl.py", {*list_studies()}),
        ("maxpo_lab/moments/exact.py", {*list_studies()} - {"spectrum", "beyond-n"}),
        ("maxpo_lab/spectrum.py", {"field-claims", "loops", "spectrum", "frameworks"}),
        ("maxpo_lab/auditing/decide/pairs.py", {"frameworks"}),
        ("maxpo_lab/integrations/trl.py", {"llm"}),
        (
            "envs/bandits/sparse_bandit.py",
            {*list_studies()}
            - {"evaluation", "field-claims", "spectrum", "frameworks", "llm", "several-rewards"},
        ),
        ("envs/tabular/toy_text.py", ON_SPECIMENS),
        ("envs/language_models/causal_lm.py", {"llm"}),
        ("analysis/measure/specimens.py", ON_SPECIMENS),
        ("analysis/measure/resolution.py", {"decomposition", "efficiency", "phase-diagram"}),
        ("analysis/trainer/trainer.py", {"learning", "training-speed"}),
        ("analysis/studies/frameworks/inside.py", {"frameworks"}),
        ("maxpo_lab/integrations/frameworks/libraries/oat.py", {"frameworks"}),
        ("analysis/studies/evaluation/tools.py", {"evaluation"}),
        ("analysis/studies/llm/design.py", {"llm"}),
        ("analysis/studies/variance/study.py", {"variance"}),
    ],
)
def test_a_source_is_in_the_keys_of_the_studies_that_reach_it(
    file: str, studies: set[str], copy: Path, as_copied: dict[str, str]
) -> None:
    with edited(copy, "\n\nCHANGED = 1\n", file):
        after = digests(copy)
    assert {name for name in after if after[name] != as_copied[name]} == studies


def test_what_draws_tracks_writes_and_reads_commands_is_in_no_key(
    copy: Path, as_copied: dict[str, str]
) -> None:
    names = (
        "__main__",
        "output/tracking",
        "output/uploading",
        "output/wandb_runs",
        "output/wandb_session",
        "output/style",
        "output/gallery",
        "output/gallery_scene",
        "output/report",
        "output/rules_page",
        "run/runner",
        "run/endings",
        "run/engines",
        "run/ray_engine",
        "run/worker",
        "run/store",
        "run/study",
        "run/registry",
        "run/curves",
    )
    files = [f"analysis/{name}.py" for name in names]
    files += [str(path.relative_to(copy)) for path in copy.glob("analysis/studies/*/figure.py")]
    learning = ("summary", "pairs", "drawing", "figure_exploration")
    files += [f"analysis/studies/learning/{name}.py" for name in learning]
    files += [
        "maxpo_lab/cli/__init__.py",
        "maxpo_lab/cli/reward_files/reading.py",
        "maxpo_lab/cli/outputs.py",
        "maxpo_lab/testing.py",
        "maxpo_lab/estimators/references.py",
    ]
    files += ["maxpo_lab/__init__.py", "envs/__init__.py", "analysis/studies/variance/__init__.py"]
    assert len(files) > 25
    with edited(copy, "\n\nCHANGED = 1\n", *files):
        assert digests(copy) == as_copied


@pytest.mark.parametrize(
    "text", ["# a comment\n", "\n\n\n", '\n\ndef f():\n    """Documented."""\n    return 1\n']
)
def test_words_and_layout_are_in_no_key(text: str, copy: Path) -> None:
    plain = "\n\ndef f(): return 1\n" if "def" in text else ""
    file = "maxpo_lab/core/coefficients.py"
    with edited(copy, plain, file):
        before = digests(copy, "variance", "spectrum")
    with edited(copy, text, file):
        assert digests(copy, "variance", "spectrum") == before


def test_a_name_that_moves_is_another_source(copy: Path) -> None:
    before = digests(copy, "variance", "spectrum")
    file = copy / "maxpo_lab/__init__.py"
    text = file.read_text()
    moved = text.replace("    exact_moments,\n", "    Moments as exact_moments,\n", 1)
    assert moved != text
    try:
        file.write_text(moved)
        after = digests(copy, "variance", "spectrum")
    finally:
        file.write_text(text)
    assert after["variance"] != before["variance"]
    assert after["spectrum"] == before["spectrum"]


@pytest.mark.parametrize(
    ("package", "studies"),
    [
        ("numpy", {*list_studies()}),
        (
            "gymnasium",
            {*list_studies()} - {"evaluation", "field-claims", "frameworks", "several-rewards", "spectrum"},
        ),
        ("torch", {*list_studies()}),  # a rule is an operator of it where it compiles
        ("trl", {"frameworks", "llm"}),
        ("accelerate", {"frameworks", "llm"}),  # imported by TRL alone
        ("transformers", {"frameworks", "llm"}),
        ("matplotlib", set()),
        ("wandb", set()),
    ],
)
def test_a_version_is_in_the_keys_of_the_studies_that_import_it(
    package: str, studies: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: sources.versions(outside) for name, outside in reached().items()}
    version = sources.metadata.version
    monkeypatch.setattr(
        sources.metadata, "version", lambda name: "0.0.1" if name == package else version(name)
    )
    after = {name: sources.versions(outside) for name, outside in reached().items()}
    assert {name for name in before if after[name] != before[name]} == studies
    assert all(after[name][package] == "0.0.1" for name in studies)


def test_versions_are_of_distributions_and_what_is_absent_is_said() -> None:
    found = sources.versions({"array_api_compat", "PIL", "json", "no_such_package", "trl"})
    assert {*found} == {"array-api-compat", "pillow", "no_such_package", "trl", "accelerate"}
    assert found["no_such_package"] == "none"


def test_versions_are_part_of_it() -> None:
    made_from = sources.describe("variance")
    assert made_from["numpy"] == np.__version__
    assert made_from["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"gymnasium", "scipy", "torch", "sources"} <= {*made_from}
    other = made_from | {"numpy": "1.0"}
    assert sources.fingerprint(made_from) != sources.fingerprint(other)
    assert sources.difference(made_from, other) == f"numpy {np.__version__} and 1.0"
    del other["numpy"]
    assert sources.difference(made_from, other) == f"numpy {np.__version__} and none"
    assert sources.difference(other, made_from) == f"numpy none and {np.__version__}"
