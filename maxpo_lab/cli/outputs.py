"""Where a command's output goes: a file, what a name points at, or standard output."""

from __future__ import annotations

import codecs
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

#: The name that means standard output.
STANDARD = Path("-")

#: ASCII of the same width for what the reports draw with; other characters become escapes.
_STAND_INS = {"✓": "+", "✗": "x", "█": "#", "│": "|", "─": "-", "━": "-", "╺": "-", "╸": "-", "…": "."}


class OutputError(ValueError):
    """An output that cannot be written; the message names it and the reason."""


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; write through what is no file.

    ``-`` is standard output. Links are followed, one that leads nowhere makes its target; devices, FIFOs
    and open descriptors (``/dev/stdout``, process substitution) are written to. A regular file is
    written next to its place and moved there: it keeps its permissions, or a new one has those that the umask
    leaves. It is then another inode: a second hard link keeps the old content.

    Raises
    ------
    OutputError
        A folder, a loop of links, a file or a folder without write permission, a full disk.
    """
    if path == STANDARD:
        write_standard(content)
        return
    try:
        present = _status(path)
        if (descriptor := _descriptor(path)) is not None:
            _flush_standard()
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(content)
        elif present is None or stat.S_ISREG(present.st_mode):
            _replace(Path(os.path.realpath(path)), content, present)
        else:  # a folder raises here; a FIFO waits for its reader
            with os.fdopen(os.open(path, os.O_WRONLY), "wb") as stream:
                stream.write(content)
    except BrokenPipeError:
        return  # the reader has had enough
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def write_standard(content: bytes | str) -> None:
    """Write to standard output and flush: bytes as they are, text in the stream's encoding.

    Characters that the encoding lacks become ASCII of their width, or escapes. A reader that stops reading
    (``| head``) is no error. OutputError where standard output is closed or full.
    """
    stream = sys.stdout
    if stream is None:
        raise OutputError("standard output is closed")
    try:
        if isinstance(content, bytes):
            stream.flush()
            stream.buffer.write(content)
        else:
            encoding = stream.encoding or "utf-8"
            stream.write(content.encode(encoding, "maxpo_lab.stand_in").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _discard(stream)
    except OSError as error:
        _discard(stream)
        raise OutputError(f"standard output: {error.strerror or error}") from error


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(each) or _escape(each) for each in lacking), error.end


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error("maxpo_lab.stand_in", _stand_in)


def settle(stream: TextIO | None) -> None:
    """Flush a standard stream; what it does not take goes nowhere, and changes no exit status."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: the interpreter flushes once more when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _flush_standard() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _status(path: Path) -> os.stat_result | None:
    """What stands where the links lead, None where nothing does; OSError for a loop of links."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _descriptor(path: Path) -> int | None:
    """The open descriptor that a path leads to, as ``/dev/stdout`` and ``/dev/fd/63`` do, or None.

    It is written to where it stands: opened by name, a file behind ``>>`` would be written from its start.
    """
    folders = {os.path.realpath("/proc/self/fd"), os.path.realpath("/dev/fd")}
    for _ in range(40):
        if path.name.isdecimal() and os.path.realpath(path.parent) in folders:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _replace(target: Path, content: bytes, present: os.stat_result | None) -> None:
    """Write next to the target and move it there."""
    if present is not None and not os.access(target, os.W_OK):
        raise PermissionError(0, "the file is not writable")
    temporary = target.parent / f".maxpo-lab-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666 if present is None else 0o600)
    except PermissionError as error:
        raise PermissionError(0, f"its folder, {target.parent}, is not writable") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        if present is not None:
            _take_over(temporary, target, present)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _take_over(temporary: Path, target: Path, present: os.stat_result) -> None:
    """Give the new file the owner, the extended attributes (access lists) and the mode of the old one.

    Owner and attributes as far as the system lets this user set them; the mode always.
    """
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(temporary, present.st_uid, present.st_gid)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(target):
                os.setxattr(temporary, name, os.getxattr(target, name))
    temporary.chmod(stat.S_IMODE(present.st_mode))
