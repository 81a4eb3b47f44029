"""Rows of the SQLite file that holds topics: each function is one transaction, on any connection to it.

`first`, `last` and `bytes` of a topic's row describe its entries, which have the numbers `first` to `last`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from trickleweb.topics import (
    PAGE_BYTES,
    TopicEntry,
    TopicLimits,
    TopicPage,
    TopicRange,
    TopicsFull,
    check_position,
)

_SWEPT_TOPICS = 1000  # in one call
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, incarnation TEXT NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS topics_at ON topics (at);
CREATE TABLE IF NOT EXISTS entries (
    serial INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL,
    data BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS entries_number ON entries (topic, number);
CREATE TABLE IF NOT EXISTS keys (
    topic INTEGER NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (topic, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_at ON keys (topic, at);
CREATE TABLE IF NOT EXISTS boots (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL);
"""
_Row = tuple[int, str, int, int, int]  # id, incarnation, first, last, bytes


def published(database: sqlite3.Connection, limits: TopicLimits, topic: str, data: bytes, key: str, now: int) -> int:
    """Append an entry, and return its number; with a known key, that of its entry. Raise `TopicsFull`."""
    with transaction(database):
        row = _row(database, topic)
        if row is not None and key:
            known = database.execute("SELECT number FROM keys WHERE topic = ? AND key = ?", (row[0], key))
            if (found := known.fetchone()) is not None:
                return int(found[0])
        topic_id, _, first, last, size = row or _added(database, limits, topic, now)
        number = last + 1
        database.execute(
            "INSERT INTO entries (topic, number, at, data) VALUES (?, ?, ?, ?)", (topic_id, number, now, data)
        )
        if key:
            database.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (topic_id, key, number, now))
        first, size = _trimmed(database, limits, topic_id, now, (first, number, size + len(data)))
        database.execute(
            "UPDATE topics SET first = ?, last = ?, bytes = ?, at = ? WHERE id = ?",
            (first, number, size, now, topic_id),
        )
        return number


def forget_old(database: sqlite3.Connection, limits: TopicLimits, now: int) -> None:
    """Forget topics whose entries and keys are all too old, some in each call."""
    with transaction(database):
        _forget(database, limits, now)


def changed_since(database: sqlite3.Connection, serial: int) -> list[str]:
    """Return the topics with entries after a serial number."""
    rows = database.execute(
        "SELECT DISTINCT name FROM entries JOIN topics ON topics.id = topic WHERE serial > ?", (serial,)
    )
    return [name for (name,) in rows]


@contextmanager
def transaction(database: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commit what the block does, or none of it."""
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            database.execute("ROLLBACK")
        raise


def _trimmed(
    database: sqlite3.Connection, limits: TopicLimits, topic_id: int, now: int, kept: tuple[int, int, int]
) -> tuple[int, int]:
    """Drop what exceeds the limits of one topic; return the first number kept, and the bytes."""
    first, last, size = kept
    rows = database.execute("SELECT number, at, length(data) FROM entries WHERE topic = ? ORDER BY number", (topic_id,))
    for oldest, at, length in rows:
        over = size > limits.topic_bytes or last - first >= limits.entries
        if not over and at >= now - limits.life:
            break
        first, size = oldest + 1, size - length
    rows.close()
    if first > kept[0]:
        database.execute("DELETE FROM entries WHERE topic = ? AND number < ?", (topic_id, first))
    database.execute("DELETE FROM keys WHERE topic = ? AND at < ?", (topic_id, now - limits.key_life))
    return first, size


def _added(database: sqlite3.Connection, limits: TopicLimits, topic: str, now: int) -> _Row:
    if _count(database) >= limits.topics:
        _forget(database, limits, now)
        if _count(database) >= limits.topics:
            raise TopicsFull(f"there are {limits.topics} topics already")
    incarnation = secrets.token_hex(4)
    made = database.execute(
        "INSERT INTO topics (name, incarnation, first, last, bytes, at) VALUES (?, ?, 1, 0, 0, ?)",
        (topic, incarnation, now),
    )
    assert made.lastrowid is not None
    return made.lastrowid, incarnation, 1, 0, 0


def _count(database: sqlite3.Connection) -> int:
    (count,) = database.execute("SELECT count(*) FROM topics").fetchone()
    return int(count)


def _forget(database: sqlite3.Connection, limits: TopicLimits, now: int) -> None:
    before = now - max(limits.life, limits.key_life)
    found = database.execute("SELECT id FROM topics WHERE at < ? LIMIT ?", (before, _SWEPT_TOPICS)).fetchall()
    for table, column in (("entries", "topic"), ("keys", "topic"), ("topics", "id")):
        database.executemany(f"DELETE FROM {table} WHERE {column} = ?", found)


def _row(database: sqlite3.Connection, topic: str) -> _Row | None:
    found: _Row | None = database.execute(
        "SELECT id, incarnation, first, last, bytes FROM topics WHERE name = ?", (topic,)
    ).fetchone()
    return found


def _range(row: _Row | None) -> TopicRange:
    return TopicRange() if row is None else TopicRange(*row[1:4])


def read(database: sqlite3.Connection, topic: str, after: int, most: int, incarnation: str) -> TopicPage:
    """Return a page of entries; see `Topics.read`."""
    with transaction(database, "DEFERRED"):
        row = _row(database, topic)
        kept = _range(row)
        check_position(topic, after, kept, incarnation)
        if row is None or after == kept.last:
            return TopicPage((), kept)
        found: list[TopicEntry] = []
        size = 0
        rows = database.execute(
            "SELECT number, data FROM entries WHERE topic = ? AND number > ? ORDER BY number LIMIT ?",
            (row[0], after, most),
        )
        for number, data in rows:
            size += len(data)
            if found and size > PAGE_BYTES:
                break
            found.append(TopicEntry(number, bytes(data)))
        rows.close()
        return TopicPage(tuple(found), kept)


def news_of(database: sqlite3.Connection, after: Mapping[str, int]) -> set[str]:
    """Return the topics whose last number is another one."""
    return {topic for topic, number in after.items() if _range(_row(database, topic)).last != number}


def kept_range(database: sqlite3.Connection, topic: str) -> TopicRange:
    """Return what a topic keeps."""
    return _range(_row(database, topic))


def last_serial(database: sqlite3.Connection) -> int:
    """Return the serial number of the latest entry, 0 if there is none."""
    (last,) = database.execute("SELECT coalesce(max(serial), 0) FROM entries").fetchone()
    return int(last)
