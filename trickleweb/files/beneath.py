"""Open files below a folder only, even if links in the path lead elsewhere or change at the same time.

The kernel does it in one call where it can (Linux 5.6, openat2 with RESOLVE_BENEATH), which Python does not offer. That
call also refuses absolute links and links through the folder's outside; for these, and where there is no such call, the
position of the opened file decides.
"""

# ruff: noqa: PTH115
from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable

from trickleweb.files.errors import NoSuchFile

_OPENAT2 = 437  # on every architecture of Linux but Alpha
_RESOLVE_BENEATH = 0x08
_HOW = struct.Struct("=QQQ")  # flags, mode, resolve
_TRIES = 3  # at a path in which a rename is under way
_MISSING = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})  # old kernels, and sandboxes before them
_DESCRIPTORS = "/proc/self/fd"  # links to open files, on Linux

PLACE = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_CLOEXEC  # for its position, not for reading
FOLDER = PLACE | os.O_DIRECTORY

Open = Callable[[int, str, int], int]


def open_beneath(folder: int, root: int, path: str, flags: int) -> int:
    """Open `path`, relative to the open `folder`, if it lies in the open folder `root` with every link followed.

    Raise OSError as `os.open`, ValueError for an impossible name, `NoSuchFile` if it lies elsewhere. `folder` is `root`
    or lies in it.
    """
    global _kernel  # noqa: PLW0603 - tested once for each process
    for _ in range(_TRIES if _kernel is not None else 0):
        assert _kernel is not None
        try:
            return _kernel(folder, path, flags)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                continue
            if error.errno in _MISSING:
                _kernel = None
            elif error.errno != errno.EXDEV:
                raise
            break
    try:
        position(root)
    except OSError:
        return _step_by_step(folder, path, flags)
    return _checked(folder, root, path, flags)


def _checked(folder: int, root: int, path: str, flags: int) -> int:
    """Open, then check the position: the open file itself is judged, so no link can change in between."""
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        if not lies_in(root, descriptor):
            raise NoSuchFile("outside the folder")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _step_by_step(folder: int, path: str, flags: int) -> int:
    """Open without following any link: for systems that have neither the call nor /proc."""
    at, names = os.dup(folder), path.split("/")
    try:
        for name in names[:-1]:
            inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(names[-1], flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def lies_in(root: int, descriptor: int) -> bool:
    """Return whether an open file lies in an open folder; repeated when the folder itself moves."""
    for _ in range(_TRIES):
        before = position(root)
        at = position(descriptor)
        if position(root) == before:
            return at == before or at.startswith(before.rstrip("/") + "/")
    return False


def position(descriptor: int) -> str:
    """Return the path of an open file or folder, every link followed."""
    return os.readlink(f"{_DESCRIPTORS}/{descriptor}")


def _kernel_call() -> Open | None:
    """Return openat2, None where the C library cannot call it."""
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return None
    call.restype = ctypes.c_long

    def opened(folder: int, path: str, flags: int) -> int:
        how = _HOW.pack(flags, 0, _RESOLVE_BENEATH)
        name = os.fsencode(path)
        if b"\0" in name:
            raise ValueError("a NUL in a path")
        found: int = call(
            ctypes.c_long(_OPENAT2), ctypes.c_int(folder), ctypes.c_char_p(name), how, ctypes.c_size_t(_HOW.size)
        )
        if found < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return found

    return opened


_kernel: Open | None = _kernel_call()
