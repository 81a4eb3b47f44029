"""A file of claims that processes of one machine share: SQLite in WAL mode (https://sqlite.org/wal.html).

A claim is one INSERT that succeeds once. A dead process leaves a row without a plan whose owner no longer holds its
lock (see `owners`), which is `Lost` to all others at once. With `durable` a claim is on disk before it is returned, so
a power failure forgets none; without, a power failure (not a process's death) may forget the last ones, whose work may
then be done again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from trickles.drivers.ownership import PRIVATE, check_directory, check_file, is_at
from trickles.errors import UnsafePlace
from trickles.stores import NO_STORE, STORE_ID_BYTES
from trickleweb.ledger import Claim, Done, LedgerUnavailable, LedgerUnwritable, Lost, New, Pending
from trickleweb.stores.claim_rows import KEEP, PLAN_BYTES, check_plan
from trickleweb.stores.database import opened
from trickleweb.stores.owners import Owner, alone, is_alive, sweep

_VERSION = 1  # PRAGMA user_version; 0 is a new file
_CLAIMS_PER_SWEEP = 256
_SWEPT_ROWS = 1000
_LASTING = {  # primary codes, https://sqlite.org/rescode.html: the statement changed nothing
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB
}  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, owner TEXT NOT NULL, at INTEGER NOT NULL, plan BLOB);
CREATE INDEX IF NOT EXISTS claims_at ON claims (at);
CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL);
"""


