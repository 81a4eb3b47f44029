"""Bursts over real sockets for tests: making them, waiting for them within a bound, and what a kernel may lack."""

import select
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.system import missing
from trickles.drivers.addresses import Address
from trickles.drivers.batch import Buffer, cut
from trickles.drivers.udp import BatchSocket

PATIENCE_SECONDS = 10.0  # how long a datagram on loopback may take before the test fails


@dataclass(frozen=True, slots=True)
class Burst:
    """Datagrams for one destination, as the engines make them."""

    destination: Address
    segment_bytes: int
    buffers: Sequence[Buffer]

    def datagrams(self) -> list[bytes]:
        """Return what must arrive: the stupid way."""
        payload = b"".join(bytes(buffer) for buffer in self.buffers)
        return [payload[i : i + self.segment_bytes] for i in range(0, len(payload), self.segment_bytes)]


def pattern(size_bytes: int, start: int = 0) -> bytes:
    """Return bytes whose every place in a burst looks different from its neighbours'."""
    return bytes((start + i * 7 + i // 251) % 256 for i in range(size_bytes))


def wait_readable(*sockets: BatchSocket) -> list[BatchSocket]:
    """Return the sockets that have something to read; fail when none has in time."""
    ready, _, _ = select.select(sockets, [], [], PATIENCE_SECONDS)
    assert ready, "nothing arrived"
    return ready


def drain_until(sockets: BatchSocket | tuple[BatchSocket, ...], datagrams: int) -> list[tuple[bytes, Address]]:
    """Receive exactly that many datagrams, each with its source, in order of arrival."""
    waiting = sockets if isinstance(sockets, tuple) else (sockets,)
    received: list[tuple[bytes, Address]] = []
    while len(received) < datagrams:
        for ready in wait_readable(*waiting):
            for buffer, segment_bytes, source in ready.receive():
                received.extend((bytes(datagram), source) for datagram in cut(buffer, segment_bytes))
    assert len(received) == datagrams
    return received


def segmenting(opened: BatchSocket) -> BatchSocket:
    """Return the socket, or skip the test where the kernel cannot send a burst in one call."""
    if not opened.segments:
        opened.close()
        missing("a kernel with UDP_SEGMENT")
    return opened


def coalescing(opened: BatchSocket) -> BatchSocket:
    """Return the socket, or skip the test where the kernel cannot receive a burst in one call."""
    if not opened._ancillary_bytes:
        opened.close()
        missing("a kernel with UDP_GRO")
    return opened
