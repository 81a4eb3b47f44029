"""Digests on disk, shared by the replicas of a machine, so that no file is hashed twice: SQLite tables by inode."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock

from trickleweb.files.contents import DIGEST_BYTES, Stamp

_COLUMNS = "device INTEGER, inode INTEGER, size_bytes INTEGER, modified_ns INTEGER, changed_ns INTEGER, digest BLOB"
_TABLE = "CREATE TABLE IF NOT EXISTS"
_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"{_TABLE} files ({_COLUMNS}, PRIMARY KEY (device, inode)) WITHOUT ROWID",
    f"{_TABLE} blocks ({_COLUMNS}, number INTEGER, PRIMARY KEY (device, inode, number)) WITHOUT ROWID",
)
_GET = "SELECT size_bytes, modified_ns, changed_ns, digest FROM files WHERE device = ? AND inode = ?"
_PUT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)"
_GET_BLOCK = (
    "SELECT size_bytes, modified_ns, changed_ns, digest FROM blocks WHERE device = ? AND inode = ? AND number = ?"
)
_PUT_BLOCK = "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)"
_FORGET_BLOCKS = "DELETE FROM blocks WHERE device = ? AND inode = ?"
_BLOCK_DIGEST_BYTES = 32
_WAIT_SECONDS = 0.05  # longer than any write of another replica; then the digest is worked out again instead
_SIGN = 1 << 63  # SQLite's integers are signed: device and inode numbers are not


class DigestIndex:
    """An index file that may be lost, spoilt or locked at any time: it then knows nothing. Threads may share it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = Lock()
        self._base = self._opened()

    def get(self, stamp: Stamp) -> bytes | None:
        """The digest noted for exactly this stamp."""
        return self._noted(stamp, DIGEST_BYTES, _GET, *_key(stamp))

    def put(self, stamp: Stamp, digest: bytes) -> None:
        """Note a digest, in place of what was noted of the same inode."""
        self._note(_PUT, *_key(stamp), *stamp[2:], digest)
        self._note(_FORGET_BLOCKS, *_key(stamp))

    def get_block(self, stamp: Stamp, number: int) -> bytes | None:
        """The SHA-256 noted for that block of a file with exactly this stamp."""
        return self._noted(stamp, _BLOCK_DIGEST_BYTES, _GET_BLOCK, *_key(stamp), number)

    def put_block(self, stamp: Stamp, number: int, digest: bytes) -> None:
        """Note a block's SHA-256."""
        self._note(_PUT_BLOCK, *_key(stamp), *stamp[2:], digest, number)

    def _noted(self, stamp: Stamp, size_bytes: int, query: str, *values: int) -> bytes | None:
        row = None
        if self._base is not None:
            with self._lock, suppress(sqlite3.Error):
                row = self._base.execute(query, values).fetchone()
        if row is None or tuple(row[:3]) != stamp[2:]:
            return None
        digest = row[3]
        return digest if isinstance(digest, bytes) and len(digest) == size_bytes else None

    def _note(self, statement: str, *values: object) -> None:
        if self._base is not None:
            with self._lock, suppress(sqlite3.Error):
                self._base.execute(statement, values)

    def close(self) -> None:
        """Let go of the file; nothing is known from then on."""
        with self._lock:
            base, self._base = self._base, None
            if base is not None:
                base.close()

    def _opened(self) -> sqlite3.Connection | None:
        """The table, made anew if what is there is none; None where nothing can be written."""
        try:
            return self._connected()
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink()
        except OSError:
            return None
        with suppress(OSError, sqlite3.Error):
            return self._connected()
        return None

    def _connected(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # who can write it can forge tags
        base = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for statement in _SCHEMA:
                base.execute(statement).close()
        except BaseException:
            base.close()
            raise
        return base


def _key(stamp: Stamp) -> tuple[int, int]:
    return stamp.device - _SIGN, stamp.inode - _SIGN
