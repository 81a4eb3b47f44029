"""Sightings from captured datagrams: parsed, opened where possible, and assigned to connections.

Requests and replies with a continuation name their connection. Other replies are assigned by the client's address and
the request number that they answer.
"""

from __future__ import annotations

from trickles.errors import BadPacket, Forged
from trickles.service import Continuation
from trickles.session import connection_id
from trickles.tools.capture import Captured
from trickles.tools.opener import Opened, Opener
from trickles.tools.sightings import (
    Junk,
    SeenAwait,
    SeenAwaited,
    SeenCertificate,
    SeenHello,
    SeenOther,
    SeenPiece,
    SeenReceipt,
    SeenRefusal,
    SeenRequest,
    SeenResponse,
    Sighting,
    What,
)
from trickles.wire.awaiting import parse_await_untrusted, parse_awaited_untrusted
from trickles.wire.hello import parse_certificate_untrusted, parse_hello_untrusted
from trickles.wire.kinds import VERSION, Address, Kind, Suite
from trickles.wire.piece import parse_piece_untrusted, parse_receipt_untrusted
from trickles.wire.refusal import parse_refusal_untrusted
from trickles.wire.request import RequestBody, parse_body_untrusted, split_untrusted
from trickles.wire.response import FRAME_FLAGS, HEADER, HEADER_BYTES, TAG_BYTES, parse_frames_untrusted
from trickles.wire.transport import CONNECTION_BYTES

FROM_CLIENT = frozenset({Kind.HELLO, Kind.ASK, Kind.REQUEST, Kind.PING, Kind.PIECE, Kind.AWAIT})
_BY_REQUEST = frozenset({Kind.REQUEST, Kind.PING, Kind.PIECE, Kind.AWAIT})
_EPOCH = slice(CONNECTION_BYTES, CONNECTION_BYTES + 4)
_LEAST_HELLO = 1200
_KINDS = frozenset(Kind)
_MOST_NAMES = 1 << 20  # then all are dropped: a live capture may run for weeks


