"""What can be seen of one datagram: its fields, whose it is, and more when a keyring opens it."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.service import Continuation
from trickles.tools.opener import Opened
from trickles.wire.hello import Certificate, Hello, HelloInside
from trickles.wire.kinds import Address, Kind, Suite
from trickles.wire.piece import Receipt
from trickles.wire.refusal import RefusalHead
from trickles.wire.request import RequestBody
from trickles.wire.response import TransportFrame, UserFrame


@dataclass(frozen=True, slots=True)
class SeenHello:
    """A hello; `inside` when the keyring opened it."""

    hello: Hello
    inside: HelloInside | None


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """The certificate that answers an ask or a hello to an unknown epoch."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request: always its number and epoch; state and body when the keyring opens them (or the suite is open)."""

    number: int
    epoch: int
    opened: Opened | None
    body: RequestBody | None
    user: Continuation | None


@dataclass(frozen=True, slots=True)
class SeenPiece:
    """A piece for the spool; input [start, stop) when it could be opened."""

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
    """Why there was no answer."""

    head: RefusalHead


@dataclass(frozen=True, slots=True)
class SeenReceipt:
    """The spool has a piece."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class SeenOther:
    """A kind with nothing inside worth telling: ask, cookie, ping, pong."""


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes that are no datagram of this protocol, and why."""

    reason: str


What = (
    SeenHello | SeenCertificate | SeenRequest | SeenPiece | SeenResponse | SeenRefusal | SeenReceipt | SeenOther | Junk
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One datagram; `connection` is None while it cannot be told, `kind` is None for junk."""

    time_us: int
    client: Address
    replica: Address
    to_server: bool
    size_bytes: int
    kind: Kind | None
    connection: bytes | None
    suite: Suite
    what: What
