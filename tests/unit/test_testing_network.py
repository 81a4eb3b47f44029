"""Paths, shared bottlenecks, anycast, addresses that change."""

from collections import Counter
from typing import Literal

import pytest

from tests.support.sink import SINK, SOURCE, Sink
from tests.support.toy_engines import ToyListener
from trickles.testing import LinkSpec, Simulation
from trickles.testing.network import Node
from trickles.testing.packet import Packet


class Note(Node):
    """Notes when and from where packets come."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        super().__init__(name)
        self.seen: list[tuple[int, str]] = []
        self._simulation = simulation

    def receive(self, packet: Packet) -> None:
        self.seen.append((self._simulation.now, packet.source[0]))


def test_a_path_is_what_leaves_the_sender_and_then_what_reaches_the_receiver() -> None:
    simulation = Simulation(1)
    delays = {"first": 1, "second": 20, "third": 300}
    first, second, third = (simulation.add_link(name, LinkSpec(delay=delay)) for name, delay in delays.items())
    sender, receiver = Node("sender", outgoing=[first, second]), Note(simulation, "receiver")
    receiver.incoming = (third,)
    simulation.world.network.attach(SINK, receiver)
    simulation.world.network.send(sender, SOURCE, SINK, b"x")
    simulation.run(max_time=1_000)
    assert receiver.seen == [(321, SOURCE[0])]


def test_without_links_a_datagram_arrives_at_once_but_not_within_the_call() -> None:
    simulation = Simulation(1)
    receiver = Note(simulation, "receiver")
    simulation.world.network.attach(SINK, receiver)
    simulation.world.network.send(Node("sender"), SOURCE, SINK, b"x")
    assert receiver.seen == []
    simulation.run(max_time=0)
    assert receiver.seen == [(0, SOURCE[0])]


def test_flows_through_one_link_share_its_rate() -> None:
    simulation = Simulation(1)
    shared = simulation.add_link("shared", LinkSpec(rate=8_000_000))
    senders = [Node(f"sender {index}", outgoing=[shared]) for index in range(2)]
    receiver = Note(simulation, "receiver")
    simulation.world.network.attach(SINK, receiver)
    for index in range(10):
        simulation.world.network.send(senders[index % 2], (f"s{index % 2}", 1), SINK, bytes(972))
    simulation.run(max_time=1_000_000)
    assert receiver.seen == [(1_000 * (index + 1), f"s{index % 2}") for index in range(10)]


def test_a_datagram_for_an_address_nobody_ever_had_is_counted() -> None:
    simulation = Simulation(1)
    simulation.world.network.send(Node("sender"), SOURCE, ("192.0.2.99", 1), b"x")
    assert simulation.world.network.unroutable == 1


@pytest.mark.parametrize("spray", ["random", "round_robin", "hash"])
def test_anycast_spreads_packets(spray: Literal["random", "round_robin", "hash"]) -> None:
    simulation = Simulation(5)
    for _ in range(3):
        simulation.add_replica(lambda birth: ToyListener(lambda request: b""))
    anycast = simulation.add_anycast(("192.0.2.200", 4433), spray=spray)
    sources = [("10.0.0.1", port) for port in range(100) for _ in range(3)]
    picks = [(source, anycast.pick(source).name) for source in sources]
    counts = Counter(name for _, name in picks)
    assert len(counts) == 3
    assert min(counts.values()) > 60
    if spray == "round_robin":
        assert [name for _, name in picks[:4]] == ["replica 0", "replica 1", "replica 2", "replica 0"]
    assert (len(set(picks)) == 100) == (spray == "hash")


def test_anycast_needs_somebody() -> None:
    with pytest.raises(ValueError, match="needs hosts"):
        Simulation(1).add_anycast(("192.0.2.200", 4433))


def test_a_sink_sees_what_a_link_lets_pass() -> None:
    simulation = Simulation(1)
    sink = Sink(simulation, [simulation.add_link("wire", LinkSpec(delay=3))])
    assert sink.feed([b"a", b"b"], spacing=10) == [(3, b"a"), (13, b"b")]
