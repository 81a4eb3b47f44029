"""The user continuation of a response: how it is delivered and its plan, or the request it can be planned from again.

Layout, big-endian: form (1) | flags (1) | Date in seconds (8) | length of the head (2) | CRC-32 of the head (4) |
Content-Length (8, if flagged) | the plan (form 1), or the plan's digest (16) and the request, deflated (form 2).

The head is rendered again from these on every replica; its check keeps two runs, or two releases, from mixing heads.
The digest is of what is sent, and what it is (see `representation`): the other fields a program may make anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntFlag
from hashlib import sha256

from trickleweb.files import BadPlan, PlanTooLarge, decode_plan, encode_plan, is_snapshot
from trickleweb.headers import Headers
from trickleweb.http1 import Delivery, render_head
from trickleweb.messages import Inline, Piece, Plan, Slice
from trickleweb.origin.response import NotThisResponse, Response

MAX_STATE_BYTES = 700
_FIXED = struct.Struct(">BBQHI")
_LENGTH = struct.Struct(">Q")
_DIGEST_BYTES = 16
_ANY_BYTES = 1 << 62  # for a plan that is only digested
_PLANNED, _ASKED = 1, 2


# Fields that say what a body is (RFC 9110 8, 14.4), not when, for whom or by whom it was sent.
_REPRESENTATION = frozenset(
    {"content-encoding", "content-language", "content-location", "content-range", "content-type"}
    | {"etag", "last-modified", "location"}
)


class Flag(IntFlag):
    """The yes and no of a delivery."""

    KEEP_ALIVE = 1
    HTTP10 = 2
    BODY = 4
    LENGTH = 8  # no body goes out, and yet its length is told


@dataclass(frozen=True, slots=True)
class Exchange:
    """A response being delivered: equal exchanges make equal bytes. Without a body the plan has no pieces."""

    plan: Plan
    delivery: Delivery
    date_s: int

    def response(self) -> Response:
        """Its bytes by offset; `UnsafeHeader` for headers that cannot be sent."""
        plan, delivery = self.plan, self.delivery
        head = render_head(plan.status, plan.headers, delivery, date_seconds=self.date_s)
        size, last = len(head) + plan.body_bytes, not delivery.keep_alive
        return Response(head, len(head), plan.pieces, size, last=last, provisional=is_provisional(plan))


@dataclass(frozen=True, slots=True)
class Asked:
    """A state that holds no plan but the request; `digest` is the plan's, `resumed` makes the exchange of it."""

    request: bytes
    digest: bytes
    flags: Flag
    date_s: int
    length: int | None
    check: tuple[int, int]

    @property
    def has_body(self) -> bool:
        """Whether the body goes out too."""
        return bool(self.flags & Flag.BODY)

    def resumed(self, plan: Plan) -> Response:
        """The response, if this is the plan it was begun with; else `NotThisResponse`."""
        plan = plan if self.has_body else replace(plan, pieces=())
        if _digest(plan) != self.digest:
            raise NotThisResponse("the request is answered otherwise by now")
        return _checked(plan, self.flags, self.date_s, self.length, self.check)


def exchange(plan: Plan, delivery: Delivery, date_s: int) -> Exchange:
    """The exchange that delivers `plan`."""
    return Exchange(plan if delivery.has_body else replace(plan, pieces=()), delivery, date_s)


def encode(
    value: Exchange,
    head: bytes,
    request: Callable[[], bytes | None] | None,
    max_bytes: int = MAX_STATE_BYTES,
    *,
    deflate: bool = True,
) -> bytes:
    """The state of an exchange whose head was rendered as `head`: at most `max_bytes`, else `PlanTooLarge`.

    `request`, where there is one, makes what stands in for a plan that does not fit. A plan that may hold secrets
    beside what others put there is not to be deflated.
    """
    delivery = value.delivery
    told = delivery.content_length is not None and not delivery.has_body
    flags = Flag.KEEP_ALIVE * delivery.keep_alive | Flag.HTTP10 * delivery.http10 | Flag.BODY * delivery.has_body
    tail = _LENGTH.pack(delivery.content_length) if told else b""
    fixed = (flags | Flag.LENGTH * told, value.date_s, len(head), zlib.crc32(head))
    room = max_bytes - _FIXED.size - len(tail)
    try:
        return _FIXED.pack(_PLANNED, *fixed) + tail + encode_plan(value.plan, room, deflate=deflate)
    except PlanTooLarge:
        packed = None if request is None else request()
        if packed is None or _DIGEST_BYTES + len(packed) > room:
            raise
    return _FIXED.pack(_ASKED, *fixed) + tail + _digest(value.plan) + packed


