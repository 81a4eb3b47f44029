"""How far the input of requests was looked at that are not whole yet: so each byte of it is looked at once.

A client names what it has sent by a commit of some 300 bytes, as often as it likes; what looks through all of the
input for each makes work out of all proportion. So it is remembered, by where the request begins: of a head that has
not ended, in how many bytes it does not; of one that has, the head; of chunks, the state of the decoding; and what is
wrong. All of it may be lost, and is made again from the input, which does not change.

The entries are small, and more than the uploads that one host may have in a spool (16,384 logs): nobody pushes out his
own, to have all looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from trickleweb.cache import LruCache
from trickleweb.errors import HTTPError
from trickleweb.http1 import ChunkedState, Phase, decode_chunked, parse_head_untrusted, too_large
from trickleweb.http1.shape import CRLF, max_head_bytes
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, NeedMore, RequestHead
from trickleweb.server.errors import Busy
from trickleweb.server.limits import OVERHEAD_BYTES
from trickleweb.server.window import InputWindow, Where

ANY_BODY = Limits(max_body_bytes=1 << 62)  # it was measured before
LONG_BYTES = 1 << 17  # of chunks of a byte: looking at them takes 40 ms, more is done on a thread, or bit by bit
_WINDOW_BYTES = 1 << 16  # looked at in one step; those of the last step are looked at again when something is wrong
_SMALL_BYTES = 2048  # of heads that are parsed from memory
_MOST = 1 << 15  # requests
_MOST_HEADS_BYTES = 16 << 20  # of heads that were parsed
_HEAD_COST = 6  # parsed, it takes so many times its bytes
_END = CRLF * 2


class Fault(NamedTuple):
    """What is wrong, as a value: an error that was raised holds all that its frames hold, the input too."""

    status: int
    reason: str
    close: bool
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, error: HTTPError) -> Fault:
        """The fault that an error names."""
        return cls(error.status, error.reason, error.close, error.headers)

    def error(self) -> HTTPError:
        """The error anew."""
        return HTTPError(self.status, self.reason, close=self.close, headers=self.headers)


class ChunkScan(NamedTuple):
    """How far the chunks of a body were looked at, and what is wrong behind that with bodies of so many bytes."""

    state: ChunkedState
    at: int
    wrong: Fault | None = None
    most_bytes: int = -1


class InputProgress:
    """Owner of what is known of the input of each request under way, by where that begins."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most_head = max_head_bytes(limits)
        self._unended: LruCache[Where, int | Fault] = LruCache(_MOST)
        self._heads: LruCache[Where, RequestHead] = LruCache(_MOST_HEADS_BYTES)
        self._scans: LruCache[Where, ChunkScan] = LruCache(_MOST)

    def clear(self) -> None:
        """Forget it."""
        for cache in (self._unended, self._heads, self._scans):
            cache.clear()

    def head_untrusted(self, window: InputWindow, where: Where) -> RequestHead | None:
        """The head that the input begins with, None while it is incomplete; `HTTPError` as the parser's."""
        if not window.spooled:  # a datagram brings all of it
            parsed = parse_head_untrusted(window.first, self._limits)
            return None if isinstance(parsed, NeedMore) else parsed
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
        """The length of a request whose chunks begin at `start`, None while they are not all there.

        `HTTPError` for what is wrong with them; `Busy` where there is much to look at: ask again, and it goes on.
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
            return known.at if known.at <= window.size_bytes else None  # an older event may bring less
        if stop <= known.at < window.size_bytes:
            raise Busy
        return None

    def long_scan(self, window: InputWindow, where: Where) -> Callable[[], ChunkScan] | None:
        """A scan of many chunks, to be called on any thread, for `note`; None where they are few, or known bad."""
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
        """Remember how far a long scan came; what is wrong there is found again, with the bounds of that body."""
        self._scans.put(where, ChunkScan(found.state, found.at))


def scanned(window: InputWindow, known: ChunkScan, limits: Limits, stop: int) -> ChunkScan:
    """Decode a chunked body from where it was left up to offset `stop` of the window, its end, or what is wrong."""
    state, at = known.state, known.at
    while at < stop and state.phase is not Phase.DONE:
        data = window.part(at, min(at + _WINDOW_BYTES, window.size_bytes))
        try:
            decoded = decode_chunked(data, state, limits)
        except HTTPError as error:
            return ChunkScan(state, at, Fault.of(error), limits.max_body_bytes)
        state, at = decoded.state, at + decoded.consumed
        if not decoded.consumed:
            break
    return ChunkScan(state, at)
