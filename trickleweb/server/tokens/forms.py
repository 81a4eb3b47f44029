"""The table of all forms of user continuation: `encode`, or a token's own `pack`, writes and `decode_untrusted` reads.

With a token any replica resumes one response, or one range of it. Its first byte is its form:

 1   PlannedToken   the plan of the response: its bytes follow from their offset
 2   AskedToken     the request, to plan or run again, and a digest of the plan that must result
 3   VerifiedRange  of a stream, made again by running the request again
 4   VerifiedRange  of steps, from a cursor
 7   KeptToken      the response is in the ledger
 8   InterimToken   100 Continue; the request's body is still to come
 9   StoredToken    the response, or the rest of it, is in the response store
 10  VerifiedRange  of a program's event stream, made again by running the request again with the last event's id

Forms are permanent, as replicas of two releases read each other's; 5 and 6 are free. A token is sealed by the
transport, so its bytes are the fleet's own, but perhaps of another release.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from trickleweb.server.errors import BadToken
from trickleweb.server.tokens.planned import (
    ASKED,
    CURSOR,
    EVENTS,
    INTERIM,
    KEPT,
    MAX_TOKEN_BYTES,
    PLANNED,
    REPLAY,
    STORED,
    AskedToken,
    PlannedToken,
    unpack_planned,
)

if TYPE_CHECKING:
    from trickleweb.server.tokens.ranges import VerifiedRange
    from trickleweb.server.tokens.stored import StoredToken

Token: TypeAlias = "PlannedToken | AskedToken | VerifiedRange | KeptToken | InterimToken | StoredToken"


class KeptToken(NamedTuple):
    """The response that the ledger has under a key."""

    key: bytes


class InterimToken(NamedTuple):
    """100 Continue was sent; its request is still to come."""


def _unpack_range(state: bytes) -> VerifiedRange:
    from trickleweb.server.tokens.ranges import unpack_range  # a replica of files starts sooner without it

    return unpack_range(state)


def _unpack_stored(state: bytes) -> StoredToken:
    from trickleweb.server.tokens.stored import unpack_stored

    return unpack_stored(state)


_DECODERS: dict[int, Callable[[bytes], Token]] = {
    PLANNED: unpack_planned,
    ASKED: unpack_planned,
    REPLAY: _unpack_range,
    CURSOR: _unpack_range,
    EVENTS: _unpack_range,
    KEPT: lambda state: KeptToken(state[1:]),
    INTERIM: lambda _: InterimToken(),
    STORED: _unpack_stored,
}


def encode(token: Token, max_bytes: int = MAX_TOKEN_BYTES, *, deflate: bool = True) -> bytes:
    """Return the bytes of a token; raise `PlanTooLarge` or `StateTooLarge` if they do not fit.

    Without `deflate` their number reveals nothing about a plan that mixes secrets with the input of others.
    """
    match token:
        case PlannedToken():
            return token.pack(max_bytes, deflate=deflate)
        case AskedToken():
            return token.pack(max_bytes)
        case KeptToken(key):
            return bytes((KEPT,)) + key
        case InterimToken():
            return bytes((INTERIM,))
        case range_or_stored:
            return range_or_stored.pack()


def decode_untrusted(state: bytes) -> Token:
    """Return the token that `encode` encoded; raise `BadToken` for other bytes."""
    decoder = _DECODERS.get(state[0]) if state else None
    if decoder is None:
        raise BadToken("a token of an unknown form")
    return decoder(state)
