"""Responses whose bytes follow from their offset: the head, then the pieces of the body."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from trickles.service import Buffer, Continuation, Event, Reply
from trickleweb.errors import HTTPError
from trickleweb.files import is_snapshot
from trickleweb.http1 import BodyDelivery, error_plan, render_head
from trickleweb.messages import Inline, Piece, Plan, Slice
from trickleweb.server.errors import BadToken, NotThisResponse
from trickleweb.server.limits import OVERHEAD_BYTES
from trickleweb.server.tokens import MAX_TOKEN_BYTES, Delivered, PlannedToken
from trickleweb.server.tokens.plan import PlanTooLarge

Chunk = tuple[int, Buffer]
Read = Callable[[str, int, int], Buffer]
MAX_WHOLE_BYTES = 16_384


class FixedResponse(NamedTuple):
    """All bytes sent for one request; `last` ends the connection after it.

    `head` is None where this replica would render another one than was sent: the body can still be sent.
    """

    head: bytes | None
    head_bytes: int
    pieces: tuple[Piece, ...]
    size_bytes: int
    last: bool
    inline_bytes: int  # of its pieces in memory
    whole: bytes | None = None  # all bytes of a small one

    @property
    def body_bytes(self) -> int:
        return self.size_bytes - self.head_bytes

    @property
    def weight(self) -> int:
        return self.inline_bytes + OVERHEAD_BYTES

    @property
    def provisional(self) -> bool:
        """True if some of its contents had no hash when it was started."""
        return any(isinstance(piece, Slice) and is_snapshot(piece.content) for piece in self.pieces)

    def chunks(self, base: int, wants: Iterable[tuple[int, int]], budget: int, read: Read) -> list[Chunk]:
        """Return the wanted output bytes, the response being at `base` in the output; at most `budget` bytes.

        Raise `NotThisResponse`, and what `read` raises.
        """
        found: list[Chunk] = []
        end, whole = base + self.size_bytes, self.whole
        for start, stop in wants:
            if start >= end:
                continue
            start = max(start, base)
            stop = min(stop, end, start + budget)
            if start < stop:
                budget -= stop - start
                if whole is None:
                    found += self._range(base, start - base, stop - base, read)
                else:
                    found.append((start, whole[start - base : stop - base]))
        return found

    def gathered(self, read: Read) -> FixedResponse:
        """Return the response with all of its bytes in memory, if they are few; raise what `read` raises."""
        if self.whole is not None or self.size_bytes > MAX_WHOLE_BYTES:
            return self
        return self._replace(whole=b"".join([data for _, data in self._range(0, 0, self.size_bytes, read)]))

    def _range(self, base: int, start: int, stop: int, read: Read) -> Iterator[Chunk]:
        edge = self.head_bytes
        if start < edge:
            if self.head is None:
                raise NotThisResponse("the head was rendered differently")
            yield base + start, self.head[start:stop]
        if stop > edge:
            at = max(start, edge)
            for piece in clip(self.pieces, at - edge, stop - edge):
                yield (
                    base + at,
                    piece.data if isinstance(piece, Inline) else read(piece.content, piece.start, piece.stop),
                )
                at += piece.byte_count


def clip(pieces: Iterable[Piece], start: int, stop: int) -> Iterator[Piece]:
    """Yield the pieces of the body bytes [start, stop), in order, none empty."""
    base = 0
    for piece in pieces:
        if base >= stop:
            return
        first, last = max(start - base, 0), min(stop - base, piece.byte_count)
        if first < last:
            yield _cut(piece, first, last)
        base += piece.byte_count


def _cut(piece: Piece, first: int, last: int) -> Piece:
    if isinstance(piece, Inline):
        return Inline(piece.data[first:last])
    return Slice(piece.content, piece.start + first, piece.start + last)


class Sendable(NamedTuple):
    """A fixed response to send, the token that resumes it on any replica, and its status."""

    response: FixedResponse
    token: bytes
    status: int

    def begin(self, event: Event, start: int, consumed: int, read: Read, before: tuple[Chunk, ...] = ()) -> Reply:
        """Return its first wanted bytes, after `before`, with the continuation; raise what `read` raises."""
        response = self.response
        stop = start + response.size_bytes
        budget = event.budget - sum(len(data) for _, data in before) if before else event.budget
        chunks = response.chunks(start, event.wants, budget, read)
        known = Continuation(self.token, start, stop, consumed)
        return Reply((*before, *chunks), known, stop if response.last else None)


class PlannedResponse(NamedTuple):
    """A plan and its delivery; equal ones make equal bytes. Without a body the plan has no pieces."""

    plan: Plan
    delivery: BodyDelivery
    date_s: int

    @classmethod
    def of(cls, plan: Plan, delivery: BodyDelivery, date_s: int) -> PlannedResponse:
        return cls(plan if delivery.has_body else plan._replace(pieces=()), delivery, date_s)

    def rendered(self) -> FixedResponse:
        """Return its bytes by offset, whole if they are few; raise `UnsafeHeader` for headers that cannot be sent."""
        (status, headers, pieces), delivery, date_s = self
        head = render_head(status, headers, delivery, date_seconds=date_s)
        data = [piece.data for piece in pieces if isinstance(piece, Inline)]
        inline, whole = sum(map(len, data)), None
        size = len(head) + (inline if len(data) == len(pieces) else self.plan.body_bytes)
        if len(data) == len(pieces) and size <= MAX_WHOLE_BYTES:
            whole = b"".join((head, *data))
        return FixedResponse(head, len(head), pieces, size, not delivery.keep_alive, inline, whole)

    def delivered(self, head: bytes) -> Delivered:
        """Return the delivery for a token, with the head that was rendered."""
        return Delivered(self.delivery, self.date_s, len(head), zlib.crc32(head))

    def sendable(self, max_bytes: int = MAX_TOKEN_BYTES, *, deflate: bool = True) -> Sendable:
        """Return it with a token that holds the plan; raise `PlanTooLarge` for more than `max_bytes`, or as
        `rendered`.
        """
        response = self.rendered()
        token = PlannedToken(self.delivered(response.head or b""), self.plan)
        return Sendable(response, token.pack(max_bytes, deflate=deflate), self.plan.status)


def resumed(delivered: Delivered, plan: Plan) -> FixedResponse:
    """Return the response that was started; without its head if this release renders another one."""
    length = plan.body_bytes if delivered.delivery.has_body else delivered.delivery.content_length
    delivery = delivered.delivery._replace(content_length=length)
    try:
        made = PlannedResponse(plan, delivery, delivered.date_s).rendered()
    except ValueError as exc:
        raise BadToken(str(exc)) from None
    if delivered.fits(made.head or b""):
        return made
    size = delivered.head_bytes
    return FixedResponse(None, size, plan.pieces, size + plan.body_bytes, made.last, made.inline_bytes)


def last_response(error: HTTPError, date_s: int, *, has_body: bool = True) -> Sendable:
    """Return the last response on a connection whose input is no request."""
    try:
        return _last(error, date_s, has_body=has_body)
    except (PlanTooLarge, ValueError):  # its fields are too long, or invalid
        return _last(HTTPError(error.status), date_s, has_body=has_body)


def _last(error: HTTPError, date_s: int, *, has_body: bool) -> Sendable:
    plan = error_plan(error)
    delivery = BodyDelivery(plan.body_bytes, chunked=False, has_body=has_body, keep_alive=False)
    return PlannedResponse.of(plan, delivery, date_s).sendable()
