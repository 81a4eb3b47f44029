"""Digests on disk, shared by the replicas of a machine so that no file is hashed twice: SQLite tables by inode."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from trickleweb.files.digests import Hashes
from trickleweb.files.stamps import FileStamp, same_bytes, stamp_of_state

_FILE = "device INTEGER, inode INTEGER, state BLOB, digest BLOB"
_TABLE = "CREATE TABLE IF NOT EXISTS"
_WAIT_SECONDS = 0.05  # longer than any write of another replica; then the digest is computed instead
_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "DROP TABLE IF EXISTS files",  # of earlier releases, whose columns could not hold every time
    "DROP TABLE IF EXISTS blocks",
    f"{_TABLE} hashed ({_FILE}, blocks BLOB, PRIMARY KEY (device, inode)) WITHOUT ROWID",
    f"{_TABLE} hashed_blocks ({_FILE}, number INTEGER, PRIMARY KEY (device, inode, number)) WITHOUT ROWID",
    f"PRAGMA busy_timeout = {int(_WAIT_SECONDS * 1000)}",
)
_GET = "SELECT state, digest, blocks FROM hashed WHERE device = ? AND inode = ?"
_PUT = "INSERT OR REPLACE INTO hashed VALUES (?, ?, ?, ?, ?)"
_GET_BLOCK = "SELECT state, digest FROM hashed_blocks WHERE device = ? AND inode = ? AND number = ?"
_PUT_BLOCK = "INSERT OR REPLACE INTO hashed_blocks VALUES (?, ?, ?, ?, ?)"
_FORGET_BLOCKS = "DELETE FROM hashed_blocks WHERE device = ? AND inode = ?"
_BLOCK_DIGEST_BYTES = 32
_SIGN = 1 << 63  # SQLite's integers are signed: device and inode numbers are not


class DigestIndex:
    """An index file that may be lost, corrupt or locked at any time: it is then empty. Thread-safe.

    Reads have a connection of their own, so that none waits for a write, which may wait for other processes.
    """

    def __init__(self, path: str | os.PathLike[str], *, patience_seconds: float = 2.0) -> None:
        """Open the file at `path`, which others may lock for `patience_seconds`: all replicas open it at once."""
        self._path, self._patience_seconds = Path(path), patience_seconds
        self._writing, self._reading = Lock(), Lock()
        self._writer = self._opened()
        self._reader = None if self._writer is None else self._connected()

    def get(self, stamp: FileStamp) -> Hashes | None:
        """Return the hashes noted for a file that, by its stamp, has the same bytes; note them for this stamp."""
        state, *found = self._row(_GET, *_key(stamp)) or (None,)
        noted = stamp_of_state(stamp.device, stamp.inode, state) if isinstance(state, bytes) else None
        if noted is None or not same_bytes(noted, stamp) or not all(isinstance(each, bytes) for each in found):
            return None
        hashes = Hashes(*found)
        if not hashes.is_whole:
            return None
        if noted != stamp:
            self.put(stamp, hashes)
        return hashes

    def put(self, stamp: FileStamp, hashes: Hashes) -> None:
        """Note a file's hashes, replacing those of the same inode."""
        self._note(_PUT, *_key(stamp), stamp.state(), *hashes)
        self._note(_FORGET_BLOCKS, *_key(stamp))

    def get_block(self, stamp: FileStamp, number: int) -> bytes | None:
        """Return the SHA-256 noted for that block of a file with exactly this stamp."""
        state, digest = self._row(_GET_BLOCK, *_key(stamp), number) or (None, None)
        usable = state == stamp.state() and isinstance(digest, bytes) and len(digest) == _BLOCK_DIGEST_BYTES
        return digest if usable else None

    def put_block(self, stamp: FileStamp, number: int, digest: bytes) -> None:
        self._note(_PUT_BLOCK, *_key(stamp), stamp.state(), digest, number)

    def _row(self, query: str, *values: int) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = None
        with self._reading, suppress(sqlite3.Error):
            if self._reader is not None:
                row = self._reader.execute(query, values).fetchone()
        return row

    def _note(self, statement: str, *values: object) -> None:
        with self._writing, suppress(sqlite3.Error):
            if self._writer is not None:
                self._writer.execute(statement, values)

    def close(self) -> None:
        """Close the file; nothing is known from then on."""
        with self._reading, self._writing:
            for base in filter(None, (self._reader, self._writer)):
                base.close()
            self._reader = self._writer = None

    def _opened(self) -> sqlite3.Connection | None:
        """Return a connection to the tables, created again if the file is corrupt; None where it cannot be written."""
        for _ in range(2):
            try:
                return self._prepared()
            except (OSError, sqlite3.OperationalError):  # locked or not writable: no reason to drop it
                return None
            except sqlite3.DatabaseError:
                with suppress(OSError):
                    self._path.unlink()
        return None

    def _prepared(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its writers can forge tags
        base = self._connected(self._patience_seconds)
        try:
            for statement in _SCHEMA:
                base.execute(statement).close()
        except BaseException:
            base.close()
            raise
        return base

    def _connected(self, wait_seconds: float = _WAIT_SECONDS) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=wait_seconds, isolation_level=None, check_same_thread=False)


def _key(stamp: FileStamp) -> tuple[int, int]:
    return stamp.device - _SIGN, stamp.inode - _SIGN
