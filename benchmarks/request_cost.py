"""What does one request cost a replica, and its client, in CPU? The engines alone: no sockets, no other process.

Clients and listeners talk in virtual time; every call is timed by itself. The situations: a hello (the public-key
work, three packets back); the first request, which proves the address; a small request on a connection kept alive, to
the replica that answered the one before, to one that knows nothing of the connection, and to two replicas by turns;
the same from 64 clients at once, which a busy replica answers one after the other; a request that earns 46 packets of
1,400 bytes; and what a replica turns away: a hello that lacks a cookie, and a request under an epoch that it lacks.
Where one client and one replica alternate, each finds the processor's caches full of the other's work. Figures are
medians in microseconds, beside means, which count what the machine and the garbage collector add. The client's share
is all it does for that exchange: asking, and taking the answer.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import fmean

from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table
from trickles.client import Client, ClientConfig, Data, Failed
from trickles.drivers.world import NoncePool, fresh_secret
from trickles.handshake import certify
from trickles.keyring import Epoch, Keyring
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND, Limits
from trickles.listener import Listener
from trickles.listener.sizes import size_proof
from trickles.service import Continuation, Event, Reply
from trickles.wire.kinds import Address, Burst, Kind, Suite, address_bytes

REPLICA, SOURCE = ("192.0.2.1", 8443), ("192.0.2.7", 40_000)
REQUEST = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, world!"
WALL = 1_700_000_000 * SECOND
ROUND_TRIP = 10 * MILLISECOND
BURST_PACKETS, PACKET_BYTES = 46, 1400
HELLO, FIRST, BURST = "hello", "first request", "46 packets"
KEPT, FOREIGN, TURNS = "small, same replica", "small, a replica new to it", "small, two replicas by turns"
CROWD, CROWD_CLIENTS = "small, of 64 clients at once", 64
COOKIE, EPOCH = "hello, turned away by a cookie", "small, of an epoch it lacks"
SITUATIONS = (HELLO, FIRST, KEPT, FOREIGN, TURNS, CROWD, BURST, COOKIE, EPOCH)
RING, OTHER_RING = (
    Keyring((certify(Epoch(number, b"epoch".ljust(32, b"%d" % number)), b"identity".ljust(32, b".")),))
    for number in (1, 2)
)

Samples = dict[tuple[str, str, str], list[float]]  # microseconds, by suite, situation and side
Name = Callable[[bytes, list[Burst]], str | None]  # the situation a datagram and its answer are in; None: not measured


class Small:
    """A service that answers every piece of input with the same few bytes."""

    def handle(self, event: Event) -> Reply:
        if not event.input:
            return Reply()
        start = event.continuation.stop or 0 if event.continuation else 0
        stop, consumed = start + len(RESPONSE), event.input_offset + len(event.input)
        return Reply(((start, RESPONSE),), Continuation(bytes(40), start, stop, consumed))


class Large:
    """A service whose output is long, whatever the input."""

    def __init__(self, size_bytes: int) -> None:
        self._content = memoryview(bytes(1 << 20))
        self._size_bytes = size_bytes

    def handle(self, event: Event) -> Reply:
        fresh = None if event.continuation else Continuation(b"", 0, self._size_bytes, len(event.input))
        return Reply(tuple(self._chunk(*want) for want in event.wants), fresh, self._size_bytes)

    def _chunk(self, start: int, stop: int) -> tuple[int, memoryview]:
        at = start % (1 << 19)
        return start, self._content[at : at + min(stop, self._size_bytes) - start]


class Talk:
    """One client and one listener; virtual time passes between their calls, real time in them is noted."""

    def __init__(self, listener: Listener, suite: Suite, samples: Samples, begin: int = 0) -> None:
        certificate = RING.newest(WALL).certificate
        at = WALL + begin
        proof = size_proof(RING, address_bytes(SOURCE[0]), PACKET_BYTES, now=at, limits=DEFAULT_LIMITS)
        config = ClientConfig(
            suite=suite, certificate=certificate, datagram_bytes=PACKET_BYTES, size_proof=proof, probe_sizes=()
        )
        self.client = Client([REPLICA], entropy=fresh_secret, config=config)
        self.listener = listener
        self.now = begin
        self.received_bytes = 0
        self._samples = samples
        self._suite = suite.name.lower()
        self._asking = 0.0
        self._asked: list[tuple[bytes, Address]] = []
        self._answers: list[tuple[str | None, list[Burst]]] = []

    def round(self, name: Name) -> None:
        """All that the client has to say, and the answers a round trip later."""
        self.ask()
        self.serve(name)
        self.take()

    def ask(self) -> None:
        """The client's datagrams."""
        started = time.perf_counter()
        self._asked = self.client.datagrams_to_send(now=self.now)
        self._asking = time.perf_counter() - started

    def serve(self, name: Name) -> None:
        """The listener's answers."""
        self._answers = []
        for datagram, _ in self._asked:
            started = time.perf_counter()
            bursts = self.listener.handle(datagram, SOURCE, now=WALL + self.now)
            taken = time.perf_counter() - started
            situation = name(datagram, bursts)
            self._answers.append((situation, bursts))
            self._note(situation, "server", taken)

    def take(self) -> None:
        """The answers arrive."""
        self.now += ROUND_TRIP
        for situation, bursts in self._answers:
            whole = [(b"".join(burst.buffers), burst.segment_bytes) for burst in bursts]
            started = time.perf_counter()
            for buffer, size in whole:
                self.client.receive_burst(buffer, size, REPLICA, now=self.now)
            self._take()
            self._note(situation, "client", time.perf_counter() - started + self._asking / len(self._asked))
        if not self._asked:
            self.client.handle_timeout(now=self.now)

    def _take(self) -> None:
        while (event := self.client.next_event()) is not None:
            if isinstance(event, Failed):
                raise RuntimeError(f"the transfer failed: {event.reason}")
            if isinstance(event, Data):
                self.received_bytes += sum(map(len, event.chunks))

    def _note(self, situation: str | None, side: str, seconds: float) -> None:
        if situation is not None:
            self._samples.setdefault((self._suite, situation, side), []).append(seconds * 1e6)


