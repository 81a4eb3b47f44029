"""Replicas: they die, return with nothing, take time, hold different clocks and keys, answer late."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.toy_engines import ToyBurst, ToyClient, ToyListener
from trickles.testing import Birth, Fetch, LinkSpec, Replica, ReplicaSpec, Simulation
from trickles.testing.network import Node
from trickles.testing.packet import Address, Packet
from trickles.testing.replica import UNREACHABLE
from trickles.testing.world import WALL

CLIENT: Address = ("10.9.9.9", 7)
AT = ("192.0.2.1", 4433)


@dataclass
class Probe(Node):
    """A client without an engine: sends when told, notes answers."""

    simulation: Simulation
    seen: list[tuple[int, Address, bytes, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("probe")
        self.simulation.world.network.attach(CLIENT, self)

    def receive(self, packet: Packet) -> None:
        self.seen.append((self.simulation.now, packet.source, packet.data, packet.note))

    def send(self, data: bytes, when: int = 0, to: Address = AT) -> None:
        self.simulation.clock.at(when, lambda each: self.simulation.world.network.send(self, CLIENT, to, each), data)

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        return [(when, data) for when, _, data, note in self.seen if note is None]


class Counting:
    """Answers with how many datagrams this process has seen, and what its clock says."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.seen = 0
        self.forgotten = 0

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[ToyBurst]:
        self.seen += 1
        return [ToyBurst(source, (b"%d %d" % (self.seen, now - WALL),))]

    def drop_caches(self) -> None:
        self.forgotten += 1


Setting = tuple[Simulation, Replica, Probe]


def setting(factory: Callable[[Birth], Counting] = Counting, spec: ReplicaSpec | None = None) -> Setting:
    simulation = Simulation(3)
    return simulation, simulation.add_replica(factory, spec), Probe(simulation)


def test_a_listener_lives_by_the_wall_clock_of_its_replica() -> None:
    simulation, replica, probe = setting(spec=ReplicaSpec(skew=-250))
    probe.send(b"x", 1_000)
    probe.send(b"x", 2_000)
    simulation.clock.at(1_500, lambda skew: setattr(replica, "skew", skew), 9)
    simulation.run(max_time=10_000)
    assert probe.answers == [(1_000, b"1 750"), (2_000, b"2 2009")]


def test_a_killed_replica_is_silent_and_a_new_process_knows_nothing() -> None:
    simulation, replica, probe = setting()
    for when in range(0, 60, 10):
        probe.send(b"x", when)
    simulation.clock.at(15, lambda _: replica.kill(), None)
    simulation.clock.at(35, lambda _: replica.restart(), None)
    simulation.run(max_time=100)
    assert probe.answers == [(0, b"1 0"), (10, b"2 10"), (40, b"1 40"), (50, b"2 50")]
    assert (replica.stats.in_vain, replica.stats.lives, replica.stats.received) == (2, 2, 4)


def test_a_dead_process_on_a_living_host_is_unreachable() -> None:
    simulation, replica, probe = setting()
    replica.kill(unreachable=True)
    probe.send(b"x", 5)
    simulation.run(max_time=100)
    assert probe.seen == [(5, AT, b"", UNREACHABLE)]
    assert replica.stats.unreachable == 1


def test_an_unreachable_message_reaches_the_client_engine() -> None:
    simulation = Simulation(1)
    replicas = [simulation.add_replica(lambda birth: ToyListener(lambda request: b"content")) for _ in range(2)]
    wire = simulation.add_link("wire", LinkSpec(delay=100))
    replicas[0].kill(unreachable=True)
    client = simulation.add_client(
        ToyClient([each.address for each in replicas]), Fetch(b"x", b"content"), outgoing=[wire], incoming=[wire]
    )
    report = simulation.run_transfer(client)
    assert report.completed
    assert (report.duration, report.client.unreachable, report.engine) == (400, 1, {"timeouts": 0})


def test_datagrams_wait_for_the_cpu_and_overflow_the_buffer() -> None:
    simulation, replica, probe = setting(spec=ReplicaSpec(service_time=100, backlog=3))
    for _ in range(5):
        probe.send(b"x")
    simulation.run(max_time=1_000)
    assert [when for when, _ in probe.answers] == [100, 200, 300]
    assert replica.stats.overflowed == 2


def test_service_time_may_depend_on_the_datagram() -> None:
    simulation, _, probe = setting(spec=ReplicaSpec(service_time=len))
    probe.send(bytes(30))
    probe.send(b"")
    probe.send(bytes(5), 100)
    simulation.run(max_time=1_000)
    assert [when for when, _ in probe.answers] == [30, 30, 105]


def test_a_kill_loses_what_waited() -> None:
    simulation, replica, probe = setting(spec=ReplicaSpec(service_time=100))
    for when in (0, 0, 0, 170):
        probe.send(b"x", when)
    simulation.clock.at(150, lambda _: replica.restart(), None)
    simulation.run(max_time=1_000)
    assert probe.answers == [(100, b"1 100"), (270, b"1 270")]


