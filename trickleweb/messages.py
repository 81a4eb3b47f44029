"""A request's head and a response's plan, the values that parsing, routing, files and rendering exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trickleweb.headers import NO_HEADERS, Headers


@dataclass(frozen=True, slots=True)
class NoBody:
    """No bytes follow the request's head."""


@dataclass(frozen=True, slots=True)
class Length:
    """Exactly `byte_count` bytes follow the head (Content-Length); never 0."""

    byte_count: int


@dataclass(frozen=True, slots=True)
class Chunked:
    """Chunks follow the head (Transfer-Encoding: chunked)."""


Framing = NoBody | Length | Chunked


@dataclass(frozen=True, slots=True)
class RequestHead:
    """One request's head, checked.

    Text is Latin-1 as on the wire except `path`, which is percent-decoded UTF-8.
    """

    method: str
    target: str  # as sent
    path: str  # decoded, dot segments resolved, starts with "/"; "*" for OPTIONS *; "" for CONNECT
    raw_path: str  # the target's path, not decoded
    query: str  # after the first "?", not decoded
    version: tuple[int, int]  # (1, 0) or (1, 1) or a later 1.x
    headers: Headers  # names in lower case, values stripped
    host: str  # authority asked for, in lower case: the absolute target's, else the Host field's; "" if there is none
    framing: Framing
    expect_continue: bool  # the client waits for 100 Continue before it sends its body
    keep_alive: bool  # the connection outlives this exchange
    head_bytes: int  # input consumed by the head, with any empty line before it
    scheme: str = "http"  # the absolute target's, else "http"


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The head is incomplete, and valid so far."""


class Inline(NamedTuple):
    """Body bytes carried by the plan itself."""

    data: bytes

    @property
    def byte_count(self) -> int:
        return len(self.data)


class Slice(NamedTuple):
    """Body bytes [start, stop) of content known to every replica by its identity (strong content hash)."""

    content: str
    start: int
    stop: int

    @property
    def byte_count(self) -> int:
        return self.stop - self.start


Piece = Inline | Slice


class Plan(NamedTuple):
    """A response whose body bytes are a function of their offset: status, headers, and pieces in order.

    `headers` describe the content (Content-Type, ETag, ...). Date, Server, Content-Length and Connection are the
    renderer's. For HEAD the plan is that of GET: the delivery drops the body and keeps the length.
    """

    status: int
    headers: Headers = NO_HEADERS
    pieces: tuple[Piece, ...] = ()

    @property
    def body_bytes(self) -> int:
        return sum([piece.byte_count for piece in self.pieces])
