"""From input to a whole request: its head, the program's terms, all of its body; or what is still missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from trickles.errors import InputLost
from trickleweb.application import Terms
from trickleweb.errors import HTTPError
from trickleweb.files.recent import Recent
from trickleweb.http1 import ChunkedState, Phase, decode_chunked
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, NoBody, Request
from trickleweb.origin.given import BODY_LOST, Given, Unfinished, lost, read_head_untrusted

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_BYTES = 1 << 18
MAX_WHOLE_BYTES = 1 << 16  # a body that is given as bytes; a longer one is given as a stream
_SCANS = 1024  # bodies under way whose chunks were looked at up to somewhere
Where = tuple[bytes, int]  # a connection, and an offset in its input
Looked = tuple[ChunkedState, int]  # how far the chunks of a body were looked at
LONG_BYTES = 1 << 22  # of chunks: looking at more takes so long that it is done on a thread


@dataclass(frozen=True, slots=True)
class Interim:
    """The client waits for 100 Continue before it sends the body."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that gets this error, whatever its body; `taken_bytes` is None if that is not all there.

    `head` is None for input that is no request.
    """

    head: Request | None
    error: HTTPError
    taken_bytes: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that is all there, in the first `size_bytes` of what was given."""

    head: Request
    terms: Terms
    given: Given
    size_bytes: int

    @property
    def raw(self) -> bytes:
        """All of its bytes."""
        return self.given.upto(self.size_bytes)

    def body(self) -> bytes | AsyncIterator[bytes]:
        """The body without its framing: bytes, or a stream of them. `InputLost`; once it streams, `HTTPError` 503."""
        start, stop = self.head.head_bytes, self.size_bytes
        if stop - start > MAX_WHOLE_BYTES:
            return self._stream(start, stop)
        data = self.given.upto(stop)[start:]
        if isinstance(self.head.framing, Chunked):
            return b"".join(decode_chunked(data, limits=_ANY).pieces)
        return data

    async def _stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """A window at a time; what is kept elsewhere is read as it is asked for."""
        state = ChunkedState()
        while start < stop:
            try:
                data = self.given.read(start, min(start + _READ_BYTES, stop))
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


def scanned(given: Given, state: ChunkedState, at: int, limits: Limits) -> Looked:
    """Where the decoding of a chunked body stands behind all that is given, from `state` at offset `at` on."""
    while at < given.size_bytes and state.phase is not Phase.DONE:
        data = given.upto(min(at + _READ_BYTES, given.size_bytes))[at:] if at < len(given.first) else b""
        data = data or given.read(at, min(at + _READ_BYTES, given.size_bytes))
        decoded = decode_chunked(data, state, limits)
        state, at = decoded.state, at + decoded.consumed
        if not decoded.consumed:
            break
    return state, at


_ANY = Limits(max_body_bytes=1 << 62)  # it was measured before
Takes = Taken | Interim | Refused | None


class Taker:
    """Takes requests; how far the chunks of a body were looked at is remembered, and need not be."""

    def __init__(self, terms: Callable[[Request], Terms], limits: Limits, now_s: Callable[[], int]) -> None:
        self._terms = terms
        self._limits = limits
        self._unfinished = Unfinished(now_s)
        self._scans: Recent[Where, Looked] = Recent(_SCANS)

    def drop_caches(self) -> None:
        """Forget how far."""
        self._scans.clear()

    def take(self, given: Given, where: Where, *, early: bool, told_to_go_on: bool) -> Takes:
        """The request at the beginning of what is given; None while something is missing. `HTTPError` as parsers'.

        Early, when the client may be somebody else's echo, only safe requests are taken.
        """
        head = read_head_untrusted(given, self._limits)
        if head is None:
            self._unfinished.check(given, where)
            return None
        if early and head.method not in SAFE_METHODS:
            return None
        try:
            terms = self._terms(head)
        except HTTPError as error:
            return self._refused(head, error, given, where)
        size = self._size(head, given, where, terms.max_body_bytes)
        if size is not None:
            return Taken(head, terms, given, size)
        if head.expect_continue and not told_to_go_on and given.size_bytes <= head.head_bytes:
            return Interim()
        self._unfinished.check(given, where)
        return None

    def _refused(self, head: Request, error: HTTPError, given: Given, where: Where) -> Takes:
        try:
            size = self._size(head, given, where, self._limits.max_body_bytes)
        except HTTPError:
            size = None
        return Refused(head, error, size)

    def _size(self, head: Request, given: Given, where: Where, most_bytes: int) -> int | None:
        """How many bytes the request takes, None while its body is not all there; `HTTPError` 400, 413 or 431."""
        framing = head.framing
        if isinstance(framing, NoBody):
            return head.head_bytes
        if isinstance(framing, Chunked):
            return self._scanned(head.head_bytes, given, where, replace(self._limits, max_body_bytes=most_bytes))
        if framing.byte_count > most_bytes:
            raise HTTPError(413, f"The body is longer than {most_bytes} bytes.", close=True)
        size = head.head_bytes + framing.byte_count
        return size if size <= given.size_bytes else None

    def _scanned(self, start: int, given: Given, where: Where, limits: Limits) -> int | None:
        state, at = self._scans.get(where) or (ChunkedState(), start)
        if state.phase is not Phase.DONE:
            state, at = scanned(given, state, at, limits)
            self._scans.put(where, (state, at))
        if state.body_bytes > limits.max_body_bytes:
            raise HTTPError(413, f"The body is longer than {limits.max_body_bytes} bytes.", close=True)
        return at if state.phase is Phase.DONE else None

    def look(self, given: Given, where: Where) -> Callable[[], Looked] | None:
        """What looks at a long stretch of chunks, on any thread, for `note_looked` to be told; None where it is short.

        It raises what is wrong with the chunks, which `take` finds too.
        """
        state, at = self._scans.get(where) or (ChunkedState(), 0)
        if state.phase is Phase.DONE or given.size_bytes - at < LONG_BYTES:
            return None
        head = read_head_untrusted(given, self._limits)
        if head is None or not isinstance(head.framing, Chunked):
            return None
        return lambda: scanned(given, state, at or head.head_bytes, _ANY)

    def note_looked(self, where: Where, looked: Looked) -> None:
        """What `look` found."""
        self._scans.put(where, looked)
