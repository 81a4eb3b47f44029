"""A small SQLite database in the folder of a program's data, as tutorials have it."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

NAME = "notes.sqlite"
TABLE = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL)"


@contextmanager
def database(data: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction, which is committed in the end; rows by name."""
    path = (data or Path(os.environ["APPLICATION_DATA"])) / NAME
    with closing(sqlite3.connect(path, timeout=30.0)) as connection, connection:
        connection.row_factory = sqlite3.Row
        connection.execute(TABLE)
        yield connection


def titles(data: Path) -> dict[str, int]:
    """How many rows have each title."""
    with database(data) as connection:
        return Counter(row["title"] for row in connection.execute("SELECT title FROM notes"))
