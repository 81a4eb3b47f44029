"""Tokens of responses whose bytes follow from their offset: with their plan, or with the request to plan them from.

Layout, big-endian: form (1) | flags (1) | Date in seconds (8) | length of the head (2) | CRC-32 of the head (4) |
Content-Length (8, if flagged), then by form:

    1  the plan
    2  the plan's digest (16) | the head of the request, deflated; or the replay context (32) and the request

The head is rendered again from these on every replica; its check keeps two runs, or two releases, from mixing heads.
The digest covers the body and its representation fields (`representation`); other fields may change. A
deflated head never begins with a zero byte, and a replay context, whose first eight bytes are a time, always does.
"""

from __future__ import annotations

import struct
import zlib
from hashlib import sha256
from typing import Final, NamedTuple

from trickleweb.headers import Headers
from trickleweb.http1 import BodyDelivery
from trickleweb.messages import Plan
from trickleweb.server.errors import BadToken
from trickleweb.server.tokens.plan import BadPlan, PlanTooLarge, decode_plan, encode_plan
from trickleweb.server.tokens.request import ReplayContext, unpack_context

MAX_TOKEN_BYTES = 700  # `trickles.Limits.max_user_continuation_bytes`


class Flag:
    """Flags of a delivery; plain integers, for they are tested on every request."""

    KEEP_ALIVE: Final = 1
    HTTP10: Final = 2
    BODY: Final = 4
    LENGTH: Final = 8  # a length without a body: it follows
    CHUNKED: Final = 16
    FIRST: Final = 32  # the range covers the head too


def flags_of(delivery: BodyDelivery) -> int:
    """Return the flags of a delivery, all but `LENGTH` and `FIRST`."""
    return (
        Flag.KEEP_ALIVE * delivery.keep_alive
        | Flag.HTTP10 * delivery.http10
        | Flag.BODY * delivery.has_body
        | Flag.CHUNKED * delivery.chunked
    )


def delivery_of(flags: int, length: int | None) -> BodyDelivery:
    """Return the delivery with these flags, and with the body's length if its head has one."""
    return BodyDelivery(
        length,
        chunked=bool(flags & Flag.CHUNKED),
        has_body=bool(flags & Flag.BODY),
        keep_alive=bool(flags & Flag.KEEP_ALIVE),
        http10=bool(flags & Flag.HTTP10),
    )


PLANNED, ASKED, REPLAY, CURSOR, KEPT, INTERIM, STORED, EVENTS = 1, 2, 3, 4, 7, 8, 9, 10  # forms, see `forms`
_FIXED = struct.Struct(">BBQHI")
_LENGTH = struct.Struct(">Q")
_DIGEST_BYTES = 16
_MAX_HEAD_BYTES = 65_535
_ANY_BYTES = 1 << 62  # for a plan that is only digested
# Fields that describe a body (RFC 9110 8, 14.4), not its sending.
_REPRESENTATION = frozenset(
    {"content-encoding", "content-language", "content-location", "content-range", "content-type"}
    | {"etag", "last-modified", "location"}
)


class Delivered(NamedTuple):
    """The delivery of a response: its framing, its Date, and its head by length and CRC-32."""

    delivery: BodyDelivery
    date_s: int
    head_bytes: int
    head_check: int

    def fits(self, head: bytes) -> bool:
        """Return whether that is the head."""
        return (len(head), zlib.crc32(head)) == (self.head_bytes, self.head_check)

    def pack(self, form: int) -> bytes:
        """Return the beginning of a token of that form; raise `PlanTooLarge` for a head too long for any client."""
        if self.head_bytes > _MAX_HEAD_BYTES:
            raise PlanTooLarge(f"a head of {self.head_bytes} bytes, over {_MAX_HEAD_BYTES}: send fewer headers")
        delivery = self.delivery
        length_only = delivery.content_length is not None and not delivery.has_body
        flags = flags_of(delivery) | Flag.LENGTH * length_only
        tail = _LENGTH.pack(delivery.content_length) if length_only else b""
        return _FIXED.pack(form, flags, self.date_s, self.head_bytes, self.head_check) + tail


class PlannedToken(NamedTuple):
    """A response with its plan; without a body the plan has no pieces."""

    delivered: Delivered
    plan: Plan

    def pack(self, max_bytes: int, *, deflate: bool) -> bytes:
        fixed = self.delivered.pack(PLANNED)
        return fixed + encode_plan(self.plan, max_bytes - len(fixed), deflate=deflate)


class AskedToken(NamedTuple):
    """A response as its request, to plan it again, or with a context to run it again."""

    delivered: Delivered
    digest: bytes
    request: bytes
    context: ReplayContext | None = None

    def pack(self, max_bytes: int) -> bytes:
        context = b"" if self.context is None else self.context.pack()
        data = b"".join((self.delivered.pack(ASKED), self.digest, context, self.request))
        if len(data) > max_bytes:
            raise PlanTooLarge(f"a request of {len(self.request)} bytes does not fit a token: {len(data)} bytes")
        return data

    def check(self, plan: Plan) -> Plan:
        """Return the plan as it is delivered, if it is the original one; raise `BadToken`."""
        delivered = plan if self.delivered.delivery.has_body else plan._replace(pieces=())
        if digest_of(delivered) != self.digest:
            raise BadToken("the response to the request has changed")
        return delivered


def unpack_planned(state: bytes) -> PlannedToken | AskedToken:
    """Return the token of form 1 or 2 in these bytes; raise `BadToken` for those of another release."""
    try:
        form, flags, date_s, size, check = _FIXED.unpack_from(state)
        at, length = _FIXED.size, None
        if flags & Flag.LENGTH:
            (length,) = _LENGTH.unpack_from(state, at)
            at += _LENGTH.size
        delivered = Delivered(delivery_of(flags, length), date_s, size, check)
        if form == PLANNED:
            return PlannedToken(delivered, decode_plan(state[at:]))
    except (struct.error, ValueError, BadPlan) as exc:
        raise BadToken(str(exc)) from None
    body = at + _DIGEST_BYTES
    if len(state) < body:
        raise BadToken("a truncated token")
    digest, rest = state[at:body], state[body:]
    if rest[:1] == b"\0":
        context, rest = unpack_context(rest)
        return AskedToken(delivered, digest, rest, context)
    return AskedToken(delivered, digest, rest)


def keeps_alive(state: bytes) -> bool:
    """Return whether the connection persists after that response; False if unknown."""
    return len(state) > _FIXED.size and state[0] in {PLANNED, ASKED} and state[1] & Flag.KEEP_ALIVE != 0


def asks_again(state: bytes) -> bool:
    """Return whether that is an `AskedToken`: its plan did not fit."""
    return state[0] == ASKED


def representation(headers: Headers) -> Headers:
    """Return the fields that must be equal for another run's body to follow this head; Date or Set-Cookie need not
    be.
    """
    return Headers(tuple((name.lower(), value) for name, value in headers if name.lower() in _REPRESENTATION))


def digest_of(plan: Plan) -> bytes:
    """Return the digest of a plan as it is delivered."""
    kind = plan._replace(headers=representation(plan.headers))
    return sha256(encode_plan(kind, _ANY_BYTES)).digest()[:_DIGEST_BYTES]
