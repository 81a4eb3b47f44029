"""Stamps: the file system's record of one state of a file, and the rules for when two of them mean equal bytes.

A write moves the modification time (mtime) and the change time (ctime) together; links, modes and owners move the
change time alone; and a program may set the modification time to anything (`touch -r`, `cp -p`, `tar`), which moves the
change time too. So with device, inode, size and mtime equal, a later change time means one of two things:

- links, mode or owner differ as well: that explains it, and the bytes are the same. Hard links (`cp -al` of a tree),
  `chmod` and the removal of a name cost nothing.
- nothing else differs: a program may have written, and set the time back. The bytes have to be compared.

An mtime of whole seconds is no evidence: archives, reproducible builds and image layers give the same one to many
versions, and an inode number is reused for another file. Then the change time always counts, unless the file is held
open, so that its inode cannot be another file's.

Undetected: a program that writes, sets the time back *and* changes links or mode between two checks; and writes through
a memory map, which the kernel stamps at the first write to a page and then only after it has written the page to disk.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SECOND_NS = 1_000_000_000
_PACKED = struct.Struct(">QqIqIQQQQ")  # size, two times as seconds and nanoseconds, metadata


Mark = tuple[int, int, int, int, int]  # the first five fields of a stamp: every change shows in one of them


class FileStamp(NamedTuple):
    """One state of a file according to the file system; equal stamps of a settled file mean equal bytes.

    `disk.stamp_from` makes it of unchecked numbers. `metadata` is mode, links, owner and group.
    """

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int
    metadata: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def modified_s(self) -> int:
        """The modification time in whole seconds, within the range of HTTP dates."""
        return self.modified_ns // SECOND_NS

    @property
    def is_precise(self) -> bool:
        """True if the modification time has a fraction: one of whole seconds may be that of many versions."""
        return self.modified_ns % SECOND_NS != 0

    def state(self) -> bytes:
        """Return all but device and inode, as bytes."""
        modified, changed = divmod(self.modified_ns, SECOND_NS), divmod(self.changed_ns, SECOND_NS)
        return _PACKED.pack(self.size_bytes, *modified, *changed, *self.metadata)


def stamp_of_state(device: int, inode: int, state: bytes) -> FileStamp | None:
    """Return the stamp that `state` packed, None for other bytes."""
    if len(state) != _PACKED.size:
        return None
    size, modified, modified_ns, changed, changed_ns, *metadata = _PACKED.unpack(state)
    times = modified * SECOND_NS + modified_ns, changed * SECOND_NS + changed_ns
    return FileStamp(device, inode, size, *times, (metadata[0], metadata[1], metadata[2], metadata[3]))


def same_bytes(noted: FileStamp, now: FileStamp, *, held: bool = False) -> bool:
    """Return whether a file that was settled as `noted` still has the same bytes; False when unknown.

    `held`: the file has been open since, so that its inode is no other file's.
    """
    if noted == now:
        return True
    if noted[:4] != now[:4]:
        return False
    return now.metadata != noted.metadata and (held or now.is_precise)
