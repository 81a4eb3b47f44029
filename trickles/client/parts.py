"""The parts of one connection: each field has one owner, which alone assigns it."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.client.atwork import AtWork
from trickles.client.config import ClientConfig
from trickles.client.fleet import ReplicaSet
from trickles.client.flight import Flight
from trickles.client.heartbeats import Heartbeats
from trickles.client.input import InputQueue
from trickles.client.liveness import Liveness
from trickles.client.losses import LossDetection
from trickles.client.output import Output
from trickles.client.pathmtu import PathMtu
from trickles.client.recovery import Recovery
from trickles.client.requests import Requests
from trickles.client.striping import Striping
from trickles.client.upload import Uploader
from trickles.limits import Limits
from trickles.session import SessionKeys
from trickles.trace import Counters
from trickles.wire.awaiting import connection_name


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a connection, without the handshake; later ones may use only earlier ones."""

    config: ClientConfig
    limits: Limits
    secret: bytes
    session: SessionKeys
    counters: Counters
    fleet: ReplicaSet
    striping: Striping
    requests: Requests
    path: PathMtu
    flight: Flight
    input: InputQueue
    upload: Uploader
    output: Output
    recovery: Recovery
    losses: LossDetection
    at_work: AtWork
    heartbeats: Heartbeats

    @classmethod
    def new(cls, config: ClientConfig, fleet: ReplicaSet, secret: bytes, liveness: Liveness | None = None) -> Parts:
        limits, counters, requests, striping = config.limits, Counters(), Requests(), Striping(fleet)
        path = PathMtu(config)
        flight, output = Flight(limits, path), Output(limits)
        queue = InputQueue(limits.kept_input_bytes)
        upload = Uploader(queue, limits)
        shared = counters, fleet, requests, flight
        alone = liveness is None
        liveness = liveness or Liveness()
        recovery = Recovery(limits, *shared, path, output, queue, upload, striping, liveness)
        session = SessionKeys(secret, config.suite)
        at_work = AtWork(
            limits, counters, fleet, requests, recovery, liveness, alone, connection_name(session.identity)
        )
        losses = LossDetection(limits, *shared, recovery, striping)
        below = config, limits, secret, session, counters, fleet, striping, requests, path, flight, queue
        return cls(*below, upload, output, recovery, losses, at_work, Heartbeats(output))

    def statistics(self) -> dict[str, int | str]:
        """Return statistics for people and logs; times in microseconds."""
        board, home = self.flight.board, self.fleet.home
        return {
            "bytes_received": self.output.arrived.next_offset,
            "bytes_sent": self.input.consumed,
            "datagram_bytes": self.path.datagram_bytes,
            "window": board.course.window(board.cursor),
            "srtt_us": self.recovery.round_trip.srtt or 0,
            "failovers": self.recovery.failovers,
            "longest_stall_us": self.recovery.stall_us,
            "replica": f"{home[0]}:{home[1]}",
            **{name.replace(".", "_"): count for name, count in self.counters.items()},
        }
