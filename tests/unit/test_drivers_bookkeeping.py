"""Writes that serve nobody: they neither raise nor wait, are tried again, and are counted."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from trickles.drivers import bookkeeping
from trickles.drivers.bookkeeping import MOST_WAITING_BYTES, KeptFile, Outlet, remove_file, write_file


@pytest.fixture(autouse=True)
def _nothing_failed() -> Iterator[None]:
    bookkeeping.failures.clear()
    yield
    bookkeeping.failures.clear()


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """Descriptors of a reader and a writer; -1 for one that a test has closed."""
    ends = list(os.pipe())
    yield ends
    for each in ends:
        if each >= 0:
            os.close(each)


def read_all(descriptor: int) -> bytes:
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while data := os.read(descriptor, 1 << 16):
            found += data
    except BlockingIOError:
        pass
    return found


def filled(descriptor: int) -> None:
    """Write to a pipe until it takes no more."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.set_blocking(descriptor, True)


def test_what_is_written_arrives(pipe: list[int]) -> None:
    outlet = Outlet(pipe[1])
    assert outlet.write(b"one\n") == 4
    assert outlet.write(memoryview(b"two\n")) == 4
    assert read_all(pipe[0]) == b"one\ntwo\n"
    assert not bookkeeping.failures


def test_a_reader_that_has_gone_costs_nothing_but_the_text(pipe: list[int]) -> None:
    os.close(pipe[0])
    pipe[0] = -1
    outlet = Outlet(pipe[1])
    assert [outlet.write(b"lost\n") for _ in range(3)] == [5, 5, 5]
    assert bookkeeping.failures["stream"] == 3


def test_a_reader_that_does_not_read_is_not_waited_for_and_gets_all_later(pipe: list[int]) -> None:
    filled(pipe[1])
    outlet = Outlet(pipe[1])
    outlet.write(b"late\n")
    assert read_all(pipe[0]).strip(b"\0") == b""
    outlet.flush()
    assert read_all(pipe[0]) == b"late\n"
    assert not bookkeeping.failures


def test_what_waits_is_bounded_and_lost_by_whole_writes(pipe: list[int]) -> None:
    filled(pipe[1])
    outlet, line = Outlet(pipe[1]), b"x" * 99_999 + b"\n"
    writes = MOST_WAITING_BYTES // len(line) + 5
    for _ in range(writes):
        outlet.write(line)
    assert bookkeeping.failures["stream"] == 5
    read_all(pipe[0])
    found = b""
    for _ in range(MOST_WAITING_BYTES // 4096):
        outlet.flush()
        found += read_all(pipe[0])
    assert found == line * (writes - 5)


def test_a_full_disk_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    real, full = os.write, [True]

    def write(into: int, data: bytes) -> int:
        if into == descriptor and full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(into, data)

    monkeypatch.setattr(os, "write", write)
    outlet = Outlet(descriptor)
    outlet.write(b"first\n")
    full[0] = False
    outlet.write(b"second\n")
    os.close(descriptor)
    assert (tmp_path / "log").read_bytes() == b"first\nsecond\n"
    assert bookkeeping.failures["stream"] == 1


GUARDED = """
import logging, sys
from trickles.drivers.bookkeeping import failures, guard_standard_streams, hold_standard_descriptors
hold_standard_descriptors()
guard_standard_streams()
for number in range(5000):
    print("to nobody", number)
    print("to nobody", number, file=sys.stderr)
    logging.warning("to nobody")
    sys.stderr.buffer.write(b"to nobody")
with open(sys.argv[1], "w") as file:
    file.write(repr(bool(failures["stream"])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("streams", "lost"), [(">&- 2>&-", False), ("2>&1 | true", True)])
def test_a_process_whose_streams_lead_nowhere_goes_on(tmp_path: Path, streams: str, lost: bool) -> None:
    script = f'( "$@"; echo $? >"$0" ) {streams}'
    words = [sys.executable, "-c", GUARDED, str(tmp_path / "done")]
    subprocess.run(["bash", "-c", script, str(tmp_path / "code"), *words], check=False, timeout=60)
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "done").read_text() == repr(lost)


def test_what_is_closed_of_the_standard_descriptors_is_held(tmp_path: Path) -> None:
    code = "import socket; from trickles.drivers.bookkeeping import *; hold_standard_descriptors()"
    code += f"; s = socket.socket(); open({str(tmp_path / 'number')!r}, 'w').write(str(s.fileno()))"
    subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", sys.executable, "-c", code], check=True, timeout=60)
    assert int((tmp_path / "number").read_text()) > 2


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "figures"
    write_file(path, "old")
    with path.open() as before:
        write_file(path, "new")
        assert before.read() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "deep" / "figures"
    write_file(path, "text")
    assert path.read_text() == "text"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "figures", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_kept_file_is_written_again_until_it_is_there_and_says_so_once(tmp_path: Path) -> None:
    reports = list[str]()
    (tmp_path / "run").write_text("in the way")
    kept = KeptFile(tmp_path / "run" / "pid", reports.append)
    kept.put("1\n")
    kept.look()
    assert len(reports) == 1
    assert "will try again" in reports[0]
    assert bookkeeping.failures["file"] == 2
    (tmp_path / "run").unlink()
    kept.look()
    assert (tmp_path / "run" / "pid").read_text() == "1\n"
    (tmp_path / "run" / "pid").unlink()
    kept.look()
    assert (tmp_path / "run" / "pid").read_text() == "1\n"


def test_a_report_that_leads_back_to_the_file_ends(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    kept = KeptFile(tmp_path / "run" / "pid", lambda _: kept.put("2\n"))
    kept.put("1\n")
    assert bookkeeping.failures["file"] == 2


def test_what_others_have_put_there_stays(tmp_path: Path) -> None:
    kept = KeptFile(tmp_path / "pid")
    kept.put("1\n")
    (tmp_path / "pid").write_text("2\n")
    kept.look()
    kept.put("1\n")
    assert (tmp_path / "pid").read_text() == "2\n"
    kept.leave()
    (tmp_path / "pid").unlink()
    kept.look()
    assert not (tmp_path / "pid").exists()


def test_a_file_that_cannot_be_removed_is_counted(tmp_path: Path) -> None:
    remove_file(tmp_path / "not there")
    assert not bookkeeping.failures
    remove_file(tmp_path)
    assert bookkeeping.failures["file"] == 1
