"""The command on any standard output: encodings, readers that stop, full and closed ones, exit status."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

import maxpo_lab as ml
from maxpo_lab import cli
from maxpo_lab.auditing import isolated

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
    monkeypatch.setattr(isolated, "audit_isolated", audited)
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
    with gone() as stream:
        assert status(monkeypatch, arguments, stream) == expected


def test_full_and_closed_outputs_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["list"], FAILING, [*AUDIT, "--json"]):
        with full() as stream:
            assert status(monkeypatch, arguments, stream) == 2
        assert "standard output: No space left" in capsys.readouterr().err
        assert status(monkeypatch, arguments, None) == 2
        assert "standard output is closed" in capsys.readouterr().err
    assert status(monkeypatch, [*AUDIT, "--json", "--markdown", "-"], io.StringIO()) == 2


def gone() -> IO[str]:
    """A stream whose reader has gone."""
    end, start = os.pipe()
    os.close(end)
    return os.fdopen(start, "w", encoding="utf-8")


def full() -> IO[str]:
    return Path("/dev/full").open("w", encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "opened", "on_output", "on_error"),
    [
        (["audit", "--help"], gone, 0, 0),
        (["audit", "--help"], full, 2, 0),
        (["shout"], gone, 2, 2),
        (["show", "zzz"], full, 2, 2),
        ([*FAILING, "--json"], gone, 1, 1),
    ],
)
def test_what_typer_cannot_print_is_no_failed_claim(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    opened: Callable[[], IO[str]],
    on_output: int,
    on_error: int,
) -> None:
    with opened() as stream:
        assert status(monkeypatch, arguments, stream) == on_output
    with opened() as stream, monkeypatch.context() as patch, TemporaryFile("w") as output:
        patch.setattr(sys, "stderr", stream)
        assert status(monkeypatch, arguments, output) == on_error


def test_the_interpreter_keeps_the_status_of_full_streams() -> None:
    """It flushes once more when it ends, and ends with 120 where that fails."""
    command = [sys.executable, "-c", "from maxpo_lab.cli import main; main()", "--help"]
    with full() as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream, check=False, timeout=60)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (EOFError("a file ended early"), 70),
        (MemoryError(), 70),
        (BrokenPipeError(32, "a pipe of its own"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_no_fault_has_the_status_of_a_failed_claim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: BaseException, expected: int
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(isolated, "audit_isolated", broken)
    assert status(monkeypatch, AUDIT, io.StringIO()) == expected
    assert ("fault of the program" in capsys.readouterr().err) == (expected == 70)


@pytest.mark.parametrize("arguments", [["show", "maxpo"], AUDIT])
def test_a_fault_of_the_program_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(cli.catalogue, "pass_at_k_spectrum", broken)
    monkeypatch.setattr(isolated, "audit_isolated", broken)
    assert status(monkeypatch, arguments, io.StringIO()) == 70
    said = capsys.readouterr().err
    assert "KeyError: 'a fault'" in said
    assert "fault of the program" in said

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    assert status(monkeypatch, arguments, io.StringIO()) == 70
