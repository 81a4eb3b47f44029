"""Errors of the system are no absence: descriptors, memory and disks that fail for a while make a file 503, not 404."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path

import pytest

from tests.support.origins import begun, event, get, origin, status
from tests.support.site_folder import fill, refuse, request, store
from trickles.service import Refusal
from trickleweb.errors import HTTPError
from trickleweb.files import (
    FileStore,
    FilesUnavailable,
    SiteOptions,
    StaticSite,
    StoreLimits,
    disk,
)
from trickleweb.files.store import Version

TINY = StoreLimits(small_bytes=0, descriptors=8)
HTML = ("accept", "text/html")
ERRORS = [
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EIO,
    errno.ESTALE,
    errno.EAGAIN,
    errno.ENOSPC,
    errno.ETIMEDOUT,
]
NAMES = [errno.errorcode[code] for code in ERRORS]
SITE = SiteOptions(fallback="index.html", listing=True)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    return fill(tmp_path / "root", {"index.html": b"home", "a": b"a" * 99, "d/b": b"b", "d/route": b"r", "e/x": b"x"})


def failing_stat(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    look_at = disk.look_at

    def failing(path: str | int, folder: int | None = None) -> object:
        if isinstance(path, str) and path not in {".", "index.html"}:
            raise disk.translated(OSError(code, os.strerror(code)))
        return look_at(path, folder)

    monkeypatch.setattr(disk, "look_at", failing)


def failing_open(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    refuse(monkeypatch, code, names="a")
    refuse(monkeypatch, code, names="d")
    refuse(monkeypatch, code, names="route")


def failing_read(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def failing(*_: object) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pread", failing)


@pytest.mark.parametrize("code", ERRORS, ids=NAMES)
@pytest.mark.parametrize("fail", [failing_stat, failing_open, failing_read])
def test_an_error_of_the_system_is_503_and_passes(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, fail: Callable[[pytest.MonkeyPatch, int], None]
) -> None:
    files = store(root, limits=TINY)
    folder = StaticSite(files, SITE)
    fail(monkeypatch, code)
    for path in ("/a", "/d/route"):
        with pytest.raises(HTTPError) as caught:
            folder.plan(request(path, HTML))
        assert (caught.value.status, dict(caught.value.headers)) == (503, {"Retry-After": "1"})
        assert isinstance(caught.value.__cause__, FilesUnavailable)
    monkeypatch.undo()
    for path in ("/a", "/d/route"):
        assert folder.plan(request(path, HTML)).status == 200
    files.close()


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO])
def test_what_the_system_says_is_absent_is_absent(root: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    folder = StaticSite(store(root))
    refuse(monkeypatch, code)
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/a"))
    assert caught.value.status == 404


@pytest.mark.parametrize("code", ERRORS, ids=NAMES)
def test_a_folder_that_cannot_be_listed_now_is_503(root: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def failing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    folder = StaticSite(store(root), SITE)
    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/e/"))
    assert caught.value.status == 503


def test_a_root_that_is_gone_is_no_reason_to_say_404(root: Path) -> None:
    files = store(root)
    folder = StaticSite(files)
    root.rename(root.with_name("away"))
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/a"))
    assert caught.value.status == 503
    root.with_name("away").rename(root)
    assert folder.plan(request("/a")).status == 200
    files.close()


@pytest.mark.parametrize("code", sorted(disk.SHORTAGES))
def test_open_files_make_room(root: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    fill(root, {str(at): b"x" * (at + 1) for at in range(6)})
    files = store(root, limits=TINY)
    folder = StaticSite(files)
    contents = [found.content for at in range(6) if isinstance(found := files.look(str(at)), Version)]
    tried = refuse(monkeypatch, code, times=2)
    assert folder.plan(request("/a")).status == 200
    assert tried == ["a", "a"]  # half of the files were closed each time
    tried = refuse(monkeypatch, code, times=1)
    assert [len(files.read(content, 0, at + 1)) for at, content in enumerate(contents)] == list(range(1, 7))
    assert len(tried) == 1
    files.close()


def test_a_stale_root_is_opened_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = StaticSite(store(root))
    tried = refuse(monkeypatch, errno.ESTALE, times=1)
    assert folder.plan(request("/a")).status == 200
    assert tried == ["a"]


@pytest.mark.parametrize(("soft", "most"), [(64, 16), (256, 64), (1024, 256), (4, 4), (1 << 30, 1024), (-1, 1024)])
def test_as_many_files_are_kept_open_as_the_process_may(monkeypatch: pytest.MonkeyPatch, soft: int, most: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, resource.RLIM_INFINITY))
    assert StoreLimits().descriptors == most


MANY = """
import resource, sys, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from trickleweb import App
from trickleweb.testing import Client
from trickleweb.files import disk
root = Path(sys.argv[1])
app = App()
for name in "abcdef":
    app.mount(f"/{name}", root, name=name)
with Client(app) as client:
    for at in range(200):
        for name in "abcdef":
            answer = client.get(f"/{name}/{at}")
            assert (answer.status_code, len(answer.content)) == (200, 70_000 + at), (at, name, answer.status_code)
print("served")
"""


@pytest.mark.slow
def test_few_descriptors_serve_any_number_of_files_from_any_number_of_folders(tmp_path: Path) -> None:
    for at in range(200):
        with (tmp_path / str(at)).open("wb") as file:
            file.truncate(70_000 + at)
    found = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (found.stdout, found.stderr[-2000:]) == ("served\n", "")


def test_a_disk_that_fails_as_a_response_begins_is_503_and_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = store(root, limits=TINY)
    server = origin(root, files=files)
    errors: list[Exception] = []
    server.report_errors(errors.append)
    files.look("a")
    failing_read(monkeypatch, errno.EIO)
    response, _ = begun(server, get("/a"))
    assert status(response) == 503
    assert b"\r\nRetry-After: 1\r\n" in response
    assert [type(error) for error in errors] == [FilesUnavailable]
    files.close()


def test_a_disk_that_fails_in_the_middle_sends_nobody_other_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = store(root, limits=TINY)
    server = origin(root, files=files)
    _, known = begun(server, get("/a"))
    failing_read(monkeypatch, errno.EIO)
    reply = server.handle(event(b"", known, (known.stop - 5 if known.stop else 0, 1 << 40)))
    assert reply.refusal is Refusal.NOT_HERE
    monkeypatch.undo()
    reply = server.handle(event(b"", known, (known.stop - 5 if known.stop else 0, 1 << 40)))
    assert b"".join(bytes(data) for _, data in reply.chunks) == b"aaaaa"
    files.close()


def test_the_cache_of_open_files_can_be_shared(root: Path) -> None:
    from trickleweb.files import OpenFiles

    shared = OpenFiles(1)
    limits = changed(TINY, descriptors=1)
    one, other = (FileStore(root, store(root)._hasher, limits, shared) for _ in range(2))
    before = open_files()
    for files in (one, other, one):
        assert isinstance(files.look("a"), Version)
        assert isinstance(files.look("d/b"), Version)
    assert open_files() <= before + 3  # one file, two roots
    one.close()
