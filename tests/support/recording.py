"""Transfers on the toy network as a capture at the client would show them, and capture files made of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.support.fleetkeys import WALL
from tests.support.toynet import CLIENT, SPRAY, Toynet, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig
from trickles.tools import Captured
from trickles.wire.kinds import Address


class RecordedNet(Toynet):
    """Keeps what the client sent and what reached it."""

    captured: list[Captured]

    def _launch(self, source: Address, destination: Address, datagram: bytes) -> None:
        if source == self.source:
            self._note(source, destination, datagram)
        super()._launch(source, destination, datagram)

    def _arrive(self, source: Address, destination: Address, datagram: bytes) -> None:
        if destination == self.source:
            self._note(source, destination, datagram)
        super()._arrive(source, destination, datagram)

    def _note(self, source: Address, destination: Address, datagram: bytes) -> None:
        seen = Captured(WALL + self.now, source, destination, datagram, len(datagram))
        self.captured = [*getattr(self, "captured", []), seen]


def recorded(
    size_bytes: int = 60_000,
    *,
    loss: float = 0.0,
    seed: int = 1,
    config: ClientConfig = SPRAY,
    client: Address = CLIENT,
) -> list[Captured]:
    """The datagrams of one download, in order; nothing overtakes anything."""
    net = RecordedNet(fleet(File(body(size_bytes))), seed=seed, loss=loss, config=config, jitter_us=1)
    net.source = client
    net.run()
    assert net.outcome == "end"
    return net.captured


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


__all__ = ["RecordedNet", "frame", "recorded", "write_capture"]
