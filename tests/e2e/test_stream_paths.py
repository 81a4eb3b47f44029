"""Paths with an MTU: datagrams grow as far as the path lets them, and none is ever fragmented."""

import json
from collections.abc import Iterator

import pytest

from tests.support.namespaces import Machines, machines
from tests.support.processes import Fleet, Program
from tests.support.replica_program import tape_digest
from trickles.drivers.addresses import shown

pytestmark = pytest.mark.e2e

SIZE_BYTES = 3_000_000
FRAGMENTS = ["Ip.FragCreates", "Ip.FragOKs", "Ip.ReasmReqds", "Ip6.FragCreates", "Ip6.FragOKs", "Ip6.ReasmReqds"]


@pytest.fixture
def net() -> Iterator[Machines]:
    with machines() as made:
        yield made


def fetch(net: Machines, host: str) -> dict[str, object]:
    """What a client on one machine says of a download from two replicas on another."""
    with Fleet(2, host=host, namespace=net.name("server")) as fleet:
        replicas = [word for address in fleet.addresses for word in ("--replica", shown(address))]
        words = (*replicas, "--size", SIZE_BYTES)
        with Program("tests.support.client_program", *words, namespace=net.name("client")) as client:
            figures: dict[str, object] = json.loads(client.output.next())
    assert figures["sha256"] == tape_digest(SIZE_BYTES)
    return figures


def fragments(net: Machines, *names: str) -> dict[str, int]:
    """Every sign of fragmentation on those machines."""
    counted = {name: net.counters(name) for name in names}
    return {f"{name} {key}": counted[name][key] for name in names for key in FRAGMENTS if counted[name][key]}


@pytest.mark.parametrize(
    ("host", "mtu", "datagram_bytes"),
    [
        ("10.9.1.2", 1500, 1472),
        ("fd09:1::2", 1500, 1452),
        ("10.9.1.2", 9000, 8972),
        ("fd09:1::2", 9000, 8952),
        ("10.9.1.2", 1400, 1200),
        ("fd09:1::2", 1280, 1200),
    ],
)
def test_datagrams_are_as_large_as_the_cable_carries(net: Machines, host: str, mtu: int, datagram_bytes: int) -> None:
    net.cable("client", "server", 1, mtu=mtu)
    assert fetch(net, host)["datagram_bytes"] == datagram_bytes
    assert fragments(net, "client", "server") == {}


@pytest.mark.parametrize("host", ["10.9.2.2", "fd09:2::2"])
def test_a_narrow_stretch_behind_a_router_is_found_and_nothing_fragmented(net: Machines, host: str) -> None:
    net.cable("client", "router", 1, mtu=9000)
    net.cable("router", "server", 2, mtu=1500)
    net.route("client", 2, via=1, number=2)
    net.route("server", 1, via=2, number=1)
    net.set("router", "net.ipv4.ip_forward", 1)
    net.set("router", "net.ipv6.conf.all.forwarding", 1)
    assert fetch(net, host)["datagram_bytes"] == (1452 if ":" in host else 1472)
    assert fragments(net, "client", "router", "server") == {}
