"""A download by hand, in rounds that acknowledge all at once: the yardstick of attacks, and their disguise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trickles.errors import BadPacket
from trickles.tools.attacks.stage import Stage, wanting
from trickles.tools.peer import OpenedPacket, Peer
from trickles.wire.response import TransportFrame

MOST_NUMBERS = 46  # acknowledged by one request, as in a burst
MOST_REQUESTS = 5  # in a round: bounds the load of a socket, whatever the window
RESTART_PAUSE = 1_000_000  # microseconds of silence before a restart, as after a timeout


@dataclass(slots=True)
class Downloader:
    """One peer and its acknowledged numbers; the path loses one arriving packet in `lose_every` (0: none)."""

    peer: Peer
    lose_every: int = 0
    spoken: int = 0
    arrived: int = 0
    arrived_bytes: int = 0
    lost: list[tuple[int, TransportFrame]] = field(default_factory=list)  # and the continuation of their request

    def take(self, datagrams: list[bytes]) -> None:
        """Read arrived packets, except those that the path loses."""
        peer, shown = self.peer, self.peer.transport
        for packet in opened(peer, datagrams):
            self.arrived += 1
            self.arrived_bytes += packet.size_bytes
            if not self.lose_every or self.arrived % self.lose_every:
                peer.remember(packet)
            elif packet.number not in peer.nonces and shown is not None:
                self.lost.append((packet.number, shown))

    @property
    def unspoken(self) -> range:
        """The numbers that a request may still acknowledge."""
        proof = self.peer.proof(self.peer.base)
        lo = max(self.spoken, self.peer.base)
        return range(lo, max(proof[-1][1] if proof else lo, lo))

    def request(self, most: int = 1 << 32, **fields: Any) -> bytes | None:
        """Acknowledge at most so many numbers not acknowledged yet; None when there are none."""
        numbers = self.unspoken[:most]
        if not numbers:
            return None
        self.spoken = numbers.stop
        return self.peer.speak(numbers.start, numbers.stop, **{"wants": wanting(self.peer), **fields})

    def round(self, stage: Stage) -> None:
        """Run one honest round trip, by a restart if nothing else is possible."""
        requests = [request for _ in range(MOST_REQUESTS) if (request := self.request(MOST_NUMBERS))]
        answers = stage.ask(requests) if requests else []
        if not answers:
            stage.pause(RESTART_PAUSE)
            self.spoken = 0
            answers = stage.ask([self.peer.restart(self.peer.bound(), wants=wanting(self.peer))])
        self.take(answers)


def opened(peer: Peer, datagrams: list[bytes]) -> list[OpenedPacket]:
    """Return this peer's response packets, opened but not remembered."""
    packets = []
    for datagram in datagrams:
        try:
            reply = peer.open_untrusted(datagram)
        except BadPacket:
            continue
        if isinstance(reply, OpenedPacket):
            packets.append(reply)
    return packets
