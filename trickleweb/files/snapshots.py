"""Contents that are not hashed yet: the first bytes of one file of one machine, so many as it had when first looked at.

A large file is served at once under such a name; its hash is worked out meanwhile, and then the same bytes have their
strong name. The name holds what another replica *on the same machine* needs to see that it reads the same file:

- which file it is: device and inode, hashed with the machine's boot, so that no other machine takes it for its own;
- in which state: size, mtime, ctime and metadata, judged as `stamps.same_bytes` does;
- whether it was being written to, and growing, at that first look;
- a witness: a hash of its first bytes and of its last.

A file that rested at the first look has these bytes while its stamp stands. Any other change makes another version of
it: a longer file may have been written in its middle too (`rsync --inplace`, a database), and no stamp tells. Only a
file that was *growing already* (a log, a recording) may go on to grow. What happens between two looks, and what holds:

===============================  ===========================  ============================================
change                           a file that rested           a file that was growing
===============================  ===========================  ============================================
more appended                    another version              read on
written in place                 another version              another version
written in place, and longer     another version              not seen unless it touches the witness
cut shorter                      another version              another version
cut, then written anew, longer   another version              another version, by the witness
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
    """How a file stands to a snapshot of it."""

    SAME = auto()
    GROWN = auto()  # it was growing then and is longer: the snapshot's bytes are its beginning, if the witness agrees
    OTHER = auto()


class FileSnapshot(NamedTuple):
    """A file as it was when first looked at: hashes of what its stamp said, its size, and its witness.

    `growing`: it was being appended to, so that more of it is no other version.
    """

    file: bytes
    size_bytes: int
    modified: bytes
    changed: bytes
    metadata: bytes
    witness: bytes
    growing: bool = False

    def name(self, path: str) -> str:
        """The content's name, for a file at `path`."""
        size = (self.size_bytes | (_GROWING if self.growing else 0)).to_bytes(_SIZE, "big")
        packed = b"".join((self.file, size, self.modified, self.changed, self.metadata, self.witness))
        return f"{MARK}{urlsafe_b64encode(packed).decode('ascii')}:{path}"


def snapshot_of(stamp: FileStamp, read: Read, machine: bytes, *, growing: bool) -> FileSnapshot:
    """The snapshot of a file in the state `stamp`, whose bytes `read(start, stop)` gives; `machine` names its boot."""
    parts = _parts(stamp, machine)
    return FileSnapshot(parts[0], stamp.size_bytes, *parts[1:], witness_of(stamp.size_bytes, read), growing)


def is_snapshot(name: str) -> bool:
    """Whether a content's name is one of a file that was not hashed."""
    return name.startswith(MARK)


def parse_snapshot(name: str) -> tuple[FileSnapshot, str]:
    """Split a content's name into snapshot and path; `BadContentName` if it is none."""
    text, colon, path = name.partition(":")
    if not colon or len(text) != 1 + _CHARS or not text.isascii() or not is_snapshot(text):
        raise BadContentName("no name of a file that is not hashed")
    try:
        packed = urlsafe_b64decode(text[1:])
    except ValueError as exc:
        raise BadContentName(str(exc)) from None
    if len(packed) != _BYTES:
        raise BadContentName("no name of a file that is not hashed")
    at, parts = 0, list[bytes]()
    for size in (_FILE, _SIZE, _MODIFIED, _CHANGED, _METADATA, _WITNESS):
        parts.append(packed[at : at + size])
        at += size
    file, packed_size, modified, changed, metadata, witness = parts
    size = int.from_bytes(packed_size, "big")
    growing, size_bytes = bool(size & _GROWING), size & (_GROWING - 1)
    return FileSnapshot(file, size_bytes, modified, changed, metadata, witness, growing), path


def match(snapshot: FileSnapshot, now: FileStamp, machine: bytes, *, held: bool) -> Match:
    """How a file with the stamp `now` stands to a snapshot; `held`: it has been open since the snapshot was taken."""
    file, modified, changed, metadata = _parts(now, machine)
    if file != snapshot.file or now.size_bytes < snapshot.size_bytes:
        return Match.OTHER
    if now.size_bytes > snapshot.size_bytes:
        return Match.GROWN if snapshot.growing else Match.OTHER
    explained = metadata != snapshot.metadata and (held or now.is_telling)
    return Match.SAME if modified == snapshot.modified and (changed == snapshot.changed or explained) else Match.OTHER


def witness_of(size_bytes: int, read: Read) -> bytes:
    """A hash of the first and the last bytes of the first `size_bytes` bytes of a file."""
    first = read(0, min(WITNESS_BYTES, size_bytes))
    last = read(max(size_bytes - WITNESS_BYTES, 0), size_bytes)
    return blake2b(len(first).to_bytes(8, "big") + first + last, digest_size=_WITNESS).digest()


def _parts(stamp: FileStamp, machine: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Hashes of which file it is, its modification time, its change time, and its metadata."""
    return (
        _hash(machine, _FILE, stamp.device, stamp.inode),
        _hash(b"modified", _MODIFIED, stamp.modified_ns),
        _hash(b"changed", _CHANGED, stamp.changed_ns),
        _hash(b"metadata", _METADATA, *stamp.metadata),
    )


def _hash(key: bytes, size_bytes: int, *numbers: int) -> bytes:
    return blake2b(" ".join(map(str, numbers)).encode(), key=key, digest_size=size_bytes).digest()
