"""The delivery of a response as one byte of a token."""

from __future__ import annotations

from enum import IntFlag

from trickleweb.http1 import Delivery

MAX_TOKEN_BYTES = 700  # `trickles.Limits.max_user_continuation_bytes`


class Flag(IntFlag):
    """The yes and no of a delivery."""

    KEEP_ALIVE = 1
    HTTP10 = 2
    BODY = 4
    LENGTH = 8  # no body goes out, and yet its length is told: it follows
    CHUNKED = 16
    FIRST = 32  # the range covers the head, too


def flags_of(delivery: Delivery) -> int:
    """The flags of a delivery, all but `LENGTH` and `FIRST`."""
    return (
        Flag.KEEP_ALIVE * delivery.keep_alive
        | Flag.HTTP10 * delivery.http10
        | Flag.BODY * delivery.has_body
        | Flag.CHUNKED * delivery.chunked
    )


def delivery_of(flags: int, length: int | None) -> Delivery:
    """The delivery with these flags, and with the body's length if its head tells one."""
    return Delivery(
        length,
        chunked=bool(flags & Flag.CHUNKED),
        has_body=bool(flags & Flag.BODY),
        keep_alive=bool(flags & Flag.KEEP_ALIVE),
        http10=bool(flags & Flag.HTTP10),
    )
