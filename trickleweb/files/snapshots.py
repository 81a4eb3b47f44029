"""Names of contents without a hash yet: the bytes that one file of one machine had when it was first opened.

A large file is served at once under such a name; its hash is computed at the same time, and then the same bytes get
their strong name. The name lets another replica *on the same machine* check that it reads the same file:

- the file: device and inode, hashed with the machine's boot, so that no other machine takes it for its own;
- its state: size, mtime, ctime and metadata, compared as in `stamps.same_bytes`;
- whether it was being written, and growing, at first;
- a witness: a hash of its first bytes and of its last.

A file that was at rest has these bytes while its stamp stays. Any other change makes another version of it: a longer
file may have been written in its middle too (`rsync --inplace`, a database), and no stamp shows that. Only a file that
was *growing already* (a log, a recording) may go on growing. Changes between two checks, and their results:

===============================  ===========================  ============================================
change                           a file that rested           a file that was growing
===============================  ===========================  ============================================
more appended                    another version              read on
written in place                 another version              another version
written in place, and longer     another version              not seen unless it touches the witness
cut shorter                      another version              another version
cut, then rewritten longer       another version              another version, by the witness
touched                          another version              another version
another file renamed over it     read on where it is open     read on where it is open
renamed, linked, chmod, chown    read on                      read on
written through a memory map     not seen before the kernel stamps the file, which may be late
===============================  ===========================  ============================================
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from enum import Enum, auto
from hashlib import blake2b
from typing import NamedTuple

from trickleweb.files.errors import BadContentName
from trickleweb.files.stamps import FileStamp

MARK = "~"  # a strong name begins with a character of base64
WITNESS_BYTES = 4096  # at each end of the file
_FILE, _MODIFIED, _CHANGED, _METADATA, _WITNESS = 12, 8, 6, 6, 8  # bytes of each hash
_SIZE = 8
_GROWING = 1 << 63  # in the size, which is below it
_BYTES = _FILE + _SIZE + _MODIFIED + _CHANGED + _METADATA + _WITNESS
_CHARS = _BYTES // 3 * 4

Read = Callable[[int, int], bytes]


class Match(Enum):
    """Relation of a file to a snapshot of it."""

    SAME = auto()
    GROWN = auto()  # longer, and was growing: the snapshot is its beginning, if the witness agrees
    OTHER = auto()


class FileSnapshot(NamedTuple):
    """A file at its first open: hashes of its stamp, its size, and its witness.

    `growing`: it was being appended to, so that a longer file is the same version.
    """

    file: bytes
    size_bytes: int
    modified: bytes
    changed: bytes
    metadata: bytes
    witness: bytes
    growing: bool = False

    def name(self, path: str) -> str:
        """Return the content's name, for a file at `path`."""
        size = (self.size_bytes | (_GROWING if self.growing else 0)).to_bytes(_SIZE, "big")
        packed = b"".join((self.file, size, self.modified, self.changed, self.metadata, self.witness))
        return f"{MARK}{urlsafe_b64encode(packed).decode('ascii')}:{path}"


def snapshot_of(stamp: FileStamp, read: Read, machine: bytes, *, growing: bool) -> FileSnapshot:
    """Return the snapshot of a file in the state `stamp`, read by `read(start, stop)`; `machine` names its boot."""
    parts = _parts(stamp, machine)
    return FileSnapshot(parts[0], stamp.size_bytes, *parts[1:], witness_of(stamp.size_bytes, read), growing)


def is_snapshot(name: str) -> bool:
    """Return whether a content's name is a snapshot's."""
    return name.startswith(MARK)


def parse_snapshot(name: str) -> tuple[FileSnapshot, str]:
    """Split a content's name into snapshot and path; raise `BadContentName`."""
    text, colon, path = name.partition(":")
    if not colon or len(text) != 1 + _CHARS or not text.isascii() or not is_snapshot(text):
        raise BadContentName("not the name of a snapshot")
    try:
        packed = urlsafe_b64decode(text[1:])
    except ValueError as exc:
        raise BadContentName(str(exc)) from None
    if len(packed) != _BYTES:
        raise BadContentName("not the name of a snapshot")
    at, parts = 0, list[bytes]()
    for size in (_FILE, _SIZE, _MODIFIED, _CHANGED, _METADATA, _WITNESS):
        parts.append(packed[at : at + size])
        at += size
    file, packed_size, modified, changed, metadata, witness = parts
    size = int.from_bytes(packed_size, "big")
    growing, size_bytes = bool(size & _GROWING), size & (_GROWING - 1)
    return FileSnapshot(file, size_bytes, modified, changed, metadata, witness, growing), path


def match(snapshot: FileSnapshot, now: FileStamp, machine: bytes, *, held: bool) -> Match:
    """Return the relation of a file with stamp `now` to a snapshot; `held`: it has been open since the snapshot."""
    file, modified, changed, metadata = _parts(now, machine)
    if file != snapshot.file or now.size_bytes < snapshot.size_bytes:
        return Match.OTHER
    if now.size_bytes > snapshot.size_bytes:
        return Match.GROWN if snapshot.growing else Match.OTHER
    explained = metadata != snapshot.metadata and (held or now.is_precise)
    return Match.SAME if modified == snapshot.modified and (changed == snapshot.changed or explained) else Match.OTHER


def witness_of(size_bytes: int, read: Read) -> bytes:
    """Return a hash of the first and the last bytes of the first `size_bytes` bytes of a file."""
    first = read(0, min(WITNESS_BYTES, size_bytes))
    last = read(max(size_bytes - WITNESS_BYTES, 0), size_bytes)
    return blake2b(len(first).to_bytes(8, "big") + first + last, digest_size=_WITNESS).digest()


def _parts(stamp: FileStamp, machine: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return hashes of the file's identity, modification time, change time and metadata."""
    return (
        _hash(machine, _FILE, stamp.device, stamp.inode),
        _hash(b"modified", _MODIFIED, stamp.modified_ns),
        _hash(b"changed", _CHANGED, stamp.changed_ns),
        _hash(b"metadata", _METADATA, *stamp.metadata),
    )


def _hash(key: bytes, size_bytes: int, *numbers: int) -> bytes:
    return blake2b(" ".join(map(str, numbers)).encode(), key=key, digest_size=size_bytes).digest()
