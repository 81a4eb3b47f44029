"""SQLite files that processes share: opened privately, in WAL mode (https://sqlite.org/wal.html), of one release."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path


class OtherRelease(sqlite3.DatabaseError):
    """The file was made by another release."""


def opened(path: Path, *, schema: str, version: int, wait_s: float, max_bytes: int) -> sqlite3.Connection:
    """Return the database, private to its user, with that schema; raise sqlite3.Error or OSError.

    Two processes that set WAL mode at once conflict: exclude others. `version` is its user_version; 0 is a new file.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # One connection for all threads of the process, one at a time; autocommit, so that a statement is a transaction.
    database = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL").fetchall()
        database.execute("PRAGMA synchronous = NORMAL")
        (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
        database.execute(f"PRAGMA max_page_count = {max_bytes // page_bytes}").fetchall()
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in (0, version):
            raise OtherRelease(f"of another release ({found}): remove it when all replicas have stopped")
        database.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
    except BaseException:
        database.close()
        raise
    return database
