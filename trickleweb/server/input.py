"""Read requests from a connection's input: the head, its terms, the whole body; or find that bytes are missing.

The input is that of an event from the first byte that no request has consumed (`InputWindow`). A request is complete
when all of its body is there: the application never waits for a client. Until then only the progress of a chunk scan
and the time since when it is incomplete are kept; both may be lost.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import NamedTuple

from trickles.errors import InputBusy, InputLost
from trickleweb.application import Terms
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.fetching import MOST_FETCHES, fetched
from trickleweb.http1 import ChunkedState, check_announced, decode_chunked, parse_head_untrusted
from trickleweb.limits import SAFE_METHODS, Limits
from trickleweb.messages import Chunked, Length, NeedMore, NoBody, RequestHead
from trickleweb.server.progress import ANY_BODY, ChunkScan, InputProgress
from trickleweb.server.window import InputWindow, Where

LATE_SECONDS = 2  # by a clock of whole seconds; a client that broke off did so long before
MAX_WHOLE_BYTES = 1 << 16  # a longer body is a stream
NOT_WHOLE = "A part of the request was lost, so nothing was done. Send it again."
PERHAPS_DONE = "The server lost the request, and its outcome is unknown."
BODY_LOST = "The server lost a part of the body while reading it. Send the request again, unless that does harm."
_READ_BYTES = 1 << 18
_REMEMBERED = 4096
_RETRY = (("Retry-After", "1"),)
Body = bytes | AsyncIterable[bytes]


def lost(reason: str) -> HTTPError:
    """Return the 503 for a request of which the server lost a part, and which the client cannot send again."""
    return HTTPError(503, reason, close=True, headers=_RETRY)


class Interim(NamedTuple):
    """The client waits for 100 Continue before it sends the body."""


class RefusedRequest(NamedTuple):
    """A request that gets this error, whatever its body; `size_bytes` is None if that is incomplete.

    `head` is None for input that is no request.
    """

    head: RequestHead | None
    error: HTTPError
    size_bytes: int | None


class CompleteRequest(NamedTuple):
    """A complete request in the first `size_bytes` of the window; if `cut`, its body is not needed."""

    head: RequestHead
    terms: Terms
    window: InputWindow
    size_bytes: int
    cut: bool = False

    @property
    def closes(self) -> bool:
        """True if nothing can follow on the connection."""
        return self.cut or (self.window.ended and self.size_bytes == self.window.size_bytes)

    @property
    def raw(self) -> bytes:
        return self.window.upto(self.size_bytes)

    def body(self) -> Body:
        """Return the body without framing, as bytes or a stream; raise `InputLost`, or `HTTPError` 503 within the
        stream.
        """
        start, stop = self.head.head_bytes, self.size_bytes
        chunked = isinstance(self.head.framing, Chunked)
        if stop - start > MAX_WHOLE_BYTES:
            return _pieces(self.window, start, stop) if chunked else StoredBody(self.window, start, stop)
        data = self.window.upto(stop)[start:]
        return b"".join(decode_chunked(data, limits=ANY_BODY).pieces) if chunked else data


class StoredBody:
    """The bytes [start, stop) of a window, from any of them on."""

    def __init__(self, window: InputWindow, start: int, stop: int) -> None:
        self._window = window
        self._start = start
        self._stop = stop

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.after(0)

    def after(self, byte_count: int) -> AsyncIterator[bytes]:
        """Yield the bytes after the first `byte_count`; raise `HTTPError` 503 if one was lost."""
        return _blocks(self._window, self._start + byte_count, self._stop)


async def _blocks(window: InputWindow, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """Yield the bytes a window at a time; stored input is read as needed."""
    fetches = 0
    while start < stop:
        try:
            data = window.read(start, min(start + _READ_BYTES, stop))
        except InputLost:
            raise lost(BODY_LOST) from None
        except InputBusy as busy:  # each reading continues the work
            fetches += busy.ready is not None
            if fetches > MOST_FETCHES:
                raise lost(BODY_LOST) from None
            await fetched(busy)
            continue
        fetches = 0
        start += len(data)
        yield data


async def _pieces(window: InputWindow, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """Yield the data of chunks."""
    state, rest = ChunkedState(), b""
    async for block in _blocks(window, start, stop):
        data = rest + block
        decoded = decode_chunked(data, state, ANY_BODY)
        state, rest = decoded.state, data[decoded.consumed :]
        if decoded.pieces:
            yield b"".join(decoded.pieces)


class PartialRequest(NamedTuple):
    """The part of a request that has arrived, to run as it is; `error` if no more can follow."""

    part: CompleteRequest
    error: HTTPError | None


Found = CompleteRequest | PartialRequest | Interim | RefusedRequest | None


class RequestReader:
    """Reads requests. `terms` is called with each complete head; its `HTTPError` is a refusal."""

    def __init__(self, terms: Callable[[RequestHead], Terms], limits: Limits, now_s: Callable[[], int]) -> None:
        self._terms = terms
        self._limits = limits
        self._now_s = now_s
        self._since: LruCache[Where, int] = LruCache(_REMEMBERED)
        self._progress = InputProgress(limits)

    def drop_caches(self) -> None:
        """Forget the progress in incomplete input."""
        self._progress.clear()

    def read(self, window: InputWindow, where: Where, *, early: bool, continued: bool) -> Found:
        """Return the request at the beginning of the window; None while it is incomplete. Raise what `terms` raises.

        Early, when the client may be a replay of another's packets, only safe requests are accepted. `continued`: 100
        Continue was sent for it.
        """
        try:
            return self._read(window, where, early=early, continued=continued)
        except HTTPError as error:
            return RefusedRequest(None, error, None)

    def _read(self, window: InputWindow, where: Where, *, early: bool, continued: bool) -> Found:
        if window.spooled:
            head = self._progress.head_untrusted(window, where)
        else:  # all of it is in a datagram
            parsed = parse_head_untrusted(window.first, self._limits)
            head = None if isinstance(parsed, NeedMore) else parsed
        if head is None:
            return self._incomplete(window, where)
        if early and head.method not in SAFE_METHODS:
            return None
        try:
            terms = self._terms(head)
        except HTTPError as error:
            return self._refused(head, error, window, where)
        try:
            size = self._size(head, window, where, terms.max_body_bytes)
        except HTTPError as error:
            return RefusedRequest(head, error, None)
        if size is not None:
            return CompleteRequest(head, terms, window, size)
        if head.expect_continue and not continued and window.size_bytes <= head.head_bytes:
            if terms.plan is not None:  # answered without the body
                return CompleteRequest(head, terms, window, window.size_bytes, cut=True)
            return Interim()
        part = CompleteRequest(head, terms, window, window.size_bytes)
        return self._incomplete(window, where, part if terms.partial and isinstance(head.framing, Length) else None)

    def long_scan(self, window: InputWindow, where: Where) -> Callable[[], ChunkScan] | None:
        """Return a scan of many chunks, to run on any thread, for `note_scanned`; None where they are few."""
        return self._progress.long_scan(window, where)

    def note_scanned(self, where: Where, found: ChunkScan) -> None:
        self._progress.note(where, found)

    def _refused(self, head: RequestHead, error: HTTPError, window: InputWindow, where: Where) -> RefusedRequest:
        try:
            size = self._size(head, window, where, self._limits.max_body_bytes)
        except HTTPError:
            size = None
        return RefusedRequest(head, error, size)

    def _size(self, head: RequestHead, window: InputWindow, where: Where, most_bytes: int) -> int | None:
        """Return the length of the request, None while its body is incomplete; raise `HTTPError` 400, 413 or 431."""
        if isinstance(head.framing, NoBody):
            return head.head_bytes
        if isinstance(head.framing, Chunked):
            return self._progress.chunked_bytes(head.head_bytes, window, where, most_bytes)
        check_announced(head, most_bytes)
        size = head.head_bytes + head.framing.byte_count
        return size if size <= window.size_bytes else None

    def _incomplete(
        self, window: InputWindow, where: Where, part: CompleteRequest | None = None
    ) -> PartialRequest | None:
        """Return the part to run, if any (chunks have none: they are counted from the first one each time)."""
        error = self._unfinished(window, where)
        if part is not None:
            return PartialRequest(part, error)
        if error is not None:
            raise error
        return None

    def _unfinished(self, window: InputWindow, where: Where) -> HTTPError | None:
        """Note that the request at `where` is incomplete; return its refusal if no input can follow.

        It is 408 if it has been so for some time (RFC 9110 15.5.9), as a gateway then stops in its client's place; else
        400: the client closed in the middle of it (RFC 9112 8), or the time was forgotten.
        """
        if window.is_nothing:
            return None
        now_s, since = self._now_s(), self._since.get(where)
        if not window.ended:
            if since is None:
                self._since.put(where, now_s)
            return None
        if since is not None and now_s - since >= LATE_SECONDS:
            return HTTPError(408, "The request was not complete in time.", close=True)
        return HTTPError(400, "The request ended before it was complete.", close=True)
