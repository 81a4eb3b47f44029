"""Nobody can aim the fleet at somebody else: before an address is proved it gets at most three times what it sent."""

from dataclasses import dataclass, field, replace

import pytest

from tests.simulation.watching import Watch
from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, files, listener
from trickles.client import ClientConfig
from trickles.service import Continuation, Deferred, Event, Reply
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Arrange,
    ClientHost,
    Fetch,
    LinkSpec,
    ListenerFactory,
    Report,
    Simulation,
    for_seeds,
    run_transfer,
)
from trickles.testing.network import Node

BODY = content(60_000)
VICTIM = ("203.0.113.66", 7)


@dataclass(slots=True)
class Watched:
    """A download with an eye on the fleet; after each run the bound must have held."""

    down: LinkSpec = TEN_MEGABIT
    up: LinkSpec = TEN_MEGABIT
    config: ClientConfig = HOME
    serve: ListenerFactory = field(default_factory=lambda: files(BODY))
    watch: Watch = field(default_factory=Watch)

    def run(self, simulation: Simulation, arrange: Arrange | None = None) -> Report:
        """Two replicas, one client."""
        self.watch = Watch()
        report = run_transfer(
            simulation,
            self.watch.over(self.serve),
            client(self.config),
            Fetch(REQUEST, BODY),
            replicas=2,
            up=self.up,
            down=self.down,
            arrange=arrange,
            max_time=120 * SECOND,
        )
        self.watch.check()
        return report


@pytest.mark.parametrize(
    ("dropped", "seconds"),  # a question without an answer is asked ever less often
    [
        (range(2, 8), 2),
        (range(1, 8), 16),
        (range(1, 4), 3),
        (range(3, 30), 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_the_first_packets_of_the_server_are_lost(dropped: range, seconds: int, config: ClientConfig) -> None:
    watched = Watched(down=replace(TEN_MEGABIT, drop=frozenset(dropped)), config=config)
    for report in for_seeds(watched.run, range(3)):
        assert report.bytes_received == len(BODY)
        assert report.duration < seconds * SECOND


def test_the_first_packets_make_use_of_what_is_allowed() -> None:
    watched = Watched()
    for _ in for_seeds(watched.run, range(3)):
        assert max(watched.watch.worst.values()) > 2.5


@pytest.mark.slow
def test_a_bad_path_never_makes_it_more() -> None:
    bad = replace(TEN_MEGABIT, loss=0.3, duplicate=0.2, corrupt=0.05)
    for report in for_seeds(Watched(down=bad, up=bad).run, range(15)):
        assert report.bytes_received == len(BODY)


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_a_client_that_moves_proves_each_address_anew(config: ClientConfig) -> None:
    slow = replace(TEN_MEGABIT, rate=500_000)
    watched = Watched(config=config, up=slow, down=slow)

    def moving(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.clock.every(300 * MILLISECOND, lambda: client.rebind(host=True))

        return watched.run(simulation, arrange)

    for report in for_seeds(moving, range(5)):
        assert report.bytes_received == len(BODY)
        assert len(watched.watch.proved) > 2


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_what_was_overheard_earns_little_when_it_is_sent_from_elsewhere(config: ClientConfig) -> None:
    watched = Watched(config=config)

    def overheard(simulation: Simulation) -> Report:
        rng, attacker = simulation.random("attacker"), Node("attacker")

        def strike() -> None:
            replica = rng.choice(simulation.replicas)
            datagram = rng.choice(watched.watch.received)
            simulation.world.network.send(attacker, VICTIM, replica.address, datagram)

        simulation.clock.every(2 * MILLISECOND, strike, first=40 * MILLISECOND)
        return watched.run(simulation)

    for report in for_seeds(overheard, range(5)):
        assert report.bytes_received == len(BODY)
        assert VICTIM[0] in watched.watch.worst
        assert VICTIM[0] not in watched.watch.proved


@dataclass(slots=True)
class Slow:
    """Answers after five seconds, whatever is asked."""

    after: object
    body: bytes = BODY

    def handle(self, event: Event) -> Deferred:
        deferred = Deferred()
        known = event.continuation
        new = Continuation(b"s", 0, len(self.body), event.input_offset + len(event.input)) if known is None else None
        chunks = tuple((start, self.body[start:stop]) for start, stop in event.wants if start < len(self.body))
        assert callable(self.after)
        self.after(5 * SECOND, lambda: deferred.resolve(Reply(chunks, new, len(self.body))))
        return deferred


def test_word_of_work_in_progress_counts_too() -> None:
    """Each request waits five seconds; the client repeats its hello meanwhile, and hears that work goes on."""
    watched = Watched(serve=listener(lambda birth: Slow(birth.after)))
    for report in for_seeds(watched.run, range(3)):
        assert report.bytes_received == len(BODY)
