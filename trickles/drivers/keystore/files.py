"""Files of secrets and trusted keys: read only if no other user could have changed them, written atomically."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from trickles.errors import TricklesError

MAX_FILE_BYTES = 64 * 1024  # a keyring of 64 epochs takes a third of it
MAX_ENTRIES = 1000  # more: another directory, given by mistake
PRIVATE = 0o077  # mode bits forbidden on a secret
_GRANTED = 0o050  # of them allowed to a group of this process that root has given the secret to
UNALTERED = 0o022  # forbidden on a trusted public file
WORLD_UNALTERED = 0o002  # the same where a group may maintain the file
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # O_NONBLOCK: a FIFO must not block its reader
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
MAKE_KEYS = ": make keys with `trickles keys init`"
_TEMPORARY = ".trickles-"


class UnsafeFile(Exception):
    """A file that another user could have read or written, or that is not a file; the text names the fix."""


@contextmanager
def errors_as(error: type[TricklesError], path: Path, hint: str = "", *, missing: str = "") -> Iterator[None]:
    """Translate OSError and `UnsafeFile` about `path` into one line of `error`, with a hint; `missing` is another one
    for a file that does not exist.
    """
    try:
        yield
    except UnsafeFile as exc:
        raise error(str(exc)) from None
    except FileNotFoundError as exc:
        raise error(f"{path}: {exc.strerror or exc}{missing or hint}") from None
    except OSError as exc:
        raise error(f"{path}: {exc.strerror or exc}{hint}") from None
    except ValueError:  # a NUL in the name
        raise error(f"{str(path)!r} is no name of a file") from None


def fault(status: os.stat_result, path: Path, forbidden: int) -> str | None:
    """Return what is wrong with a file's owner or mode, with the command that mends it, or None.

    Secrets of root may be readable by a group of this process: that is how Kubernetes (`fsGroup`) passes them on.
    """
    quoted, user = shlex.quote(str(path)), os.geteuid()
    if forbidden == PRIVATE and _is_granted(status):
        forbidden = PRIVATE & ~_GRANTED
    if status.st_uid not in (0, user):
        return f"{path} belongs to user {status.st_uid}, who could change it: chown {user} {quoted}"
    if status.st_mode & forbidden:
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
        if forbidden & 0o004:
            return f"{path} is open to other users ({mode}): chmod go-rwx {quoted}"
        who = "o" if forbidden == WORLD_UNALTERED else "go"
        return f"{path} can be changed by other users ({mode}): chmod {who}-w {quoted}"
    return None


def _is_granted(status: os.stat_result) -> bool:
    """Return whether root has given a file to a group of this process.

    That includes root's own group for processes of other users: the mode of a file of systemd's LoadCredential shows an
    access list, which names this user, as that group's rights. Root needs no grant to read its files.
    """
    groups = {os.getegid(), *os.getgroups()}
    return status.st_uid == 0 and status.st_gid in (groups | {0} if os.geteuid() else groups - {0})


@contextmanager
def opened_directory(path: Path, forbidden: int = PRIVATE) -> Iterator[int]:
    """Yield the descriptor of a directory with the right owner and mode; UnsafeFile or OSError otherwise.

    Symbolic links are followed, and their target is checked, here and in `read_file`.
    """
    descriptor = os.open(path, _READ | os.O_DIRECTORY)
    try:
        if wrong := fault(os.fstat(descriptor), path, forbidden):
            raise UnsafeFile(wrong)
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: Path, forbidden: int, *, inside: int | None = None, most_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the content of a regular file with the right owner and mode; UnsafeFile or OSError otherwise.

    With `inside`, a directory's descriptor, the file is opened there by the last part of `path`.
    """
    descriptor = os.open(path if inside is None else path.name, _READ, dir_fd=inside)
    try:
        return read_open_file(descriptor, path, forbidden, most_bytes)
    finally:
        os.close(descriptor)


def read_open_file(descriptor: int, path: Path, forbidden: int, most_bytes: int) -> bytes:
    """Read as `read_file` does, from a descriptor at offset 0."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"{path} is not a regular file")
    if wrong := fault(status, path, forbidden):
        raise UnsafeFile(wrong)
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise UnsafeFile(f"{path} is larger than {most_bytes} bytes, too large for such a file")
    return data


def signature(path: Path) -> object:
    """Return a value that changes with the file at that path, its owner or mode; never raises."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return str(error)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode, status.st_uid


def write_file(name: str, data: bytes, mode: int, *, inside: int) -> None:
    """Write a file in the open directory `inside` atomically; it is on disk when this returns."""
    temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        _fill(os.open(temporary, _CREATE, 0o600, dir_fd=inside), data, mode)
        os.rename(temporary, name, src_dir_fd=inside, dst_dir_fd=inside)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=inside)
        raise
    os.fsync(inside)


def sweep(inside: int) -> None:
    """Remove temporary files of writers that died; the caller keeps other writers out."""
    for name in names(inside):
        if name.startswith(_TEMPORARY):
            os.unlink(name, dir_fd=inside)


def names(directory: Path | int) -> list[str]:
    """Return the names in a directory, or an open one; UnsafeFile when there are more than MAX_ENTRIES."""
    with os.scandir(directory) as entries:
        found = [entry.name for entry in islice(entries, MAX_ENTRIES + 1)]
    if len(found) > MAX_ENTRIES:
        raise UnsafeFile(f"a directory of more than {MAX_ENTRIES} files holds no keys")
    return found


def _fill(descriptor: int, data: bytes, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
