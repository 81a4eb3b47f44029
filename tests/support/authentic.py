"""An established client, and a fleet that holds its keys and says what a test makes it say: all of it is authentic.

There is no network, and time is what the test says.
"""

from collections.abc import Sequence

from tests.support.fleetkeys import entropy, epoch
from tests.support.inside import parts
from trickles.client import Client, ClientConfig, Policy
from trickles.client.liveness import Liveness
from trickles.client.parts import Parts
from trickles.limits import Limits
from trickles.service import Heartbeat, Refusal
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire.kinds import Address, Kind, ResponseFlag, Suite
from trickles.wire.piece import Receipt
from trickles.wire.refusal import heartbeat_frame, refusal_header
from trickles.wire.response import FRAME_FLAGS, HEADER, TransportFrame, UserFrame

Frame = TransportFrame | UserFrame
REPLICAS: tuple[Address, ...] = (("10.0.0.1", 443), ("10.0.0.2", 443), ("10.0.0.3", 443))
A, B, _ = REPLICAS
DEFAULT = ClientConfig()


class AuthenticFleet:
    """`response`, `refusal`, `receipt` and `pong` make datagrams, `hear` delivers one, `say` does both."""

    def __init__(
        self,
        suite: Suite = Suite.SEALED,
        policy: Policy = Policy.HOME,
        limits: Limits | None = None,
        *,
        replicas: Sequence[Address] = REPLICAS,
        probe_sizes: tuple[int, ...] = DEFAULT.probe_sizes,
        liveness: Liveness | None = None,
    ) -> None:
        self.now = 1_000  # of the client's clock
        self.salt = 0
        self.limits = limits or Limits()
        config = ClientConfig(
            certificate=epoch().certificate, suite=suite, policy=policy, limits=self.limits, probe_sizes=probe_sizes
        )
        self.client = Client(replicas, entropy=entropy(3), config=config, liveness=liveness)
        self.client.write(b"GET\n")
        self.client.connect(now=0)
        self.client.datagrams_to_send(now=0)
        self.say(0, 0, b"hi", [self.transport(0, 3, embryo=True), UserFrame(0, None, 4, b"u" * 64)])
        assert self.client.is_established

    @property
    def state(self) -> Parts:
        """The owners inside the client."""
        return parts(self.client)

    @property
    def session(self) -> SessionKeys:
        """The keys of both ends."""
        return self.state.session

    def transport(self, base: int, start: int, ssthresh: int = 1 << 16, *, embryo: bool = False) -> TransportFrame:
        """A transport frame of this connection."""
        self.salt += 1
        blob = self.session.connection + self.salt.to_bytes(120, "big")
        return TransportFrame(Episode(base, start, ssthresh), embryo, blob)

    def response(
        self,
        request: int,
        number: int,
        data: bytes = b"",
        frames: Sequence[Frame] = (),
        *,
        offset: int = 0,
        flags: int = 0,
    ) -> bytes:
        """One response packet."""
        for frame in frames:
            flags |= ResponseFlag.TRANSPORT if isinstance(frame, TransportFrame) else ResponseFlag.USER
        salt = self._salt()
        clear = HEADER.pack(Kind.RESPONSE, flags, request & 0xFFFF, salt, number, self.salt, offset)
        clear += b"".join(frame.encode() for frame in frames)
        return self._sealed(clear, data, tagged=bool(flags & FRAME_FLAGS))

    def refusal(
        self,
        code: Refusal,
        request: int,
        frame: TransportFrame | None = None,
        *,
        worked_us: int = 0,
        incarnation: int = 0,
        heartbeat: Heartbeat | None = None,
    ) -> bytes:
        """One refusal with a right tag."""
        clear = refusal_header(code, request, self._salt(), worked_us, incarnation)
        clear += heartbeat_frame(heartbeat) if heartbeat is not None else b""
        return self._tagged(clear + (frame.encode() if frame is not None else b""))

    def receipt(self, request: int, start: int, stop: int, proof: int | None = None) -> bytes:
        """A receipt for a piece."""
        salt = self._salt()
        return self._tagged(Receipt(request, start, stop, self.salt if proof is None else proof).clear(salt))

    def pong(self, request: int, size_bytes: int) -> bytes:
        """The answer to a ping, or to none."""
        clear = HEADER.pack(Kind.PONG, 0, request & 0xFFFF, self._salt(), request, 0, 0)
        return self._sealed(clear, bytes(size_bytes - 48), tagged=True)

    def hear(self, datagram: bytes, source: Address = A) -> None:
        """Deliver one datagram."""
        self.client.receive_datagram(datagram, source, now=self.now)

    def say(
        self,
        request: int,
        number: int,
        data: bytes = b"",
        frames: Sequence[Frame] = (),
        *,
        offset: int = 0,
        flags: int = 0,
        source: Address = A,
    ) -> None:
        """Deliver one response packet."""
        self.hear(self.response(request, number, data, frames, offset=offset, flags=flags), source)

    def _salt(self) -> bytes:
        self.salt += 1
        return self.salt.to_bytes(8, "big")

    def _tagged(self, clear: bytes) -> bytes:
        return clear + self.session.tag(clear)

    def _sealed(self, clear: bytes, data: bytes, *, tagged: bool) -> bytes:
        return b"".join(map(bytes, self.session.seal_response(clear, data, tagged=tagged)))
