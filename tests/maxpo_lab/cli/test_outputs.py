"""Where output goes: files whole or not at all, links followed, devices and FIFOs written through."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from maxpo_lab.cli import outputs
from maxpo_lab.cli.outputs import OutputError, write


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("umask")
def test_modes_are_kept_and_new_files_honour_the_umask(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / ("o" * 255)  # the longest name that there is
    old.write_text("before, and longer")
    old.chmod(0o664)
    for path, expected in ((new, 0o640), (old, 0o664)):
        write(path, b"content")
        assert (path.read_bytes(), mode(path)) == (b"content", expected)
    assert files(tmp_path) == ["new", old.name]


def test_access_lists_and_other_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    try:
        os.setxattr(path, "user.note", b"kept")
    except (AttributeError, OSError):
        pytest.skip("no extended attributes here")
    write(path, b"content")
    assert os.getxattr(path, "user.note") == b"kept"


def test_links_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target, other = folder / "target", folder / "other"
    target.write_text("old")
    target.chmod(0o604)
    os.link(target, other)
    link, second, dangling = (tmp_path / name for name in ("link", "second", "dangling"))
    link.symlink_to("elsewhere/target")
    second.symlink_to("link")
    dangling.symlink_to(folder / "made")
    for path in (second, dangling):
        write(path, b"new")
    assert all(path.is_symlink() for path in (link, second, dangling))
    assert [target.read_text(), (folder / "made").read_text(), mode(target)] == ["new", "new", 0o604]
    assert other.read_text() == "old"  # a hard link is another name of the old file
    assert files(folder) == ["made", "other", "target"]


def test_devices_and_fifos_are_written_through(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    write(link, b"through")
    reader.join(timeout=10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    write(null, b"nowhere")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full: No space left"):
        write(Path("/dev/full"), b"too much")


def test_open_descriptors_are_written_to_where_they_stand(tmp_path: Path) -> None:
    path, link = tmp_path / "log", tmp_path / "link"
    path.write_text("first\n")
    with path.open("ab") as appended:
        link.symlink_to(f"/proc/self/fd/{appended.fileno()}")
        for name in (Path(f"/dev/fd/{appended.fileno()}"), link):
            write(name, b"more\n")
    assert path.read_text() == "first\nmore\nmore\n"
    end, start = os.pipe()
    os.close(end)
    write(Path(f"/dev/fd/{start}"), b"nobody reads")  # no error, as behind `| head`
    os.close(start)


def test_what_cannot_be_written_is_named_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, kept = tmp_path / "loop", tmp_path / "kept"
    loop.symlink_to("loop")
    kept.write_text("old")
    for path, reason in (
        (loop, "loop: Too many levels of symbolic links"),
        (tmp_path, "Is a directory"),
        (tmp_path / "no" / "file", "No such file or directory"),
        (kept / "file", "Not a directory"),
        (tmp_path / ("o" * 256), "File name too long"),
    ):
        with pytest.raises(OutputError, match=reason):
            write(path, b"new")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(outputs.os, "open", refused)
        with pytest.raises(OutputError, match=f"its folder, {tmp_path}, is not writable"):
            write(kept, b"new")
    with monkeypatch.context() as patch:
        patch.setattr(outputs.os, "access", lambda *_: False)
        with pytest.raises(OutputError, match="kept: the file is not writable"):
            write(kept, b"new")
    with monkeypatch.context() as patch:
        patch.setattr(outputs.Path, "replace", refused)
        with pytest.raises(OutputError, match="kept: Permission denied"):
            write(kept, b"new")
    assert kept.read_text() == "old"
    assert files(tmp_path) == ["kept", "loop"]
