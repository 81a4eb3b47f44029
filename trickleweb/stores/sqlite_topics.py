"""Topics of the replicas of one machine: a SQLite file, and datagrams by which its processes wake each other.

An entry is committed before others are woken, so that a process killed anywhere loses nothing that it returned. All
calls run one after another on one thread, so that a busy file never blocks the loop. Each entry has a serial number in
the whole file: a process that was woken asks for the topics of all serials it has not seen, in one query, and wakes
its tasks that wait for those. It asks from time to time without being woken, too (`LOOK_S`), as datagrams can be lost.

Without `durable` a power failure (not a process's death) may forget the last entries, and their numbers would be given
again. So the first process that opens the file after a boot gives all topics a new incarnation: readers get `TopicGap`
instead of other entries under known numbers. With `durable` an entry is on disk before its number is returned.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from trickles.drivers.ownership import PRIVATE, check_file, is_at
from trickles.drivers.world import wall_us
from trickles.errors import UnsafePlace
from trickleweb.stores.bells import Bell
from trickleweb.stores.database import opened
from trickleweb.stores.owners import alone
from trickleweb.stores.topic_rows import (
    SCHEMA,
    VERSION,
    changed_since,
    forget_old,
    kept_range,
    last_serial,
    news_of,
    published,
    read,
    transaction,
)
from trickleweb.stores.waiters import Waiters
from trickleweb.topics import (
    DEFAULT_TOPIC_LIMITS,
    TopicLimits,
    TopicPage,
    TopicRange,
    TopicsFull,
    TopicsUnavailable,
    check_entry,
    check_name,
    check_reading,
)

T = TypeVar("T")
_SWEEP_EVERY = 256  # entries published
LOOK_S = 0.25  # between looks that no datagram asked for, while tasks wait


class SqliteTopics:
    """`Topics` in one file, shared by any number of processes, with a folder `path-bells` next to it.

    Each process opens its own, after forking. A file that cannot be opened, was removed or replaced makes calls raise
    `TopicsUnavailable`; each call tries to open the file with its name again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = False,
        limits: TopicLimits = DEFAULT_TOPIC_LIMITS,
        clock_us: Callable[[], int] = wall_us,
        wait_s: float = 5.0,
    ) -> None:
        self._path = Path(path)
        self._durable = durable
        self._limits = limits
        self._clock_us = clock_us
        self._wait_s = wait_s
        self._waiters = Waiters[str]()
        self._thread = ThreadPoolExecutor(1, "topics")
        self._database: sqlite3.Connection | None = None
        self._bell: Bell | None = None
        self._status: os.stat_result | None = None
        self._seen = 0  # serial
        self._published = 0
        self._looking: asyncio.Task[None] | None = None
        self._process = os.getpid()
        self._closed = False

    async def publish(self, topic: str, data: bytes, key: str = "") -> int:
        check_entry(topic, data, key, self._limits)
        number = await self._call(lambda database: self._publish(database, topic, data, key))
        self._waiters.wake((topic,))
        return number

    async def read(self, topic: str, after: int, most: int, incarnation: str = "") -> TopicPage:
        check_reading(topic, after, most, self._limits)
        return await self._call(lambda database: read(database, topic, after, most, incarnation))

    async def kept(self, topic: str) -> TopicRange:
        check_name("topic", topic, self._limits)
        return await self._call(lambda database: kept_range(database, topic))

    async def wait(self, after: Mapping[str, int]) -> set[str]:
        for topic, number in after.items():
            check_reading(topic, number, 1, self._limits)
        while True:
            self._look_on()
            with self._waiters.waiting(after) as woken:
                news = await self._call(lambda database: news_of(database, after))
                if news:
                    return news
                await woken

    async def close(self) -> None:
        """Close the file; waiting tasks get `TopicsUnavailable`."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self._thread.submit(self._let_go).result()
        self._thread.shutdown()
        if self._bell is not None:
            self._bell.close()
        self._waiters.wake_all()

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise TopicsUnavailable("the topics are closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._worked, work)

    def _worked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._translated():
            return work(self._opened())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnsafePlace as exc:
            raise TopicsUnavailable(str(exc)) from exc
        except (sqlite3.Error, OSError) as exc:
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise TopicsFull(f"{self._path} is full: {exc}") from exc
            raise TopicsUnavailable(f"{self._path}: {exc}") from exc

    # On the thread

    def _opened(self) -> sqlite3.Connection:
        if os.getpid() != self._process:
            raise TopicsUnavailable("topics were inherited through a fork: open them in each process")
        if self._database is not None and self._status is not None:
            if is_at(self._path, self._status):
                return self._database
            self._let_go()
        check_file(self._path, PRIVATE)
        if self._bell is None:
            self._bell = Bell(self._path.with_name(self._path.name + "-bells"))
        with alone(self._path.parent):
            most = self._limits.total_bytes
            database = opened(self._path, schema=SCHEMA, version=VERSION, wait_s=self._wait_s, max_bytes=most)
        self._prepare(database)
        self._database, self._status = database, self._path.stat()
        self._seen = last_serial(database)
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        try:
            if self._durable:
                database.execute("PRAGMA synchronous = FULL")
            with transaction(database):
                boot = _boot_id()
                found = database.execute("SELECT id FROM boots").fetchone()
                if found is None or found[0] != boot:
                    database.execute("INSERT OR REPLACE INTO boots VALUES (1, ?)", (boot,))
                    if found is not None and not self._durable:
                        database.execute("UPDATE topics SET incarnation = lower(hex(randomblob(4)))")
        except BaseException:
            database.close()
            raise

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _publish(self, database: sqlite3.Connection, topic: str, data: bytes, key: str) -> int:
        now = self._clock_us()
        number = published(database, self._limits, topic, data, key, now)
        self._published += 1
        if self._published % _SWEEP_EVERY == 0:
            forget_old(database, self._limits, now)
        if self._bell is not None:
            self._bell.ring()
        return number

    def _fresh(self, database: sqlite3.Connection) -> list[str]:
        """Return the topics with entries that this process has not seen."""
        seen, self._seen = self._seen, last_serial(database)
        return changed_since(database, seen) if seen < self._seen else []

    # On the loop

    def _look_on(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Look for news, when woken or after a while, as long as tasks wait."""
        news, idle = asyncio.Event(), 0
        while idle < 2:
            with suppress(TimeoutError), _listening(self._bell, news.set):
                async with asyncio.timeout(LOOK_S):
                    await news.wait()
            news.clear()
            try:
                self._waiters.wake(await self._call(self._fresh))
            except (TopicsFull, TopicsUnavailable):
                self._waiters.wake_all()  # each gets the error
            idle = 0 if self._waiters.any else idle + 1


@contextmanager
def _listening(bell: Bell | None, wake: Callable[[], None]) -> Iterator[None]:
    """Call `wake` when the bell rings within the block; then it has been heard."""
    if bell is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(bell.fileno(), wake)
    try:
        yield
    finally:
        loop.remove_reader(bell.fileno())
        bell.heard()


def _boot_id() -> str:
    """Return the name of the machine's current boot, "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
