"""Both engines on a toy network in virtual time: loss, delay, duplication and whatever else a test makes of a datagram.

Everything random comes from one seed.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from random import Random

from tests.support.fleetkeys import WALL, entropy, ring
from tests.support.limits import TEST_LIMITS
from trickles.client import Client, ClientConfig, Connected, Data, End, Failed, Policy
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.wire.kinds import Address

CLIENT: Address = ("192.0.2.99", 40_000)
MAX_STEPS = 200_000
SPRAY = ClientConfig(policy=Policy.SPRAY, probe_sizes=())
HOME = ClientConfig(policy=Policy.HOME, probe_sizes=())

# (datagram, sent by the client) -> what the network delivers in its place; where it came from does not change
Tamper = Callable[[bytes, bool], Iterable[bytes]]


def untouched(datagram: bytes, upward: bool) -> Iterable[bytes]:
    """The network of a quiet day."""
    return (datagram,)


def fleet(
    service: Service, size: int = 2, *, keyring: Keyring | None = None, limits: Limits = TEST_LIMITS, seed: int = 0
) -> list[Listener]:
    """Listeners that share a keyring and nothing else."""
    shared, random = keyring or ring(), entropy(seed)
    return [Listener(shared, service, entropy=random, limits=limits) for _ in range(size)]


class Toynet:
    """One client and its fleet; `run` gives all the bytes that came out in order."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        seed: int = 0,
        config: ClientConfig = SPRAY,
        loss: float = 0.0,
        duplicate: float = 0.0,
        jitter_us: int = 50,
        tamper: Tamper = untouched,
    ) -> None:
        self.random = Random(seed)
        self.now = 0
        self.received = bytearray()
        self.outcome = ""  # "end", or the reason of a failure
        self.listeners = {(f"10.0.0.{at}", 443): each for at, each in enumerate(listeners, 1)}
        self.client = Client(list(self.listeners), entropy=self.random.randbytes, config=config)
        self.source = CLIENT
        self.before_step: Callable[[], None] = lambda: None
        self._chances = loss, duplicate, jitter_us
        self._tamper = tamper
        self._flying: list[tuple[int, int, Address, Address, bytes]] = []
        self._launched = 0

    def run(self, data: bytes = b"GET\n", *, ends: bool = False, until_us: int = 1 << 60) -> bytes:
        """Write that, connect, and go on until the connection ends or fails, or nothing moves, or it is late."""
        self.begin(data, ends=ends)
        return self.go_on(until_us)

    def begin(self, data: bytes, *, ends: bool = False) -> None:
        """Write that, and connect."""
        self.client.write(data)
        if ends:
            self.client.write_eof()
        self.client.connect(now=self.now)

    def go_on(self, until_us: int = 1 << 60) -> bytes:
        """Until the connection ends or fails, or nothing moves any more, or it is late."""
        if self.walk(MAX_STEPS, until_us):
            return bytes(self.received)
        raise AssertionError(f"no end in sight: {self.client.statistics()}")

    def walk(self, steps: int, until_us: int = 1 << 60) -> bool:
        """Let at most so many things happen; True once the connection is over, or nothing moves, or it is late."""
        for _ in range(steps):
            if self._taken():
                return True
            for datagram, replica in self.client.datagrams_to_send(now=self.now):  # taking made room for more
                self._launch(self.source, replica, datagram)
            self._check_timeout()
            if self.now >= until_us or (not self._taken() and not self.step()):
                return True
        return False

    def _check_timeout(self) -> None:
        """A deadline that has passed although all that is due was sent makes a driver spin."""
        due = self.client.next_timeout()
        assert due is None or due > self.now, f"due at {due}, now {self.now}: {self.client.statistics()}"

    def _taken(self) -> bool:
        while (event := self.client.next_event()) is not None:
            if isinstance(event, Data):
                self.received += b"".join(event.chunks)
            elif isinstance(event, End | Failed):
                self.outcome = "end" if isinstance(event, End) else event.reason
            else:
                assert isinstance(event, Connected)
        return bool(self.outcome)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is left that could."""
        self.before_step()
        self._poll()
        due = self._next_timeout()
        if self._flying and (due is None or self._flying[0][0] <= due):
            self.now, _, source, destination, datagram = heappop(self._flying)
            self._arrive(source, destination, datagram)
        elif due is not None:
            self.now = max(self.now, due)
            self.client.handle_timeout(now=self.now)
        else:
            return False
        return True

    def _next_timeout(self) -> int | None:
        """When the client or a listener that works on something wants to be called again."""
        due = [listener.next_timeout() for listener in self.listeners.values()]
        times = [time - WALL for time in due if time is not None]
        mine = self.client.next_timeout()
        return min(times + ([mine] if mine is not None else []), default=None)

    def _poll(self) -> None:
        for address, listener in self.listeners.items():
            for burst in listener.poll(WALL + self.now):
                for each in burst.datagrams():
                    self._launch(address, burst.destination, each)

    def _arrive(self, source: Address, destination: Address, datagram: bytes) -> None:
        listener = self.listeners.get(destination)
        if listener is not None:
            for burst in listener.handle(datagram, source, now=WALL + self.now):
                for each in burst.datagrams():
                    self._launch(destination, burst.destination, each)
        elif destination == self.source:  # else it went to where the client was before
            self.client.receive_datagram(datagram, source, now=self.now)

    def launch(self, source: Address, destination: Address, datagram: bytes) -> None:
        """Put one datagram on its way; it may be lost, delayed, doubled."""
        self._launch(source, destination, datagram)

    def _launch(self, source: Address, destination: Address, datagram: bytes) -> None:
        loss, duplicate, jitter_us = self._chances
        for each in self._tamper(datagram, destination in self.listeners):
            for _ in range(2 if self.random.random() < duplicate else 1):
                self._launched += 1
                if self.random.random() >= loss:
                    at = self.now + 5_000 + self.random.randrange(jitter_us)
                    heappush(self._flying, (at, self._launched, source, destination, each))
