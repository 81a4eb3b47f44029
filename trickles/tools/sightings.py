"""Sightings of datagrams: fields, connection, and content that a keyring opens."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.service import Continuation
from trickles.tools.opener import Opened
from trickles.wire.awaiting import Awaited, Question
from trickles.wire.hello import Certificate, Hello, HelloInside
from trickles.wire.kinds import Address, Kind, Suite
from trickles.wire.piece import Receipt
from trickles.wire.refusal import RefusalHead
from trickles.wire.request import RequestBody
from trickles.wire.response import TransportFrame, UserFrame


@dataclass(frozen=True, slots=True)
class SeenHello:
    """A hello; `inside` if the keyring opens it."""

    hello: Hello
    inside: HelloInside | None


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """The certificate that answers an ask or a hello to an unknown epoch."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request: number and epoch; state and body if the keyring opens them (or the suite is open)."""

    number: int
    epoch: int
    opened: Opened | None
    body: RequestBody | None
    user: Continuation | None


@dataclass(frozen=True, slots=True)
class SeenPiece:
    """A piece for the spool; input [start, stop) if it could be opened."""

    number: int
    epoch: int
    start: int | None
    stop: int | None


@dataclass(frozen=True, slots=True)
class SeenResponse:
    """A response packet; `request` is the low half of the number of the request that it answers."""

    flags: int
    request: int
    number: int
    offset: int
    data_bytes: int
    transport: TransportFrame | None
    user: UserFrame | None


@dataclass(frozen=True, slots=True)
class SeenRefusal:
    """A refusal."""

    head: RefusalHead


@dataclass(frozen=True, slots=True)
class SeenReceipt:
    """A receipt."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class SeenAwait:
    """A question about requests at work, or a goodbye: `asked` is its body, if it could be opened."""

    number: int
    epoch: int
    asked: Question | None


@dataclass(frozen=True, slots=True)
class SeenAwaited:
    """The answer to an await."""

    awaited: Awaited


@dataclass(frozen=True, slots=True)
class SeenOther:
    """A datagram without further content: ask, cookie, ping, pong."""


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes that are not a datagram of this protocol, and why."""

    reason: str


What = (
    SeenHello
    | SeenCertificate
    | SeenRequest
    | SeenPiece
    | SeenResponse
    | SeenRefusal
    | SeenReceipt
    | SeenAwait
    | SeenAwaited
    | SeenOther
    | Junk
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One datagram; `connection` is None while unknown, `kind` is None for junk."""

    time_us: int
    client: Address
    replica: Address
    to_server: bool
    size_bytes: int
    kind: Kind | None
    connection: bytes | None
    suite: Suite
    what: What
