"""Replicas that see one client under different addresses, or whose clocks differ: cling to one, or fail and say why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from tests.support.inside import parts
from tests.support.net import CLIENT, HOME, SPRAY, Net, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig, Policy
from trickles.client.refusals import CHALLENGES
from trickles.limits import SECOND, Limits
from trickles.service import Continuation, Event, Reply
from trickles.spool import MemorySpool
from trickles.testing import ListenerFactory, ReplicaSpec
from trickles.testing.packet import Packet, forward

CONTENT = body(300_000)
STRIPE = replace(SPRAY, policy=Policy.STRIPE)
OUTER = "198.51.100."

spreading = pytest.mark.parametrize("config", [SPRAY, STRIPE], ids=["spray", "stripe"])


@dataclass(frozen=True, slots=True)
class Outwards:
    """A translator by which each replica sees the client under another address, or each datagram comes from another."""

    pool: int  # addresses taken by turns; 0: one for each replica
    turns: Iterator[int] = field(default_factory=count)

    def send(self, packet: Packet) -> None:
        turn = next(self.turns) % self.pool if self.pool else int(packet.destination[0].rpartition(".")[2])
        packet.source = (f"{OUTER}{turn}", packet.source[1])
        forward(packet)


class Inwards:
    """The same translator on the way back."""

    def send(self, packet: Packet) -> None:
        packet.destination = CLIENT
        forward(packet)


def translated(replicas: Sequence[ListenerFactory], config: ClientConfig, pool: int = 0) -> Net:
    net = Net(replicas, config=config)
    net.insert(Outwards(pool), Inwards())
    for turn in range(max(pool, len(replicas) + 1)):
        net.simulation.world.network.attach((f"{OUTER}{turn}", CLIENT[1]), net.host)
    return net


@spreading
@pytest.mark.parametrize("size", [2, 3])
def test_a_client_that_each_replica_sees_elsewhere_clings_to_one(config: ClientConfig, size: int) -> None:
    net = translated(fleet(File(CONTENT), size), config)
    assert net.run() == CONTENT
    assert net.outcome == "end"
    assert net.now < 2 * SECOND
    if config.policy is Policy.SPRAY:  # a path of policy stripe is tried again now and then
        assert net.client.statistics()["refused_address"] <= 2 * CHALLENGES  # type: ignore[operator]


class Eating:
    """Takes all input and says how much it was."""

    def handle(self, event: Event) -> Reply:
        known, new = event.continuation, None
        if event.input_end and known is None:
            known = new = Continuation(b"%d" % event.input_stop, 0, 8, event.input_stop)
        return Reply(() if known is None else ((0, known.state.rjust(8)),), new, 8 if known is not None else None)


@spreading
def test_input_from_such_a_client_arrives_too(config: ClientConfig) -> None:
    net = translated(fleet(Eating(), spool=MemorySpool()), config)
    assert net.run(bytes(50_000), ends=True) == b"   50000"


@pytest.mark.parametrize("config", [HOME, SPRAY, STRIPE], ids=["home", "spray", "stripe"])
def test_a_client_whose_address_changes_with_each_datagram_fails_and_says_so(config: ClientConfig) -> None:
    net = translated(fleet(File(CONTENT)), config, pool=3)
    net.run()
    assert net.outcome == "address keeps changing"
    assert net.now < 10 * SECOND
    assert net.client.statistics()["requests"] < 100  # type: ignore[operator]


@spreading
def test_a_client_of_replicas_whose_clocks_are_far_apart_clings_to_one(config: ClientConfig) -> None:
    apart = [ReplicaSpec(), ReplicaSpec(skew=3600 * SECOND)]
    net = Net(fleet(File(CONTENT)), config=config, specs=apart)
    assert net.run() == CONTENT
    assert net.client.statistics()["refused_expired"] > 0  # type: ignore[operator]


@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_continuations_that_expire_at_once_end_the_connection(config: ClientConfig) -> None:
    hasty = Limits(continuation_life=-1)
    net = Net(fleet(File(CONTENT), limits=hasty), config=config)
    net.run(until_us=300 * SECOND)
    assert net.outcome == "continuations keep expiring"
    assert net.client.statistics()["refused_expired"] == 2 * CHALLENGES + 1


def test_challenges_now_and_then_are_nothing() -> None:
    """A client that moves for each packet of data that it gets does go on."""
    net = Net(fleet(File(body(100_000))), config=HOME)
    last, hosts = [0], count(1)

    def move() -> None:
        if parts(net.client).output.arrived.next_offset != last[0]:
            last[0] = parts(net.client).output.arrived.next_offset
            net.move((f"192.0.2.{next(hosts) % 200 + 1}", 40_000))

    net.before_step = move
    net.run(until_us=600 * SECOND)
    assert net.outcome == "end"
    assert net.client.statistics()["refused_address"] > 2 * CHALLENGES  # type: ignore[operator]
