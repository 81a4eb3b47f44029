"""The writer of one response in a folder: each step runs on a thread, and finishes there even if its task is cancelled.

So the file is closed only when no thread uses it: by `close`, or when the step that is running then is done.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from trickles.service import Buffer
from trickleweb.errors import ResponseStoreError, ResponseStoreFull, ResponseStoreUnavailable
from trickleweb.response_store import ResponseBounds
from trickleweb.stores.response_files import WrittenFile
from trickleweb.stores.response_room import Room

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FolderWriter:
    """A `ResponseWriter` that was promised so many bytes.

    `make` makes the file from the head, `admitted` makes a call once there is room, or raises `ResponseStoreFull`;
    `changed` is called after each step and at the end.
    """

    def __init__(
        self,
        name: bytes,
        promised: int,
        room: Room,
        bounds: ResponseBounds,
        threads: ThreadPoolExecutor,
        make: Callable[[bytes], WrittenFile],
        admitted: Callable[[Callable[[], None]], Awaitable[None]],
        changed: Callable[[FolderWriter], None],
    ) -> None:
        self.name = name
        self.is_closed = False
        self._is_gone = False
        self._is_begun = False  # it has a file, or never will
        self._client = name[16:]
        self._promised = promised
        self._room = room
        self._bounds = bounds
        self._threads = threads
        self._make = make
        self._admitted = admitted
        self._changed = changed
        self._file: WrittenFile | None = None
        self._byte_count = 0
        self._usable = True
        self._step: asyncio.Future[None] | None = None

    async def start(self, head: bytes) -> None:
        if len(head) > self._bounds.most_head_bytes:
            raise ResponseStoreFull("the head of a response exceeds its bound")

        def make() -> None:
            self._file = self._make(head)

        if self._is_begun:
            raise ResponseStoreUnavailable("this response has begun")
        await self._take(len(head), files=1)
        self._note_begun()
        await self._run(make)

    async def append(self, data: Buffer, *, last: bool = False) -> None:
        file = self._file
        if file is None or not self._usable:
            raise ResponseStoreUnavailable("this response has ended, or has not begun")
        await self._take(len(data))
        await self._run(lambda: file.append(data, last=last))
        if last:
            self._usable = False

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed, self._usable = True, False
        if self._step is not None and not self._step.done():
            self._step.add_done_callback(lambda _: self.let_go())
        else:
            self.let_go()

    def let_go(self) -> None:
        """Close the file, which no thread uses."""
        if self._is_gone:
            return
        self.is_closed, self._is_gone, self._usable = True, True, False
        if self._file is not None:
            self._file.close()
        self._note_begun()
        self._room.end(self._client, self._promised)
        self._changed(self)

    def _note_begun(self) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._room.started(self._client)

    async def _take(self, byte_count: int, files: int = 0) -> None:
        if self._byte_count + byte_count > self._bounds.most_bytes:
            raise ResponseStoreFull("a response exceeds the bound of one")
        promised = min(self._promised, byte_count)
        await self._admitted(lambda: self._room.take(self._client, byte_count, promised, files))
        self._promised -= promised
        self._byte_count += byte_count

    async def _run(self, step: Callable[[], None]) -> None:
        if not self._usable:
            raise ResponseStoreUnavailable("this response has ended")
        self._usable = False
        self._step = asyncio.get_running_loop().run_in_executor(self._threads, step)
        try:
            await asyncio.shield(self._step)
        except OSError as error:
            raise store_error(error) from error
        self._usable = not self.is_closed
        self._changed(self)


def store_error(error: OSError) -> ResponseStoreError:
    """Return the error of a response store for one of the file system."""
    kind = ResponseStoreFull if error.errno in _FULL else ResponseStoreUnavailable
    return kind(f"stored responses: {error}")
