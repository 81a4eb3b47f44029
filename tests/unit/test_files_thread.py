"""The thread that hashes: whatever a job raises is told, and the files after it are hashed all the same."""

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event
from threading import enumerate as threads

import pytest

from tests.support.site_folder import fill, store
from trickleweb.files import BackgroundHasher, FileStore
from trickleweb.files.digests import content_name, digest_of
from trickleweb.files.hashing import HashJob
from trickleweb.files.store import Version

FILES = {name: name.encode() * 70_000 for name in "abc"}


class Trouble:
    """Errors by the name of the file whose hash is to raise them, and what was told of them."""

    def __init__(self) -> None:
        self.errors: dict[int, BaseException] = {}
        self.told: list[Exception] = []

    def progress(self, _done: int, total: int) -> None:
        if total in self.errors:
            raise self.errors.pop(total)


def hashing_threads() -> int:
    return sum(each.name == "file hashes" for each in threads())


def content(files: FileStore, path: str) -> str:
    found = files.look(path)
    assert isinstance(found, Version)
    return found.content


@pytest.mark.parametrize(
    "error", [ValueError("odd"), OverflowError("far"), MemoryError(), SystemExit(1), KeyboardInterrupt()]
)
def test_a_job_that_raises_anything_stops_nothing(tmp_path: Path, error: BaseException) -> None:
    fill(tmp_path, {name: data + bytes(at) for at, (name, data) in enumerate(FILES.items())})
    trouble = Trouble()
    trouble.errors[70_000] = error
    thread = BackgroundHasher(trouble.progress)
    thread.report_errors(trouble.told.append)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    for name in FILES:
        content(files, name)
    thread.close()
    assert len(trouble.told) == 1
    assert bytes(files.read(content(files, "a"), 0, 3)) == b"aaa"  # it is served without a hash
    for at, name in enumerate("bc", 1):
        assert content(files, name) == content_name(digest_of(FILES[name] + bytes(at)), name)
    files.close()


def test_a_report_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    fill(tmp_path, {"a": FILES["a"], "b": FILES["b"] + b"x"})
    trouble = Trouble()
    trouble.errors[70_000] = ValueError("odd")

    def closed(_error: Exception) -> None:
        raise BrokenPipeError

    thread = BackgroundHasher(trouble.progress)
    thread.report_errors(closed)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    for name in "ab":
        content(files, name)
    thread.close()
    assert content(files, "b") == content_name(digest_of(FILES["b"] + b"x"), "b")
    files.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_has_a_successor(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    before, done = hashing_threads(), Event()

    def ended(_error: Exception) -> None:
        raise SystemExit  # the last that can be done to a thread

    def progress(_done: int, _total: int) -> None:
        if not done.is_set():
            done.set()
            raise ValueError

    thread = BackgroundHasher(progress)
    thread.report_errors(ended)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    content(files, "a")
    assert done.wait(30)
    for each in threads():
        if each.name == "file hashes":
            each.join(30)
    assert hashing_threads() == before
    content(files, "b")
    thread.close()
    assert content(files, "b") == content_name(digest_of(FILES["b"]), "b")
    files.close()


def test_there_is_no_thread_before_there_is_work() -> None:
    before = hashing_threads()
    BackgroundHasher().close()
    assert hashing_threads() == before


def test_a_system_without_threads_hashes_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, FILES)
    trouble = Trouble()
    thread = BackgroundHasher()
    thread.report_errors(trouble.told.append)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)

    def refuse(_self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    first = content(files, "a")
    assert bytes(files.read(first, 0, 1)) == b"a"
    assert [str(error) for error in trouble.told] == ["can't start new thread"]
    monkeypatch.undo()
    content(files, "b")
    thread.close()
    for name in "ab":
        assert content(files, name) == content_name(digest_of(FILES[name]), name)
    files.close()


def test_what_nobody_reports_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, FILES)
    trouble = Trouble()
    trouble.errors[70_000] = ValueError("odd")
    thread = BackgroundHasher(trouble.progress)
    files = store(tmp_path, defer=thread.submit, inline_bytes=0)
    with caplog.at_level(logging.ERROR):
        content(files, "a")
        thread.close()
    assert "a file could not be hashed" in caplog.text
    files.close()


def cancel_all(jobs: list[HashJob]) -> Callable[[HashJob], None]:
    def cancel(job: HashJob) -> None:
        jobs.append(job)
        job.cancel()

    return cancel


def test_jobs_that_nobody_takes_leave_no_descriptor(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    jobs: list[HashJob] = []
    files = store(tmp_path, defer=cancel_all(jobs), inline_bytes=0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        content(files, "a")
    assert len(jobs) == 20
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    files.close()