def small(suite: Suite, connections: int, requests: int, samples: Samples) -> None:
    """Connections one after the other: the first half of the requests goes to one replica, then two take turns."""
    replicas = [Listener(RING, Small(), entropy=NoncePool()) for _ in range(2)]
    begin = 0
    for _ in range(connections):
        talk = Talk(replicas[0], suite, samples, begin)  # time goes on: a clock that is set back costs a listener more
        talk.client.connect(now=begin)
        talk.round(only(Kind.HELLO, HELLO))
        plan = [(FIRST, 0), *[(KEPT, 0)] * (requests // 2), (FOREIGN, 1), *[(TURNS, 0), (TURNS, 1)] * (requests // 4)]
        for situation, replica in plan:
            expected = talk.received_bytes + len(RESPONSE)
            talk.listener = replicas[replica]
            talk.client.write(REQUEST)
            talk.round(only(Kind.REQUEST, situation))
            while talk.received_bytes < expected:
                talk.round(lambda *_: None)
        begin = talk.now


def crowd(suite: Suite, requests: int, samples: Samples) -> None:
    """Many connections, all asking at once."""
    listener = Listener(RING, Small(), entropy=NoncePool())
    talks = [Talk(listener, suite, samples) for _ in range(CROWD_CLIENTS)]
    for talk in talks:
        talk.client.connect(now=0)
        for _ in range(3):
            talk.round(lambda *_: None)
    for _ in range(requests):
        for talk in talks:
            talk.client.write(REQUEST)
            talk.ask()
        for talk in talks:
            talk.serve(only(Kind.REQUEST, CROWD))
        for talk in talks:
            talk.take()


def turned_away(suite: Suite, connections: int, samples: Samples) -> None:
    """Hellos to a replica that asks for cookies, and requests to one with another keyring."""
    crowded = Listener(RING, Small(), entropy=NoncePool(), limits=Limits(max_hellos_per_second=0))
    usual, lacking = Listener(RING, Small(), entropy=NoncePool()), Listener(OTHER_RING, Small(), entropy=NoncePool())
    for _ in range(connections):
        talk = Talk(crowded, suite, samples)
        talk.client.connect(now=0)
        talk.round(only(Kind.HELLO, COOKIE))
        talk.listener = usual
        for _ in range(3):
            talk.round(lambda *_: None)
        talk.listener = lacking
        talk.client.write(REQUEST)
        talk.round(only(Kind.REQUEST, EPOCH))


def only(kind: Kind, situation: str) -> Name:
    """Datagrams of that kind are in that situation; others do not count."""
    return lambda datagram, _: situation if datagram[0] == kind else None


def large(suite: Suite, bursts: int, samples: Samples) -> None:
    """One long download; only the requests that earned exactly 46 packets count."""
    size = bursts * BURST_PACKETS * PACKET_BYTES
    talk = Talk(Listener(RING, Large(size), entropy=NoncePool()), suite, samples)
    talk.client.write(REQUEST)
    talk.client.connect(now=0)
    while talk.received_bytes < size:
        talk.round(full_burst)


def full_burst(_datagram: bytes, bursts: list[Burst]) -> str | None:
    """The situation of a request that was answered with 46 packets."""
    return BURST if sum(len(burst.datagrams()) for burst in bursts) == BURST_PACKETS else None


def summary(samples: Samples) -> list[dict[str, object]]:
    """One row per suite and situation, in microseconds."""
    rows: list[dict[str, object]] = []
    for suite in Suite:
        for situation in SITUATIONS:
            server, client = (samples.get((suite.name.lower(), situation, side), []) for side in ("server", "client"))
            if server:
                rows.append(
                    {
                        "suite": suite.name.lower(),
                        "situation": situation,
                        "requests": len(server),
                        "server_p50": percentile(server, 50),
                        "server_mean": fmean(server),
                        "client_p50": percentile(client, 50),
                    }
                )
    return rows


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print the table."""
    headers = ["suite, request", "requests", "server us, p50", "mean", "client us, p50"]
    figures = ("server_p50", "server_mean", "client_p50")
    cells = [
        [f"{row['suite']:7} {row['situation']}", f"{row['requests']:,}", *(micro(row[name]) for name in figures)]
        for row in rows
    ]
    print(table("CPU of one request in the engines", headers, cells), flush=True)


def micro(value: object) -> str:
    return number(value if isinstance(value, float) else None, 1)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks request_cost", description=__doc__)
    options.add_argument("--connections", type=int, default=100)
    options.add_argument("--requests", type=int, default=100, help="small requests on each connection")
    options.add_argument("--bursts", type=int, default=2000, help="bursts in the long download")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if everything that was asked for arrived."""
    options, outcome, samples = parser().parse_args(argv), Outcome(), Samples()
    for suite in Suite:
        small(suite, options.connections, options.requests, samples)
        crowd(suite, options.requests, samples)
        turned_away(suite, options.connections, samples)
        large(suite, options.bursts, samples)
    rows = summary(samples)
    show(rows)
    outcome.figures["rows"] = rows
    missing = len(Suite) * len(SITUATIONS) - len(rows)
    if missing:
        outcome.fail(f"request_cost: {missing} situations did not come about")
    save("request_cost", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
