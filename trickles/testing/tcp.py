"""A greedy TCP flow that shares a bottleneck: the yardstick for fairness."""

from __future__ import annotations

from collections.abc import Sequence

from trickles.testing.curve import DeliveryCurve
from trickles.testing.packet import Address, Hop
from trickles.testing.tcp_receiver import TcpReceiver
from trickles.testing.tcp_sender import TcpSender
from trickles.testing.world import World


class TcpFlow:
    """A sender and a receiver, established already; data takes `data_links`, acknowledgements `ack_links`."""

    def __init__(
        self,
        world: World,
        name: str,
        addresses: tuple[Address, Address],
        data_links: Sequence[Hop],
        ack_links: Sequence[Hop],
        *,
        mss_bytes: int = 1_448,
        segments: int | None = None,
    ) -> None:
        self.name = name
        near, far = addresses
        self.sender = TcpSender(world, f"{name} sender", near, far, data_links, mss_bytes, segments)
        self.receiver = TcpReceiver(world, f"{name} receiver", far, near, ack_links, mss_bytes)

    @property
    def curve(self) -> DeliveryCurve:
        """Bytes delivered to the receiving application in order, over time."""
        return self.receiver.curve

    def start(self) -> None:
        """Begin to send: without end, or the given number of segments."""
        self.sender.start()
