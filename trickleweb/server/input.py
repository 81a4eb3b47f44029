"""Read requests from a connection's input: the head, the terms for it, all of the body; or what is still missing.

The input is what an event brings from the first byte on that no request has consumed (`InputWindow`). A request is
complete when all of its body is there: the application never waits for a client. Until then nothing is kept but how
far the chunks of a body were looked at, and since when it has been incomplete; both may be lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import NamedTuple

from trickles.errors import InputLost
from trickles.service import Event
from trickleweb.application import Terms
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.http1 import (
    ChunkedState,
    Phase,
    check_announced,
    decode_chunked,
    parse_head_untrusted,
    too_large,
)
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, NeedMore, NoBody, RequestHead
from trickleweb.server.limits import SAFE_METHODS

LATE_SECONDS = 2  # by a clock of whole seconds: who broke off did so long before
MAX_WHOLE_BYTES = 1 << 16  # a body that is given as bytes; a longer one is given as a stream
LONG_BYTES = 1 << 22  # of chunks: looking at more takes so long that it is done on a thread
NOT_WHOLE = "Not all of the request could be kept on its way here, so nothing was done. Send it again."
PERHAPS_DONE = "The server has lost the request: whether it was done is not known."
BODY_LOST = "The server lost a part of the body while it was read. Send the request again, unless that does harm."
_READ_BYTES = 1 << 18
_REMEMBERED = 4096
_SCANS = 1024  # bodies under way whose chunks were looked at up to somewhere
_RETRY = (("Retry-After", "1"),)
_ANY = Limits(max_body_bytes=1 << 62)  # it was measured before
Where = tuple[bytes, int]  # a connection, and an offset in its input
Scanned = tuple[ChunkedState, int]  # how far the chunks of a body were looked at
Body = bytes | AsyncIterator[bytes]


def lost(reason: str) -> HTTPError:
    """The answer to a request of which the server has lost a part, and the client cannot send it again (503)."""
    return HTTPError(503, reason, close=True, headers=_RETRY)


class InputWindow(NamedTuple):
    """Input: `first` is its beginning, `size_bytes` what there is in all, `read(start, stop)` any part of it.

    `ended` says that nothing will follow. What is not there any more is `InputLost` (a store has lost it): fewer bytes
    than were asked for never come.
    """

    first: bytes
    size_bytes: int
    ended: bool
    read: Callable[[int, int], bytes]

    def upto(self, stop: int) -> bytes:
        """The first `stop` bytes, or as many as there are."""
        stop = min(stop, self.size_bytes)
        return self.first[:stop] if stop <= len(self.first) else self.read(0, stop)

    @property
    def is_nothing(self) -> bool:
        """No byte is there but perhaps an empty line, which an old client leaves after a request (RFC 9112 2.2)."""
        return not self.size_bytes or self.first in {b"\r\n", b"\r"}


def input_window(event: Event, consumed: int) -> InputWindow:
    """The event's input from input offset `consumed` on; nothing if it does not join there."""
    skip, size = consumed - event.input_offset, event.input_stop - consumed
    spooled = event.spooled
    if skip < 0 or size < 0:
        return InputWindow(b"", 0, ended=False, read=lambda _start, _stop: b"")
    first = event.input[skip:] if skip else event.input
    if spooled is None:
        return InputWindow(first, size, event.input_end, lambda start, stop: first[start:stop])
    read = spooled.read
    return InputWindow(first, size, event.input_end, lambda start, stop: read(consumed + start, consumed + stop))


def has_input(event: Event) -> bool:
    """True if a next request may be there."""
    return bool(event.input or event.input_end or event.spooled or event.input_lost)


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
            return b"".join(decode_chunked(data, limits=_ANY).pieces)
        return data

    async def _stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """A window at a time; what is kept elsewhere is read as it is asked for."""
        state = ChunkedState()
        while start < stop:
            try:
                data = self.window.read(start, min(start + _READ_BYTES, stop))
            except InputLost:
                raise lost(BODY_LOST) from None
            if isinstance(self.head.framing, Chunked):
                decoded = decode_chunked(data, state, _ANY)
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
        self._scans: LruCache[Where, Scanned] = LruCache(_SCANS)

    def drop_caches(self) -> None:
        """Forget how far bodies were scanned."""
        self._scans.clear()

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
        head = _head_untrusted(window, self._limits)
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

    def long_scan(self, window: InputWindow, where: Where) -> Callable[[], Scanned] | None:
        """A scan of many chunks, to be called on any thread, for `note_scanned`; None where they are few.

        It raises what is wrong with the chunks, which `read` finds too.
        """
        state, at = self._scans.get(where) or (ChunkedState(), 0)
        if state.phase is Phase.DONE or window.size_bytes - at < LONG_BYTES:
            return None
        try:
            head = _head_untrusted(window, self._limits)
        except HTTPError:
            return None
        if head is None or not isinstance(head.framing, Chunked):
            return None
        return lambda: scanned(window, state, at or head.head_bytes, _ANY)

    def note_scanned(self, where: Where, found: Scanned) -> None:
        """Remember what `long_scan` found."""
        self._scans.put(where, found)

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
            return self._scanned(head.head_bytes, window, where, most_bytes)
        check_announced(head, most_bytes)
        size = head.head_bytes + head.framing.byte_count
        return size if size <= window.size_bytes else None

    def _scanned(self, start: int, window: InputWindow, where: Where, most_bytes: int) -> int | None:
        state, at = self._scans.get(where) or (ChunkedState(), start)
        if state.phase is not Phase.DONE:
            state, at = scanned(window, state, at, replace(self._limits, max_body_bytes=most_bytes))
            self._scans.put(where, (state, at))
        if state.body_bytes > most_bytes:
            raise too_large(most_bytes)
        return at if state.phase is Phase.DONE and at <= window.size_bytes else None  # an older event may bring less

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


def scanned(window: InputWindow, state: ChunkedState, at: int, limits: Limits) -> Scanned:
    """Decode a chunked body up to the end of the window, from `state` at offset `at` on."""
    while at < window.size_bytes and state.phase is not Phase.DONE:
        data = window.upto(min(at + _READ_BYTES, window.size_bytes))[at:] if at < len(window.first) else b""
        data = data or window.read(at, min(at + _READ_BYTES, window.size_bytes))
        decoded = decode_chunked(data, state, limits)
        state, at = decoded.state, at + decoded.consumed
        if not decoded.consumed:
            break
    return state, at


def _head_untrusted(window: InputWindow, limits: Limits) -> RequestHead | None:
    """The head that the input begins with, None while it is incomplete; `HTTPError` as the parser's."""
    parsed = parse_head_untrusted(window.first, limits)
    if isinstance(parsed, NeedMore) and window.size_bytes > len(window.first):
        parsed = parse_head_untrusted(window.upto(limits.max_request_line_bytes + limits.max_header_bytes + 8), limits)
    return None if isinstance(parsed, NeedMore) else parsed
