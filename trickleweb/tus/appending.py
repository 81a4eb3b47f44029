"""Append the body of a request to an upload: once, however often and on whichever replicas the request runs.

A request is known by its `Writer`. Where the record already names it, the bytes up to the offset are its own, and the
run goes on after them; else its first byte must be at the offset. What has arrived is committed every few MiB, and at
the end of the input, whatever ends it; with a checksum nothing is committed before it is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from trickleweb.errors import HTTPError
from trickleweb.messages import Length, NoBody
from trickleweb.request import Request
from trickleweb.tus.fields import Checksum
from trickleweb.tus.uploads import NO_WRITER, Finish, OpenUpload, UploadLocked, UploadRecord, UploadStore, Writer

COMMIT_BYTES = 8 << 20  # between two commits, of some 10 ms each
_PIECE_BYTES = 1 << 18  # written at once; smaller ones are joined
_PAUSE_S, _PATIENT_TRIES = 0.05, 100  # 5 s for another request: it ends soon, or its replica has died
MISMATCH = 460  # of a checksum, by tus


class WrongOffset(HTTPError):
    """409: the request does not begin where the upload ends."""

    def __init__(self, record: UploadRecord) -> None:
        at = (("Upload-Offset", str(record.offset)),)
        super().__init__(409, f"The upload has {record.offset} bytes.", headers=at)


class Append(NamedTuple):
    """The terms of a request that appends; `length` is None unless it sets that of the upload.

    `completes` of an open upload: it is complete after this body, or not; None where its length decides.
    """

    start: int
    length: int | None = None
    checksum: Checksum | None = None
    completes: bool | None = None


def begun(record: UploadRecord, append: Append, key: str, body_bytes: int | None) -> UploadRecord:
    """Return the record as this request finds it, with its writer; raise `HTTPError` for one that does not fit."""
    if record.parts:
        raise HTTPError(403, "A concatenation takes no bytes.")
    writer = Writer(key, append.start)
    if record.writer != writer and record.offset != append.start:
        raise WrongOffset(record)
    if append.completes is not None and record.is_complete and record.writer != writer:
        raise HTTPError(400, "The upload is complete.")
    stop = None if body_bytes is None else append.start + body_bytes
    length = next(
        (each for each in (append.length, stop if append.completes else None, record.length) if each is not None), None
    )
    if record.length not in (None, length) or (append.completes and stop not in (None, length)):
        raise HTTPError(400, "The length of an upload does not change.")
    if length is not None and max(stop or 0, record.offset) > length:
        raise HTTPError(413, f"The upload is longer than its length, {length} bytes.")
    return replace(record, writer=writer, length=length)


def announced_bytes(request: Request) -> int | None:
    """Return the length of a body, None for one in chunks."""
    match request.head.framing:
        case Length(byte_count):
            return byte_count
        case NoBody():
            return 0
    return None


async def appended(store: UploadStore, name: str, append: Append, request: Request, finish: Finish) -> UploadRecord:
    """Return the record of an upload with the body of the request appended, as far as it has arrived.

    Raise `HTTPError`: 409, 413, or 460 for a body of another checksum; and the errors of the store.
    """
    async with opened(store, name, wait=request.is_whole) as upload:
        record = begun(upload.record, append, request.idempotency_key, announced_bytes(request))
        expires_s = None if record.is_finished else request.now // 1_000_000 + store.limits.age_s
        await _Appending(upload, replace(record, expires_s=expires_s), append).run(request)
        return await settled(upload, finish)


class _Appending:
    def __init__(self, upload: OpenUpload, record: UploadRecord, append: Append) -> None:
        self._upload = upload
        self._record = record
        self._append = append
        self._end = record.offset

    async def run(self, request: Request) -> None:
        checksum = self._append.checksum
        if checksum is None or self._end > self._append.start:  # then it was verified
            try:
                await self._written(request)
                if request.is_whole and self._append.completes:
                    self._complete()
            finally:
                await self._commit()
        elif request.is_whole:
            digest = checksum.new()
            await self._written(request, digest.update)
            if digest.digest() != checksum.digest:
                raise HTTPError(MISMATCH, "The body has another checksum.")
            await self._commit()

    def _complete(self) -> None:
        """Note that the client has sent the last byte of an open upload."""
        if self._record.length not in (None, self._end):
            raise HTTPError(400, "The upload has another length than its client said.")
        self._record = replace(self._record, length=self._end, is_open=False)

    async def _written(self, request: Request, feed: Callable[[bytes], None] | None = None) -> None:
        """Write the body as it comes; if it breaks off, what came before."""
        waiting, size = [], 0
        try:
            async with aclosing(request.stream(self._end - self._append.start)) as pieces:
                async for piece in pieces:
                    waiting.append(piece)
                    size += len(piece)
                    if size >= _PIECE_BYTES:
                        joined, waiting, size = b"".join(waiting), [], 0
                        await self._write(joined, feed)
        finally:
            if waiting:
                await self._write(b"".join(waiting), feed)

    async def _write(self, data: bytes, feed: Callable[[bytes], None] | None) -> None:
        def on_thread() -> None:
            if feed is not None:
                feed(data)
            self._upload.write(data)

        await asyncio.to_thread(on_thread)
        self._end += len(data)
        if feed is None and self._end - self._record.offset >= COMMIT_BYTES:
            await self._commit()

    async def _commit(self) -> None:
        self._record = replace(self._record, offset=self._end)
        await asyncio.to_thread(self._upload.commit, self._record)


async def overtaken(upload: OpenUpload) -> UploadRecord:
    """Return the record of a locked upload, after which no earlier request appends to it."""
    record = upload.record
    if record.is_complete or record.writer == NO_WRITER:
        return record
    await asyncio.to_thread(upload.commit, fresh := replace(record, writer=NO_WRITER))
    return fresh


async def settled(upload: OpenUpload, finish: Finish) -> UploadRecord:
    """Return the record of a locked upload, passed to the application first if it has just become complete.

    The upload is unfinished until `finish` returns: if it raises, or its replica dies, the next request calls it again.
    """
    record = upload.record
    if not record.is_due:
        return record
    done = replace(record, is_finished=True, expires_s=None)

    def on_thread() -> None:
        finish(record)
        upload.commit(done)

    await asyncio.to_thread(on_thread)
    return done


@asynccontextmanager
async def opened(store: UploadStore, name: str, *, wait: bool = True) -> AsyncIterator[OpenUpload]:
    """Lock an upload; raise `UploadLocked`, after some seconds with `wait`."""
    upload = await _open(store, name, _PATIENT_TRIES if wait else 1)
    try:
        yield upload
    finally:
        await asyncio.to_thread(upload.close)


async def _open(store: UploadStore, name: str, tries: int) -> OpenUpload:
    while True:
        tries -= 1
        opening = asyncio.ensure_future(asyncio.to_thread(store.open, name))
        try:
            return await asyncio.shield(opening)
        except UploadLocked:
            if not tries:
                raise
        except asyncio.CancelledError:
            opening.add_done_callback(_unlock)
            raise
        await asyncio.sleep(_PAUSE_S)


def _unlock(opening: asyncio.Future[OpenUpload]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
