"""Delimitation of a response on its connection: one decision, the same on every replica."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.messages import RequestHead


@dataclass(frozen=True, slots=True)
class BodyDelivery:
    """The delimitation of one response."""

    content_length: int | None  # None: no Content-Length
    chunked: bool  # the body is sent in chunks
    has_body: bool  # False: nothing follows the head
    keep_alive: bool  # the connection persists
    http10: bool = False  # a persistent connection needs Connection: keep-alive


def decide_delivery(request: RequestHead, status: int, body_bytes: int | None, *, close: bool = False) -> BodyDelivery:
    """Return the delimitation for a body of `body_bytes` (None: unknown yet); `close` ends the connection.

    204 and 304 have no body and no length, 205 an empty one, HEAD the length of GET's (RFC 9110 8.6, 9.3.2, 15.3.6). A
    body of unknown length is sent in chunks, to an HTTP/1.0 client until the connection closes (RFC 9112 6.3).
    """
    http10 = request.version < (1, 1)
    keep_alive = request.keep_alive and not close
    if status in (204, 304):
        return BodyDelivery(None, chunked=False, has_body=False, keep_alive=keep_alive, http10=http10)
    length = 0 if status == 205 else body_bytes
    has_body = request.method != "HEAD" and length != 0
    unbounded = has_body and length is None
    return BodyDelivery(
        length,
        chunked=unbounded and not http10,
        has_body=has_body,
        keep_alive=keep_alive and not (unbounded and http10),
        http10=http10,
    )
