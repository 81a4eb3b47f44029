"""Files with secrets: who else could read or write them, what is no file at all, and writing all or nothing."""

import errno
import os
import socket
from pathlib import Path

import pytest

from tests.support.keys import put
from trickles.drivers.keystore import files
from trickles.drivers.keystore.files import PRIVATE, UNALTERED, WORLD_UNALTERED, UnsafeFile
from trickles.errors import KeyringError


def status(mode: int, owner: int) -> os.stat_result:
    """What the system would say about a file of that mode and owner."""
    return os.stat_result((0o100000 | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    assert files.read_file(put(tmp_path / "a", b"secret", mode), PRIVATE) == b"secret"


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_a_secret_that_others_may_touch_at_all_is_refused_with_the_fix(tmp_path: Path, bit: int) -> None:
    path = put(tmp_path / "a key", b"secret", 0o600 | bit)
    with pytest.raises(UnsafeFile) as caught:
        files.read_file(path, PRIVATE)
    assert str(caught.value) == f"{path} is open to other users (mode 06{bit:02o}): chmod go-rwx '{path}'"


@pytest.mark.parametrize(
    ("mode", "forbidden", "fix"),
    [
        (0o644, UNALTERED, None),
        (0o664, UNALTERED, "chmod go-w"),
        (0o646, UNALTERED, "chmod go-w"),
        (0o664, WORLD_UNALTERED, None),
        (0o666, WORLD_UNALTERED, "chmod o-w"),
    ],
)
def test_a_public_file_that_others_may_write_is_refused(mode: int, forbidden: int, fix: str | None) -> None:
    wrong = files.fault(status(mode, os.geteuid()), Path("it"), forbidden)
    assert wrong is None if fix is None else wrong == f"it can be changed by other users (mode {mode:04o}): {fix} it"


def test_a_file_of_another_user_is_refused_and_one_of_root_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert files.fault(status(0o600, 1000), Path("it"), PRIVATE) is None
    assert files.fault(status(0o600, 0), Path("it"), PRIVATE) is None
    wrong = files.fault(status(0o600, 1001), Path("it"), PRIVATE)
    assert wrong == "it belongs to user 1001, who could change it: chown 1000 it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_real_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"secret")
    os.chown(path, 12345, 12345)
    with pytest.raises(UnsafeFile, match="belongs to user 12345"):
        files.read_file(path, PRIVATE)


def test_a_fifo_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a", 0o600)
    with pytest.raises(UnsafeFile, match="not a regular file"):
        files.read_file(tmp_path / "a", PRIVATE)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/"])
def test_devices_and_directories_are_no_files(path: str) -> None:
    with pytest.raises(UnsafeFile, match="not a regular file"):
        files.read_file(Path(path), PRIVATE)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a")
        with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
            files.read_file(Path("a"), PRIVATE)


def test_a_file_too_large_is_refused_and_not_read_whole(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"")
    os.truncate(path, 1 << 40)  # a hole of a terabyte
    with pytest.raises(UnsafeFile, match="larger than 65536 bytes"):
        files.read_file(path, PRIVATE)


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    target = put(tmp_path / "target", b"secret")
    (tmp_path / "link").symlink_to(target)
    assert files.read_file(tmp_path / "link", PRIVATE) == b"secret"
    target.chmod(0o644)
    with pytest.raises(UnsafeFile, match="open to other users"):
        files.read_file(tmp_path / "link", PRIVATE)


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(UnsafeFile, match="chmod go-rwx"), files.opened_directory(tmp_path):
        pass


@pytest.mark.parametrize("name", ["missing", "a/b", "a" * 300, "a\0b"])
def test_names_of_no_file_are_one_error(tmp_path: Path, name: str) -> None:
    put(tmp_path / "a", b"")
    path = tmp_path / name
    with pytest.raises(KeyringError), files.errors_as(KeyringError, path):
        files.read_file(path, PRIVATE)


def test_a_loop_of_links_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(KeyringError, match="symbolic links"), files.errors_as(KeyringError, tmp_path / "a"):
        files.read_file(tmp_path / "a", PRIVATE)


def test_what_is_written_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        with files.opened_directory(tmp_path) as inside:
            files.write_file("a", b"data", 0o644, inside=inside)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a").read_bytes() == b"data"


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(tmp_path / "a", b"old")
    with files.opened_directory(tmp_path) as inside:
        monkeypatch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            files.write_file("a", b"new", 0o600, inside=inside)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a": b"old"}


def test_a_write_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    with files.opened_directory(tmp_path) as inside:
        files.write_file("a", b"0123456789", 0o600, inside=inside)
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    put(tmp_path / ".trickles-0123456789abcdef", b"half a key")
    put(tmp_path / "a", b"whole")
    with files.opened_directory(tmp_path) as inside:
        files.sweep(inside)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
