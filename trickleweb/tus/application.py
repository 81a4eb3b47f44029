"""The tus protocol, version 1.0.0, as an application to be mounted (https://tus.io/protocols/resumable-upload).

The IETF's draft is spoken as well, see `draft`.

Requests may run again on another replica after theirs died: the id of an upload follows from the request that creates
it, bytes are written where their offset says, and a concatenation is made again from the beginning.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from trickleweb.app import App
from trickleweb.errors import HTTPError
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.headers import Pair, format_date
from trickleweb.http1 import unavailable
from trickleweb.ledger import ledger_key
from trickleweb.messages import NoBody
from trickleweb.paths import quote_path
from trickleweb.request import Request
from trickleweb.responses import Response, error_response
from trickleweb.tus import fields
from trickleweb.tus.appending import Append, appended, opened, overtaken, settled
from trickleweb.tus.draft import OCTETS, completeness, completes, is_draft, limit, open_record
from trickleweb.tus.uploads import (
    Finish,
    NoUpload,
    UploadError,
    UploadLimits,
    UploadLocked,
    UploadRecord,
    UploadsFull,
    UploadStore,
    UploadTooLong,
)

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
_BYTES = "application/offset+octet-stream"
_SWEEP_S = 60
_LOGGER = logging.getLogger("trickleweb.tus")
_STATUSES = ((NoUpload, 404), (UploadLocked, 423), (UploadTooLong, 413), (UploadsFull, 507))


def resumable_uploads(store: UploadStore, *, finish: Finish = lambda _: None) -> App:
    """Return the application that takes uploads into a store that all replicas share.

    `finish` is called on a thread with the record of each complete upload, before its last request is answered; again
    if its replica dies in between, or if it raises. So it should do no harm twice.
    """
    app = App(middleware=[_spoken(store.limits)], lifespan=lambda _: _swept(store))
    uploads = _Uploads(store, finish)
    most = store.limits.request_bytes
    body: dict[str, Any] = {"stream": True, "repeatable": True, "max_body_bytes": most}
    app.route("/", methods=["OPTIONS"], name="options")(uploads.options)
    app.route("/{name}", methods=["OPTIONS"], name="upload_options")(uploads.options)
    app.post("/", **body)(uploads.create)
    app.route("/{name}", methods=["HEAD"], name="head")(uploads.head)
    app.route("/{name}", methods=["PATCH"], name="patch", partial=True, **body)(uploads.patch)
    app.route("/{name}", methods=["DELETE"], name="delete", repeatable=True)(uploads.delete)
    app.post("/{name}", name="override", partial=True, **body)(uploads.override)
    app.error(UploadError)(_refused)
    return app


class _Uploads:
    """The handlers."""

    def __init__(self, store: UploadStore, finish: Finish) -> None:
        self._store = store
        self._finish = finish

    async def options(self, request: Request) -> Response:  # noqa: ARG002
        """Return what this server can do."""
        known = (
            ("Tus-Version", VERSION),
            ("Tus-Extension", EXTENSIONS),
            ("Tus-Max-Size", str(self._store.limits.upload_bytes)),
            ("Tus-Checksum-Algorithm", ",".join(fields.ALGORITHMS)),
            ("Accept-Patch", f"{_BYTES}, {OCTETS}"),
            limit(self._store.limits),
        )
        return Response.empty(headers=known)

    async def create(self, request: Request) -> Response:
        """Create an upload, with the body as its first bytes."""
        upload_id = ledger_key("upload", request.idempotency_key.encode()).hex()[:32]
        record, append = self._created(request, upload_id), self._append(request, 0)
        has_body = record.is_open or not isinstance(request.head.framing, NoBody)
        if has_body and not record.is_open and request.content_type.value != _BYTES:
            raise HTTPError(415, f"The bytes of an upload are {_BYTES}.")
        parts = await self._parts(record)
        if parts:
            record = replace(record, length=self._length(str(sum(part.offset for part in parts))))
        await asyncio.to_thread(self._store.create, record)
        if parts:
            record = await self._concatenated(record)
        elif has_body:
            record = await appended(self._store, upload_id, append, request, self._finish)
        else:
            record = await self._settled(record)
        place = f"{request.head.path.rstrip('/')}/{upload_id}"
        return Response.empty(201, headers=(("Location", quote_path(place)), *self._progress(request, record)))

    async def head(self, request: Request, name: str) -> Response:
        """Return the progress of an upload."""
        record = await self._known(request, name)
        if is_draft(request):
            async with opened(self._store, name) as upload:
                record = await overtaken(upload)
        record = await self._settled(record)
        found = [*self._progress(request, record), ("Cache-Control", "no-store")]
        deferred = record.length is None
        found.append(("Upload-Defer-Length", "1") if deferred else ("Upload-Length", str(record.length)))
        if record.metadata:
            found.append(("Upload-Metadata", record.metadata))
        if record.is_part:
            found.append(("Upload-Concat", "partial"))
        if record.parts:
            collection = quote_path(request.head.path.rpartition("/")[0])
            found.append(("Upload-Concat", f"final;{' '.join(f'{collection}/{part}' for part in record.parts)}"))
        return Response.empty(200, headers=found)

    async def patch(self, request: Request, name: str) -> Response:
        """Append the body to an upload."""
        start = fields.count("Upload-Offset", request.headers.get("upload-offset"))
        append = self._append(request, start)
        await self._known(request, name)
        if request.content_type.value != (OCTETS if is_draft(request) else _BYTES):
            raise HTTPError(415, f"The bytes of an upload are {_BYTES}, or {OCTETS}.")
        record = await appended(self._store, name, append, request, self._finish)
        return Response.empty(headers=self._progress(request, record))

    async def delete(self, request: Request, name: str) -> Response:
        """Remove an upload."""
        await self._known(request, name)
        async with opened(self._store, name) as upload:
            await asyncio.to_thread(upload.remove)
        return Response.empty()

    async def override(self, request: Request, name: str) -> Response:
        """Handle a POST as the method that X-HTTP-Method-Override names."""
        match request.headers.get("x-http-method-override"):
            case "PATCH":
                return await self.patch(request, name)
            case "DELETE" if request.is_whole:
                return await self.delete(request, name)
        raise HTTPError(405, headers=(("Allow", "DELETE, HEAD, OPTIONS, PATCH"),))

    def _created(self, request: Request, upload_id: str) -> UploadRecord:
        """Return the record that a request asks for."""
        headers, limits = request.headers, self._store.limits
        metadata, concat = headers.get("upload-metadata") or "", headers.get("upload-concat") or ""
        length, deferred = headers.get("upload-length"), headers.get("upload-defer-length")
        expires_s = request.now // 1_000_000 + limits.age_s
        fresh = UploadRecord(id=upload_id, metadata=metadata, expires_s=expires_s, is_part=concat == "partial")
        if is_draft(request):
            fresh, concat, deferred = open_record(fresh, request), "", None if length else "1"
        if fresh.metadata:
            fields.check_metadata(fresh.metadata, limits.metadata_bytes)
        if concat.startswith("final;"):
            parts = fields.parts_of(concat, request.head.path.rstrip("/"), limits.parts)
            return replace(fresh, parts=parts)
        if concat not in ("", "partial"):
            raise HTTPError(400, "Upload-Concat is malformed.")
        if (length is None) == (deferred is None) or deferred not in (None, "1"):
            raise HTTPError(400, "Either Upload-Length or Upload-Defer-Length: 1 is needed.")
        return fresh if length is None else replace(fresh, length=self._length(length))

    def _length(self, text: str) -> int:
        length, most = fields.count("Upload-Length", text), self._store.limits.upload_bytes
        if length > most:
            raise HTTPError(413, f"An upload has at most {most} bytes.")
        return length

    async def _known(self, request: Request, name: str) -> UploadRecord:
        """Return the record of an upload; raise `NoUpload`, or 410 for one that has expired."""
        if not fields.is_id(name):
            raise NoUpload(name)
        record = await asyncio.to_thread(self._store.find, name)
        if record.expires_s is not None and record.expires_s <= request.now // 1_000_000:
            raise HTTPError(410, "The upload has expired.")
        return record

    def _append(self, request: Request, start: int) -> Append:
        length, checksum = request.headers.get("upload-length"), request.headers.get("upload-checksum")
        known = None if length is None else self._length(length)
        if is_draft(request):
            return Append(start, known, completes=completes(request))
        return Append(start, known, None if checksum is None else fields.Checksum.of(checksum))

    def _progress(self, request: Request, record: UploadRecord) -> list[Pair]:
        offset, expires_s = ("Upload-Offset", str(record.offset)), record.expires_s
        if is_draft(request):
            left_s = None if expires_s is None else expires_s - request.now // 1_000_000
            return [offset, completeness(record), limit(self._store.limits, left_s)]
        return [offset] if expires_s is None else [offset, ("Upload-Expires", format_date(expires_s))]

    async def _settled(self, record: UploadRecord) -> UploadRecord:
        """Return the record, passed to the application if a replica died between the last byte and that."""
        if not record.is_due:
            return record
        async with opened(self._store, record.id) as upload:
            return await settled(upload, self._finish)

    async def _parts(self, record: UploadRecord) -> list[UploadRecord]:
        """Return the records of the parts; raise 400 for one that is missing, incomplete, or no part."""
        parts = []
        for part in record.parts:
            with suppress(NoUpload):
                parts.append(await asyncio.to_thread(self._store.find, part))
        if len(parts) < len(record.parts) or not all(part.is_part and part.is_complete for part in parts):
            raise HTTPError(400, "A part is missing, incomplete, or not partial.")
        return parts

    async def _concatenated(self, record: UploadRecord) -> UploadRecord:
        async with opened(self._store, record.id) as upload:
            if not upload.record.is_complete:
                for part in record.parts:
                    await asyncio.to_thread(upload.copy, part)
                await asyncio.to_thread(upload.commit, replace(record, offset=record.length or 0))
            return await settled(upload, self._finish)


def _spoken(limits: UploadLimits) -> Middleware:
    """Return the middleware that refuses requests of neither form; its responses name the version, or the limits."""

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        version = request.headers.get("tus-resumable")
        if version is None and ("upload-complete" in request.headers or request.method in ("HEAD", "DELETE")):
            response = await inner(request)
            name, value = limit(limits)
            return response if name in response.headers else response.with_header(name, value)
        if version == VERSION or request.method == "OPTIONS":
            return (await inner(request)).with_header("Tus-Resumable", VERSION)
        refused = error_response(request, HTTPError(412, f"Tus-Resumable must be {VERSION}."))
        return replace(refused, close=not request.is_whole).with_header("Tus-Version", VERSION)

    return handle


async def _refused(request: Request, error: UploadError) -> Response:
    """Return the response for an error of the store; faults of it are logged."""
    if isinstance(error, UploadLocked) and not request.is_whole:
        return Response.empty()  # another run has these bytes, or the next one
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
    if status in (None, 507):
        _LOGGER.error("%s %s failed: %s", request.method, request.head.path, error)
    if status is None:
        return error_response(request, unavailable("Uploads are not available."))
    reason = "" if isinstance(error, NoUpload) else f"{str(error)[:1].upper()}{str(error)[1:]}."
    return error_response(request, HTTPError(status, reason))


@asynccontextmanager
async def _swept(store: UploadStore) -> AsyncIterator[None]:
    """Remove expired uploads from time to time."""

    async def sweeping() -> None:
        while True:
            try:
                await asyncio.to_thread(store.sweep, int(time.time()))
            except UploadError as error:
                _LOGGER.error("expired uploads stay: %s", error)
            await asyncio.sleep(_SWEEP_S)

    task = asyncio.create_task(sweeping())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
