"""Progress in the input of incomplete requests, so that each byte of it is scanned once.

A client names its input by a commit of some 300 bytes, any number of times; a scan of all input for each would be
disproportionate work. So progress is cached, by the offset at which the request begins: for an incomplete head, its
length so far; for a complete one, the head; for chunks, the state of the decoder; and the error, if any. All of it may
be lost, and is computed again from the input, which does not change.

The entries are small, and more than the uploads that one host may have in a spool (16,384 logs): a client cannot evict
its own to have all input scanned again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from trickles.errors import InputBusy
from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.http1 import ChunkedState, Phase, decode_chunked, parse_head_untrusted, too_large
from trickleweb.http1.head import max_head_bytes
from trickleweb.http1.render import CRLF
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, NeedMore, RequestHead
from trickleweb.server.errors import Busy
from trickleweb.server.limits import OVERHEAD_BYTES
from trickleweb.server.window import InputWindow, Where

ANY_BODY = Limits(max_body_bytes=1 << 62)  # checked before
LONG_BYTES = 1 << 17  # of chunks of a byte: 40 ms; more are scanned on a thread, or in parts
_WINDOW_BYTES = 1 << 16  # scanned in one step; after an error the last step is repeated
_SMALL_BYTES = 2048  # of heads that are parsed from memory
_MOST = 1 << 15  # requests
_MOST_HEADS_BYTES = 16 << 20  # of heads that were parsed
_HEAD_COST = 6  # memory of a parsed head, in multiples of its bytes
_END = CRLF * 2


class Fault(NamedTuple):
    """An error as a value: a raised error would keep its frames alive, and the input with them."""

    status: int
    reason: str
    close: bool
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, error: HTTPError) -> Fault:
        """Return the fault of an error."""
        return cls(error.status, error.reason, error.close, error.headers)

    def error(self) -> HTTPError:
        """Return a new error for this fault."""
        return HTTPError(self.status, self.reason, close=self.close, headers=self.headers)


class ChunkScan(NamedTuple):
    """Progress of a scan of chunks, and the fault after it for bodies of at most `most_bytes`."""

    state: ChunkedState
    at: int
    wrong: Fault | None = None
    most_bytes: int = -1


class InputProgress:
    """The progress in the input of each incomplete request, by the offset at which it begins."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most_head = max_head_bytes(limits)
        self._unended: LruCache[Where, int | Fault] = LruCache(_MOST)
        self._heads: LruCache[Where, RequestHead] = LruCache(_MOST_HEADS_BYTES)
        self._scans: LruCache[Where, ChunkScan] = LruCache(_MOST)

    def clear(self) -> None:
        """Forget all progress."""
        for cache in (self._unended, self._heads, self._scans):
            cache.clear()

    def head_untrusted(self, window: InputWindow, where: Where) -> RequestHead | None:
        """Return the head of stored input, None while it is incomplete; raise `HTTPError` as the parser."""
        return self._heads.get(where) or self._long_head(window, where)

    def _long_head(self, window: InputWindow, where: Where) -> RequestHead | None:
        known, stop = self._unended.get(where), min(window.size_bytes, self._most_head)
        if isinstance(known, Fault):
            raise known.error()
        if known is not None and stop <= known:
            return None
        if known is not None and stop < self._most_head and _END not in window.part(max(known - len(_END), 0), stop):
            self._unended.put(where, stop)
            return None
        try:
            parsed = parse_head_untrusted(window.first, self._limits)
            if isinstance(parsed, NeedMore) and window.size_bytes > len(window.first):
                parsed = parse_head_untrusted(window.part(0, stop), self._limits)
        except HTTPError as error:
            self._unended.put(where, Fault.of(error))
            raise
        if isinstance(parsed, NeedMore):
            self._unended.put(where, stop)
            return None
        if parsed.head_bytes > _SMALL_BYTES or parsed.head_bytes > len(window.first):
            self._heads.put(where, parsed, OVERHEAD_BYTES + _HEAD_COST * parsed.head_bytes)
        return parsed

    def chunked_bytes(self, start: int, window: InputWindow, where: Where, most_bytes: int) -> int | None:
        """Return the length of a request whose chunks begin at `start`, None while they are incomplete.

        Raise `HTTPError` for malformed ones; `Busy` if much remains to be scanned: the next call continues.
        """
        known = self._scans.get(where) or ChunkScan(ChunkedState(), start)
        if known.wrong is not None and known.most_bytes == most_bytes:
            raise known.wrong.error()
        stop = min(window.size_bytes, known.at + LONG_BYTES)
        if known.state.phase is not Phase.DONE and known.state.body_bytes <= most_bytes:
            known = scanned(window, known, replace(self._limits, max_body_bytes=most_bytes), stop)
            self._scans.put(where, known)
        if known.wrong is not None:
            raise known.wrong.error()
        if known.state.body_bytes > most_bytes:
            raise too_large(most_bytes)
        if known.state.phase is Phase.DONE:
            return known.at if known.at <= window.size_bytes else None  # an older event may have less
        if stop <= known.at < window.size_bytes:
            raise Busy
        return None

    def long_scan(self, window: InputWindow, where: Where) -> Callable[[], ChunkScan] | None:
        """Return a scan of many chunks, to run on any thread, for `note`; None where they are few, or known bad."""
        known = self._scans.get(where) or ChunkScan(ChunkedState(), 0)
        if known.state.phase is Phase.DONE or known.wrong is not None or window.size_bytes - known.at < LONG_BYTES:
            return None
        try:
            head = self.head_untrusted(window, where)
        except HTTPError:
            return None
        if head is None or not isinstance(head.framing, Chunked):
            return None
        begun = known._replace(at=known.at or head.head_bytes)
        return lambda: scanned(window, begun, ANY_BODY, window.size_bytes)

    def note(self, where: Where, found: ChunkScan) -> None:
        """Remember the progress of a long scan; a fault is found again, under the limits of that body."""
        self._scans.put(where, ChunkScan(found.state, found.at))


def scanned(window: InputWindow, known: ChunkScan, limits: Limits, stop: int) -> ChunkScan:
    """Decode a chunked body from the known progress up to offset `stop` of the window, its end, or a fault."""
    state, at = known.state, known.at
    while at < stop and state.phase is not Phase.DONE:
        try:
            data = window.part(at, min(at + _WINDOW_BYTES, window.size_bytes))
        except InputBusy:
            if at == known.at:
                raise
            break  # the next call continues
        try:
            decoded = decode_chunked(data, state, limits)
        except HTTPError as error:
            return ChunkScan(state, at, Fault.of(error), limits.max_body_bytes)
        state, at = decoded.state, at + decoded.consumed
        if not decoded.consumed:
            break
    return ChunkScan(state, at)
