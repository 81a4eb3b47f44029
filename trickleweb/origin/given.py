"""The input of a connection from the first byte not consumed yet, and what one request takes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.service import Event
from trickleweb.errors import HTTPError
from trickleweb.files.recent import Recent
from trickleweb.http1 import decode_chunked, parse_head_untrusted
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, Length, NeedMore, Request

LATE_SECONDS = 2  # by a clock of whole seconds: who broke off did so long before
_REMEMBERED = 4096
NOT_WHOLE = "Not all of the request could be kept on its way here, so nothing was done. Send it again."
PERHAPS_DONE = "The server has lost the request: whether it was done is not known."
BODY_LOST = "The server lost a part of the body while it was read. Send the request again, unless that does harm."
_RETRY = (("Retry-After", "1"),)


def lost(reason: str) -> HTTPError:
    """The answer to a request of which the server has lost a part, and the client cannot send it again (503)."""
    return HTTPError(503, reason, close=True, headers=_RETRY)


@dataclass(frozen=True, slots=True)
class Given:
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
        """No byte is there but perhaps an empty line, which an old client leaves behind a request (RFC 9112 2.2)."""
        return not self.size_bytes or self.first in {b"\r\n", b"\r"}


def given_by(event: Event, consumed: int) -> Given:
    """The event's input from input offset `consumed` on; nothing if it does not join there."""
    skip, size = consumed - event.input_offset, event.input_stop - consumed
    spooled = event.spooled
    if skip < 0 or size < 0:
        return Given(b"", 0, ended=False, read=lambda _start, _stop: b"")
    first = event.input[skip:] if skip else event.input
    if spooled is None:
        return Given(first, size, event.input_end, lambda start, stop: first[start:stop])
    read = spooled.read
    return Given(first, size, event.input_end, lambda start, stop: read(consumed + start, consumed + stop))


class Unfinished:
    """Since when requests have been incomplete, so that what took too long is told from what was broken off.

    It may be lost: then a request that a gateway gave up on, by ending its input, is called broken off.
    """

    def __init__(self, now_s: Callable[[], int]) -> None:
        self._now_s = now_s
        self._since: Recent[object, int] = Recent(_REMEMBERED)

    def check(self, given: Given, where: object) -> None:
        """Note that the request at `where` is incomplete; refuse it if nothing more will come.

        408 if it has been so for some time (RFC 9110 15.5.9), for then a gateway has stopped in its client's place;
        else 400: the client closed its half in the middle of it (RFC 9112 8).
        """
        if given.is_nothing:
            return
        now_s, since = self._now_s(), self._since.get(where)
        if not given.ended:
            if since is None:
                self._since.put(where, now_s)
            return
        if since is not None and now_s - since >= LATE_SECONDS:
            raise HTTPError(408, "The request did not come whole in time.", close=True)
        raise HTTPError(400, "The request ended before it was whole.", close=True)


def read_head_untrusted(given: Given, limits: Limits) -> Request | None:
    """The head that the input begins with, None while it is incomplete; `HTTPError` as the parser's."""
    parsed = parse_head_untrusted(given.first, limits)
    if isinstance(parsed, NeedMore) and given.size_bytes > len(given.first):
        parsed = parse_head_untrusted(given.upto(limits.max_request_line_bytes + limits.max_header_bytes + 8), limits)
    return None if isinstance(parsed, NeedMore) else parsed


def taken_by(request: Request, given: Given, limits: Limits) -> int | None:
    """How many bytes the request takes with its body, None while that is incomplete; `HTTPError` 400, 413 or 431."""
    framing, head_bytes = request.framing, request.head_bytes
    if isinstance(framing, Length):
        total = head_bytes + framing.byte_count
        return total if total <= given.size_bytes else None
    if isinstance(framing, Chunked):
        # Its framing may make a body twice as long, or a little more: one of tiny chunks stays incomplete for good.
        data = given.upto(head_bytes + 2 * limits.max_body_bytes + limits.max_trailer_bytes)
        decoded = decode_chunked(data[head_bytes:], limits=limits)
        return head_bytes + decoded.consumed if decoded.done else None
    return head_bytes
