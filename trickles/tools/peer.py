"""A client moved by hand: it sends valid or invalid requests to a listener, and opens the answers.

A client's engine sends only valid requests. Attacks, tests and lessons need others: with any received continuation, any
packet numbers, any proof, any flags. A peer holds a connection's secret and all it received: every continuation in
order, every packet number with its nonce, the output. It has no timers and no window; its caller decides what to send,
and when.

    peer = Peer("mallory")
    listener.handle(peer.hello(certificate, b"GET\n", wanted=3600), source, now=now)
    peer.read(datagrams)                                         # remembers nonces and continuations
    peer.restart(peer.bound())                                   # validates the address, as an honest client does
    peer.speak(0, peer.top)                                      # with everything received as proof
    peer.speak(0, peer.top, frame=peer.frames[0])                # under an older continuation
    peer.speak(0, 9, runs=((0, 9, 1234),), flags=RequestFlag.PROBE)  # any field by name: here a made-up proof
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from trickles.client.reassembly import Reassembly
from trickles.errors import BadPacket, Forged
from trickles.handshake import seal_hello, verify_certificate_untrusted
from trickles.keyring import Epoch
from trickles.session import SessionKeys
from trickles.tools.received import Received
from trickles.trickle import course
from trickles.wire.awaiting import Awaited, await_body, parse_awaited_untrusted
from trickles.wire.hello import NO_COOKIE, Certificate, HelloInside, parse_certificate_untrusted
from trickles.wire.kinds import Kind, RequestFlag, Suite
from trickles.wire.piece import Receipt, parse_receipt_untrusted, piece_body
from trickles.wire.refusal import RefusalHead, parse_refusal_untrusted
from trickles.wire.request import HEADER_BYTES as REQUEST_HEADER_BYTES
from trickles.wire.request import TAG_BYTES, RequestBody, Run, request_header
from trickles.wire.response import FRAME_FLAGS, HEADER, HEADER_BYTES, TransportFrame, UserFrame, parse_frames_untrusted

MAX_KEPT = 1 << 14  # continuations of each sort that a peer holds: hours of honest use


@dataclass(frozen=True, slots=True)
class OpenedPacket:
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

    @property
    def proves(self) -> bool:
        """True when it has a nonce: packets repeated by a replica have none."""
        return self.nonce != 0


@dataclass(frozen=True, slots=True)
class CookieChallenge:
    """The cookie that a busy fleet wants in a hello."""

    cookie: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, with the proof that datagrams of this size pass."""

    request: int
    size_bytes: int
    proof: int = 0


Reply = OpenedPacket | RefusalHead | Receipt | Certificate | CookieChallenge | Pong | Awaited


