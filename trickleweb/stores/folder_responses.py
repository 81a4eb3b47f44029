"""The response store of the replicas of one machine: a folder with a file for each response.

    identity            see `trickles.drivers.storedir`
    NAME.CLIENT         see `response_files`
    pages               see `file_pages`

All work that may wait for the disk is done on threads: writes, and reads of what is not in memory. The rest (the state
of a file, reads of what was just written) takes microseconds and is done at once.

`begin` makes no file: most responses to unsafe requests are short, and go elsewhere. It looks whether the folder can be
written now and whether there is room, after a sweep if necessary, so a program does not run for a response that cannot
be stored. What changes between `begin` and `start` is found by `start`. A writer that exceeds its promise when there is
no room waits for it: what is in use now need not be so in some seconds.

Readers of another process's response look at its file in short intervals while anyone waits, which may take a tenth of
the time at most: no notice can be lost, and none must be sent to processes that may be gone. Those of the same process
are woken by the writer.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from trickles.drivers.storedir import Identity, StoreDirectoryError, prepare
from trickles.errors import TricklesError
from trickles.stores import NO_STORE
from trickleweb.cache import LruCache
from trickleweb.errors import ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import Growth, ResponseBounds, StoredPart
from trickleweb.stores.folder_writer import FolderWriter, store_error
from trickleweb.stores.looking import Looks
from trickleweb.stores.response_files import FORM, MOST_READ_BYTES, StoredFile, WrittenFile, tag_of
from trickleweb.stores.response_room import Counted, ResponseAges, Room, file_name, swept
from trickleweb.stores.response_sweeps import Sweeps
from trickleweb.stores.waiters import Waiters

T = TypeVar("T")
_THREADS = 4
_MOST_OPEN = 256  # files of readers
_NAME_BYTES, _MOST_CLIENT_BYTES = 16, 16
_TOUCH_S = 2.0  # between two notes of the use of a file
_MOST_TOUCHED = 1 << 14  # names
_LEAST_FREE_BYTES = 1 << 20  # besides promises
_ON_A_THREAD = {errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL}  # not in memory, or not known on this file system
DEFAULT_BOUNDS, DEFAULT_AGES = ResponseBounds(), ResponseAges()


class FolderResponses:
    """A `ResponseStore` in files of mode 0600, in a folder of mode 0700 that is made when it is not there.

    `ResponseStoreUnavailable` when the folder cannot be used, is open to others or of another release; with `patient`
    only calls raise it, until the folder can be used. Each process opens its own, after forking, and uses it on one
    loop. Call `look` about each second. All processes need the same `clock`, which is never set.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        bounds: ResponseBounds = DEFAULT_BOUNDS,
        *,
        ages: ResponseAges = DEFAULT_AGES,
        clock: Callable[[], float] = time.monotonic,
        patient: bool = False,
    ) -> None:
        self._root = Path(path)
        self._clock = clock
        self._bounds = bounds
        self._identity = Identity(self._root, clock, FORM)
        self._ages = ages
        self._room = Room(bounds, ages)
        self._waiters = Waiters[bytes]()
        self._looks = Looks(self._waiters)
        self._threads = ThreadPoolExecutor(_THREADS, "responses")
        self._scratch = memoryview(bytearray(MOST_READ_BYTES))
        self._files: LruCache[bytes, StoredFile] = LruCache(_MOST_OPEN)
        self._touched: LruCache[bytes, float] = LruCache(_MOST_TOUCHED)  # the time of the last note
        self._writers: dict[bytes, FolderWriter] = {}
        self._sweeps = Sweeps(self._swept, self._room.recount, self._threads)
        self._closed = False
        self._store, self._tag = NO_STORE, b""
        self._prepared = False
        try:
            self._prepare()
            self._sweeps.first()
        except ResponseStoreUnavailable:
            if not patient:
                raise

    @property
    def store_id(self) -> bytes:
        """The identity of the folder; that of no store while it cannot be used."""
        return self._known(self._identity.current()) if self._prepared else NO_STORE

    async def begin(self, *, client: bytes) -> FolderWriter:
        name = secrets.token_bytes(_NAME_BYTES) + client[:_MOST_CLIENT_BYTES]
        promised = await self._admitted(lambda: self._admit(name[_NAME_BYTES:]), 0.0)
        more = partial(self._admitted, wait_s=self._ages.most_wait_s)
        make = partial(self._make, name)
        writer = FolderWriter(name, promised, self._room, self._bounds, self._threads, make, more, self._changed)
        self._writers[name] = writer
        return writer

    async def read(self, name: bytes, at: int, most: int) -> StoredPart | None:
        found = await self._found(name)
        if found is None:
            return None
        self.note_use(name)
        try:
            return found.part(at, most, wait=False)
        except OSError as error:
            if error.errno not in _ON_A_THREAD:
                raise store_error(error) from error
        return await self._threaded(lambda: found.part(at, most, wait=True))

    def note_use(self, name: bytes, *, over: bool = False) -> None:
        now, last = self._clock(), self._touched.get(name)
        if (over or last is None or now >= last + _TOUCH_S) and not self._closed:
            self._touched.put(name, now)
            self._threads.submit(self._touch, name, 0.0 if over else now)

    async def wait(self, name: bytes, beyond: int) -> None:
        found = await self._found(name)
        if found is None:
            return
        try:
            size, growth = found.state()
        except OSError as error:
            raise store_error(error) from error
        if growth is Growth.OPEN and size <= beyond:
            if name not in self._writers:
                self._looks.add(name, found, size)
            await self._waiters.wait(name)

    def look(self) -> None:
        """Notice a replaced folder, and on a thread count what all replicas have stored and remove what is old.

        Raise `ResponseStoreUnavailable` while a `patient` store waits for its folder.
        """
        if not self._prepared:
            self._prepare()
        self._known(self._identity.current())
        self._sweeps.look()
        while (item := self._files.oldest()) and self._is_idle(item[0]):  # a removed file takes room while it is open
            self._files.drop(item[0])

    def close(self) -> None:
        """Cut the responses that are not complete, once no thread works on them."""
        self._closed = True
        self._looks.close()
        self._sweeps.close()
        self._threads.shutdown()
        for writer in list(self._writers.values()):
            writer.let_go()
        self._files.clear()

    def _prepare(self) -> None:
        try:
            prepare(self._root, "stored responses")
        except StoreDirectoryError as error:
            raise ResponseStoreUnavailable(str(error)) from None
        self._known(self._identity.look())
        if isinstance(trouble := self._identity.trouble, TricklesError):  # an OSError may pass
            raise ResponseStoreUnavailable(str(trouble))
        self._prepared = True

    def _known(self, store_id: bytes) -> bytes:
        if store_id != self._store:
            self._store, self._tag = store_id, tag_of(store_id)
        return store_id

    def _check(self) -> None:
        """Raise the error of a folder in which nothing more can be stored now."""
        if self._closed:
            raise ResponseStoreUnavailable("stored responses: the store is closed")
        if not self._prepared:
            self._prepare()
        if not self._known(self._identity.look()):
            raise ResponseStoreUnavailable(f"stored responses: {self._identity.trouble}")
        try:
            disk, may_write = os.statvfs(self._root), os.access(self._root, os.W_OK | os.X_OK)
        except OSError as error:
            raise store_error(error) from error
        if disk.f_flag & os.ST_RDONLY or not may_write:
            raise ResponseStoreUnavailable(f"stored responses: {self._root} cannot be written")
        if disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES + self._room.promised_bytes:
            raise ResponseStoreFull(f"stored responses: the disk of {self._root} is full")

    def _admit(self, client: bytes) -> int:
        """Return the bytes that are promised to a response; raise `ResponseStoreError`."""
        self._check()
        return self._room.begin(client)

    async def _admitted(self, admit: Callable[[], T], wait_s: float) -> T:
        """Return the result of `admit`, called again after sweeps for so long while it raises `ResponseStoreFull`."""
        until_s, swept = time.monotonic() + wait_s, False
        while True:
            try:
                return admit()
            except ResponseStoreFull:
                if self._closed or (swept and time.monotonic() >= until_s):
                    raise
            await self._sweeps.fresh()
            swept = True

    def _make(self, name: bytes, head: bytes) -> WrittenFile:
        return WrittenFile(self._path(name), self._tag, head, self._clock)

    def _changed(self, writer: FolderWriter) -> None:
        if writer.is_closed:
            self._writers.pop(writer.name, None)
        self._waiters.wake((writer.name,))

    async def _found(self, name: bytes) -> StoredFile | None:
        """Return the open file of that response; None if it is not here."""
        found = self._files.get(name)
        if found is None and file_name(name):
            found = await self._threaded(lambda: self._opened(name))
            if found is not None:
                self._files.put(name, found)
        return found

    def _opened(self, name: bytes) -> StoredFile | None:
        try:
            return StoredFile(self._path(name), self._tag, self._scratch)
        except FileNotFoundError:
            return None

    def _path(self, name: bytes) -> str:
        return f"{self._root}/{file_name(name)}"

    async def _threaded(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise ResponseStoreUnavailable("stored responses: the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except OSError as error:
            raise store_error(error) from error

    def _swept(self) -> Counted:
        return swept(str(self._root), self._clock(), self._bounds, self._ages)

    def _touch(self, name: bytes, used_s: float) -> None:
        """Note the last use of a file, unless it is kept for long enough."""
        with suppress(OSError):
            found = StoredFile(self._path(name), self._tag, self._scratch)
            if self._room.is_kept(found.begun_s, self._clock()):
                found.touch(used_s)

    def _is_idle(self, name: bytes) -> bool:
        last = self._touched.get(name)
        return last is None or self._clock() - last > self._ages.least_idle_s
