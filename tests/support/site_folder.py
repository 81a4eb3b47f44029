"""A folder of files to serve, and requests to it, as tests of the static files need them."""

import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from trickleweb.files import FileStore, Hasher, SiteOptions, StaticSite, StoreLimits, disk, tree
from trickleweb.files.digests import Index
from trickleweb.files.hashing import HashJob
from trickleweb.files.manifest import Manifest
from trickleweb.files.stamps import FileStamp
from trickleweb.headers import Headers
from trickleweb.messages import Inline, NoBody, Plan, RequestHead

LATER_NS = 4_102_444_800 * 10**9  # the year 2100: everything on the disk has long settled
MODIFIED_S = 1_000_000_000  # Sun, 09 Sep 2001 01:46:40 GMT


def write(path: Path, data: bytes, modified_s: int = MODIFIED_S) -> Path:
    """Write a file, in place if it is there, dated `modified_s`; its change time is sure to move."""
    before = path.stat().st_ctime_ns if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (modified_s, modified_s))
    while path.stat().st_ctime_ns == before:  # the kernel's clock moves every few milliseconds
        os.utime(path, (modified_s, modified_s))
    return path


def replace(path: Path, data: bytes, modified_s: int = MODIFIED_S) -> Path:
    """Put a new file in place of an old one, as careful writers do: by rename."""
    return write(path.with_name(path.name + ".new"), data, modified_s).replace(path)


def fill(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write several files below `root`."""
    for name, data in files.items():
        write(root / name, data)
    return root


def store(
    root: Path,
    *,
    limits: StoreLimits | None = None,
    clock_ns: Callable[[], int] = lambda: LATER_NS,
    index: Index | None = None,
    defer: Callable[[HashJob], None] | None = None,
    inline_bytes: int = 4 << 20,
    manifest: Manifest | None = None,
) -> FileStore:
    """A store over `root` for which all files have settled."""
    return FileStore(root, Hasher(clock_ns, index, defer=defer, inline_bytes=inline_bytes), limits, manifest=manifest)


def site(root: Path, options: SiteOptions | None = None) -> StaticSite:
    """A site over `root`."""
    return StaticSite(store(root), options)


def freeze_stamps(monkeypatch: pytest.MonkeyPatch, at_ns: int, suffix: str = "") -> None:
    """Date every file whose name ends in `suffix` `at_ns`, as a file system does whose clock stands still."""
    look_at = disk.look_at

    def frozen(path: str | int, folder: int | None = None) -> tuple[FileStamp, bool]:
        stamp, is_folder = look_at(path, folder)
        name = path if isinstance(path, str) else str(Path(f"/proc/self/fd/{path}").readlink())
        if not name.endswith(suffix):
            return stamp, is_folder
        return stamp._replace(modified_ns=at_ns, changed_ns=at_ns), is_folder

    monkeypatch.setattr(disk, "look_at", frozen)


def request(path: str, *headers: tuple[str, str], method: str = "GET", query: str = "") -> RequestHead:
    """A request as the parser makes it."""
    target = f"{path}?{query}" if query else path
    return RequestHead(
        method, target, path, path, query, (1, 1), Headers(headers), "example.org", NoBody(), False, True, 100
    )


def body(files: FileStore, plan: Plan) -> bytes:
    """The body a plan stands for."""
    return b"".join(
        piece.data if isinstance(piece, Inline) else bytes(files.read(piece.content, piece.start, piece.stop))
        for piece in plan.pieces
    )


def refuse(monkeypatch: pytest.MonkeyPatch, code: int, *, times: int = 1 << 30, names: str = "") -> list[str]:
    """Let opening a file whose path ends in `names` fail with an error of the system, so many times; those tried."""
    tried: list[str] = []
    opened: Callable[[int, int, str, int], int] = vars(tree)["open_beneath"]

    def refused(folder: int, root: int, path: str, flags: int) -> int:
        if path.endswith(names) and len(tried) < times:
            tried.append(path)
            raise OSError(code, os.strerror(code), path)
        return opened(folder, root, path, flags)

    monkeypatch.setattr(tree, "open_beneath", refused)
    return tried


def packed(data: bytes) -> bytes:
    """The same data, compressed by gzip."""
    return gzip.compress(data, mtime=0)
