"""Datasette over a database of 5,000 rows, with one query that writes."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from datasette.app import Datasette

DATABASE = Path(os.environ["APPLICATION_DATA"]) / "notes.sqlite"
ROWS = 5000
ADD = {"sql": "INSERT INTO notes (title, text) VALUES (:title, '')", "write": True}


def prepare() -> None:
    """Make the database."""
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, square INTEGER, word TEXT)")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, text TEXT)")
        numbers = ((each, each * each, f"word {each % 97}") for each in range(ROWS))
        connection.executemany("INSERT INTO numbers VALUES (?, ?, ?)", numbers)


if __name__ == "__main__":
    prepare()
else:
    app = Datasette(
        [str(DATABASE)],
        metadata={"databases": {"notes": {"queries": {"add": ADD}}}},
        secret="not secret: of a benchmark",
        settings={"max_returned_rows": ROWS + 1},
    ).app()
