"""Transfers in the simulator as a capture at the client would show them, and capture files made of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.support.hops import Tap
from tests.support.net import CLIENT, SPRAY, Net, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig
from trickles.tools import Captured
from trickles.wire.kinds import Address


def recorded(
    size_bytes: int = 60_000,
    *,
    loss: float = 0.0,
    seed: int = 1,
    config: ClientConfig = SPRAY,
    client: Address = CLIENT,
) -> list[Captured]:
    """The datagrams of one download, in order; nothing overtakes anything."""
    net = Net(fleet(File(body(size_bytes))), seed=seed, loss=loss, config=config, address=client)
    tap = Tap(net.simulation.clock)
    net.insert(tap, tap)
    net.run()
    assert net.outcome == "end"
    return tap.captured


def frame(each: Captured) -> Any:
    """The Ethernet frame around one datagram."""
    network = IPv6 if ":" in each.source[0] else IP
    addresses = network(src=each.source[0], dst=each.destination[0])
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / addresses
    packet /= UDP(sport=each.source[1], dport=each.destination[1]) / each.payload
    packet.time = each.time_us / 1_000_000
    return packet


def write_capture(path: Path, captured: Iterable[Captured]) -> None:
    """A pcap file of Ethernet frames."""
    wrpcap(str(path), [frame(each) for each in captured])
