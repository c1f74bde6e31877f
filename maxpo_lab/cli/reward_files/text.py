"""The text of a file, line by line, with all that is needed to write it back as it was."""

from __future__ import annotations

import codecs
import io
import re
from dataclasses import dataclass
from pathlib import Path

from .base import RewardFileError


@dataclass(frozen=True)
class Text:
    """Lines of a UTF-8 file, each with its own end.

    A line ends with LF, CR LF or CR and with nothing else: U+2028, U+0085, a form feed and the
    like are characters of a line. ``mark`` is the byte order mark, or empty.
    """

    mark: str
    lines: list[str]


def read_text(path: Path) -> Text:
    """Read a file; RewardFileError names line and byte where it is not UTF-8, OSError passes through."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise RewardFileError(f"{path} is UTF-16 text: save it as UTF-8") from error
        line = 1 + len(re.findall(rb"\r\n|\r|\n", data[: error.start]))
        raise RewardFileError(
            f"{path}, line {line}: byte {error.start} of the file, 0x{data[error.start]:02x}, is not UTF-8 "
            f"({error.reason})"
        ) from error
    body = text.removeprefix("\ufeff")
    return Text(text[: len(text) - len(body)], list(io.StringIO(body, newline="")))


def split_end(line: str, blank: str = "\r\n") -> tuple[str, str]:
    """A line without its end, and the end."""
    body = line.rstrip(blank)
    return body, line[len(body) :]
