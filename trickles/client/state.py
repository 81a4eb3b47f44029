"""The state of one connection, shared by the receiving and the sending half of the engine."""

from __future__ import annotations

from collections.abc import Callable

from trickles.client.claims import Claim, Claims
from trickles.client.config import ClientConfig
from trickles.client.fleet import Fleet
from trickles.client.wants import Wants
from trickles.reassembly import Reassembly
from trickles.rtt import RoundTrip
from trickles.scoreboard import Scoreboard
from trickles.session import Session
from trickles.trace import Counters
from trickles.trickle import UNBOUNDED_SSTHRESH, Episode
from trickles.wire.kinds import Address
from trickles.wire.response import TransportFrame

NOTHING_YET = Episode(0, 0, UNBOUNDED_SSTHRESH)


class InputQueue:
    """Input bytes not yet consumed by the service; offsets count from the connection's start."""

    def __init__(self) -> None:
        self.base = 0  # everything below was consumed
        self.ended = False
        self.end_told = False
        self.in_flight = False
        self._data = bytearray()
        self._offered = -1  # end of the input that the service has seen and left

    def __len__(self) -> int:
        return len(self._data)

    def write(self, data: bytes) -> None:
        """Append input."""
        self._data += data

    def end(self) -> None:
        """Nothing follows what was written."""
        self.ended = True

    def early(self) -> tuple[bytes, bool]:
        """All input so far, and whether it ends, for the handshake."""
        return bytes(self._data), self.ended

    def piece(self, room: int) -> bytes:
        """The first bytes not consumed, at most `room`."""
        return bytes(self._data[:room])

    @property
    def due(self) -> bool:
        """True when there is input (or its end) that the service has not seen."""
        if self.in_flight:
            return False
        unseen = self.base + len(self._data) > self._offered
        return (bool(self._data) and unseen) or (self.ended and not self.end_told)

    def consumed(self, offset: int) -> None:
        """The service has consumed everything below `offset`."""
        if offset > self.base:
            del self._data[: offset - self.base]
            self.base = offset

    def seen(self, stop: int, *, ended: bool) -> None:
        """The service saw the input up to `stop`; what it left waits for more."""
        self._offered = max(self._offered, stop)
        self.end_told = self.end_told or ended


class ConnectionState:
    """Everything a connection is, on the client's side: the server holds none of it."""

    def __init__(self, config: ClientConfig, fleet: Fleet, secret: bytes, entropy: Callable[[int], bytes]) -> None:
        self.config = config
        self.limits = config.limits
        self.fleet = fleet
        self.entropy = entropy
        self.counters = Counters()
        self.session = Session(secret, config.suite)
        self.transport: TransportFrame | None = None
        self.board = Scoreboard(NOTHING_YET)
        self.claims = Claims()
        self.wants = Wants()
        self.input = InputQueue()
        self.output = Reassembly()
        self.round_trip = RoundTrip()
        self.datagram_bytes = config.limits.min_datagram_bytes
        self.proven_bytes = max(config.datagram_bytes, config.limits.min_datagram_bytes)
        self.output_end: int | None = None
        self.taken_bytes = 0
        self.spoken = 0  # numbers below were spoken for
        self.next_number = 0  # above everything that can have been granted
        self.restarting: Claim | None = None
        self.broken = False  # a grant was not used up: only a restart goes on
        self.timed_out = False  # silence lasted: only a restart goes on, and not a clean one
        self.begun_at = 0  # when the episode in force began by a restart
        self.progress_at = 0  # when something authentic last arrived
        self.probes = 0  # since then
        self.reorder_packets = 3
        self.reorder_steps = 1
        self.failovers = 0
        self.stall_us = 0
        self.served: dict[Address, int] = {}

    def begin(self, frame: TransportFrame, now: int) -> None:
        """A new episode from its first number on: nothing of it is proved."""
        self.transport = frame
        self.board.start_over(frame.episode)
        self.spoken = frame.episode.base
        self.next_number = max(self.next_number, frame.episode.base + frame.episode.start)
        self.broken = False
        self.begun_at = now

    def abandon(self, replica: Address, now: int) -> None:
        """That replica does not answer: repeat all it was asked to another one, at once."""
        self.fleet.silent(replica, now)
        moved = [claim for claim in self.claims if claim.replica == replica and claim.patience <= now]
        for claim in moved:
            claim.replica = self.fleet.other(replica, now)
            claim.retry_at = now
        self.failovers += bool(moved)

    def note_spurious(self) -> None:
        """Something declared lost came after all: tolerate more reordering from now on."""
        self.counters.hit("spurious_losses")
        self.reorder_packets = min(self.reorder_packets * 2, 64)
        self.reorder_steps = min(self.reorder_steps + 1, 4)

    @property
    def burst_packets(self) -> int:
        """Packets of one GSO send at the current datagram size."""
        return max(1, min(self.limits.max_burst_packets, self.limits.max_burst_bytes // self.datagram_bytes))

    @property
    def established(self) -> bool:
        """True once there is a continuation."""
        return self.transport is not None

    @property
    def output_limit(self) -> int:
        """Output offset up to which there is buffer."""
        limit = self.taken_bytes + self.limits.receive_window_bytes
        return limit if self.output_end is None else min(limit, self.output_end)

    def statistics(self) -> dict[str, int | str]:
        """Figures for people and logs; times in microseconds."""
        return {
            "bytes_received": self.output.next_offset,
            "datagram_bytes": self.datagram_bytes,
            "window": self.board.course.window(self.board.cursor),
            "srtt_us": self.round_trip.srtt or 0,
            "failovers": self.failovers,
            "longest_stall_us": self.stall_us,
            "replica": f"{self.fleet.home[0]}:{self.fleet.home[1]}",
            **{name.replace(".", "_"): count for name, count in self.counters.items()},
        }
