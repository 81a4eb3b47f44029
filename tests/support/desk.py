"""One listener and one hand-made client face to face: no network lies between them, and time is what the test says."""

from collections.abc import Sequence

from tests.support.fleetkeys import WALL, entropy, ring
from tests.support.limits import TEST_LIMITS
from tests.support.peer import SOURCE, OpenedPacket, Peer
from tests.support.toys import File, body
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.wire.kinds import Address, Kind, Suite

CONTENT = body(400_000)
ROUND_TRIP = 10_000


def datagrams(listener: Listener, datagram: bytes, source: Address = SOURCE, *, now: int = WALL) -> list[bytes]:
    """What the listener answers, one by one; all of it goes back to the source."""
    bursts = listener.handle(datagram, source, now=now)
    assert all(burst.destination == source for burst in bursts)
    return [each for burst in bursts for each in burst.datagrams()]


class Desk:
    """A listener, a peer, and the time."""

    def __init__(
        self,
        service: Service | None = None,
        *,
        limits: Limits = TEST_LIMITS,
        suite: Suite = Suite.SEALED,
        keyring: Keyring | None = None,
        name: str = "peer",
    ) -> None:
        self.now = WALL
        self.keyring = keyring or ring()
        self.peer = Peer(name, suite)
        self.listener = Listener(self.keyring, service or File(CONTENT), entropy=entropy(), limits=limits)

    def send(self, datagram: bytes, source: Address = SOURCE) -> list[bytes]:
        """What the listener answers to one datagram."""
        return datagrams(self.listener, datagram, source, now=self.now)

    def ask(self, datagram: bytes, *, lost: Sequence[int] = ()) -> list[OpenedPacket]:
        """What the peer learns from the answer to one datagram."""
        return self.peer.read(self.send(datagram), lost=lost)

    def greet(self, data: bytes = b"GET\n", *, wanted: int = 3600) -> list[OpenedPacket]:
        """The handshake: the peer then holds an embryo, and a proof of what came."""
        return self.ask(self.peer.hello(self.keyring.newest(self.now), data, wanted=wanted))

    def connect(self) -> list[OpenedPacket]:
        """The handshake and the first restart: the peer's address is proved, and it has the initial window."""
        self.greet()
        self.now += ROUND_TRIP
        return self.ask(self.peer.restart(self.peer_bound()))

    def ping(self, size: int) -> None:
        """The peer gets a proof that datagrams of that size pass."""
        (pong,) = self.send(self.peer.ping(size))
        self.peer.receive(pong)

    def peer_bound(self) -> int:
        """The least base that a restart may have: the edge of what the peer has proved."""
        assert self.peer.transport is not None
        episode = self.peer.transport.episode
        proof = self.peer.proof(episode.base)
        return episode.edge(proof[-1][1] if proof else episode.base)

    def kinds(self, answers: list[bytes]) -> list[Kind]:
        """What kind of datagrams they are."""
        return [Kind(each[0]) for each in answers]

    def counted(self, name: str) -> int:
        """How often the listener counted that."""
        return self.listener.counters[name]