class Peer:
    """One connection's secret and all it received; the secret is a hash of `seed`."""

    def __init__(self, seed: str | bytes = "peer", suite: Suite = Suite.SEALED) -> None:
        self.secret = sha256(seed.encode() if isinstance(seed, str) else seed).digest()
        self.suite = suite
        self.session = SessionKeys(self.secret, suite)
        self.number = 0  # of the request sealed last
        self.transport: TransportFrame | None = None  # the newest; may be set to any other
        self.user: UserFrame | None = None
        self.frames: deque[TransportFrame] = deque(maxlen=MAX_KEPT)  # all, oldest first
        self.users: deque[UserFrame] = deque(maxlen=MAX_KEPT)
        self.nonces = Received()
        self.sizes: dict[int, int] = {}  # proofs that datagrams of these sizes pass
        self.output = Reassembly()

    @property
    def blob(self) -> bytes:
        assert self.transport is not None
        return self.transport.blob

    @property
    def base(self) -> int:
        """The first number of the episode in force, 0 before there is any."""
        return self.transport.episode.base if self.transport else 0

    @property
    def top(self) -> int:
        return self.nonces.top

    # requests

    def hello(
        self,
        fleet: Epoch | Certificate,
        data: bytes = b"",
        *,
        wanted: int = 0,
        ends: bool = False,
        size: int = 1200,
        cookie: bytes = NO_COOKIE,
    ) -> bytes:
        """Return a hello to that epoch, with early input."""
        known = verify_certificate_untrusted(fleet.certificate, None) if isinstance(fleet, Epoch) else fleet
        inside = HelloInside(self.secret, 65_507, ends, wanted, data)
        return replace(seal_hello(known, self.suite, inside, size=size), cookie=cookie).encode()

    def request(self, body: RequestBody, *, blob: bytes = b"", kind: Kind = Kind.REQUEST) -> bytes:
        """Return a sealed request under a new request number."""
        return self.seal(body.encode(), blob=blob, kind=kind)

    def seal(self, body: bytes, *, blob: bytes = b"", kind: Kind = Kind.REQUEST) -> bytes:
        self.number += 1
        return self.session.seal_request(request_header(kind, blob or self.blob, self.number), body)

    def ping(self, size: int, *, blob: bytes = b"") -> bytes:
        return self.seal(bytes(size - REQUEST_HEADER_BYTES - TAG_BYTES), blob=blob, kind=Kind.PING)

    def piece(self, offset: int, data: bytes, *, blob: bytes = b"") -> bytes:
        return self.seal(piece_body(offset, data), blob=blob, kind=Kind.PIECE)

    def ask_at_work(
        self, numbers: Sequence[int] = (), *, flags: int = 0, others: Sequence[tuple[bytes, int]] = ()
    ) -> bytes:
        """Return an AWAIT: a question about own requests, and `others` by name, or with LEAVES a goodbye."""
        return self.seal(await_body(numbers, flags, others), kind=Kind.AWAIT)

    def speak(self, lo: int, hi: int, *, frame: TransportFrame | None = None, **fields: Any) -> bytes:
        """Return a request that acknowledges [lo, hi) with everything received as proof, and wants a megabyte.

        `frame` is the continuation to use instead of the newest; `fields` replace those of `RequestBody`.
        """
        return self.request(self.spoken(lo, hi, frame=frame, **fields), blob=frame.blob if frame else b"")

    def spoken(self, lo: int, hi: int, *, frame: TransportFrame | None = None, **fields: Any) -> RequestBody:
        shown = frame or self.transport
        assert shown is not None
        runs = fields.pop("runs") if "runs" in fields else self.proof(shown.episode.base)
        user = self.user.blob if self.user else b""
        return RequestBody(0, 1200, lo, hi, 0, runs, ((0, 1 << 20),), user)._replace(**fields)

    def restart(self, base: int, *, flags: int = 0, frame: TransportFrame | None = None, **fields: Any) -> bytes:
        """Return a restart at `base` with everything received as proof, also of the datagram size in it."""
        high, low = divmod(self.sizes.get(fields.get("datagram_bytes", 0), 0), 1 << 32)
        return self.speak(high, low, frame=frame, flags=RequestFlag.RESTART | flags, restart_base=base, **fields)

    def proof(self, base: int) -> tuple[Run, ...]:
        """Return the runs (start, stop, nonce) of all numbers received from `base` on."""
        return self.nonces.runs(base)

    def run(self, start: int, stop: int) -> Run:
        return self.nonces.run(start, stop)

    # answers

    def read(self, datagrams: Iterable[bytes], *, lost: Iterable[int] = ()) -> list[OpenedPacket]:
        """Open response packets and remember their content, except for `lost` numbers."""
        gone = set(lost)
        packets = [self.open(datagram) for datagram in datagrams if datagram[0] == Kind.RESPONSE]
        for packet in packets:
            if packet.number not in gone:
                self.remember(packet)
        return packets

    def receive(self, datagram: bytes) -> Reply:
        """Open a datagram of any kind, and remember its content; BadPacket or Forged as `open_untrusted`."""
        reply = self.open_untrusted(datagram)
        if isinstance(reply, OpenedPacket):
            self.remember(reply)
        elif isinstance(reply, RefusalHead):
            self._adopt(reply.transport, None)
        elif isinstance(reply, Pong):
            self.sizes[reply.size_bytes] = reply.proof
        return reply

    def remember(self, packet: OpenedPacket) -> None:
        if packet.proves:
            self.nonces.add(packet.number, packet.nonce)
        self.output.add(packet.offset, packet.data)
        self._adopt(packet.transport, packet.user)

    def open_untrusted(self, datagram: bytes) -> Reply:
        """Open and check any datagram of a replica; BadPacket for others, Forged for other connections."""
        kind = datagram[0] if datagram else 0
        if kind == Kind.RESPONSE:
            return self.open(datagram)
        if kind == Kind.REFUSAL:
            return self.open_refusal(datagram)
        if kind == Kind.CERTIFICATE:
            return parse_certificate_untrusted(datagram[1:])
        if kind == Kind.COOKIE:
            return CookieChallenge(datagram[1:])
        if kind == Kind.RECEIPT:
            receipt, clear, tag = parse_receipt_untrusted(datagram)
            self.session.check_untrusted(clear, tag)
            return receipt
        if kind == Kind.AWAITED:
            awaited, clear, tag = parse_awaited_untrusted(datagram)
            self.session.check_untrusted(clear, tag)
            return awaited
        if kind == Kind.PONG and len(datagram) >= HEADER_BYTES:
            clear = datagram[:HEADER_BYTES]
            self.session.open_response_untrusted(clear, datagram[HEADER_BYTES:], tagged=True)
            _, _, _, _, request, proof, _ = HEADER.unpack(clear)
            return Pong(request, len(datagram), proof)
        raise BadPacket("not a reply")

    def open(self, datagram: bytes) -> OpenedPacket:
        """Open one response packet; Forged when it does not authenticate."""
        if len(datagram) < HEADER_BYTES:
            raise BadPacket("truncated response")
        kind, flags, request, _, number, nonce, offset = HEADER.unpack_from(datagram)
        if kind != Kind.RESPONSE:
            raise Forged("not a response")
        frames = parse_frames_untrusted(datagram, flags)
        clear, tagged = datagram[: frames.data_at], bool(flags & FRAME_FLAGS)
        data = self.session.open_response_untrusted(clear, datagram[frames.data_at :], tagged=tagged)
        size, brought = len(datagram), (frames.transport, frames.user)
        return OpenedPacket(flags, request, number, nonce, offset, bytes(data), *brought, size)

    def open_refusal(self, datagram: bytes) -> RefusalHead:
        """Open a refusal, and check its tag if it has one."""
        head = parse_refusal_untrusted(datagram)
        if head.tag:
            self.session.check_untrusted(head.clear, head.tag)
        return head

    def refusal(self, datagram: bytes) -> RefusalHead:
        """Open a refusal, and remember a continuation in it."""
        head = self.open_refusal(datagram)
        self._adopt(head.transport, None)
        return head

    def bound(self) -> int:
        """Return the least base of a restart: the edge of the proof in the episode in force."""
        assert self.transport is not None
        episode = self.transport.episode
        proof = self.proof(episode.base)
        return course(episode, [(start, stop) for start, stop, _ in proof]).edge(proof[-1][1] if proof else self.base)

    def _adopt(self, transport: TransportFrame | None, user: UserFrame | None) -> None:
        """Remember continuations; each is on several packets, and kept once."""
        if transport is not None:
            if not self.frames or self.frames[-1].blob != transport.blob:
                self.frames.append(transport)
            self.transport = transport
        if user is not None:
            if not self.users or self.users[-1].blob != user.blob:
                self.users.append(user)
            self.user = user
