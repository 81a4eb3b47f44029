"""A client by hand: says to a listener exactly what a test wants said, true or not, and reads what comes back."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from hashlib import sha256
from operator import xor
from typing import Any

from trickles.errors import Forged
from trickles.handshake import seal_hello, verify_certificate_untrusted
from trickles.keyring import Epoch
from trickles.reassembly import Reassembly
from trickles.session import Session
from trickles.wire.hello import NO_COOKIE, HelloInside
from trickles.wire.kinds import Address, Kind, RequestFlag, Suite
from trickles.wire.refusal import RefusalHead, parse_refusal_untrusted
from trickles.wire.request import RequestBody, request_header
from trickles.wire.response import (
    FRAME_FLAGS,
    HEADER,
    TransportFrame,
    UserFrame,
    parse_frames_untrusted,
)

SOURCE: Address = ("192.0.2.7", 40_000)
Run = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Packet:
    """One response packet, opened."""

    flags: int
    request: int
    number: int
    nonce: int
    offset: int
    data: bytes
    transport: TransportFrame | None
    user: UserFrame | None
    size_bytes: int


class Peer:
    """One connection's secrets and what was learned from the fleet."""

    def __init__(self, name: str = "peer", suite: Suite = Suite.SEALED) -> None:
        self.secret = sha256(name.encode()).digest()
        self.suite = suite
        self.session = Session(self.secret, suite)
        self.number = 0
        self.transport: TransportFrame | None = None
        self.user: UserFrame | None = None
        self.nonces: dict[int, int] = {}
        self.output = Reassembly()

    @property
    def blob(self) -> bytes:
        """The transport continuation learned last."""
        assert self.transport is not None
        return self.transport.blob

    @property
    def top(self) -> int:
        """One past the highest number that was received."""
        return max(self.nonces) + 1

    # what it says

    def hello(
        self,
        epoch: Epoch,
        data: bytes = b"",
        *,
        wanted: int = 0,
        ends: bool = False,
        size: int = 1200,
        cookie: bytes = NO_COOKIE,
    ) -> bytes:
        """A hello to that epoch, with early input."""
        certificate = verify_certificate_untrusted(epoch.certificate, None)
        inside = HelloInside(self.secret, 65_507, ends, wanted, data)
        return replace(seal_hello(certificate, self.suite, inside, size=size), cookie=cookie).encode()

    def request(self, body: RequestBody, *, blob: bytes = b"", kind: Kind = Kind.REQUEST) -> bytes:
        """A sealed request under a number of its own."""
        return self.seal(body.encode(), blob=blob, kind=kind)

    def seal(self, body: bytes, *, blob: bytes = b"", kind: Kind = Kind.REQUEST) -> bytes:
        """Any bytes sealed as a request's body."""
        self.number += 1
        return self.session.seal_request(request_header(kind, blob or self.blob, self.number), body)

    def speak(self, lo: int, hi: int, **fields: Any) -> bytes:
        """A request that speaks for [lo, hi) with all that is known for proof, wanting the next megabyte."""
        return self.request(self.spoken(lo, hi, **fields))

    def spoken(self, lo: int, hi: int, **fields: Any) -> RequestBody:
        """The body of `speak`; `fields` replace its own."""
        assert self.transport is not None
        base = self.transport.episode.base
        user = self.user.blob if self.user else b""
        plain = RequestBody(0, 1200, lo, hi, 0, self.proof(base), ((0, 1 << 20),), user)
        return plain._replace(**fields)

    def restart(self, base: int, *, flags: int = 0, **fields: Any) -> bytes:
        """A request for a new episode at `base`, with all that is known for proof."""
        proved = self.proof(self.transport.episode.base if self.transport else 0)
        at = proved[-1][1] if proved else 0
        return self.speak(at, at, flags=RequestFlag.RESTART | flags, restart_base=base, **fields)

    def proof(self, base: int) -> tuple[Run, ...]:
        """Runs (start, stop, nonce) of everything received from `base` on."""
        runs: list[list[int]] = []
        for number in sorted(number for number in self.nonces if number >= base):
            if runs and runs[-1][1] == number:
                runs[-1][1] += 1
                runs[-1][2] ^= self.nonces[number]
            else:
                runs.append([number, number + 1, self.nonces[number]])
        return tuple((start, stop, nonce) for start, stop, nonce in runs)

    def run(self, start: int, stop: int) -> Run:
        """What receiving exactly [start, stop) proves."""
        return start, stop, reduce(xor, (self.nonces[number] for number in range(start, stop)))

    # what it hears

    def read(self, datagrams: Iterable[bytes], *, lost: Iterable[int] = ()) -> list[Packet]:
        """Open response packets and learn from them, but for the numbers that are `lost`."""
        gone = set(lost)
        packets = [self.open(datagram) for datagram in datagrams if datagram[0] == Kind.RESPONSE]
        for packet in packets:
            if packet.number in gone:
                continue
            self.nonces[packet.number] = packet.nonce
            self.output.add(packet.offset, packet.data)
            self.transport = packet.transport or self.transport
            self.user = packet.user or self.user
        return packets

    def open(self, datagram: bytes) -> Packet:
        """One response packet; Forged when it does not authenticate."""
        kind, flags, request, _, number, nonce, offset = HEADER.unpack_from(datagram)
        if kind != Kind.RESPONSE:
            raise Forged("not a response")
        frames = parse_frames_untrusted(datagram, flags)
        clear, tagged = datagram[: frames.data_at], bool(flags & FRAME_FLAGS)
        data = self.session.open_response_untrusted(clear, datagram[frames.data_at :], tagged=tagged)
        return Packet(
            flags,
            request,
            number,
            nonce,
            offset,
            bytes(data),
            frames.transport,
            frames.user,
            len(datagram),
        )

    def open_refusal(self, datagram: bytes) -> RefusalHead:
        """A refusal, its tag checked if it has one."""
        head = parse_refusal_untrusted(datagram)
        if head.tag:
            self.session.check_untrusted(head.clear, head.tag)
        return head

    def refusal(self, datagram: bytes) -> RefusalHead:
        """A refusal, as `open_refusal`; a fresh continuation in it is taken over."""
        head = self.open_refusal(datagram)
        self.transport = head.transport or self.transport
        return head
