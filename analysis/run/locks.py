"""Locks on folders, so that two runs do not write in one place."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


class HeldError(Exception):
    """Another process works on the same study in the same place."""


@contextmanager
def hold(path: Path, *, wait: bool = False, say: Callable[[str], object] = print) -> Iterator[None]:
    """Hold the lock file ``path``, which says who holds it; HeldError where another process does.

    With ``wait`` the holder is named by ``say`` and waited for. The operating system releases the lock when
    its holder ends, however it ends; the file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = path.read_text(encoding="utf-8").strip() or "another process"
        if not wait:
            raise HeldError(f"{path} is held by {holder}") from None
        say(f"waiting for {holder}, which holds {path}")
        lock.acquire()
    try:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        path.write_text(f"process {os.getpid()} on {platform.node()}, started {started}\n", encoding="utf-8")
        yield
    finally:
        lock.release()
