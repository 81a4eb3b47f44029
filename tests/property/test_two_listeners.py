"""Two listeners that share a keyring and nothing else serve alternate requests of one download, byte-exact.

The first test to pass and the last to break. A failure names its seed; `go(seed, ...)` replays it.
"""

from collections.abc import Iterable
from random import Random

import pytest

from tests.support.hops import Tamper
from tests.support.net import CLIENT, HOME, SPRAY, Net, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig, Policy
from trickles.wire.kinds import Suite

CONTENT = body(80_000)
OPEN = ClientConfig(policy=Policy.SPRAY, suite=Suite.OPEN, probe_sizes=())
STRIPE = ClientConfig(policy=Policy.STRIPE, probe_sizes=())


def go(seed: int, config: ClientConfig, loss: float, duplicate: float, shuffle_us: int) -> Net:
    """One download; what it must be is checked here."""
    net = Net(fleet(File(CONTENT)), seed=seed, config=config, loss=loss, duplicate=duplicate, shuffle_us=shuffle_us)
    received = net.run()
    told = f"seed {seed}: {net.outcome} after {len(received)} bytes, {net.client.statistics()}"
    assert received == CONTENT, told
    assert net.outcome == "end", told
    return net


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "loss", "duplicate", "shuffle_us"),
    [
        (SPRAY, 0.0, 0.0, 50),
        (SPRAY, 0.02, 0.02, 50),
        (SPRAY, 0.05, 0.05, 3_000),
        (STRIPE, 0.02, 0.02, 1_000),
        (OPEN, 0.02, 0.02, 50),
        (HOME, 0.02, 0.02, 50),
    ],
    ids=["calm", "loss", "storm", "stripe", "open", "home"],
)
def test_a_hundred_downloads_are_byte_exact(
    config: ClientConfig, loss: float, duplicate: float, shuffle_us: int
) -> None:
    shared = 0
    for seed in range(100):
        net = go(seed, config, loss, duplicate, shuffle_us)
        shared += min(listener.counters["answered"] for listener in net.listeners) > 0
    assert config is HOME or shared > 75  # a replica whose answers were lost is left alone for a second


def test_nothing_is_sent_twice_and_nothing_dropped_on_a_quiet_day() -> None:
    net = go(0, SPRAY, 0.0, 0.0, 1)
    counted = [dict(listener.counters) for listener in net.listeners]
    assert all(not name.startswith("dropped") for counters in counted for name in counters), counted
    assert net.client.statistics().get("lost", 0) == 0


@pytest.mark.slow
def test_any_datagram_may_go_to_any_listener() -> None:
    """Plain ECMP or anycast: the network, not the client, decides, and for every datagram anew."""
    for seed in range(50):
        net = Net(fleet(File(CONTENT)), seed=seed, config=HOME, loss=0.01)
        for address in net.addresses:
            net.simulation.add_anycast(address)
        assert net.run() == CONTENT, f"seed {seed}: {net.client.statistics()}"


def corrupting(chance: Random, share: float) -> Tamper:
    """Flip a bit of some datagrams, cut others short."""

    def tamper(datagram: bytes, upward: bool) -> Iterable[bytes]:
        if chance.random() >= share:
            return (datagram,)
        at = chance.randrange(len(datagram))
        if chance.random() < 0.3:
            return (datagram[:at],)
        return (datagram[:at] + bytes([datagram[at] ^ 1 << chance.randrange(8)]) + datagram[at + 1 :],)

    return tamper


@pytest.mark.slow
def test_corrupted_datagrams_are_as_good_as_lost() -> None:
    for seed in range(60):
        tamper = corrupting(Random(seed), 0.03)
        net = Net(fleet(File(CONTENT)), seed=seed, tamper=tamper)
        assert net.run() == CONTENT, f"seed {seed}: {net.outcome} {net.client.statistics()}"


@pytest.mark.slow
def test_a_client_that_moves_goes_on_where_it_was() -> None:
    for seed in range(40):
        net = Net(fleet(File(CONTENT)), seed=seed, config=HOME, loss=0.01)

        def move(net: Net = net) -> None:
            net.move((f"192.0.2.{net.now // 1000 % 250 + 1}", CLIENT[1]))

        net.simulation.clock.every(40_000, move, first=20_000)
        assert net.run() == CONTENT, f"seed {seed}: {net.outcome} {net.client.statistics()}"
