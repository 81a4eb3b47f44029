"""Read requests from a connection's input: the head, the terms for it, all of the body; or what is still missing.

The input is what an event brings from the first byte on that no request has consumed (`InputWindow`). A request is
complete when all of its body is there: the application never waits for a client. Until then nothing is kept but how
far the chunks of a body were looked at, and since when it has been incomplete; both may be lost.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Generator
from typing import NamedTuple

from trickles.errors import InputBusy, InputLost
from trickleweb.application import Terms
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.http1 import ChunkedState, check_announced, decode_chunked
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, NoBody, RequestHead
from trickleweb.server.limits import SAFE_METHODS
from trickleweb.server.progress import ANY_BODY, ChunkScan, InputProgress
from trickleweb.server.window import InputWindow, Where

LATE_SECONDS = 2  # by a clock of whole seconds: who broke off did so long before
MAX_WHOLE_BYTES = 1 << 16  # a body that is given as bytes; a longer one is given as a stream
NOT_WHOLE = "Not all of the request could be kept on its way here, so nothing was done. Send it again."
PERHAPS_DONE = "The server has lost the request: whether it was done is not known."
BODY_LOST = "The server lost a part of the body while it was read. Send the request again, unless that does harm."
_READ_BYTES = 1 << 18
_REMEMBERED = 4096
_RETRY = (("Retry-After", "1"),)
Body = bytes | AsyncIterator[bytes]


def lost(reason: str) -> HTTPError:
    """The answer to a request of which the server has lost a part, and the client cannot send it again (503)."""
    return HTTPError(503, reason, close=True, headers=_RETRY)


class Interim(NamedTuple):
    """The client waits for 100 Continue before it sends the body."""


class RefusedRequest(NamedTuple):
    """A request that gets this error, whatever its body; `size_bytes` is None if that is not all there.

    `head` is None for input that is no request.
    """

    head: RequestHead | None
    error: HTTPError
    size_bytes: int | None


class CompleteRequest(NamedTuple):
    """A request that is all there, in the first `size_bytes` of the window; if `cut`, its body is not wanted."""

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
        """All of its bytes."""
        return self.window.upto(self.size_bytes)

    def body(self) -> Body:
        """The body without its framing: bytes, or a stream of them. `InputLost`; once it streams, `HTTPError` 503."""
        start, stop = self.head.head_bytes, self.size_bytes
        if stop - start > MAX_WHOLE_BYTES:
            return self._stream(start, stop)
        data = self.window.upto(stop)[start:]
        if isinstance(self.head.framing, Chunked):
            return b"".join(decode_chunked(data, limits=ANY_BODY).pieces)
        return data

    async def _stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """A window at a time; what is kept elsewhere is read as it is asked for."""
        state = ChunkedState()
        while start < stop:
            try:
                data = self.window.read(start, min(start + _READ_BYTES, stop))
            except InputLost:
                raise lost(BODY_LOST) from None
            except InputBusy:  # it goes on with each reading, and others with their work
                await _others()
                continue
            if isinstance(self.head.framing, Chunked):
                decoded = decode_chunked(data, state, ANY_BODY)
                state, start = decoded.state, start + decoded.consumed
                data = b"".join(decoded.pieces)
            else:
                start += len(data)
            if data:
                yield data


Found = CompleteRequest | Interim | RefusedRequest | None


class RequestReader:
    """Reads requests. `terms` is asked with each complete head; `HTTPError` from it is a refusal."""

    def __init__(self, terms: Callable[[RequestHead], Terms], limits: Limits, now_s: Callable[[], int]) -> None:
        self._terms = terms
        self._limits = limits
        self._now_s = now_s
        self._since: LruCache[Where, int] = LruCache(_REMEMBERED)
        self._progress = InputProgress(limits)

    def drop_caches(self) -> None:
        """Forget how far input was looked at."""
        self._progress.clear()

    def read(self, window: InputWindow, where: Where, *, early: bool, continued: bool) -> Found:
        """The request at the beginning of the window; None while something is missing. Raises what `terms` raises.

        Early, when the client may be somebody else's echo, only safe requests are taken. `continued`: 100 Continue
        went out for it.
        """
        try:
            return self._read(window, where, early=early, continued=continued)
        except HTTPError as error:
            return RefusedRequest(None, error, None)

    def _read(self, window: InputWindow, where: Where, *, early: bool, continued: bool) -> Found:
        head = self._progress.head_untrusted(window, where)
        if head is None:
            self._check_unfinished(window, where)
            return None
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
            if terms.plan is not None:  # it can be answered without the body
                return CompleteRequest(head, terms, window, window.size_bytes, cut=True)
            return Interim()
        self._check_unfinished(window, where)
        return None

    def long_scan(self, window: InputWindow, where: Where) -> Callable[[], ChunkScan] | None:
        """A scan of many chunks, to be called on any thread, for `note_scanned`; None where they are few."""
        return self._progress.long_scan(window, where)

    def note_scanned(self, where: Where, found: ChunkScan) -> None:
        """Remember what `long_scan` found."""
        self._progress.note(where, found)

    def _refused(self, head: RequestHead, error: HTTPError, window: InputWindow, where: Where) -> RefusedRequest:
        try:
            size = self._size(head, window, where, self._limits.max_body_bytes)
        except HTTPError:
            size = None
        return RefusedRequest(head, error, size)

    def _size(self, head: RequestHead, window: InputWindow, where: Where, most_bytes: int) -> int | None:
        """The length of the request, None while its body is not all there; `HTTPError` 400, 413 or 431."""
        if isinstance(head.framing, NoBody):
            return head.head_bytes
        if isinstance(head.framing, Chunked):
            return self._progress.chunked_bytes(head.head_bytes, window, where, most_bytes)
        check_announced(head, most_bytes)
        size = head.head_bytes + head.framing.byte_count
        return size if size <= window.size_bytes else None

    def _check_unfinished(self, window: InputWindow, where: Where) -> None:
        """Note that the request at `where` is incomplete; refuse it if nothing more will come.

        408 if it has been so for some time (RFC 9110 15.5.9), for then a gateway has stopped in its client's place;
        else 400: the client closed its half in the middle of it (RFC 9112 8). Forgotten, it is called broken off.
        """
        if window.is_nothing:
            return
        now_s, since = self._now_s(), self._since.get(where)
        if not window.ended:
            if since is None:
                self._since.put(where, now_s)
            return
        if since is not None and now_s - since >= LATE_SECONDS:
            raise HTTPError(408, "The request did not come whole in time.", close=True)
        raise HTTPError(400, "The request ended before it was whole.", close=True)


@types.coroutine
def _others() -> Generator[None, None, None]:
    """Let others have their turn."""
    yield