def test_a_stalled_replica_answers_later() -> None:
    simulation, replica, probe = setting()
    replica.stall(500)
    probe.send(b"x", 10)
    probe.send(b"x", 600)
    simulation.run(max_time=1_000)
    assert [when for when, _ in probe.answers] == [500, 600]


def test_caches_are_dropped_at_random() -> None:
    simulation, replica, probe = setting(spec=ReplicaSpec(drop_caches=0.25))
    for when in range(400):
        probe.send(b"x", when)
    simulation.run(max_time=1_000)
    assert isinstance(replica.listener, Counting)
    assert 70 < replica.listener.forgotten < 130


def test_a_factory_knows_which_process_it_makes() -> None:
    births: list[Birth] = []

    def factory(birth: Birth) -> Counting:
        births.append(birth)
        return Counting(birth)

    simulation, replica, _ = setting(factory)
    replica.restart()
    second = simulation.add_replica(factory)
    assert [(birth.index, birth.name, birth.life) for birth in births] == [
        (0, "replica 0", 0),
        (0, "replica 0", 1),
        (1, "replica 1", 0),
    ]
    assert [birth.address for birth in births] == [AT, AT, second.address]
    assert len({birth.entropy(8) for birth in births}) == 3
    assert births[2].now() == WALL


def test_a_restart_may_bring_another_version() -> None:
    class Later(Counting):
        def handle(self, datagram: bytes, source: Address, *, now: int) -> list[ToyBurst]:
            return [ToyBurst(source, (b"version 2",))]

    simulation, replica, probe = setting()
    probe.send(b"x", 0)
    probe.send(b"x", 20)
    simulation.clock.at(10, replica.restart, Later)
    simulation.run(max_time=100)
    assert [data for _, data in probe.answers] == [b"1 0", b"version 2"]


class Deferring(Counting):
    """Answers 50 microseconds later, in one of the ways a listener may: told to poll, or asked for a time."""

    def __init__(self, birth: Birth, way: str) -> None:
        super().__init__(birth)
        self.way = way
        self.ready: list[ToyBurst] = []
        self.due: int | None = None
        self.on_ready: Callable[[], None] | None = None

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[ToyBurst]:
        def resolve() -> None:
            self.ready += super(Deferring, self).handle(datagram, source, now=self.birth.now())
            if self.way == "wake":
                self.birth.wake()
            elif self.on_ready is not None:
                self.on_ready()

        if self.way == "deadline":
            self.due = now + 50
            self.ready += super().handle(datagram, source, now=self.due)
        else:
            self.birth.after(50, resolve)
        return []

    def poll(self, now: int) -> list[ToyBurst]:
        if self.due is not None and now < self.due:
            return []
        ready, self.ready, self.due = self.ready, [], None
        return ready

    def next_timeout(self) -> int | None:
        return self.due


@pytest.mark.parametrize("way", ["wake", "ready", "deadline"])
def test_deferred_replies_are_polled_when_they_are_ready(way: str) -> None:
    simulation, _, probe = setting(lambda birth: Deferring(birth, way))
    probe.send(b"x", 10)
    probe.send(b"x", 100)
    simulation.run(max_time=1_000)
    assert probe.answers == [(60, b"1 60"), (150, b"2 150")]


@pytest.mark.parametrize("way", ["wake", "ready", "deadline"])
def test_a_deferred_reply_dies_with_its_process(way: str) -> None:
    simulation, replica, probe = setting(lambda birth: Deferring(birth, way))
    probe.send(b"x", 10)
    simulation.clock.at(30, lambda _: replica.restart(), None)
    simulation.run(max_time=1_000)
    assert probe.answers == []


def test_a_factory_may_set_what_is_called_when_replies_are_ready() -> None:
    called: list[int] = []

    def made(birth: Birth) -> Deferring:
        listener = Deferring(birth, "ready")

        def ready() -> None:
            called.append(birth.now())
            birth.wake()

        listener.on_ready = ready
        return listener

    simulation, replica, probe = setting(made)
    probe.send(b"x", 10)
    simulation.run(max_time=1_000)
    assert probe.answers == [(60, b"1 60")]
    assert called == [replica.now - simulation.now + 60]


def test_the_wall_clock_begins_when_it_is_said() -> None:
    simulation = Simulation(1, wall=5_000)
    births: list[int] = []

    def made(birth: Birth) -> Counting:
        births.append(birth.now())
        return Counting(birth)

    simulation.add_replica(made, ReplicaSpec(skew=7))
    assert births == [5_007]


def test_a_reply_comes_from_the_address_that_was_asked() -> None:
    simulation, _, probe = setting()
    virtual = ("192.0.2.77", 4433)
    simulation.add_anycast(virtual)
    probe.send(b"x", 10, virtual)
    probe.send(b"x", 20)
    simulation.run(max_time=100)
    assert [source for _, source, _, _ in probe.seen] == [virtual, AT]
