"""One client and its fleet in the simulator, for tests that go on event by event and look inside between two of them.

The path is 5 ms one way and carries any rate. A test may decide what becomes of each datagram (`tamper`), and may do
something before each event (`before_step`): kill, move, replace. All that is random comes from one seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from tests.support.hops import Middlebox, Shuffle, Tamper, untouched
from tests.support.limits import TEST_LIMITS
from tests.support.worlds import HOME, KEYS, SPRAY, listener
from trickles.client import Client, ClientConfig, Connected, Data, End, Failed
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.spool import Spool
from trickles.testing import LinkSpec, ListenerFactory, ReplicaSpec, Session, Simulation
from trickles.testing.packet import Hop
from trickles.wire.kinds import Address

CLIENT: Address = ("192.0.2.99", 40_000)
DELAY = 5_000  # microseconds, one way
MOST_EVENTS = 200_000
FOREVER = 1 << 60


def fleet(
    service: Service,
    size: int = 2,
    *,
    keyring: Keyring = KEYS,
    limits: Limits = TEST_LIMITS,
    spool: Spool | None = None,
) -> list[ListenerFactory]:
    """Replicas of one service that share a keyring, and a spool if there is one."""
    return list(repeat(listener(service, keyring, limits=limits, spool=spool), size))


@dataclass(slots=True)
class Reader:
    """Takes all that comes out of a client."""

    received: bytearray = field(default_factory=bytearray)
    outcome: str = ""  # "end", or the reason of a failure

    def start(self, session: Session) -> None:
        """Write nothing: the test does."""

    def receive(self, session: Session, event: object) -> None:
        """Keep it."""
        if isinstance(event, Data):
            self.received += b"".join(event.chunks)
        elif isinstance(event, End | Failed):
            self.outcome = "end" if isinstance(event, End) else event.reason
        else:
            assert isinstance(event, Connected)


def checked(client: Client) -> Client:
    """The same, watched: a deadline that has passed although all that is due was sent makes a driver spin."""
    send = client.datagrams_to_send

    def sending(*, now: int) -> list[tuple[bytes, Address]]:
        sent, due = send(now=now), client.next_timeout()
        assert due is None or due > now, f"due at {due}, now {now}: {client.statistics()}"
        return sent

    client.datagrams_to_send = sending  # type: ignore[method-assign]
    return client


class Net:
    """One client and its fleet; `run` gives all the bytes that came out in order."""

    def __init__(
        self,
        replicas: Sequence[ListenerFactory],
        *,
        seed: int = 0,
        config: ClientConfig = SPRAY,
        loss: float = 0.0,
        duplicate: float = 0.0,
        shuffle_us: int = 0,  # up to which each datagram is held back, at random
        tamper: Tamper = untouched,
        specs: Sequence[ReplicaSpec] = (),
        address: Address = CLIENT,
    ) -> None:
        self.simulation = simulation = Simulation(seed)
        self.before_step: Callable[[], object] = lambda: None
        self._reader = Reader()
        self.replicas = [
            simulation.add_replica(factory, spec, address=(f"10.0.0.{at}", 443))
            for at, (factory, spec) in enumerate(zip(replicas, specs or repeat(None), strict=False), 1)
        ]
        wire = LinkSpec(delay=DELAY, loss=loss, duplicate=duplicate)
        up, down = list[Hop](), list[Hop]()
        for way, name, middle in ((up, "up", Middlebox(tamper, True)), (down, "down", Middlebox(tamper, False))):
            way += [middle, simulation.add_link(name, wire)]
            if shuffle_us:
                way.append(Shuffle(simulation.clock, simulation.random(name), shuffle_us))
        self.host = simulation.add_client(
            checked(Client(self.addresses, entropy=simulation.entropy("client"), config=config)),
            self._reader,
            outgoing=up,
            incoming=down,
            address=address,
        )

    @property
    def now(self) -> int:
        """Virtual time, microseconds from 0."""
        return self.simulation.now

    @property
    def addresses(self) -> list[Address]:
        """Of the replicas."""
        return [replica.address for replica in self.replicas]

    @property
    def listeners(self) -> list[Listener]:
        """The engines of the replicas."""
        return [each for replica in self.replicas if isinstance(each := replica.listener, Listener)]

    @property
    def client(self) -> Client:
        """The client's engine; another one may take its place."""
        engine = self.host.engine
        assert isinstance(engine, Client)
        return engine

    @client.setter
    def client(self, engine: Client) -> None:
        self.host.engine = checked(engine)

    @property
    def received(self) -> bytearray:
        """All the bytes that came out, in order."""
        return self._reader.received

    @property
    def outcome(self) -> str:
        """`end`, the reason of a failure, or nothing while the connection goes on."""
        return self._reader.outcome

    def insert(self, up: Hop, down: Hop) -> None:
        """Lead what the client sends and what it gets over one more hop each, beside the client."""
        self.host.outgoing = (up, *self.host.outgoing)
        self.host.incoming = (*self.host.incoming, down)

    def move(self, address: Address) -> None:
        """Give the client another address; what is sent to the old one is lost."""
        self.host.move(address)

    def run(self, data: bytes = b"GET\n", *, ends: bool = False, until_us: int = FOREVER) -> bytes:
        """Write that, connect, and go on until the connection ends or fails, or nothing moves, or it is late."""
        self.begin(data, ends=ends)
        return self.go_on(until_us)

    def begin(self, data: bytes = b"GET\n", *, ends: bool = False) -> None:
        """Write that before the connection begins."""
        self.client.write(data)
        if ends:
            self.client.write_eof()

    def go_on(self, until_us: int = FOREVER) -> bytes:
        """Send what was written, and let things happen until it is over, or nothing moves, or it is late."""
        assert self.walk(MOST_EVENTS, until_us), f"no end in sight: {self.client.statistics()}"
        return bytes(self.received)

    def walk(self, events: int, until_us: int = FOREVER) -> bool:
        """Let at most so many things happen; True once the connection is over, or nothing moves, or it is late."""
        self._send_what_was_written()
        left = events + 1

        def enough() -> bool:
            nonlocal left
            self.before_step()
            left -= 1
            return left == 0 or bool(self.outcome)

        return not self.simulation.run(until=enough, max_time=until_us) or bool(self.outcome)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is left that could."""
        return not self.walk(1) or bool(self.outcome)

    def idle(self, duration: int) -> None:
        """Let that much time pass."""
        until = self.now + duration
        self.simulation.clock.after(duration, lambda: None)
        self.go_on(until)
        assert self.now == until

    def resume(self, client: Client, received_bytes: int) -> None:
        """Let another engine go on, at a point where so many bytes had come out."""
        self.client = client
        del self.received[received_bytes:]
        self._reader.outcome = ""

    def _send_what_was_written(self) -> None:
        done = False

        def sent() -> None:
            nonlocal done
            done = True

        self.host.after(0, sent)
        self.simulation.run(until=lambda: done, max_time=self.now)


__all__ = ["CLIENT", "HOME", "SPRAY", "Net", "fleet"]
