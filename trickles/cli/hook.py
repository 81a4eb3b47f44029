"""Programs without proxy support, hooked by proxychains: where its library is, and which programs it cannot hook."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from pathlib import Path

from trickles.errors import LocalProtocolError

VARIABLE = "TRICKLES_PROXYCHAINS"  # path of the library, if it is in an unusual place
MOST_SCRIPTS = 4  # that interpret one another, as for execve(2)
_NAMES = ("libproxychains.so.4", "libproxychains4.so")
_FOLDERS = ("usr/lib/*-linux-gnu*", "usr/lib64", "usr/lib", "usr/local/lib")
_ELF, _CLASS_64, _LITTLE_ENDIAN = b"\x7fELF", 2, 1
_INTERPRETER = 3  # PT_INTERP of elf(5): a dynamic loader, which is what reads LD_PRELOAD
_MOST_HEADERS = 256
# of elf(5), from e_phoff on and of a program header: per class
_LAYOUTS = {1: (28, "I", 42), 2: (32, "Q", 54)}


def library() -> str:
    """Return the path of proxychains' library; LocalProtocolError, with the package to install, when there is none."""
    named = os.environ.get(VARIABLE)
    usual = (path for folder in _FOLDERS for name in _NAMES for path in Path("/").glob(f"{folder}/{name}"))
    found = next((path for path in ([Path(named)] if named else usual) if path.is_file()), None)
    if found is None:
        where = f"{VARIABLE} names no file" if named else "it is not installed (Debian: apt install libproxychains4)"
        raise LocalProtocolError(f"--hook needs the library of proxychains: {where}")
    return str(found.absolute())


def problem(path: str, preload: str) -> str | None:
    """Return why that library cannot hook a program, or None; for a script its interpreter counts."""
    for _ in range(MOST_SCRIPTS):
        try:
            with Path(path).open("rb") as file:
                start = file.read(256)
                status = os.fstat(file.fileno())
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        if start[:2] != b"#!":
            return _problem_of_binary(path, status, preload)
        words = start[2:].partition(b"\n")[0].decode("utf-8", "replace").split()
        found = shutil.which(words[-1] if words[0].endswith("/env") else words[0]) if words else None
        if found is None:
            return "it is a script without its interpreter"
        path = found
    return "it is a script whose interpreters are scripts"


def hook_configuration(port: int) -> str:
    """Return a configuration of proxychains: names, and all connections except to loopback, go to the gateway."""
    lines = ["strict_chain", "quiet_mode", "proxy_dns", "localnet 127.0.0.0/255.0.0.0", "localnet ::1/128"]
    return "\n".join([*lines, "[ProxyList]", f"socks5 127.0.0.1 {port}", ""])


def _problem_of_binary(path: str, status: os.stat_result, preload: str) -> str | None:
    if (status.st_mode & stat.S_ISUID and status.st_uid != os.getuid()) or (
        status.st_mode & stat.S_ISGID and status.st_gid != os.getgid()
    ):
        return "it runs as another user or group (setuid, setgid), so the system preloads nothing"
    if os.getuid() and "security.capability" in os.listxattr(path):
        return "it has file capabilities, so the system preloads nothing"
    ours, theirs = _interpreted(path), _interpreted(preload)
    if ours is None:
        return "it is not a program for this system"
    if theirs is not None and ours[0] != theirs[0]:
        return "it is of another architecture than the library of proxychains"
    return None if ours[1] else "it is a static binary (use its own proxy option, or a transparent gateway)"


def _interpreted(path: str) -> tuple[bytes, bool] | None:
    """Return the architecture of an ELF file (class, byte order, machine), and whether a dynamic loader starts it."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(64)
            layout = _LAYOUTS.get(head[4]) if len(head) == 64 and head[:4] == _ELF else None
            if layout is None:
                return None
            at, kind, sizes = layout
            order = "<" if head[5] == _LITTLE_ENDIAN else ">"
            (offset,) = struct.unpack_from(order + kind, head, at)
            size, count = struct.unpack_from(order + "HH", head, sizes)
            file.seek(offset)
            headers = file.read(size * min(count, _MOST_HEADERS))
    except (OSError, ValueError, OverflowError):
        return None
    starts = range(0, len(headers) - 3, size or len(headers) or 1)
    kinds = {struct.unpack_from(order + "I", headers, start)[0] for start in starts}
    return head[4:6] + head[18:20], _INTERPRETER in kinds
