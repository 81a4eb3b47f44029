"""The reading side of a spool in Redis: indexes are looked at, and blocks fetched, while those who asked wait.

`holds` is answered from the known index if it has all of the range and the server had it within the last second; else
the index is read again, from where it is known. An answer "not there" counts only in the moment after a reading that
began when it was asked for: a piece may have been written through another replica just before.

Blocks of input are fetched in `BLOCK_BYTES`, the next one ahead of a reader; a bounded number is kept. Methods may be
called on any thread; tasks run on the loop.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from trickles.errors import InputBusy
from trickles.promise import Promise
from trickles.spool import STORE_BYTES
from trickleweb.stores.redis.driver import Command, RedisAway
from trickleweb.stores.redis.link import RedisLink
from trickleweb.stores.redis.spool_logs import INDEX_BYTES, RedisLog
from trickleweb.stores.redis.spool_scripts import INDEX

BLOCK_BYTES = 2 << 20  # some milliseconds of a server's time
MOST_BLOCKS = 48  # kept, of all owners
FRESH_S = 1.0
PAUSE_S = 0.1  # before those who wait ask again while the server is away
MOST_LOGS = 4096
_FORGET_EVERY = 1024  # calls


class SpoolReader:
    """Indexes and blocks of all owners; `mark` is the identity of the store that they are of."""

    def __init__(self, link: RedisLink, *, most_indexed: int) -> None:
        self.mark = b""
        self.lock = threading.RLock()
        self._link = link
        self._root = link.key("")
        self._most_indexed = most_indexed
        self._logs: dict[bytes, RedisLog] = {}  # the latest used last
        self._blocks: deque[tuple[RedisLog, int]] = deque()
        self._calls = 0
        self._asked: dict[bytes, Promise[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def log(self, owner: bytes) -> RedisLog:
        """Return the log of an owner, empty if nothing is known of it."""
        log = self._logs.pop(owner, None) or RedisLog()
        self._logs[owner] = log
        self._calls += 1
        if self._calls % _FORGET_EVERY == 0:
            self._forget_some()
        return log

    def _forget_some(self) -> None:
        known = sum(each.extents.count for each in self._logs.values())
        while len(self._logs) > 1 and (len(self._logs) > MOST_LOGS or known > self._most_indexed):
            known -= self._logs.pop(next(iter(self._logs))).extents.count

    def note_mark(self, mark: bytes) -> None:
        """Take the identity that a step at the server found; all knowledge of another store goes."""
        if mark != self.mark:
            self.mark = mark
            self._logs.clear()

    def is_fresh(self, log: RedisLog) -> bool:
        """Return True if the server had the log within the last second."""
        return time.monotonic() - log.checked_at < FRESH_S

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        log = self.log(owner)
        covered = log.extents.has(start, stop - start)
        if covered and (log.just_read or self.is_fresh(log)):
            return True
        if log.just_read and log.complete:
            return covered
        raise InputBusy("the index is being read", self.look(owner))

    def read(self, owner: bytes, start: int, stop: int) -> bytes:
        log = self.log(owner)
        reach = log.extents.reach(start, stop)
        if reach < stop and not (log.complete and self.is_fresh(log)):
            raise InputBusy("the index is being read", self.look(owner))
        if (at := log.missing(start, reach)) < reach:
            raise InputBusy("input is being fetched", self._fetch(owner, log, at))
        data = log.part(start, reach)
        ahead = log.missing(reach, min(log.extents.reach(reach, reach + BLOCK_BYTES), reach + BLOCK_BYTES // 2))
        if ahead < log.extents.reach(reach, reach + BLOCK_BYTES // 2):
            self._fetch(owner, log, ahead)
        return data

    def look(self, owner: bytes) -> Promise[None]:
        """Read the index of an owner, from now on; the promise is resolved when it was read, or could not be."""
        promise = self._asked.setdefault(owner, Promise())
        self._on_loop(self._look_on)
        return promise

    async def close(self) -> None:
        """End all reading."""
        tasks = [*self._tasks, *([self._looking] if self._looking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_loop(self, call: Callable[[], object]) -> None:
        if threading.get_ident() == self._thread:
            call()
        else:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(call)

    def _look_on(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = self._loop.create_task(self._look())

    async def _look(self) -> None:
        while self._asked:
            with self.lock:
                asked, self._asked = self._asked, {}
                commands = [self._index_command(owner) for owner in asked]
            replies: list[Any] = []
            try:
                replies = await self._link.call(*commands)
            except RedisAway:
                await asyncio.sleep(PAUSE_S)
            finally:
                self._looked(asked, replies)

    def _index_command(self, owner: bytes) -> Command:
        log = self.log(owner)
        fresh = secrets.token_bytes(STORE_BYTES)
        known = (log.gen, log.index_bytes, INDEX_BYTES)
        return ("EVAL", INDEX, 1, self._link.key("id"), self._root, owner, *known, fresh)

    def _looked(self, asked: dict[bytes, Promise[None]], replies: list[Any]) -> None:
        """Take indexes, and let those who wait go on, one after another."""
        for reply in replies:
            self.note_mark(reply[0])
        for at, (owner, promise) in enumerate(asked.items()):
            log = self.log(owner)
            if replies:
                self._indexes(log, replies[at])
            log.just_read = bool(replies)
            promise.resolve(None)
            log.just_read = False

    def _indexes(self, log: RedisLog, reply: list[Any]) -> None:
        with self.lock:
            if len(reply) == 1:  # no such log
                log.begin(b"")
                log.complete = True
            else:
                _, gen, entries, size = reply
                log.add(gen, log.index_bytes if gen == log.gen else 0, entries)
                log.complete = log.index_bytes >= size
            log.checked_at = time.monotonic()

    def _fetch(self, owner: bytes, log: RedisLog, start: int) -> Promise[None]:
        """Fetch a block from `start` on; the promise is resolved when it is here, or could not be fetched."""
        known = log.fetching.get(start)
        if known is not None:
            return known
        promise = log.fetching[start] = Promise[None]()
        stop = log.extents.reach(start, start + BLOCK_BYTES)
        self._on_loop(lambda: self._begin(self._fetched(owner, log, start, stop)))
        return promise

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetched(self, owner: bytes, log: RedisLog, start: int, stop: int) -> None:
        gen, mark, root = log.gen, self.mark, self._root.encode()
        try:
            with self.lock:
                stretches = log.stretches(start, stop)
            names = [b":".join((root + b"d", owner, gen, b"%d" % each.chunk)) for each in stretches]
            ranges: list[Command] = [
                ("GETRANGE", name, each.start, each.stop - 1) for name, each in zip(names, stretches, strict=True)
            ]
            found, *parts = await self._link.call(("GET", self._link.key("id")), *ranges)
            with self.lock:
                self._take(log, start, stop, parts if found == mark == self.mark and gen == log.gen else [])
        except RedisAway:
            await asyncio.sleep(PAUSE_S)
        finally:
            promise = log.fetching.pop(start)
            promise.resolve(None)

    def _take(self, log: RedisLog, start: int, stop: int, parts: list[bytes]) -> None:
        """Keep a block; where bytes are missing, the log was dropped, and its index is read again."""
        data = b"".join(parts)
        if len(data) != stop - start:
            log.begin(b"")
            log.checked_at = float("-inf")
            return
        log.blocks.append((start, data))
        self._blocks.append((log, start))
        while len(self._blocks) > MOST_BLOCKS:
            oldest, offset = self._blocks.popleft()
            oldest.blocks[:] = [each for each in oldest.blocks if each[0] != offset]
