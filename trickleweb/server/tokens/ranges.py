"""Tokens of bodies that are made while they are sent: each verifies one range of the body, and leads on from there.

Layout, big-endian: form (1) | flags (1) | Date in seconds (8) | length of the head (2) | CRC-32 of the head (4) |
CRC-32 of the kind of body (4) | start of the range in the body (8) | digest (16), then by form:

 3  run again: a replay context (32) | the request, see `request`
 4  from a cursor: length of the plan (2) | the plan, in the first range only | a checkpoint, see `bodies`
 10 run again, from an event on: a replay context (32) | a position, see `positions` | the request

The digest of form 3 covers the body up to the range's end, those of the others the range. A replica that would make
other bytes finds out before it sends one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from trickleweb.headers import Headers
from trickleweb.http1 import BodyDelivery
from trickleweb.plain import StateTooLarge
from trickleweb.server.errors import BadToken
from trickleweb.server.tokens.planned import CURSOR, EVENTS, MAX_TOKEN_BYTES, REPLAY, Flag, flags_of, representation
from trickleweb.server.tokens.planned import delivery_of as delivery_with
from trickleweb.server.tokens.positions import EventPosition, unpack_position
from trickleweb.server.tokens.request import ReplayContext, unpack_context

DIGEST_BYTES = 16
_FIXED = struct.Struct(f">BBQHIIQ{DIGEST_BYTES}s")
_SIZE = struct.Struct(">H")
_MAX_HEAD_BYTES = 65_535


class Framing(NamedTuple):
    """The delivery of a stream, and its head by length and CRC-32: the same in all ranges of a response.

    `kind_check` covers what must be equal when the request is run again: status, length, representation.
    """

    flags: int
    date_s: int
    head_bytes: int
    head_check: int
    kind_check: int

    def fits(self, head: bytes) -> bool:
        """Return whether that is the head."""
        return (len(head), zlib.crc32(head)) == (self.head_bytes, self.head_check)

    @property
    def chunked(self) -> bool:
        """True if the body is sent in chunks."""
        return bool(self.flags & Flag.CHUNKED)

    @property
    def last(self) -> bool:
        """True if the connection ends after the response."""
        return not self.flags & Flag.KEEP_ALIVE


@dataclass(frozen=True, slots=True)
class Replay:
    """A packed request to run again in a context."""

    context: ReplayContext
    request: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """A checkpoint to resume from; `plan` is the head's, b"" in all ranges but the first."""

    plan: bytes
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class EventReplay:
    """A packed request of an event stream to run again, and a position in its events."""

    replay: Replay
    position: EventPosition


Source = Replay | Cursor | EventReplay


@dataclass(frozen=True, slots=True)
class VerifiedRange:
    """Body bytes from `at` to the stop of the continuation; a `first` range covers the head too."""

    framing: Framing
    at: int
    digest: bytes
    source: Source
    first: bool

    @property
    def last(self) -> bool:
        """True if the connection ends after the response."""
        return self.framing.last

    def body_at(self, start: int) -> int:
        """Return the body's offset in the output, for this range's continuation from `start` on."""
        return start + self.framing.head_bytes if self.first else start - self.at

    def pack(self) -> bytes:
        """Return the token; raise `StateTooLarge` if it does not fit a continuation."""
        source, framing = self.source, self.framing
        form = REPLAY if isinstance(source, Replay) else EVENTS if isinstance(source, EventReplay) else CURSOR
        flags = framing.flags | Flag.FIRST * self.first
        fixed = _FIXED.pack(form, flags, *framing[1:], self.at, self.digest)
        if isinstance(source, Replay):
            return _fitting(fixed + source.context.pack() + source.request)
        if isinstance(source, EventReplay):
            replay = source.replay
            return _fitting(fixed + replay.context.pack() + source.position.pack() + replay.request)
        return _fitting(fixed + _SIZE.pack(len(source.plan)) + source.plan + source.checkpoint)


def unpack_range(state: bytes) -> VerifiedRange:
    """Return the token of form 3, 4 or 10 in these bytes; raise `BadToken` for those of another release."""
    try:
        form, flags, *rest, at, digest = _FIXED.unpack_from(state)
        framing = Framing(flags & ~Flag.FIRST, *rest)
        return VerifiedRange(framing, at, digest, _source(form, state[_FIXED.size :]), bool(flags & Flag.FIRST))
    except struct.error as exc:
        raise BadToken(str(exc)) from None


def kind_check(status: int, headers: Headers, delivery: BodyDelivery) -> int:
    """Return a CRC-32 of the parts that another run must not change; it may change cookies or dates."""
    parts = [(str(status), str(delivery.content_length)), *representation(headers)]
    return zlib.crc32("\n".join(f"{name}:{value}" for name, value in parts).encode("utf-8"))


def framing_of(delivery: BodyDelivery, date_s: int, head: bytes, kind: int = 0) -> Framing:
    """Return the framing of a response that begins now; raise `StateTooLarge` for a head too long for any client."""
    if len(head) > _MAX_HEAD_BYTES:
        raise StateTooLarge(f"a head of {len(head)} bytes, over {_MAX_HEAD_BYTES}: send fewer headers")
    return Framing(flags_of(delivery), date_s, len(head), zlib.crc32(head), kind)


def delivery_of(framing: Framing, length: int | None) -> BodyDelivery:
    """Return the delivery of a framing, with the body's length if its head has one."""
    return delivery_with(framing.flags, length)


def _fitting(state: bytes) -> bytes:
    if len(state) > MAX_TOKEN_BYTES:
        raise StateTooLarge(
            f"headers, cursor and arguments take {len(state)} bytes, over {MAX_TOKEN_BYTES}: send fewer headers, or"
            " keep the arguments in a shared store, and their key in the cursor"
        )
    return state


def _source(form: int, rest: bytes) -> Source:
    if form == REPLAY:
        return Replay(*unpack_context(rest))
    if form == EVENTS:
        context, rest = unpack_context(rest)
        position, request = unpack_position(rest)
        return EventReplay(Replay(context, request), position)
    (size,) = _SIZE.unpack_from(rest)
    plan, checkpoint = rest[_SIZE.size : _SIZE.size + size], rest[_SIZE.size + size :]
    if form != CURSOR or len(plan) != size:
        raise BadToken("a token of an unknown form")
    return Cursor(plan, checkpoint)