class DatagramObserver:
    """Observes datagrams in order; remembers the connection of each client's request numbers."""

    def __init__(self, opener: Opener | None = None) -> None:
        self._opener = opener
        self._latest: dict[Address, bytes] = {}  # client -> connection seen last
        self._asked: dict[tuple[Address, int], bytes] = {}  # client, low half of request number -> connection
        self._suites: dict[Address, Suite] = {}  # client -> suite of its last hello
        self._suite_of: dict[bytes, Suite] = {}  # connection -> suite

    def see(self, captured: Captured) -> Sighting:
        """Return the sighting of any datagram; never raises."""
        kind = _kind(captured.payload)
        if kind is None:
            return self._junk(captured, None, f"no kind of version {VERSION}")
        try:
            return self._sighting(captured, kind)
        except BadPacket as exc:
            cut = len(captured.payload) < captured.size_bytes
            return self._junk(captured, kind, "cut short by the capture" if cut else str(exc))

    def _junk(self, captured: Captured, kind: Kind | None, reason: str) -> Sighting:
        return _made(captured, kind, kind not in FROM_CLIENT, None, Suite.SEALED, Junk(reason))

    def _sighting(self, captured: Captured, kind: Kind) -> Sighting:
        answers = kind not in FROM_CLIENT
        client = captured.destination if answers else captured.source
        connection: bytes | None = None
        what: What = SeenOther()
        if kind in _BY_REQUEST:
            connection, what = self._from_request(captured, kind, client)
        elif kind is Kind.HELLO:
            connection, what = self._hello(captured.payload, client)
        elif answers:
            connection, what = self._answer(captured, kind, client)
        return _made(captured, kind, answers, connection, self._suite(connection, client), what)

    def _suite(self, connection: bytes | None, client: Address) -> Suite:
        known = self._suite_of.get(connection) if connection is not None else None
        return known or self._suites.get(client, Suite.SEALED)

    # from the client

    def _hello(self, payload: bytes, client: Address) -> tuple[bytes | None, What]:
        hello = parse_hello_untrusted(payload, _LEAST_HELLO)
        inside = self._opener.hello(hello) if self._opener else None
        self._suites[client] = hello.suite
        connection = connection_id(inside.secret) if inside else None
        if connection is not None:
            self._name(client, 0, connection)
        return connection, SeenHello(hello, inside)

    def _from_request(self, captured: Captured, kind: Kind, client: Address) -> tuple[bytes, What]:
        header, blob, number = split_untrusted(captured.payload)
        connection, epoch = blob[:CONNECTION_BYTES], int.from_bytes(blob[_EPOCH], "big")
        opened = self._opener.transport(blob) if self._opener else None
        if opened is not None:
            self._suite_of[connection] = opened.state.suite
        self._name(client, number, connection)
        if kind is Kind.PING:
            return connection, SeenOther()
        body = self._body(opened, header, captured, self._suite(connection, client))
        if kind is Kind.PIECE:
            start, data = parse_piece_untrusted(body) if body else (None, b"")
            stop = None if start is None else start + len(data)
            return connection, SeenPiece(number, epoch, start, stop)
        if kind is Kind.AWAIT:
            return connection, SeenAwait(number, epoch, parse_await_untrusted(body) if body else None)
        parsed = parse_body_untrusted(body) if body else None
        return connection, SeenRequest(number, epoch, opened, parsed, self._user(opened, parsed))

    def _body(self, opened: Opened | None, header: bytes, captured: Captured, suite: Suite) -> bytes | None:
        """Return the body in clear: opened with the keyring, or copied in suite open; None when not possible."""
        payload = captured.payload
        if len(payload) < captured.size_bytes:
            return None
        if opened is None:
            return payload[len(header) : -TAG_BYTES] if suite is Suite.OPEN else None
        try:
            return opened.session.open_request_untrusted(header, payload)
        except Forged:
            raise BadPacket("forged: its tag does not fit") from None

    def _user(self, opened: Opened | None, body: RequestBody | None) -> Continuation | None:
        if self._opener is None or opened is None or body is None or not body.user:
            return None
        return self._opener.user(opened.session.identity, body.user)

    # from a replica

    def _answer(self, captured: Captured, kind: Kind, client: Address) -> tuple[bytes | None, What]:
        payload = captured.payload
        if kind is Kind.CERTIFICATE:
            return None, SeenCertificate(parse_certificate_untrusted(payload[1:]))
        if kind is Kind.COOKIE:
            return None, SeenOther()
        if kind is Kind.RESPONSE:
            return self._response(captured, client)
        if kind is Kind.REFUSAL:
            head = parse_refusal_untrusted(payload)
            named = head.transport.connection if head.transport else None
            return self._whose(client, head.request, named), SeenRefusal(head)
        if kind is Kind.RECEIPT:
            receipt, _, _ = parse_receipt_untrusted(payload)
            return self._whose(client, receipt.request, None), SeenReceipt(receipt)
        if kind is Kind.AWAITED:
            awaited, _, _ = parse_awaited_untrusted(payload)
            return self._whose(client, awaited.number, None), SeenAwaited(awaited)
        if len(payload) < HEADER_BYTES:
            raise BadPacket("truncated pong")
        return self._whose(client, HEADER.unpack_from(payload)[2], None), SeenOther()

    def _response(self, captured: Captured, client: Address) -> tuple[bytes | None, What]:
        payload = captured.payload
        if len(payload) < HEADER_BYTES:
            raise BadPacket("truncated response")
        _, flags, request, _, number, _, offset = HEADER.unpack_from(payload)
        frames = parse_frames_untrusted(payload, flags)
        named = frames.transport.connection if frames.transport else None
        connection = self._whose(client, request, named)
        tagged = flags & FRAME_FLAGS or self._suite(connection, client) is Suite.SEALED
        size = captured.size_bytes - frames.data_at - (TAG_BYTES if tagged else 0)
        if size < 0:
            raise BadPacket("truncated response")
        seen = SeenResponse(flags, request, number, offset, size, frames.transport, frames.user)
        return connection, seen

    # assignment to connections

    def _name(self, client: Address, request: int, connection: bytes) -> None:
        if len(self._asked) >= _MOST_NAMES:
            self._asked.clear()
            self._latest.clear()
        self._latest[client] = connection
        self._asked[client, request & 0xFFFF] = connection
        if connection not in self._suite_of and client in self._suites:
            self._suite_of[connection] = self._suites[client]

    def _whose(self, client: Address, request: int, named: bytes | None) -> bytes | None:
        if named is not None:
            self._name(client, request, named)
            return named
        return self._asked.get((client, request & 0xFFFF)) or self._latest.get(client)


def _kind(payload: bytes) -> Kind | None:
    return Kind(payload[0]) if payload and payload[0] in _KINDS else None


def _made(
    captured: Captured, kind: Kind | None, answers: bool, connection: bytes | None, suite: Suite, what: What
) -> Sighting:
    ends = (captured.destination, captured.source) if answers else (captured.source, captured.destination)
    return Sighting(captured.time_us, *ends, not answers, captured.size_bytes, kind, connection, suite, what)
