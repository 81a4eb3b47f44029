"""The user continuation of a body that is made as it goes: what vouches for one stretch of it, and leads on from there.

Layout, big-endian: form (1) | flags (1) | Date in seconds (8) | length of the head (2) | CRC-32 of the head (4) |
CRC-32 of what the body is (4) | where the stretch begins in the body (8) | digest (16), then by form:

    3  run again: a moment (32), see `moment` | the request, see `retelling`
    4  from a cursor: length of the plan (2) | the plan, in the first stretch only | a checkpoint, see `bodies`

The digest of form 3 is of all the body up to the stretch's end, that of form 4 of the stretch. A replica that would
make other bytes finds out before it sends one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from trickleweb.headers import Headers
from trickleweb.http1 import Delivery
from trickleweb.origin.program.moment import Moment, unpack_moment
from trickleweb.origin.program.tape import DIGEST_BYTES
from trickleweb.origin.response import NotThisResponse
from trickleweb.origin.state import MAX_STATE_BYTES, Flag, representation
from trickleweb.plain import StateTooLarge

AGAIN, CURSOR = 3, 4
_FIXED = struct.Struct(f">BBQHIIQ{DIGEST_BYTES}s")
_SIZE = struct.Struct(">H")
_FIRST, _CHUNKED = 32, 16  # beside `state.Flag`
_MAX_HEAD_BYTES = 65_535


class Framing(NamedTuple):
    """How a stream is delivered, and its head by length and CRC-32: the same in all stretches of a response.

    `kind_check` is of what must be equal when the request is run again: status, length, what the body is.
    """

    flags: int
    date_s: int
    head_bytes: int
    head_check: int
    kind_check: int

    def fits(self, head: bytes) -> bool:
        """Whether that is the head."""
        return (len(head), zlib.crc32(head)) == (self.head_bytes, self.head_check)

    @property
    def chunked(self) -> bool:
        """The body goes as chunks."""
        return bool(self.flags & _CHUNKED)

    @property
    def last(self) -> bool:
        """The connection ends behind the response."""
        return not self.flags & Flag.KEEP_ALIVE


@dataclass(frozen=True, slots=True)
class Again:
    """Run the request again, as it was told, at that moment."""

    moment: Moment
    request: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """Go on from a checkpoint; `plan` is the head's, b"" in all stretches but the first."""

    plan: bytes
    checkpoint: bytes


Way = Again | Cursor


@dataclass(frozen=True, slots=True)
class Stretch:
    """Body bytes from `at` on, to where the continuation covers; `first` ones cover the head too."""

    framing: Framing
    at: int
    digest: bytes
    way: Way
    first: bool

    def body_at(self, start: int) -> int:
        """Where the body begins in the output, if this stretch's continuation covers it from `start` on."""
        return start + self.framing.head_bytes if self.first else start - self.at

    def encode(self) -> bytes:
        """The state, which may be too long for a continuation."""
        way, framing = self.way, self.framing
        form = AGAIN if isinstance(way, Again) else CURSOR
        flags = framing.flags | _FIRST * self.first
        fixed = _FIXED.pack(form, flags, *framing[1:], self.at, self.digest)
        if isinstance(way, Again):
            return fixed + way.moment.pack() + way.request
        return fixed + _SIZE.pack(len(way.plan)) + way.plan + way.checkpoint


def fitting(state: bytes) -> bytes:
    """The state, if a continuation has room for it; else `StateTooLarge`."""
    if len(state) > MAX_STATE_BYTES:
        raise StateTooLarge(
            f"headers, cursor and arguments take {len(state)} bytes, over {MAX_STATE_BYTES}: send fewer headers, or"
            " keep the arguments in a shared store, and their key in the cursor"
        )
    return state


def kind_check(status: int, headers: Headers, delivery: Delivery) -> int:
    """A CRC-32 of what another run must not change: it may set other cookies, or tell another time."""
    told = [(str(status), str(delivery.content_length)), *representation(headers)]
    return zlib.crc32("\n".join(f"{name}:{value}" for name, value in told).encode("utf-8"))


def framing_of(delivery: Delivery, date_s: int, head: bytes, kind: int = 0) -> Framing:
    """The framing of a response that begins now; `StateTooLarge` for a head that no client would take either."""
    if len(head) > _MAX_HEAD_BYTES:
        raise StateTooLarge(f"a head of {len(head)} bytes, over {_MAX_HEAD_BYTES}: send fewer headers")
    flags = Flag.BODY | Flag.KEEP_ALIVE * delivery.keep_alive | Flag.HTTP10 * delivery.http10
    return Framing(flags | _CHUNKED * delivery.chunked, date_s, len(head), zlib.crc32(head), kind)


def delivery_of(framing: Framing, length: int | None) -> Delivery:
    """The delivery that `framing_of` was told of, with the body's length if its head tells one."""
    flags = framing.flags
    keep_alive, http10 = bool(flags & Flag.KEEP_ALIVE), bool(flags & Flag.HTTP10)
    return Delivery(length, chunked=framing.chunked, has_body=True, keep_alive=keep_alive, http10=http10)


def decode(state: bytes) -> Stretch:
    """What `encode` made these bytes of; `NotThisResponse` for bytes of another release."""
    try:
        form, flags, *rest, at, digest = _FIXED.unpack_from(state)
        framing = Framing(flags & ~_FIRST, *rest)
        return Stretch(framing, at, digest, _way(form, state[_FIXED.size :]), bool(flags & _FIRST))
    except struct.error as exc:
        raise NotThisResponse(str(exc)) from None


def _way(form: int, rest: bytes) -> Way:
    if form == AGAIN:
        return Again(*unpack_moment(rest))
    (size,) = _SIZE.unpack_from(rest)
    plan, checkpoint = rest[_SIZE.size : _SIZE.size + size], rest[_SIZE.size + size :]
    if form != CURSOR or len(plan) != size:
        raise NotThisResponse("a state of no known form")
    return Cursor(plan, checkpoint)