def decode(state: bytes) -> Response | Asked:
    """What `encode` made these bytes of; `NotThisResponse` for bytes of another release."""
    try:
        form, bits, date_s, *check = _FIXED.unpack_from(state)
        flags, at, length = Flag(bits), _FIXED.size, None
        if flags & Flag.LENGTH:
            (length,) = _LENGTH.unpack_from(state, at)
            at += _LENGTH.size
        size, crc = check
        if form == _PLANNED:
            return _checked(decode_plan(state[at:]), flags, date_s, length, (size, crc))
    except (struct.error, ValueError, BadPlan) as exc:
        raise NotThisResponse(str(exc)) from None
    if form != _ASKED or len(state) < at + _DIGEST_BYTES:
        raise NotThisResponse("a state of no known form")
    body = at + _DIGEST_BYTES
    return Asked(state[body:], state[at:body], flags, date_s, length, (size, crc))


def renamed(state: bytes, pieces: tuple[Piece, ...], strong_name: Callable[[str], str | None]) -> bytes | None:
    """The state of the same response, which has `pieces`, with its contents' strong names; None while one has none."""
    if state[0] != _PLANNED:
        return None
    strong = [_strong(piece, strong_name) for piece in pieces]
    firm = tuple(piece for piece in strong if piece is not None)
    if len(firm) < len(strong):
        return None
    at = _FIXED.size + _LENGTH.size * bool(state[1] & Flag.LENGTH)
    return state[:at] + encode_plan(replace(decode_plan(state[at:]), pieces=firm), MAX_STATE_BYTES - at)


def _strong(piece: Piece, strong_name: Callable[[str], str | None]) -> Piece | None:
    if isinstance(piece, Inline) or not is_snapshot(piece.content):
        return piece
    name = strong_name(piece.content)
    return None if name is None else replace(piece, content=name)


def is_provisional(plan: Plan) -> bool:
    """Whether a plan has contents that were not hashed yet."""
    return any(isinstance(piece, Slice) and is_snapshot(piece.content) for piece in plan.pieces)


def goes_on(state: bytes) -> bool:
    """Whether the connection goes on behind the response of that state; False where that cannot be told."""
    return len(state) > _FIXED.size and state[0] in {_PLANNED, _ASKED} and state[1] & Flag.KEEP_ALIVE != 0


def _checked(plan: Plan, flags: Flag, date_s: int, length: int | None, check: tuple[int, int]) -> Response:
    """The response; without its head if this release renders another one than it was begun with."""
    has_body = bool(flags & Flag.BODY)
    told = plan.body_bytes if has_body else length
    keep_alive, http10 = bool(flags & Flag.KEEP_ALIVE), bool(flags & Flag.HTTP10)
    delivery = Delivery(told, chunked=False, has_body=has_body, keep_alive=keep_alive, http10=http10)
    made = Exchange(plan, delivery, date_s).response()
    if (made.head_bytes, zlib.crc32(made.head or b"")) == check:
        return made
    size, provisional = check[0] + plan.body_bytes, made.provisional
    return Response(None, check[0], plan.pieces, size, last=made.last, provisional=provisional)


def representation(headers: Headers) -> Headers:
    """The fields that must be equal where another run's body goes behind this head; Date or Set-Cookie need not be."""
    return Headers(tuple((name.lower(), value) for name, value in headers if name.lower() in _REPRESENTATION))


def _digest(plan: Plan) -> bytes:
    kind = replace(plan, headers=representation(plan.headers))
    return sha256(encode_plan(kind, _ANY_BYTES)).digest()[:_DIGEST_BYTES]
