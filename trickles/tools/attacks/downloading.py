"""A download by hand, in rounds: all that came is spoken for at once. The yardstick of attacks, and their disguise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trickles.errors import BadPacket
from trickles.tools.attacks.stage import Stage, wanting
from trickles.tools.peer import OpenedPacket, Peer
from trickles.wire.response import TransportFrame

MOST_NUMBERS = 46  # that one request of a round speaks for, as in a burst
MOST_REQUESTS = 5  # in a round: what is asked of a socket at once is bounded, whatever the window
RESTART_PAUSE = 1_000_000  # microseconds of silence before a new beginning, as after a timeout


@dataclass(slots=True)
class Downloader:
    """One peer and how far it has spoken; of the packets that arrive, the path loses one in `lose_every` (0: none)."""

    peer: Peer
    lose_every: int = 0
    spoken: int = 0
    arrived: int = 0
    arrived_bytes: int = 0
    lost: list[tuple[int, TransportFrame]] = field(default_factory=list)  # and what was shown to ask for them

    def take(self, datagrams: list[bytes]) -> None:
        """Read what came, but for what the path loses."""
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
        """The numbers that a request may still speak for."""
        proof = self.peer.proof(self.peer.base)
        lo = max(self.spoken, self.peer.base)
        return range(lo, max(proof[-1][1] if proof else lo, lo))

    def request(self, most: int = 1 << 32, **fields: Any) -> bytes | None:
        """Speak for at most so many numbers that came and were not spoken for; None when there are none."""
        numbers = self.unspoken[:most]
        if not numbers:
            return None
        self.spoken = numbers.stop
        return self.peer.speak(numbers.start, numbers.stop, **{"wants": wanting(self.peer), **fields})

    def round(self, stage: Stage) -> None:
        """One honest round trip, by a new beginning where nothing else helps."""
        requests = [request for _ in range(MOST_REQUESTS) if (request := self.request(MOST_NUMBERS))]
        answers = stage.ask(requests) if requests else []
        if not answers:
            stage.pause(RESTART_PAUSE)
            self.spoken = 0
            answers = stage.ask([self.peer.restart(self.peer.bound(), wants=wanting(self.peer))])
        self.take(answers)


def opened(peer: Peer, datagrams: list[bytes]) -> list[OpenedPacket]:
    """The response packets among them that are this peer's; nothing is remembered."""
    packets = []
    for datagram in datagrams:
        try:
            reply = peer.open_untrusted(datagram)
        except BadPacket:
            continue
        if isinstance(reply, OpenedPacket):
            packets.append(reply)
    return packets
