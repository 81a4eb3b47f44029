"""The notes in SQLite: one file for all replicas, one connection for each thread."""

from __future__ import annotations

import sqlite3
import threading
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, text TEXT NOT NULL, key TEXT UNIQUE NOT NULL
)
"""


class Note(NamedTuple):
    """A row."""

    number: int
    text: str


class Store:
    """Opened at its first use, so that importing the application makes no file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def of(self, user: str) -> list[Note]:
        """A user's notes, the latest first."""
        rows = self._database.execute("SELECT number, text FROM notes WHERE user = ? ORDER BY number DESC", (user,))
        return [Note(*row) for row in rows]

    def add(self, user: str, text: str, *, key: str) -> None:
        """Keep a note; one whose key is there already is kept already."""
        self._database.execute("INSERT OR IGNORE INTO notes (user, text, key) VALUES (?, ?, ?)", (user, text, key))

    def delete(self, user: str, number: int) -> bool:
        """Drop a note; False if the user has none of that number."""
        done = self._database.execute("DELETE FROM notes WHERE user = ? AND number = ?", (user, number))
        return done.rowcount == 1

    @property
    def _database(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "database", None)
        if known is None:
            known = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            known.execute("PRAGMA journal_mode = WAL")
            known.execute(_SCHEMA)
            self._local.database = known
        return known
