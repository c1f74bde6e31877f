"""The command on any standard output: encodings, readers that stop, full and closed ones, exit status."""

from __future__ import annotations

import io
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import maxpo_lab as ml
from maxpo_lab import cli
from maxpo_lab.auditing import apart

AUDIT = ["audit", "maxpo", "--n", "4", "--k", "2"]
FAILING = [*AUDIT, "--claim", "equals:rloo"]


@cache
def report(path: str, claims: tuple[str, ...]) -> Any:
    return ml.audit(path, n=4, k=2, claims=claims)


def audited(path: str, **options: Any) -> Any:
    """An audit takes a second in a process of its own; two are enough for all that is printed here."""
    return report(path, options["claims"])


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "audit_apart", audited)
    monkeypatch.setenv("COLUMNS", "100")


def status(monkeypatch: pytest.MonkeyPatch, arguments: list[str], stream: Any) -> int:
    """Exit status of the command, as a shell sees it, with this standard output."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["maxpo-lab", *arguments])
        patch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def printed(monkeypatch: pytest.MonkeyPatch, arguments: list[str], encoding: str) -> tuple[int, str]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    found = status(monkeypatch, arguments, stream)
    return found, raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_command_prints_in_any_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    bar, yes, no = ("█", "✓", "✗") if encoding == "utf-8" else ("#", "+", "x")
    for arguments, expected, says in (
        (["list"], 0, "maxrl"),
        (["show", "maxpo"], 0, f"{bar * 24}"),
        (["--help"], 0, "advantages"),
        (["audit", "--help"], 0, "Exit status 0"),
        (AUDIT, 0, f"{yes}  unbiased"),
        (FAILING, 1, f"{no}  equals:rloo"),
        ([*AUDIT, "--json"], 0, '"passed": true'),
        ([*FAILING, "--markdown", "-"], 1, "# Audit of"),
    ):
        found, text = printed(monkeypatch, arguments, encoding)
        assert (found, says in text) == (expected, True), (arguments, text)
        assert "Traceback" not in text


def test_what_an_encoding_lacks_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, plain), (_, ours) = (printed(monkeypatch, ["show", "maxrl"], each) for each in ("ascii", "utf-8"))
    assert plain == ours.replace("█", "#").replace("│", "|")
    assert plain != ours


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["list"], 0), (AUDIT, 0), (FAILING, 1), ([*FAILING, "--json"], 1)]
)
def test_a_reader_that_stops_changes_no_status(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: int
) -> None:
    end, start = os.pipe()
    os.close(end)
    with os.fdopen(start, "w", encoding="utf-8") as stream:
        assert status(monkeypatch, arguments, stream) == expected


def test_full_and_closed_outputs_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["list"], FAILING, [*AUDIT, "--json"]):
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            assert status(monkeypatch, arguments, full) == 2
        assert "standard output: No space left" in capsys.readouterr().err
        assert status(monkeypatch, arguments, None) == 2
        assert "standard output is closed" in capsys.readouterr().err
    assert status(monkeypatch, [*AUDIT, "--json", "--markdown", "-"], io.StringIO()) == 2


@pytest.mark.parametrize("arguments", [["show", "maxpo"], AUDIT])
def test_a_fault_of_the_program_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(cli, "pass_at_k_spectrum", broken)
    monkeypatch.setattr(apart, "audit_apart", broken)
    assert status(monkeypatch, arguments, io.StringIO()) == 70
    said = capsys.readouterr().err
    assert "KeyError: 'a fault'" in said
    assert "fault of the program" in said

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    assert status(monkeypatch, arguments, io.StringIO()) == 70