class LedgerFile:
    """Claims in one file, shared by any number of processes and threads, with a folder `path-owners` next to it.

    Its methods block, and do what those of `trickleweb.ledger.Ledger` do. A copy of the file is another ledger, with
    another `store_id`, except in a copy of the whole file system. Each process opens its own, after forking. `wait_s`
    bounds how long a call waits for another process's write. After the file is removed or replaced, calls raise
    `LedgerUnavailable` until `look` has opened the one with its name, which has another `store_id`. With `patient` a
    file that cannot be opened at first is no error yet: calls raise `LedgerUnwritable` until a `look` has opened it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = True,
        wait_s: float = 5.0,
        max_bytes: int = 1 << 30,
        max_plan_bytes: int = PLAN_BYTES,
        keep: int = KEEP,
        patient: bool = False,
    ) -> None:
        self._path = Path(path)
        self._wait_s = wait_s
        self._max_bytes = max_bytes
        self._max_plan_bytes = max_plan_bytes
        self._keep = keep
        self._durable = durable
        self._claims = 0
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._owners = self._path.with_name(self._path.name + "-owners")
        self._open: _Open | None = None
        self._closed = False
        try:
            self.look()
        except LedgerUnavailable:
            if not patient:
                raise

    def close(self) -> None:
        """Close the file; claims of this process that are not completed become lost."""
        with self._lock:
            self._closed = True
            self._let_go()

    def claim(self, key: bytes, *, now: int) -> Claim:
        return self.claims(((key, now),))[0]

    def claims(self, asked: Sequence[tuple[bytes, int]]) -> list[Claim]:
        """Claim keys, each at its time, in one transaction: all of them, or none when it raises."""
        with self._exclusive():
            self._sweep_sometimes(asked[0][1], len(asked))
            self._sync("FULL")
            with self._transaction():
                return [self._claimed(key, now) for key, now in asked]

    def _claimed(self, key: bytes, now: int) -> Claim:
        claimed = self._execute("INSERT OR IGNORE INTO claims (key, owner, at) VALUES (?, ?, ?)", key, self._owner, now)
        if claimed.rowcount == 1:
            return New()
        return self._standing(*self._execute("SELECT owner, plan FROM claims WHERE key = ?", key).fetchone())

    def adopt(self, key: bytes, *, now: int) -> Claim:
        with self._exclusive():
            self._sync("FULL")
            row = self._execute("SELECT owner, plan FROM claims WHERE key = ?", key).fetchone()
            if row is not None and not isinstance(standing := self._standing(*row), Lost):
                return standing
            if row is not None and self._take_over(key, row[0], now):
                return New()
        return self.claim(key, now=now)  # another process was faster

    def find(self, key: bytes) -> Done | None:
        with self._exclusive():
            row = self._execute("SELECT plan FROM claims WHERE key = ? AND plan IS NOT NULL", key).fetchone()
            return None if row is None else Done(bytes(row[0]))

    def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        """Complete a claim; raise `StateTooLarge` for a plan over `max_plan_bytes`, which is not stored."""
        self.check_plan(plan)
        return self.completes(((key, plan, now),))[0]

    def check_plan(self, plan: bytes) -> None:
        """Raise `StateTooLarge` for a plan that a row does not hold."""
        check_plan(plan, self._max_plan_bytes)

    def completes(self, given: Sequence[tuple[bytes, bytes, int]]) -> list[bytes]:
        """Complete keys, each with its plan and time, in one transaction: all of them, or none when it raises."""
        with self._exclusive():
            self._sync("NORMAL")  # a power failure may lose it: the claim stays, never done again
            with self._transaction():
                return [self._completed(*each) for each in given]

    def _completed(self, key: bytes, plan: bytes, now: int) -> bytes:
        self._execute(
            "INSERT INTO claims (key, owner, at, plan) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET plan = excluded.plan, at = excluded.at WHERE plan IS NULL",
            key, self._owner, now, plan,
        )  # fmt: skip
        return bytes(self._execute("SELECT plan FROM claims WHERE key = ?", key).fetchone()[0])

    def release(self, key: bytes) -> None:
        with self._exclusive():
            self._execute("DELETE FROM claims WHERE key = ? AND owner = ? AND plan IS NULL", key, self._owner)

    def expire(self, *, before: int) -> int:
        """Forget old rows; claims do it too, some rows at a time, after `keep` microseconds."""
        with self._exclusive():
            return self._execute("DELETE FROM claims WHERE at < ?", before).rowcount

    def _standing(self, owner: str, plan: bytes | None) -> Claim:
        if plan is not None:
            return Done(bytes(plan))
        return Pending() if owner == self._owner or is_alive(self._owners, owner) else Lost()

    def _take_over(self, key: bytes, owner: str, now: int) -> bool:
        taken = self._execute(
            "UPDATE claims SET owner = ?, at = ? WHERE key = ? AND owner = ? AND plan IS NULL",
            self._owner, now, key, owner,
        )  # fmt: skip
        return taken.rowcount == 1

    def _sweep_sometimes(self, now: int, claims: int) -> None:
        self._claims += claims
        if self._claims >= _CLAIMS_PER_SWEEP:
            self._claims = 0
            self._execute(
                "DELETE FROM claims WHERE rowid IN (SELECT rowid FROM claims WHERE at < ? LIMIT ?)",
                now - self._keep, _SWEPT_ROWS,
            )  # fmt: skip

    def _sync(self, level: str) -> None:
        if self._durable:
            self._execute(f"PRAGMA synchronous = {level}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Do the statements within as one, that of no other process between them."""
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._open is not None and self._open.database.in_transaction:
                self._execute("ROLLBACK")
            raise

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._open is not None
        return self._open.database.execute(statement, values)

    @property
    def _owner(self) -> str:
        assert self._open is not None
        return self._open.owner.name

    @property
    def store_id(self) -> bytes:
        """The identity of the ledger; that of no store while no file could be opened."""
        opened = self._open
        return NO_STORE if opened is None else opened.store_id

    def look(self) -> None:
        """Open the file with the ledger's name, unless it is open; call it about each second. Raise
        `LedgerUnavailable`.
        """
        with self._lock, self._translated():
            if not (self._closed or (self._open is not None and is_at(self._path, self._open.status))):
                self._let_go()
                self._reopen()

    def _reopen(self) -> None:
        check_file(self._path, PRIVATE)
        self._owners.mkdir(mode=0o700, exist_ok=True)
        check_directory(self._owners, PRIVATE)
        with alone(self._owners):  # see `opened`
            database = opened(
                self._path, schema=_SCHEMA, version=_VERSION, wait_s=self._wait_s, max_bytes=self._max_bytes
            )
            try:
                sweep(self._owners)
                identity = _identity(database, self._path)
                self._open = _Open(database, Owner(self._owners), identity, self._path.stat())
            except BaseException:
                database.close()
                raise

    def _let_go(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            opened.database.close()
            opened.owner.close()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if os.getpid() != self._process:
            raise LedgerUnavailable("a ledger was inherited through a fork: open one in each process")
        with self._lock, self._translated():
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            if self._open is None:
                raise LedgerUnwritable(f"{self._path} cannot be opened yet")
            if not is_at(self._path, self._open.status):
                raise LedgerUnavailable(f"{self._path} was removed or replaced")
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnsafePlace as exc:
            raise LedgerUnwritable(str(exc)) from exc
        except (sqlite3.Error, OSError) as exc:
            kind = LedgerUnwritable if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _LASTING else LedgerUnavailable
            raise kind(f"{self._path}: {exc}") from exc


class _Open(NamedTuple):
    """The open file, this process's owner file, and the identity of both."""

    database: sqlite3.Connection
    owner: Owner
    store_id: bytes
    status: os.stat_result


def _identity(database: sqlite3.Connection, path: Path) -> bytes:
    """Return the ledger's `store_id`: random bytes in it, mixed with its inode; a copy is another file."""
    database.execute("INSERT OR IGNORE INTO identity VALUES (1, ?)", (secrets.token_bytes(STORE_ID_BYTES),))
    (kept,) = database.execute("SELECT id FROM identity").fetchone()
    return hashlib.sha256(b"trickleweb 1 ledger" + bytes(kept) + path.stat().st_ino.to_bytes(8, "big")).digest()
